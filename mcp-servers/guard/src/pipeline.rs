//! The one way of every call, stage by stage. What a stage refuses, no later one sees.
//!
//! | stage | where |
//! | --- | --- |
//! | parse into types, strictly | [`parse`] |
//! | scope: what the token is good for, and what is the caller's business | [`parse`] |
//! | how many, how many at once | `limits`, [`counted`] |
//! | policy | [`policy`] |
//! | people, where policy asks them | [`approval`] |
//! | the live state once more, and the effect | [`approval`], [`effect`] |
//! | secrets, length | [`answer`] |
//! | the trail | [`audit`] |
//!
//! What was asked for and what was written down is read by tools as well: [`records`].

pub(crate) mod answer;
pub(crate) mod approval;
mod audit;
mod counted;
mod effect;
pub(crate) mod parse;
mod policy;
pub(crate) mod records;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{Call, Caller, Guard, Permit, Progress, entry::Entry, offers::Face};
pub use answer::{Answer, Outcome, Pending, Preview, Refusal, Stage};
use audit::Account;
use parse::Parsed;
use policy::Verdict;

/// The tool that every server has whose tools may have to wait for people.
pub(crate) const OUTCOME: &str = "call_outcome";

/// A call as it came.
#[derive(Debug, Default)]
pub struct Incoming {
    /// The tool's name on the server.
    pub name: String,
    /// Its arguments, as the protocol's parser left them.
    pub arguments: Map<String, Value>,
    /// What the screen found wrong with the message.
    pub refused: Option<String>,
    /// Ends when the client gives up.
    pub cancel: CancellationToken,
    /// Where the client hears of progress.
    pub progress: Progress,
    /// Which list it was taken from.
    pub(crate) face: Face,
}

impl Guard {
    /// Answers a call. Whatever goes wrong is an answer.
    pub async fn call(&self, caller: &Caller, incoming: Incoming) -> Answer {
        let call = Call {
            id: ulid::Ulid::generate().to_string(),
            caller: caller.clone(),
            cancel: incoming.cancel.clone(),
            progress: incoming.progress.clone(),
        };
        if incoming.name == OUTCOME {
            return self.apart(move |guard| async move { guard.outcome(&call, &incoming).await }).await;
        }
        let entry = self.find(caller, &incoming.name, &incoming.face);
        if entry.is_some_and(|entry| entry.changes()) {
            // What changes something goes on to its end, also if nobody waits for it any more.
            return self.apart(move |guard| async move { guard.answer(&call, incoming).await }).await;
        }
        self.answer(&call, incoming).await
    }

    async fn apart<F>(&self, work: impl FnOnce(Guard) -> F) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let ended = tokio::spawn(work(self.clone())).await;
        ended.unwrap_or_else(|_| Refusal::broken().into())
    }

    async fn answer(&self, call: &Call, incoming: Incoming) -> Answer {
        let mut account = Account::of(call, &incoming);
        let parsed = self.parse(&call.caller, incoming);
        // A refused call counts as well: whoever floods is slowed down before the trail is.
        let slot = match self.0.gate.enter(&call.caller.key()) {
            Ok(slot) => slot,
            Err(error) => return self.turned_away(account, &error).await,
        };
        let limited = |parsed: &Parsed| {
            let enter = |most| self.0.gate.tool(&call.caller.key(), &parsed.entry.full_name(), most);
            parsed.entry.spec.per_minute.map_or(Ok(()), enter)
        };
        let answer = match parsed {
            Ok(parsed) => {
                account.about(&parsed);
                if let Err(error) = limited(&parsed) {
                    return self.turned_away(account, &error).await;
                }
                self.decided(call, parsed, slot, &mut account).await
            }
            Err(refusal) => refusal.into(),
        };
        let answer = self.presented(call, account.tool(), answer);
        self.audited(account, answer).await
    }

    async fn decided(
        &self,
        call: &Call,
        parsed: Parsed,
        slot: crate::limits::Slot,
        account: &mut Account,
    ) -> Answer {
        let verdict = match self.judge(&call.caller, &parsed) {
            Ok(verdict) => verdict,
            Err(refusal) => return refusal.into(),
        };
        account.decided(&verdict);
        if parsed.dry_run {
            return self.preview(call, &parsed, &verdict).await;
        }
        match verdict {
            Verdict::Allowed { hash, .. } => {
                let Parsed { entry, input, notes, .. } = parsed;
                if entry.changes()
                    && let Err(error) = self.0.trail.durable(account.before()).await
                {
                    return Refusal::store(&error).into();
                }
                let ended = self.carry_out(call, entry.clone(), input, Permit::Policy(hash)).await;
                drop(slot);
                match ended {
                    Ok(result) => {
                        let result = Outcome::Whole(result);
                        Answer::Done { result, notes, changed: entry.changes() }
                    }
                    Err(fault) => Refusal::fault(&fault).into(),
                }
            }
            Verdict::Ask { ask, hash } => self.ask(call, parsed, (ask, hash), slot).await,
        }
    }

    /// What would happen, and nothing does.
    async fn preview(&self, call: &Call, parsed: &Parsed, verdict: &Verdict) -> Answer {
        let plan = match self.plan(call, &parsed.entry, &parsed.input).await {
            Ok(plan) => plan,
            Err(fault) => return Refusal::fault(&fault).into(),
        };
        let people = match verdict {
            Verdict::Allowed { .. } => None,
            Verdict::Ask { ask, .. } => Some(ask.requirement.describe()),
        };
        Preview { target: plan.target, steps: plan.steps, people, notes: parsed.notes.clone() }.into()
    }
}

/// The tool's full name, or the name as it was given.
pub(crate) fn named(entry: Option<&Entry>, given: &str) -> String {
    entry.map_or_else(|| crate::outputs::cut(given, 64).to_owned(), Entry::full_name)
}
