//! People. A call that they have to agree to is asked for, waited for as long as its client does, and carried out once, on
//! exactly what was approved. Their decision comes out of band: nothing that the calling client says is one.

use std::sync::Arc;

use qd_approvals::{Authorised, EffectState, Outcome, Probe};
use qd_audit::Kind;
use qd_types::{
    Action, ApprovalId, ApprovalState, Ask, Binding, Call as Does, PolicyHash, Requirement, RunId,
    SpentGrant, Subject,
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Incoming, OUTCOME, Pending, Preview, Refusal, Stage,
    audit::{Account, traced},
    parse::Parsed,
    policy::Verdict,
};
use crate::{
    Asked, Asking, Call, Caller, Event, Fault, Guard, Permit, Plan, Standing, entry::Entry, ledger::payload,
    limits::Slot, schema::DRY_RUN,
};

/// Progress while people decide, in seconds.
const TICK: u64 = 5;

impl Guard {
    /// Asks people, and goes on as far as they let it.
    pub(super) async fn ask(
        &self,
        call: &Call,
        parsed: Parsed,
        (ask, hash): (Ask, PolicyHash),
        slot: Slot,
    ) -> Answer {
        let plan = match self.plan(call, &parsed.entry, &parsed.input).await {
            Ok(plan) => plan,
            Err(fault) => return Refusal::fault(&fault).into(),
        };
        let Some(run) = call.caller.run(self.now()) else { return Refusal::broken().into() };
        let requirement = ask.requirement.clone();
        let subject = bound(call, &parsed.entry, &parsed.input, plan, (&requirement, &hash), run);
        let asking = Asking { subject, terms: ask, caller: call.caller.clone(), call: call.id.clone() };
        let id = match self.0.approvals.ask(asking).await {
            Ok(Asked::Stands(id)) => id,
            Ok(Asked::Refused(why)) => return Refusal::new(Stage::Approval, why, "").into(),
            Err(error) => return Refusal::store(&error).into(),
        };
        // Whoever waits for people takes nobody's place.
        drop(slot);
        self.wait(call, &id, parsed.notes).await
    }

    /// A call of [`OUTCOME`].
    pub(super) async fn outcome(&self, call: &Call, incoming: &Incoming) -> Answer {
        let account = Account::of(call, incoming);
        // Whoever waits for people takes nobody's place; what they agreed to does again.
        if let Err(error) = self.0.gate.enter(&call.caller.key()).map(drop) {
            return self.turned_away(account, &error).await;
        }
        let answer = match asked_for(&incoming.arguments, incoming.refused.as_deref()) {
            Ok((id, false)) => self.wait(call, &id, Vec::new()).await,
            Ok((id, true)) => self.stands(call, &id).await,
            Err(refusal) => refusal.into(),
        };
        let answer = self.presented(call, account.tool(), answer);
        self.audited(account, answer).await
    }

    /// How a request stands, and what would happen now if people agreed already. Nothing does.
    async fn stands(&self, call: &Call, id: &ApprovalId) -> Answer {
        let standing = match self.mine(&call.caller, id).await {
            Ok(standing) => standing,
            Err(refusal) => return refusal.into(),
        };
        match (standing.state, &standing.effect) {
            (_, Some((EffectState::UnderWay, _))) | (ApprovalState::Requested, _) => {
                self.pending(&standing, Vec::new()).into()
            }
            (ApprovalState::Granted | ApprovalState::Executing, _) => {
                let (steps, careful) = self.steps(call, &standing).await;
                let bound = standing.subject.binding;
                let target = bound.map(|bound| bound.target).unwrap_or_default();
                Preview { target, steps, people: None, notes: careful.into_iter().collect() }.into()
            }
            _ => self.ended(&call.caller, standing, Vec::new()),
        }
    }

