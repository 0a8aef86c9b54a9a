//! The approvals desk: what is asked, voted, merged and pushed, as steps that the store of approvals takes; and what
//! follows from what it says. The bot executes acts on the forge, so it alone tallies their votes.

use qd_approvals::{AskRefusal, Cast, Outcome, ReopenRefusal, Resumption, Spending, Swept, Terms};
use qd_text::say;
use qd_types::{
    Action, Approval, ApprovalId, ApprovalState, Ballot, Binding, CommitId, FeatureId, InstanceName, Merge,
    Person, PersonId, RunId, Subject, Vote,
};
use qd_wire::v1::{Alert, ForgeOutcome, Order};

use crate::{
    answer::{Handled, answer, failed},
    chat::{self, About, Channel, Given, Message, MessageKey, Way},
    effect::{Asking, Effect, ForgeCall, Save, Step, Word},
    escalation,
    event::Moment,
    foreign::BOT,
    forge::{Brought, Check, Conclusion, ForgeError, MergeMethod, MergeOrder},
    handle, page,
    state::{Desk, Filed, FleetState, Foreign, Merging, Rules, Standing},
    text,
};

/// The check that the bot itself reports: all of a team's checks passed on this commit, or people approved it
/// unverified. A forge's branch protection requires this one.
pub(crate) const OWN_CHECK: &str = "quarterdeck";

/// An instance asks whether a head may be merged, or pushed.
pub(crate) struct Ask {
    pub(crate) instance: InstanceName,
    pub(crate) request: String,
    pub(crate) feature: FeatureId,
    pub(crate) run: RunId,
    pub(crate) action: Action,
    pub(crate) requesters: Vec<PersonId>,
    pub(crate) words: Option<String>,
    pub(crate) facts: String,
    pub(crate) findings: Vec<qd_wire::v1::Finding>,
}

/// What was asked for before, as the policies of now would have it asked. The error is their no.
fn bound(rules: &Rules, subject: Subject) -> Result<(Subject, Terms), String> {
    let asked = rules.asks(&subject.instance, &subject.action)?;
    let binding = Some(asked.binding(&subject.action));
    Ok((Subject { binding, requirement: asked.requirement, ..subject }, asked.terms))
}

/// As it is about to be done, under the policies of now. What they forbid by now equals nothing that was approved.
fn rebuild(rules: &Rules, subject: Subject) -> Subject {
    match bound(rules, subject.clone()) {
        Ok((subject, _)) => subject,
        Err(no) => {
            let binding = subject.binding.map(|binding| Binding { policies: no, ..binding });
            Subject { binding, ..subject }
        }
    }
}

/// The same request, whether or not a person had it opened again.
fn is_same(old: &Subject, new: &Subject) -> bool {
    let mut old = old.clone();
    if let Some(binding) = &mut old.binding {
        binding.reopens = None;
    }
    old == *new
}

/// Asks people, unless they are asked for exactly this already.
pub(crate) fn ask(state: &FleetState, ask: Ask) -> Vec<Effect> {
    let feature_title = state
        .features
        .get(&(ask.instance.clone(), ask.feature.clone()))
        .map_or_else(String::new, |feature| feature.title.clone());
    let asked = match state.rules.asks(&ask.instance, &ask.action) {
        Ok(asked) => asked,
        Err(reason) => {
            return vec![answer(&ask.instance, &ask.request, ForgeOutcome::NotApproved { reason })];
        }
    };
    let subject = Subject {
        binding: Some(asked.binding(&ask.action)),
        action: ask.action,
        instance: ask.instance,
        feature: ask.feature,
        run: ask.run,
        requesters: ask.requesters,
        requirement: asked.requirement,
    };
    // A run asks anew because its change is another one: what was approved before stands no more.
    let mut effects = pushed(state, &subject.instance, &subject.run);
    let older = of_run(state, &subject.instance, &subject.run)
        .filter(|desk| !is_used(desk) && !is_same(&desk.approval().subject, &subject));
    effects.extend(older.map(|desk| call_off(desk, &say!("change-is-another"))));
    let facts = match &subject.action {
        Action::Merge(merge) if state.rules.unprotected.contains(merge.repository.as_str()) => {
            format!("{} {}", ask.facts, say!("unprotected", target = merge.target))
        }
        _ => ask.facts,
    };
    let findings = ask.findings;
    let filed = Filed { facts, feature_title, findings, ..Filed::default() };
    let asking = Asking { subject, terms: asked.terms, words: ask.words, request: ask.request, filed };
    effects.push(Effect::Step(Step::Ask(Box::new(asking))));
    effects
}

