//! The approvals desk: asks, votes, and merges that an approval pays for. The bot executes acts on the forge, so it
//! alone tallies their votes and moves them through their life.

use qd_types::{
    Action, Approval, ApprovalEvent, ApprovalId, ApprovalState, Ballot, CommitId, FeatureId, InstanceName,
    Merge, PersonId, RunId, Subject, Vote,
};
use qd_wire::v1::{ApprovalCard, ForgeOutcome, Order};

use crate::{
    answer::{answer, failed},
    chat::{Button, Channel, Message, MessageKey},
    effect::{Effect, ForgeCall, Save},
    event::Moment,
    forge::{Check, Conclusion, ForgeError, MergeMethod, MergeOrder},
    state::{Desk, FleetState, Merging},
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
}

/// Opens an approval, or gives back the open one for the same digest.
pub(crate) fn ask(state: &mut FleetState, ask: Ask, moment: Moment) -> Vec<Effect> {
    let refuse = |reason: String| vec![answer(&ask.instance, &ask.request, ForgeOutcome::Refused { reason })];
    let asked = match state.rules.asks(&ask.instance, &ask.action) {
        Ok(asked) => asked,
        Err(reason) => {
            return vec![answer(&ask.instance, &ask.request, ForgeOutcome::NotApproved { reason })];
        }
    };
    let subject = Subject {
        binding: Some(asked.binding(&ask.action)),
        action: ask.action,
        instance: ask.instance.clone(),
        feature: ask.feature.clone(),
        run: ask.run,
        requesters: ask.requesters,
        requirement: asked.ask.requirement,
    };
    let digest = match subject.digest() {
        Ok(digest) => digest,
        Err(error) => return refuse(format!("{error}.")),
    };
    let open = state.approvals.values().find(|desk| {
        desk.card.approval.digest == digest && desk.card.approval.state == ApprovalState::Requested
    });
    if let Some(desk) = open {
        let approval = desk.card.approval.id.clone();
        return vec![answer(&ask.instance, &ask.request, ForgeOutcome::Asked { approval })];
    }
    let id = match ApprovalId::new("bot", moment.fresh) {
        Ok(id) => id,
        Err(error) => return refuse(error.to_string()),
    };
    let feature_title = state
        .features
        .get(&(ask.instance.clone(), ask.feature))
        .map_or_else(String::new, |feature| feature.title.clone());
    let approval = Approval {
        id: id.clone(),
        subject,
        digest,
        state: ApprovalState::Requested,
        votes: Vec::new(),
        requested_at: moment.at,
        decided_at: None,
    };
    let card = ApprovalCard { approval, facts: ask.facts, words: ask.words, ended: None };
    let desk = Desk { card, feature_title, request: ask.request.clone(), merging: None };
    // A run asks anew because its change is another one: what was approved before stands no more.
    let run = desk.card.approval.subject.run.clone();
    let mut effects = pushed(state, &ask.instance, &run, moment);
    effects.extend(withdraw(state, &ask.instance, &run, "the change is another one now", moment));
    effects.push(answer(&ask.instance, &ask.request, ForgeOutcome::Asked { approval: id }));
    effects.extend(keep(state, desk));
    effects
}

/// The run goes on past its push: what was granted for that is done.
pub(crate) fn pushed(
    state: &mut FleetState,
    instance: &InstanceName,
    run: &RunId,
    moment: Moment,
) -> Vec<Effect> {
    let done: Vec<Desk> = state
        .approvals
        .values()
        .filter(|desk| {
            let approval = &desk.card.approval;
            let push = matches!(approval.subject.action, Action::Push(_));
            let ours = approval.subject.instance == *instance && approval.subject.run == *run;
            push && ours && approval.state == ApprovalState::Granted
        })
        .cloned()
        .collect();
    let mut effects = Vec::new();
    for mut desk in done {
        let asked = &mut desk.card.approval;
        for event in [ApprovalEvent::Spend, ApprovalEvent::Succeed] {
            decide(asked, event, moment);
        }
        let names: Vec<String> = asked.tally().approved.iter().map(ToString::to_string).collect();
        desk.card.ended = Some(format!("Approved by {}. Pushed.", names.join(", ")));
        effects.extend(keep(state, desk));
    }
    effects
}