    /// Waits for people while the client does, and then says how it stands, or carries it out.
    async fn wait(&self, call: &Call, id: &ApprovalId, notes: Vec<String>) -> Answer {
        let begun = Instant::now();
        let place = if call.progress.holds() { self.0.gate.wait(&call.caller.key()) } else { None };
        let mut told = None;
        loop {
            let standing = match self.mine(&call.caller, id).await {
                Ok(standing) => standing,
                Err(refusal) => return refusal.into(),
            };
            let waits = standing.state == ApprovalState::Requested
                || matches!(standing.effect, Some((EffectState::UnderWay, _)));
            // Nobody is there any more: a grant is not spent on an effect that is told to stop before it begins.
            if call.cancel.is_cancelled() {
                return self.pending(&standing, notes).into();
            }
            if !waits {
                drop(place);
                return self.decided_by_people(call, standing, notes).await;
            }
            if place.is_none() || begun.elapsed() >= self.0.settings.hold {
                return self.pending(&standing, notes).into();
            }
            let ticks = begun.elapsed().as_secs() / TICK;
            if told != Some(ticks) {
                told = Some(ticks);
                let text = format!("Waiting for people to decide on {id}.");
                call.progress.report((ticks * TICK) as f64, None, text);
            }
            tokio::select! {
                () = self.0.approvals.moved() => {}
                () = call.cancel.cancelled() => {}
            }
        }
    }

    /// How a request stands, if it is this caller's. Everybody else's is not there.
    async fn mine(&self, caller: &Caller, id: &ApprovalId) -> Result<Standing, Refusal> {
        let found = self.0.approvals.standing(id).await.map_err(|error| Refusal::store(&error))?;
        let is_mine =
            |standing: &Standing| self.is_asked_here(caller, standing) && standing.is_asked_by(caller);
        found.filter(is_mine).ok_or_else(|| Refusal::not_asked(id))
    }

    /// Whether it is a call of a tool of this server, kept by the caller's team.
    pub(super) fn is_asked_here(&self, caller: &Caller, standing: &Standing) -> bool {
        let tool = standing.subject.binding.as_ref().and_then(|bound| bound.tool.as_ref());
        standing.subject.instance == *caller.team() && tool.is_some_and(|tool| self.own(&tool.name).is_some())
    }

    /// Where a request of this caller is in its life. The error is for the caller.
    pub(crate) async fn state(&self, caller: &Caller, id: &ApprovalId) -> Result<ApprovalState, Refusal> {
        Ok(self.mine(caller, id).await?.state)
    }

    fn pending(&self, standing: &Standing, notes: Vec<String>) -> Pending {
        let where_ = match standing.effect {
            Some((EffectState::UnderWay, _)) => "People agreed, and it is being carried out.",
            _ if standing.state != ApprovalState::Requested => "It is decided: ask again.",
            _ if standing.queued => "It waits behind other requests of this run.",
            _ => "Nobody has decided yet.",
        };
        Pending {
            approval: standing.id.to_string(),
            people: standing.subject.requirement.describe(),
            target: standing.subject.binding.as_ref().map(|bound| bound.target.clone()).unwrap_or_default(),
            standing: where_.to_owned(),
            decide: format!("{} {}", self.0.settings.decide, standing.id),
            asked_elsewhere: self.0.settings.asks_elsewhere,
            notes,
        }
    }

    async fn decided_by_people(&self, call: &Call, standing: Standing, notes: Vec<String>) -> Answer {
        match standing.state {
            ApprovalState::Granted | ApprovalState::Executing => self.approved(call, standing, notes).await,
            _ => self.ended(&call.caller, standing, notes),
        }
    }