/// People are asked, or are not.
pub(crate) fn asked(
    state: &mut FleetState,
    asking: Asking,
    result: Result<Standing, AskRefusal>,
) -> Vec<Effect> {
    let (to, request) = (asking.subject.instance.clone(), asking.request.clone());
    match result {
        Ok(standing) => {
            let outcome = ForgeOutcome::Asked { approval: standing.approval.id.clone() };
            let mut effects = vec![answer(&to, &request, outcome)];
            let (approval, now) = (standing.approval.id.clone(), standing.approval.state);
            effects.extend(file(state, standing, asking.filed));
            // Whoever asks for what is decided has not heard of it.
            let (reason, answers) = (String::new(), Vec::new());
            let heard = Resumption { approval, waiter: request, state: now, reason, answers };
            effects.extend(decided(state, &heard));
            effects
        }
        Err(AskRefusal::Expired { id }) => {
            let reason = say!("push-expired", key = id.key());
            vec![answer(&to, &request, ForgeOutcome::NotApproved { reason })]
        }
        Err(refusal @ (AskRefusal::Denied { .. } | AskRefusal::Paused { .. })) => {
            vec![answer(&to, &request, ForgeOutcome::NotApproved { reason: refusal.to_string() })]
        }
        Err(refusal) => vec![answer(&to, &request, ForgeOutcome::Refused { reason: refusal.to_string() })],
    }
}

/// A person opens an expired request again, as it would be asked now. The error is the policies' no.
pub(crate) fn reopen(state: &FleetState, by: &Person, desk: &Desk) -> Result<Effect, String> {
    // Its order is over: whoever wants it orders it again.
    if desk.approval().subject.instance.as_str() == BOT {
        return Err(say!("machine-order-again"));
    }
    let (subject, terms) = bound(&state.rules, desk.approval().subject.clone())?;
    let filed =
        Filed { merging: None, on_board: false, on_forge: None, escalated: false, ..desk.filed.clone() };
    // Whoever waited for the old one waits for the new one: the store knows who.
    let words = desk.standing.words.clone();
    let asking = Asking { subject, terms, words, request: String::new(), filed };
    let (approval, by) = (desk.approval().id.clone(), by.id.clone());
    Ok(Effect::Step(Step::Reopen { approval, by, asking: Box::new(asking) }))
}

/// An expired request is open again, or is not.
pub(crate) fn reopened(
    state: &mut FleetState,
    asking: Asking,
    result: Result<Standing, ReopenRefusal>,
) -> Handled {
    match result {
        Ok(standing) => {
            let reply = Some(say!("asked-again", key = standing.approval.id.key()));
            Handled { effects: file(state, standing, asking.filed), reply, ..Handled::default() }
        }
        Err(refusal) => Handled { reply: Some(refusal.to_string()), ..Handled::default() },
    }
}

pub(crate) fn file(state: &mut FleetState, standing: Standing, filed: Filed) -> Vec<Effect> {
    let id = standing.approval.id.clone();
    // Asked for already: what is kept beside it stays.
    let filed = state.desk(&id).map_or(filed, |desk| desk.filed.clone());
    let desk = Desk { standing, filed };
    let mut effects = vec![Effect::Save(Save::Filed(id.clone(), Box::new(desk.filed.clone())))];
    effects.extend(shown(&desk));
    let subject = desk.approval().subject.clone();
    state.approvals.insert(id.key(), desk);
    effects.extend(page::of_feature(state, &subject.instance, &subject.feature));
    effects
}

fn of_run<'a>(state: &'a FleetState, instance: &InstanceName, run: &RunId) -> impl Iterator<Item = &'a Desk> {
    let (instance, run) = (instance.clone(), run.clone());
    state.approvals.values().filter(move |desk| {
        let approval = desk.approval();
        approval.subject.instance == instance && approval.subject.run == run && !approval.state.is_final()
    })
}

/// A push that was approved is made by the instance itself.
fn is_used(desk: &Desk) -> bool {
    let push = matches!(desk.approval().subject.action, Action::Push(_));
    push && matches!(desk.approval().state, ApprovalState::Granted | ApprovalState::Executing)
}

fn call_off(desk: &Desk, reason: &str) -> Effect {
    let approval = desk.approval().id.clone();
    Effect::Step(Step::CallOff { approval, reason: reason.to_owned() })
}