/// What a run asked for, or what was granted to it, stands no more.
pub(crate) fn withdraw(
    state: &mut FleetState,
    instance: &InstanceName,
    run: &RunId,
    why: &str,
    moment: Moment,
) -> Vec<Effect> {
    let older: Vec<Desk> = state
        .approvals
        .values()
        .filter(|desk| {
            let approval = &desk.card.approval;
            let stands = matches!(
                approval.state,
                ApprovalState::Requested | ApprovalState::Granted | ApprovalState::Executing
            );
            approval.subject.instance == *instance && approval.subject.run == *run && stands
        })
        .cloned()
        .collect();
    let mut effects = Vec::new();
    for mut desk in older {
        let asked = &mut desk.card.approval;
        let event =
            if asked.state == ApprovalState::Executing { ApprovalEvent::Fail } else { ApprovalEvent::Lapse };
        if let Ok(next) = asked.state.on(event) {
            asked.state = next;
            asked.decided_at = Some(moment.at);
        }
        desk.card.ended = Some(format!("The approval lapsed: {why}."));
        desk.merging = None;
        effects.extend(keep(state, desk));
    }
    effects
}

/// Keeps an approval and shows it everywhere it stands.
fn keep(state: &mut FleetState, desk: Desk) -> Vec<Effect> {
    let approval = &desk.card.approval;
    let key = approval.id.key();
    let buttons = if approval.state.is_open() {
        vec![
            Button { label: "Approve".into(), command: format!("approve {key}") },
            Button { label: "Deny".into(), command: format!("deny {key}") },
        ]
    } else {
        Vec::new()
    };
    let effects = vec![
        Effect::Save(Save::Approval(Box::new(desk.clone()))),
        Effect::Tell {
            to: approval.subject.instance.clone(),
            living: Some(format!("approval:{key}")),
            order: Box::new(Order::Approval(Box::new(desk.card.clone()))),
        },
        Effect::Put(Message {
            channel: Channel::Approvals,
            key: MessageKey(format!("approval:{key}")),
            text: text::approval(&desk),
            buttons,
        }),
    ];
    state.approvals.insert(key, desk);
    effects
}

/// Takes a vote. The second value is the answer for the voter.
pub(crate) fn vote(state: &mut FleetState, vote: Vote, moment: Moment) -> (Vec<Effect>, String) {
    let Some(mut desk) = state.desk(&vote.approval).cloned() else {
        return (Vec::new(), format!("There is no approval {}.", vote.approval));
    };
    let approval = &mut desk.card.approval;
    // The surface that took the vote asserted the roles; the executor counts with what it knows itself.
    let Some(person) = state.rules.person(&vote.person.id).cloned() else {
        return (keep(state, desk), format!("{} is not known here.", vote.person.id));
    };
    if !approval.state.is_open() {
        let said = text::late(&desk);
        return (keep(state, desk), said);
    }
    if let Some(reason) = approval.subject.requirement.refuses(&person, &approval.subject.requesters) {
        return (keep(state, desk), reason);
    }
    if vote.digest != approval.digest {
        return (
            keep(state, desk),
            "That vote is for something else than what is asked now. Look again.".into(),
        );
    }
    let reason = vote.reason.clone();
    approval.votes.push(Vote { person, ..vote });
    let tally = approval.tally();
    let said = if !tally.denied.is_empty() {
        decide(approval, ApprovalEvent::Deny, moment);
        "Denied.".to_owned()
    } else if tally.granted() {
        decide(approval, ApprovalEvent::Grant, moment);
        "Approved.".to_owned()
    } else {
        format!("Noted: {} of {}.", tally.approved.len(), tally.needed)
    };
    let mut effects = Vec::new();
    let (instance, request) = (approval.subject.instance.clone(), desk.request.clone());
    match approval.state {
        ApprovalState::Granted => {
            let outcome = ForgeOutcome::Approved { approval: approval.id.clone(), by: tally.approved };
            effects.push(answer(&instance, &request, outcome));
        }
        ApprovalState::Denied => {
            let by = tally.denied.first().map_or_else(String::new, ToString::to_string);
            let why = reason.map_or_else(String::new, |reason| format!(" Reason: {reason}"));
            let reason = format!("{} denied by {by}.{why}", approval_word(&approval.subject.action));
            desk.card.ended = Some(reason.clone());
            effects.push(answer(&instance, &request, ForgeOutcome::NotApproved { reason }));
        }
        _ => {}
    }
    effects.extend(keep(state, desk));
    (effects, said)
}