    /// What became of a request that nothing more becomes of.
    fn ended(&self, caller: &Caller, standing: Standing, notes: Vec<String>) -> Answer {
        let because = standing.reason.clone().unwrap_or_default();
        match (standing.state, &standing.effect) {
            (ApprovalState::Executed, Some((_, Some(kept)))) => {
                Answer::Done { result: self.told_again(caller, kept), notes, changed: true }
            }
            (ApprovalState::Denied, _) => Refusal::new(
                Stage::Approval,
                format!("People said no. {because}"),
                "That holds: no other tool, wording or argument changes it. Finish without it, or say what is missing.",
            )
            .into(),
            (ApprovalState::Unknown, effect) => {
                let told = effect.as_ref().and_then(|(_, text)| text.clone()).unwrap_or(because);
                let way_out = "It is not tried again by itself.";
                Refusal::new(Stage::Effect, told, way_out).unsure(true).into()
            }
            (ApprovalState::Failed, effect) => {
                let told = effect.as_ref().and_then(|(_, text)| text.clone()).unwrap_or(because);
                Refusal::new(Stage::Effect, told, "It did not happen. Call the tool again to ask anew.").into()
            }
            (ApprovalState::Expired, _) => Refusal::new(
                Stage::Approval,
                format!("Nobody decided in time. {because}"),
                format!(
                    "This attempt is over. A person can open it again with `quarterdeck approvals reopen {}`, you can't.",
                    standing.id
                ),
            )
            .into(),
            (state, _) => {
                let state = format!("{state:?}").to_lowercase();
                let way_out = "Call the tool again to ask anew.";
                Refusal::new(Stage::Approval, format!("The approval is {state}. {because}"), way_out).into()
            }
        }
    }

    /// Carries out what people approved, if it is still exactly that.
    async fn approved(&self, call: &Call, standing: Standing, notes: Vec<String>) -> Answer {
        let _slot = match self.0.gate.slot(&call.caller.key()) {
            Ok(slot) => slot,
            Err(error) => return Refusal::new(Stage::Limits, error.to_string(), "").into(),
        };
        let (entry, input, rebuilt) = match self.rebuilt(call, &standing).await {
            Ok(rebuilt) => rebuilt,
            Err(refusal) => return refusal.into(),
        };
        let grant = match self.0.approvals.authorise(&standing.id, rebuilt).await {
            Ok(Authorised::Go(grant)) => grant,
            Ok(Authorised::Lapsed { reason, .. }) => {
                let way_out = "Nothing was done. Call the tool again: people are asked anew.";
                return Refusal::new(Stage::Approval, reason, way_out).into();
            }
            Ok(Authorised::Refused(refusal)) => {
                let way_out = format!("Ask again with {OUTCOME}.");
                return Refusal::new(Stage::Approval, refusal.to_string(), way_out).into();
            }
            Err(error) => return Refusal::store(&error).into(),
        };
        self.execute(call, (entry, input), &standing.id, grant, notes).await
    }

    /// What was asked for before and nobody decided on, as it would be asked for now; and whom policy asks. For a person who
    /// has it asked again: nothing is done, and nobody is asked yet.
    ///
    /// # Errors
    /// Why it can't be asked for any more, as a sentence.
    pub async fn again(&self, caller: &Caller, asked: &Subject) -> Result<(Subject, Ask), String> {
        let gone = || "The tool is not there for its run any more.".to_owned();
        let binding = asked.binding.as_ref().ok_or_else(gone)?;
        let name = binding.tool.as_ref().and_then(|tool| self.own(&tool.name)).ok_or_else(gone)?;
        let face = &self.entry(name).ok_or_else(gone)?.face;
        let entry = self.find(caller, name, face).ok_or_else(gone)?;
        let arguments = binding.arguments.as_object().cloned().unwrap_or_default();
        let no = |refusal: Refusal| format!("{} {}", refusal.problem, refusal.way_out).trim().to_owned();
        let parsed = self.fitting(caller, entry.clone(), arguments).map_err(no)?;
        let (ask, hash) = match self.judge(caller, &parsed).map_err(no)? {
            Verdict::Ask { ask, hash } => (ask, hash),
            Verdict::Allowed { .. } => {
                return Err("Policy asks nobody about it any more: the agent may call it.".to_owned());
            }
        };
        let call = Call {
            id: ulid::Ulid::generate().to_string(),
            caller: caller.clone(),
            cancel: CancellationToken::new(),
            progress: crate::Progress::default(),
        };
        // Where the state can't be looked at now, it is compared when it is carried out.
        let fingerprint = match self.plan(&call, &entry, &parsed.input).await {
            Ok(plan) => plan.fingerprint,
            Err(_) => binding.fingerprint.clone(),
        };
        let binding = Binding {
            tool: Some(entry.binding()),
            fingerprint,
            policies: hash.as_str().to_owned(),
            reopens: None,
            ..binding.clone()
        };
        let requirement = ask.requirement.clone();
        Ok((Subject { binding: Some(binding), requirement, ..asked.clone() }, ask))
    }