/// The run goes on past its push: what was granted for that is done.
pub(crate) fn pushed(state: &FleetState, instance: &InstanceName, run: &RunId) -> Vec<Effect> {
    let granted = |desk: &&Desk| desk.approval().state == ApprovalState::Granted;
    of_run(state, instance, run)
        .filter(granted)
        .filter_map(|desk| {
            let approval = desk.approval();
            let Action::Push(push) = &approval.subject.action else { return None };
            let call = ForgeCall::Pushed {
                approval: approval.id.clone(),
                rebuilt: Box::new(rebuild(&state.rules, approval.subject.clone())),
                head: push.head.clone(),
            };
            let key = format!("{}/push", approval.id);
            Some(Effect::Step(Step::Spend { approval: approval.id.clone(), key, call }))
        })
        .collect()
}

/// The run has ended: nobody is asked about it any more, and what was granted to it does not hold.
pub(crate) fn withdraw(state: &FleetState, instance: &InstanceName, run: &RunId) -> Vec<Effect> {
    let executing = |desk: &Desk| desk.approval().state == ApprovalState::Executing;
    of_run(state, instance, run)
        .filter(|desk| !(is_used(desk) && executing(desk)))
        .map(|desk| call_off(desk, &say!("run-ended")))
        .collect()
}

/// The bot or the instance went back to an earlier state: what was granted may be used up already, and holds no more.
pub(crate) fn lapse(state: &FleetState, instance: &InstanceName) -> Vec<Effect> {
    let granted = |desk: &&Desk| {
        desk.approval().subject.instance == *instance && desk.approval().state == ApprovalState::Granted
    };
    state.approvals.values().filter(granted).map(|desk| call_off(desk, &say!("epoch-began"))).collect()
}

/// Shows an approval everywhere it stands.
fn shown(desk: &Desk) -> Vec<Effect> {
    let approval = desk.approval();
    let (buttons, reactions) = if approval.state.is_open() {
        chat::ballots(&approval.id, desk.standing.confirm)
    } else {
        Default::default()
    };
    let card = Message {
        about: about(approval),
        buttons,
        reactions,
        ..Message::new(Channel::Approvals, MessageKey::of_approval(&approval.id), text::approval(desk))
    };
    let over = (desk.filed.escalated && !approval.state.is_open())
        .then(|| escalation::over(approval, card.text.clone()));
    let mut effects: Vec<Effect> = told(desk).into_iter().chain([Effect::Put(card)]).chain(over).collect();
    effects.extend(page::of_approval(desk));
    effects
}

/// Its team is told; of what is the whole fleet's, there is none.
fn told(desk: &Desk) -> Option<Effect> {
    let to = desk.approval().subject.instance.clone();
    (to.as_str() != BOT).then(|| Effect::Tell {
        to,
        living: Some(format!("approval:{}", desk.approval().id.key())),
        order: Box::new(Order::Approval(Box::new(desk.card()))),
    })
}

/// What its card is about.
pub(crate) fn about(approval: &Approval) -> Option<About> {
    let subject = &approval.subject;
    (subject.instance.as_str() != BOT).then(|| About::feature(&subject.instance, &subject.feature))
}

pub(crate) fn put(channel: Channel, key: MessageKey, text: String) -> Effect {
    Effect::Put(Message::new(channel, key, text))
}

/// This is how an approval stands. Its instance is told in any case, so that a board no longer says "deciding".
pub(crate) fn stands(state: &mut FleetState, standing: Standing, moment: Moment) -> Vec<Effect> {
    let id = standing.approval.id.clone();
    let Some(desk) = state.approvals.get_mut(&standing.approval.id.key()) else { return Vec::new() };
    if desk.standing == standing {
        return told(desk).into_iter().collect();
    }
    desk.standing = standing;
    let mut effects = shown(desk);
    let (team, feature) = (desk.approval().subject.instance.clone(), desk.approval().subject.feature.clone());
    effects.extend(page::of_feature(state, &team, &feature));
    let Some(desk) = state.approvals.get(&id.key()) else { return effects };
    // Somebody can see it, or nobody has to any more.
    if desk.standing.decide_until.is_some() || !desk.approval().state.is_open() {
        let approval = desk.approval().clone();
        effects.extend(seen(state, &approval, moment));
    }
    effects
}

