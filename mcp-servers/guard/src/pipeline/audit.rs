//! The row of a call. What was asked for stands in it as a digest: arguments may hold what is not for everybody who reads
//! the trail.

use qd_audit::Kind;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{Answer, Incoming, Outcome, Refusal, named, parse::Parsed, policy::Verdict};
use crate::{Call, Caller, Event, Guard, Spec, ledger::payload};

/// What is known of a call, as far as it came.
pub(super) struct Account {
    caller: Caller,
    call: String,
    tool: String,
    begun: Instant,
    fields: Map<String, Value>,
    spec: Option<Spec>,
}

/// What happened, with the ids by which it is found elsewhere.
pub(super) fn traced(text: String, traces: &[String]) -> String {
    if traces.is_empty() { text } else { format!("{text} ({})", traces.join(", ")) }
}

impl Account {
    pub(super) fn of(call: &Call, incoming: &Incoming) -> Self {
        Self::about_tool(&call.caller, call.id.clone(), named(None, &incoming.name))
    }

    /// Of a call, by its id, that has to do with this tool.
    pub(super) fn about_tool(caller: &Caller, call: String, tool: String) -> Self {
        Self { caller: caller.clone(), call, tool, begun: Instant::now(), fields: Map::new(), spec: None }
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The tool's full name, as far as it is known.
    pub(super) fn tool(&self) -> &str {
        &self.tool
    }

    pub(super) fn about(&mut self, parsed: &Parsed) {
        self.tool = named(Some(&parsed.entry), "");
        self.spec = parsed.entry.spec.traces.map(|_| parsed.entry.spec.clone());
        let arguments = serde_json_canonicalizer::to_vec(&parsed.input).unwrap_or_default();
        let digest: String = Sha256::digest(&arguments).iter().map(|byte| format!("{byte:02x}")).collect();
        self.fields = payload(json!({
            "tier": parsed.entry.spec.tier, "action": parsed.entry.spec.action, "arguments": digest,
        }));
        if parsed.dry_run {
            self.fields.insert("dry_run".to_owned(), Value::Bool(true));
        }
    }

    pub(super) fn decided(&mut self, verdict: &Verdict) {
        let (ruling, policy, hash) = match verdict {
            Verdict::Allowed { policy, hash } => ("allow", Some(policy), hash),
            Verdict::Ask { hash, .. } => ("ask", None, hash),
        };
        self.fields.insert("ruling".to_owned(), Value::from(ruling));
        self.fields.insert("policies".to_owned(), Value::from(hash.as_str()));
        if let Some(policy) = policy {
            self.fields.insert("policy".to_owned(), Value::from(policy.as_str()));
        }
    }

    /// The row before an effect that nobody is asked for.
    pub(super) fn before(&self) -> Event {
        self.event(Kind::Call, format!("calls {}", self.tool))
    }

    /// A row about it.
    pub(super) fn event(&self, kind: Kind, text: String) -> Event {
        let mut payload = self.fields.clone();
        payload.insert("text".to_owned(), Value::from(text));
        payload.insert("tool".to_owned(), Value::from(self.tool.as_str()));
        let (caller, call) = (self.caller.clone(), self.call.clone());
        Event { kind, caller, call, approval: None, payload }
    }

    fn after(&self, answer: &Answer) -> Event {
        let mut event = match answer {
            // What people decided on has its own row of the outcome.
            Answer::Done { changed: true, .. }
                if self.fields.get("ruling") == Some(&Value::from("allow")) =>
            {
                let traces = match (&self.spec, answer) {
                    (Some(spec), Answer::Done { result: Outcome::Whole(result), .. }) => {
                        spec.traces_in(result)
                    }
                    _ => Vec::new(),
                };
                let text = traced(format!("called {}", self.tool), &traces);
                let mut event = self.event(Kind::Outcome, text);
                if !traces.is_empty() {
                    event.payload.insert("traces".to_owned(), Value::from(traces));
                }
                event
            }
            Answer::Done { .. } => self.event(Kind::Call, format!("called {}", self.tool)),
            Answer::Pending(_) => self.event(Kind::Call, format!("waits to call {}", self.tool)),
            Answer::Preview(_) => self.event(Kind::Call, format!("looked what {} would do", self.tool)),
            Answer::Refused(refusal) if refusal.unsure => {
                self.event(Kind::Outcome, format!("can't tell whether {} happened", self.tool))
            }
            Answer::Refused(refusal) => {
                self.event(Kind::Call, format!("was refused {} ({})", self.tool, refusal.stage.as_str()))
            }
        };
        event.payload.insert("answer".to_owned(), Value::from(answer.word()));
        let spent = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        event.payload.insert("us".to_owned(), Value::from(spent));
        event
    }
}

impl Guard {
    /// Writes the call down and lets the answer go. An answer that can't be written down is withheld.
    pub(super) async fn audited(&self, account: Account, answer: Answer) -> Answer {
        match self.0.trail.grouped(account.after(&answer)).await {
            Ok(()) => answer,
            // It happened; that it can't be told is a matter for people.
            Err(error) if matches!(answer, Answer::Done { changed: true, .. }) => {
                tracing::error!(%error, tool = account.tool, "a change is not in the trail");
                answer
            }
            Err(error) => Refusal::store(&error).into(),
        }
    }
}