    /// Whether a tool of this full name is served here.
    pub fn serves(&self, tool: &str) -> bool {
        self.own(tool).is_some_and(|name| self.entry(name).is_some())
    }

    /// What would be done now, built from nothing but what was asked for: the tool, its arguments, the state as it is, the
    /// policies of this moment.
    async fn rebuilt(
        &self,
        call: &Call,
        standing: &Standing,
    ) -> Result<(Arc<Entry>, Value, Subject), Refusal> {
        let gone = |problem: &str| {
            Refusal::new(Stage::Approval, problem, "Nothing was done. List the tools, and ask anew.")
        };
        let binding = standing.subject.binding.as_ref().ok_or_else(|| gone("It binds nothing."))?;
        let tool = binding.tool.as_ref().and_then(|tool| self.own(&tool.name));
        let entry = tool
            .and_then(|name| self.find(&call.caller, name, &self.entry(name)?.face))
            .ok_or_else(|| gone("The tool is not there for you any more."))?;
        let arguments = binding.arguments.as_object().cloned().unwrap_or_default();
        let parsed = self.fitting(&call.caller, entry.clone(), arguments)?;
        let (requirement, hash) = match self.judge(&call.caller, &parsed)? {
            Verdict::Ask { ask, hash } => (ask.requirement, hash),
            // The policies changed: what was approved says so when it is compared.
            Verdict::Allowed { hash, .. } => (standing.subject.requirement.clone(), hash),
        };
        let plan = self.plan(call, &entry, &parsed.input).await.map_err(|fault| Refusal::fault(&fault))?;
        let run = standing.subject.run.clone();
        let rebuilt = bound(call, &entry, &parsed.input, plan, (&requirement, &hash), run);
        Ok((entry, parsed.input, rebuilt))
    }

    async fn execute(
        &self,
        call: &Call,
        (entry, input): (Arc<Entry>, Value),
        id: &ApprovalId,
        grant: SpentGrant,
        notes: Vec<String>,
    ) -> Answer {
        let event = |kind, text: String| Event {
            kind,
            caller: call.caller.clone(),
            call: call.id.clone(),
            approval: Some(id.clone()),
            payload: payload(json!({ "text": text, "tool": entry.full_name() })),
        };
        let begun = event(Kind::Execution, format!("carries out {}", entry.full_name()));
        let ended = match self.0.trail.durable(begun).await {
            Ok(()) => self.carry_out(call, entry.clone(), input, Permit::Grant(grant)).await,
            Err(error) => Err(Fault::failed(format!("{error}."), "Tell whoever runs this server.")),
        };
        let mut traces = Vec::new();
        let (outcome, word, answer) = match ended {
            Ok(result) => {
                traces = entry.spec.traces_in(&result);
                let result = self.capped(call, &entry.full_name(), result);
                let kept = result.kept();
                (Outcome::Done(kept), "done", Answer::Done { result, notes, changed: true })
            }
            Err(fault) => {
                let told = self.0.redact.text(&format!("{} {}", fault.problem, fault.way_out));
                let (outcome, word) = if fault.unsure {
                    (Outcome::Unknown(told), "unknown")
                } else {
                    (Outcome::Failed(told), "failed")
                };
                (outcome, word, Refusal::fault(&fault).into())
            }
        };
        let mut event = event(Kind::Outcome, traced(format!("{}: {word}", entry.full_name()), &traces));
        if !traces.is_empty() {
            event.payload.insert("traces".to_owned(), Value::from(traces));
        }
        if let Err(error) = self.0.approvals.finish(id, outcome, event).await {
            tracing::error!(%error, %id, "what came of an approved call could not be written down");
        }
        answer
    }