/// The team's board shows an approval of the bot's.
pub(crate) fn on_board(
    state: &mut FleetState,
    instance: &InstanceName,
    approval: &ApprovalId,
) -> Vec<Effect> {
    let Some(desk) = state.approvals.get_mut(&approval.key()) else { return Vec::new() };
    if desk.approval().id != *approval || desk.approval().subject.instance != *instance {
        return Vec::new();
    }
    desk.filed.on_board = true;
    vec![
        Effect::Save(Save::Filed(approval.clone(), Box::new(desk.filed.clone()))),
        Effect::Step(Step::OnBoard { approval: approval.clone() }),
    ]
}

/// The cause of the alert that nobody can see an approval.
fn unseen_key(id: &ApprovalId) -> String {
    format!("unseen:{}", id.key())
}

/// Raises the alert that nobody can see it, unless it stands.
fn unseen(state: &mut FleetState, approval: &Approval, moment: Moment) -> Vec<Effect> {
    let (instance, key) = (approval.subject.instance.clone(), unseen_key(&approval.id));
    if state.alerts.get(&(instance.clone(), key.clone())).is_some_and(|alert| !alert.over) {
        return Vec::new();
    }
    let report = Alert { key, text: text::unseen(approval), over: false };
    handle::alert(state, &instance, report, moment)
}

/// The alert that nobody can see it is over, if it was raised.
pub(crate) fn seen(state: &mut FleetState, approval: &Approval, moment: Moment) -> Vec<Effect> {
    let report = Alert { key: unseen_key(&approval.id), text: String::new(), over: true };
    handle::alert(state, &approval.subject.instance, report, moment)
}

/// What the store made of a vote: the answer for the voter.
pub(crate) fn voted(state: &FleetState, approval: &ApprovalId, cast: &Cast) -> Handled {
    let mut effects = Vec::new();
    let reply = match cast {
        Cast::Counted(tally) => say!("vote-noted", given = tally.approved.len(), needed = tally.needed),
        Cast::Granted(_) => say!("vote-approved"),
        Cast::Denied { pause, .. } => {
            if let Some(desk) = state.desk(approval).filter(|_| *pause) {
                let key = MessageKey(format!("paused:{}", desk.approval().subject.run));
                let about = About::team(&desk.approval().subject.instance);
                effects.push(put(Channel::Alerts, key, text::paused(desk)).about(about));
            }
            say!("vote-denied")
        }
        Cast::Duplicate => say!("vote-known"),
        Cast::Refused(refusal) => refusal.to_string(),
    };
    Handled { effects, reply: Some(reply), ..Handled::default() }
}

/// Whoever waited for a decision is told, once.
pub(crate) fn decided(state: &FleetState, resumption: &Resumption) -> Vec<Effect> {
    let Some(desk) = state.desk(&resumption.approval) else { return Vec::new() };
    let approval = desk.approval();
    let outcome = match resumption.state {
        ApprovalState::Granted | ApprovalState::Executing | ApprovalState::Executed => {
            ForgeOutcome::Approved { approval: approval.id.clone(), by: approval.tally().approved }
        }
        // The run itself gave it up, and goes on or has ended.
        ApprovalState::Requested | ApprovalState::Withdrawn => return Vec::new(),
        // Nothing is thrown away: the run waits until a person has it asked again, and then waits for that.
        ApprovalState::Expired => return Vec::new(),
        ApprovalState::Denied | ApprovalState::Lapsed | ApprovalState::Failed | ApprovalState::Unknown => {
            ForgeOutcome::NotApproved { reason: text::ended(desk).unwrap_or_default() }
        }
    };
    vec![answer(&approval.subject.instance, &resumption.waiter, outcome)]
}

/// What the clock says.
pub(crate) fn swept(state: &mut FleetState, swept: &Swept, moment: Moment) -> Vec<Effect> {
    match swept {
        Swept::Escalate(id, roles) => {
            let Some(desk) = state.approvals.get_mut(&id.key()) else { return Vec::new() };
            desk.filed.escalated = true;
            let save = Save::Filed(id.clone(), Box::new(desk.filed.clone()));
            vec![Effect::Save(save), escalation::raised(desk.approval(), roles)]
        }
        Swept::Unseen(id) => {
            let foreign = || state.foreign.get(&id.key()).map(Foreign::approval).filter(|it| it.id == *id);
            let Some(approval) = state.desk(id).map(Desk::approval).or_else(foreign) else {
                return Vec::new();
            };
            if !approval.state.is_open() {
                return Vec::new();
            }
            let approval = approval.clone();
            unseen(state, &approval, moment)
        }
        // How it ended stands on its card, and whoever waited is told.
        Swept::Expired(_) | Swept::Lapsed(_) | Swept::Abandoned(_) => Vec::new(),
    }
}