fn approval_word(action: &Action) -> &'static str {
    match action {
        Action::Merge(_) => "Merge",
        Action::Push(_) => "Push",
        Action::Plan(_) => "Plan",
        Action::Tool(_) => "Tool call",
        Action::Budget(_) => "Budget",
        Action::Operation(_) => "Operation",
        Action::Question(_) => "Question",
        Action::Policy(_) => "Policy change",
        Action::Enrolment(_) => "Enrolment",
    }
}

fn decide(approval: &mut Approval, event: ApprovalEvent, moment: Moment) {
    // The state was open: both ways out of it exist.
    if let Ok(next) = approval.state.on(event) {
        approval.state = next;
        approval.decided_at = Some(moment.at);
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
    let Some(mut desk) = state.desk(approval).cloned() else {
        return refuse("There is no such approval.");
    };
    let asked = &desk.card.approval;
    if asked.subject.instance != *instance {
        return refuse("That approval is another team's.");
    }
    if !matches!(asked.state, ApprovalState::Granted | ApprovalState::Executing) {
        return refuse("That approval does not stand.");
    }
    if asked.subject.action != Action::Merge(merge.clone()) {
        return refuse("What is to be merged is not what was approved.");
    }
    if let Some(red) = checks.iter().find(|check| check.conclusion != Conclusion::Success) {
        return refuse(&format!("Check {} is red on the tested merge.", red.name));
    }
    let method =
        state.rules.merge_methods.get(merge.repository.as_str()).copied().unwrap_or(MergeMethod::Merge);
    let title = format!("{}: {}", asked.subject.feature, desk.feature_title);
    let order = MergeOrder {
        repository: merge.repository.clone(),
        number: merge.pull_request,
        head: tested,
        base,
        method,
        title,
    };
    let key = format!("{instance}/{request}/rebuild");
    desk.merging = Some(Merging { request, order: order.clone(), checks });
    let call = ForgeCall::Rebuild { approval: approval.clone(), reviewed: merge.head.clone(), order };
    let save = Effect::Save(Save::Approval(Box::new(desk.clone())));
    state.approvals.insert(approval.key(), desk);
    vec![save, Effect::Forge { key, call }]
}

/// The forge rebuilt what the merge would bring: the digests are compared, and only then is the grant spent.
pub(crate) fn rebuilt(
    state: &mut FleetState,
    approval: &ApprovalId,
    result: Result<String, ForgeError>,
    moment: Moment,
) -> Vec<Effect> {
    let Some(mut desk) = state.desk(approval).cloned() else { return Vec::new() };
    let Some(merging) = desk.merging.clone() else { return Vec::new() };
    let asked = &mut desk.card.approval;
    let instance = asked.subject.instance.clone();
    let diff = match result {
        Ok(diff) => diff,
        Err(error @ (ForgeError::BaseMoved { .. } | ForgeError::Unavailable { .. })) => {
            return vec![answer(&instance, &merging.request, failed(&error))];
        }
        Err(error) => return lapse(state, desk, &merging, &text::sentence(&error), moment),
    };
    let mut subject = asked.subject.clone();
    let Action::Merge(merge) = &mut subject.action else { return Vec::new() };
    merge.diff = diff;
    match subject.digest() {
        Ok(digest) if digest == asked.digest => {
            if asked.state == ApprovalState::Granted
                && let Ok(next) = asked.state.on(ApprovalEvent::Spend)
            {
                asked.state = next;
            }
            let mut checks = merging.checks.clone();
            checks.push(Check { name: OWN_CHECK.into(), conclusion: Conclusion::Success });
            // One key for the approval's one use: resuming it after the base moved is the same row again.
            let key = format!("{approval}/merge");
            let call =
                ForgeCall::Merge { approval: approval.clone(), digest, order: merging.order.clone(), checks };
            let mut effects = keep(state, desk);
            effects.push(Effect::Forge { key, call });
            effects
        }
        Ok(_) => lapse(state, desk, &merging, "The change is not the one that was approved.", moment),
        Err(error) => lapse(state, desk, &merging, &text::sentence(&error), moment),
    }
}

fn lapse(
    state: &mut FleetState,
    mut desk: Desk,
    merging: &Merging,
    reason: &str,
    moment: Moment,
) -> Vec<Effect> {
    let asked = &mut desk.card.approval;
    let event =
        if asked.state == ApprovalState::Executing { ApprovalEvent::Fail } else { ApprovalEvent::Lapse };
    if let Ok(next) = asked.state.on(event) {
        asked.state = next;
        asked.decided_at = Some(moment.at);
    }
    let reason = format!("The approval lapsed: {reason}");
    let to = asked.subject.instance.clone();
    desk.card.ended = Some(reason.clone());
    desk.merging = None;
    let mut effects = vec![answer(&to, &merging.request, ForgeOutcome::NotApproved { reason })];
    effects.extend(keep(state, desk));
    effects
}

/// The forge merged, or did not.
pub(crate) fn merged(
    state: &mut FleetState,
    approval: &ApprovalId,
    result: Result<CommitId, ForgeError>,
    moment: Moment,
) -> Vec<Effect> {
    let Some(mut desk) = state.desk(approval).cloned() else { return Vec::new() };
    let Some(merging) = desk.merging.take() else { return Vec::new() };
    let asked = &mut desk.card.approval;
    let to = asked.subject.instance.clone();
    let (event, outcome, ended) = match result {
        Ok(commit) => {
            let ended = text::executed(&asked.tally().approved, &commit);
            (Some(ApprovalEvent::Succeed), ForgeOutcome::Merged { commit }, Some(ended))
        }
        // Nothing happened: the spent grant stays with its row until the next tested merge.
        Err(error @ ForgeError::BaseMoved { .. }) => (None, failed(&error), None),
        Err(error @ ForgeError::Unavailable { .. }) => {
            let ended = format!("It can't be told whether it was merged: {error}. Look at the pull request.");
            (Some(ApprovalEvent::Lose), failed(&error), Some(ended))
        }
        Err(error) => (Some(ApprovalEvent::Fail), failed(&error), Some(text::sentence(&error))),
    };
    if let Some(event) = event
        && let Ok(next) = asked.state.on(event)
    {
        asked.state = next;
        asked.decided_at = asked.decided_at.or(Some(moment.at));
        desk.card.ended = ended;
    }
    let mut effects = vec![answer(&to, &merging.request, outcome)];
    effects.extend(keep(state, desk));
    effects
}

/// A vote given in chat by `person` on `desk`.
pub(crate) fn ballot(
    desk: &Desk,
    person: &qd_types::Person,
    surface: &str,
    ballot: Ballot,
    reason: Option<String>,
    moment: Moment,
) -> Vote {
    Vote {
        approval: desk.card.approval.id.clone(),
        digest: desk.card.approval.digest.clone(),
        person: person.clone(),
        surface: surface.to_owned(),
        ballot,
        reason,
        at: moment.at,
    }
}