    /// To be called at start, before the first call, and every now and then where other processes share the approvals: looks
    /// at each of its effects that a crash cut short, and says what is known of it. Returns how many there were.
    pub async fn recover(&self) -> Result<usize, crate::StoreError> {
        let mut recovered = 0;
        for id in &self.0.approvals.interrupted().await? {
            let probe = match self.0.approvals.standing(id).await? {
                Some(standing) if self.is_own(&standing) => self.probe(&standing).await,
                _ => continue,
            };
            tracing::info!(%id, ?probe, "an approved call was cut short");
            self.0.approvals.probed(id, probe).await?;
            recovered += 1;
        }
        Ok(recovered)
    }

    /// Whether it is a call of this server: others may keep theirs in the same ledger.
    fn is_own(&self, standing: &Standing) -> bool {
        let tool = standing.subject.binding.as_ref().and_then(|bound| bound.tool.as_ref());
        tool.is_none_or(|tool| self.own(&tool.name).is_some())
    }

    async fn probe(&self, standing: &Standing) -> Probe {
        let bound = standing.subject.binding.as_ref();
        let tool = bound.and_then(|bound| bound.tool.as_ref()).and_then(|tool| self.own(&tool.name));
        match (bound, tool.and_then(|name| self.entry(name))) {
            (Some(bound), Some(entry)) => entry.body.probe(&standing.id.to_string(), &bound.arguments).await,
            _ => Probe::CantTell("The tool that carried it out is not there any more.".to_owned()),
        }
    }
}

/// The id of a call of [`OUTCOME`], and whether it only asks.
fn asked_for(arguments: &Map<String, Value>, refused: Option<&str>) -> Result<(ApprovalId, bool), Refusal> {
    let unfit = |problem: String| {
        Refusal::new(
            Stage::Parse,
            problem,
            "Give the argument approval, as the answer of the tool said it, and besides dry_run no other.",
        )
    };
    if let Some(reason) = refused {
        return Err(unfit(format!("The arguments are refused: {reason}.")));
    }
    let known = arguments.keys().all(|name| name == "approval" || name == DRY_RUN);
    let only_asks = match arguments.get(DRY_RUN) {
        None => Some(false),
        Some(value) => value.as_bool(),
    };
    match (arguments.get("approval").and_then(Value::as_str), only_asks) {
        (Some(text), Some(only_asks)) if known => {
            let id = text.parse().map_err(|error: qd_types::IdError| unfit(format!("{error}.")))?;
            Ok((id, only_asks))
        }
        _ => Err(unfit("The arguments are refused.".to_owned())),
    }
}

/// Everything that a yes would bind.
fn bound(
    call: &Call,
    entry: &Entry,
    input: &Value,
    plan: Plan,
    (requirement, policies): (&Requirement, &PolicyHash),
    run: RunId,
) -> Subject {
    Subject {
        action: Action::Tool(Does { does: entry.spec.action.to_string(), tier: entry.spec.tier }),
        binding: Some(Binding {
            tool: Some(entry.binding()),
            arguments: input.clone(),
            target: plan.target,
            fingerprint: plan.fingerprint,
            policies: policies.as_str().to_owned(),
            askers: vec![call.caller.account()],
            reopens: None,
        }),
        instance: call.caller.team().clone(),
        feature: run.feature().clone(),
        run,
        requesters: call.caller.requesters(),
        requirement: requirement.clone(),
    }
}