/// An instance is ready to merge what was approved: first the forge rebuilds what that would bring.
#[allow(clippy::too_many_arguments, reason = "the fields of one wire message, taken apart once")]
pub(crate) fn merge(
    state: &mut FleetState,
    instance: &InstanceName,
    request: String,
    approval: &ApprovalId,
    merge: &Merge,
    tested: CommitId,
    base: CommitId,
    checks: Vec<Check>,
) -> Vec<Effect> {
    let refuse =
        |reason: &str| vec![answer(instance, &request, ForgeOutcome::Refused { reason: reason.to_owned() })];
    let Some(desk) = state.approvals.get_mut(&approval.key()) else {
        return refuse(&say!("approval-gone"));
    };
    let asked = &desk.standing.approval;
    if asked.subject.instance != *instance {
        return refuse(&say!("approval-of-another"));
    }
    if asked.state == ApprovalState::Executed {
        return refuse(&say!("approval-used-up"));
    }
    if !matches!(asked.state, ApprovalState::Granted | ApprovalState::Executing) {
        let reason = text::ended(desk).unwrap_or_else(|| say!("nobody-decided"));
        return vec![answer(instance, &request, ForgeOutcome::NotApproved { reason })];
    }
    if let Some(red) = checks.iter().find(|check| check.conclusion != Conclusion::Success) {
        return refuse(&say!("check-red", check = red.name));
    }
    let method =
        state.rules.merge_methods.get(merge.repository.as_str()).copied().unwrap_or(MergeMethod::Merge);
    let title = format!("{}: {}", asked.subject.feature, desk.filed.feature_title);
    let order = MergeOrder {
        repository: merge.repository.clone(),
        number: merge.pull_request,
        head: tested,
        base,
        method,
        title,
    };
    let key = format!("{instance}/{request}/rebuild");
    desk.filed.merging = Some(Merging { request, order: order.clone(), checks });
    let save = Effect::Save(Save::Filed(approval.clone(), Box::new(desk.filed.clone())));
    if asked.subject.action != Action::Merge(merge.clone()) {
        // What differs is named, and ends it: the forge need not be asked.
        let spend = spend(state, approval, merge.clone());
        return [Some(save), spend].into_iter().flatten().collect();
    }
    let call = ForgeCall::Rebuild { approval: approval.clone(), reviewed: merge.head.clone(), order };
    vec![save, Effect::Forge { key, call }]
}

/// Spends the grant on a merge as it is about to be done.
fn spend(state: &FleetState, approval: &ApprovalId, merge: Merge) -> Option<Effect> {
    let desk = state.desk(approval)?;
    let merging = desk.filed.merging.clone()?;
    let subject = Subject { action: Action::Merge(merge), ..desk.approval().subject.clone() };
    let mut checks = merging.checks;
    checks.push(Check::new(OWN_CHECK, Conclusion::Success));
    let call = ForgeCall::Merge {
        approval: approval.clone(),
        rebuilt: Box::new(rebuild(&state.rules, subject)),
        order: merging.order,
        checks,
    };
    // One key for the approval's one use: resuming it after the base moved is the same row again.
    Some(Effect::Step(Step::Spend { approval: approval.clone(), key: format!("{approval}/merge"), call }))
}

/// The forge rebuilt what the merge would bring: only that is spent on.
pub(crate) fn rebuilt(
    state: &mut FleetState,
    approval: &ApprovalId,
    result: Result<Brought, ForgeError>,
) -> Vec<Effect> {
    let Some(desk) = state.desk(approval) else { return Vec::new() };
    let asked = desk.approval();
    let (Some(merging), Action::Merge(merge)) = (&desk.filed.merging, &asked.subject.action) else {
        return Vec::new();
    };
    match result {
        Ok(Brought { diff, paths }) => {
            let merge = Merge { diff, paths: Merge::bound_paths(paths), ..merge.clone() };
            spend(state, approval, merge).into_iter().collect()
        }
        Err(
            error @ (ForgeError::BaseMoved { .. }
            | ForgeError::NotNow { .. }
            | ForgeError::Unavailable { .. }),
        ) => {
            vec![answer(&asked.subject.instance, &merging.request, failed(&error))]
        }
        Err(error) => {
            let reason = text::sentence(&error);
            let off = call_off(desk, &reason);
            let mut effects = not_merged(state, approval, say!("ended-lapsed", reason = reason));
            effects.push(off);
            effects
        }
    }
}

/// What the store made of spending.
pub(crate) fn spent(state: &mut FleetState, approval: &ApprovalId, spending: &Spending) -> Vec<Effect> {
    match spending {
        Spending::Planned => Vec::new(),
        Spending::Lapsed { reason, .. } => not_merged(state, approval, say!("ended-lapsed", reason = reason)),
        Spending::Refused(refusal) => not_merged(state, approval, refusal.to_string()),
    }
}

/// The merge that an instance waits for does not come.
fn not_merged(state: &mut FleetState, approval: &ApprovalId, reason: String) -> Vec<Effect> {
    answered(state, approval, ForgeOutcome::NotApproved { reason })
}

/// Answers the merge that is under way, and forgets it.
fn answered(state: &mut FleetState, approval: &ApprovalId, outcome: ForgeOutcome) -> Vec<Effect> {
    let Some(desk) = state.approvals.get_mut(&approval.key()) else { return Vec::new() };
    let Some(merging) = desk.filed.merging.take() else { return Vec::new() };
    vec![
        Effect::Save(Save::Filed(approval.clone(), Box::new(desk.filed.clone()))),
        answer(&desk.standing.approval.subject.instance, &merging.request, outcome),
    ]
}

/// The forge merged, or did not.
pub(crate) fn merged(
    state: &mut FleetState,
    approval: &ApprovalId,
    result: Result<CommitId, ForgeError>,
) -> Vec<Effect> {
    let mut effects = finish(approval, result.as_ref());
    if let (Err(error), Some(desk)) = (&result, state.desk(approval)) {
        let order = desk.filed.merging.as_ref().map(|merging| &merging.order);
        effects.extend(order.and_then(|order| page::not_merged(approval, order, error)));
    }
    let outcome = match result {
        Ok(commit) => ForgeOutcome::Merged { commit },
        Err(error) => failed(&error),
    };
    effects.extend(answered(state, approval, outcome));
    effects
}

/// How an act that a grant paid for ended.
pub(crate) fn finish(approval: &ApprovalId, result: Result<&CommitId, &ForgeError>) -> Vec<Effect> {
    let approval = approval.clone();
    let (outcome, reason) = match result {
        Ok(commit) => {
            let outcome = Outcome::Done(commit.to_string());
            return vec![Effect::Step(Step::Finish { approval, outcome })];
        }
        // Nothing happened: the spent grant stays with its row until the next tested merge.
        Err(ForgeError::BaseMoved { .. }) => return vec![Effect::Step(Step::DidNot { approval })],
        Err(error @ (ForgeError::NotNow { .. } | ForgeError::Unavailable { .. })) => {
            (Outcome::Unknown(text::sentence(error)), text::sentence(error))
        }
        Err(error) => (Outcome::Failed(text::sentence(error)), text::sentence(error)),
    };
    // What was not even begun has no end to be told of: it does not happen any more.
    vec![
        Effect::Step(Step::Finish { approval: approval.clone(), outcome }),
        Effect::Step(Step::CallOff { approval, reason }),
    ]
}

/// A yes or a no, with what belongs to it.
pub(crate) enum Said {
    /// Yes; `typed` is what stands for the target's name.
    Yes { typed: Option<String> },
    /// No.
    No { reason: Option<String> },
}

/// A vote given in chat by `person` on `desk`.
pub(crate) fn ballot(desk: &Desk, person: &Person, given: &Given, said: Said, moment: Moment) -> Effect {
    let (ballot, reason, typed) = match said {
        Said::Yes { typed } => (Ballot::Approve, None, typed),
        Said::No { reason } => (Ballot::Deny, reason, None),
    };
    let vote = Vote {
        approval: desk.approval().id.clone(),
        digest: desk.approval().digest.clone(),
        person: person.clone(),
        surface: given.surface.clone(),
        ballot,
        reason,
        at: moment.at,
    };
    let way = if typed.is_some() { Way::Typed } else { given.way };
    let (identity, proof) = (given.identity(&person.id), given.proof.clone());
    Effect::Step(Step::Vote(Word { vote, identity, proof, way, typed, answer: None }))
}
