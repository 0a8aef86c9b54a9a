//! The one function: `(state, event) -> effects`. It changes the state it is given and returns everything that has
//! to be kept, said or done. No I/O, no clock, no randomness: the same event in the same state gives the same effects.

use qd_types::{Action, InstanceName};
use qd_wire::v1::{Alert, FeatureReport, ForgeAct, ForgeOutcome, ForgeRequest, Report, Shown};

use crate::{
    answer::{Handled, answer, failed},
    chat::{Channel, Message, MessageKey},
    commands, desk,
    effect::{Effect, ForgeCall, Save, Step},
    event::{Event, Moment},
    foreign,
    forge::{Check, Conclusion, Marker, NewPullRequest},
    state::{AlertState, FleetState},
    text,
};

/// Takes an event.
pub fn handle(state: &mut FleetState, event: Event, moment: Moment) -> Handled {
    match event {
        Event::Report { instance, report } => match *report {
            Report::Feature(report) => feature(state, &instance, report).into(),
            Report::Vote(vote) => vec![Effect::Step(Step::Cast(vote))].into(),
            Report::ForgeRequest(request) => request_from(state, &instance, request).into(),
            Report::Approval(card) => match foreign::stands(state, &instance, *card, moment) {
                Ok(effects) => effects.into(),
                Err(text) => {
                    let report = Alert { key: "approvals".to_owned(), text, over: false };
                    alert(state, &instance, report, moment).into()
                }
            },
            Report::Heard(heard) => foreign::heard(state, &instance, heard).into(),
            Report::Shown(Shown { approval }) => desk::on_board(state, &instance, &approval).into(),
            Report::Alert(report) => foreign::escalated(state, &instance, &report)
                .unwrap_or_else(|| alert(state, &instance, report, moment))
                .into(),
            // Nothing is decided about these: whoever keeps the trail signs and keeps them.
            Report::AuditHead(_) | Report::AuditSigned(_) => Vec::new().into(),
            // Facts and living states that no message is made of yet.
            Report::Hello(_)
            | Report::Heartbeat(_)
            | Report::RunFinished(_)
            | Report::Blocked(_)
            | Report::Milestone(_)
            | Report::Cost(_)
            | Report::Snapshot(_)
            | Report::Refused(_)
            | Report::FleetQuery(_)
            | Report::Unread(_) => Vec::new().into(),
        },
        Event::Command { person, given, text } => commands::handle(state, &person, &given, &text, moment),
        Event::Opened { instance, request, result } => {
            let outcome = match result {
                Ok(number) => ForgeOutcome::Opened { number },
                Err(error) => failed(&error),
            };
            vec![answer(&instance, &request, outcome)].into()
        }
        Event::Rebuilt { approval, result } => desk::rebuilt(state, &approval, result).into(),
        Event::Merged { approval, result } => desk::merged(state, &approval, result).into(),
        Event::Pushed { approval, result } => desk::finish(&approval, result.as_ref()).into(),
        Event::Collect { person, of } => foreign::collect(state, &person, of.as_ref()),
        Event::Tick => {
            let mut effects = foreign::forget(state, moment.at);
            effects.push(Effect::Step(Step::Sweep));
            effects.into()
        }
        Event::Asked { asking, result } => {
            desk::asked(state, *asking, result.map(|standing| *standing)).into()
        }
        Event::Reopened { asking, result } => {
            desk::reopened(state, *asking, result.map(|standing| *standing))
        }
        Event::Voted { approval, cast } => desk::voted(state, &approval, &cast),
        Event::Spent { approval, spending } => desk::spent(state, &approval, &spending).into(),
        Event::Stands(standing) => desk::stands(state, *standing, moment).into(),
        Event::Decided(resumption) => desk::decided(state, &resumption).into(),
        Event::Swept(swept) => desk::swept(state, &swept, moment).into(),
        Event::Closed { instance, request, result } => {
            let outcome = match result {
                Ok(()) => ForgeOutcome::Closed,
                Err(error) => failed(&error),
            };
            vec![answer(&instance, &request, outcome)].into()
        }
    }
}

fn feature(state: &mut FleetState, instance: &InstanceName, report: FeatureReport) -> Vec<Effect> {
    let key = (instance.clone(), report.feature.clone());
    let before = state.features.insert(key, report.clone());
    let mut effects = vec![Effect::Save(Save::Feature(instance.clone(), Box::new(report.clone())))];
    // What rests in the backlog is not news; a message is begun with the first run and then only edited.
    let begun = report.agent.is_some();
    if begun && before.is_none_or(|before| before != report) {
        effects.push(Effect::Put(Message {
            channel: Channel::Dev,
            key: MessageKey(format!("feature:{instance}:{}", report.feature)),
            text: text::feature(instance, &report),
            buttons: Vec::new(),
            reactions: Vec::new(),
            mentions: Vec::new(),
        }));
    }
    effects
}

/// One message per cause and time that it is raised, edited while it goes on and when it is over.
pub(crate) fn alert(
    state: &mut FleetState,
    instance: &InstanceName,
    report: Alert,
    moment: Moment,
) -> Vec<Effect> {
    let key = (instance.clone(), report.key.clone());
    let next = match state.alerts.get(&key) {
        None if report.over => return Vec::new(),
        Some(before) if before.over && report.over => return Vec::new(),
        Some(before) if report.over => AlertState { over: true, ..before.clone() },
        Some(before) if !before.over => {
            AlertState { text: report.text, count: before.count + 1, over: false, since: before.since }
        }
        _ => AlertState { text: report.text, count: 1, over: false, since: moment.at },
    };
    state.alerts.insert(key, next.clone());
    let message = Message {
        channel: Channel::Alerts,
        key: MessageKey(format!("alert:{instance}:{}:{}", report.key, next.since.as_millisecond())),
        text: text::alert(instance, &next, moment.at),
        buttons: Vec::new(),
        reactions: Vec::new(),
        mentions: Vec::new(),
    };
    vec![Effect::Save(Save::Alert(instance.clone(), report.key, next)), Effect::Put(message)]
}

fn request_from(state: &mut FleetState, instance: &InstanceName, request: ForgeRequest) -> Vec<Effect> {
    let key = format!("{instance}/{}", request.id);
    match request.act {
        ForgeAct::OpenPullRequest { repository, branch, target, head, title, body, checks } => {
            let new = NewPullRequest {
                repository,
                branch,
                target,
                title: format!("{}: {title}", request.feature),
                body,
                marker: Marker(key.clone()),
            };
            let checks = as_checks(&checks);
            let call = ForgeCall::Open { instance: instance.clone(), request: request.id, new, head, checks };
            let mut effects = desk::pushed(state, instance, &request.run);
            effects.push(Effect::Forge { key, call });
            effects
        }
        ForgeAct::AskMerge { merge, requesters, words, facts } => {
            let ask = desk::Ask {
                instance: instance.clone(),
                request: request.id,
                feature: request.feature,
                run: request.run,
                action: Action::Merge(merge),
                requesters,
                words,
                facts,
            };
            desk::ask(state, ask)
        }
        ForgeAct::AskPush { push, requesters, words, facts } => {
            let ask = desk::Ask {
                instance: instance.clone(),
                request: request.id,
                feature: request.feature,
                run: request.run,
                action: Action::Push(push),
                requesters,
                words,
                facts,
            };
            desk::ask(state, ask)
        }
        ForgeAct::Merge { approval, merge, tested, base, checks } => {
            desk::merge(state, instance, request.id, &approval, &merge, tested, base, as_checks(&checks))
        }
        ForgeAct::ClosePullRequest { repository, number, reason } => {
            let call = ForgeCall::Close {
                instance: instance.clone(),
                request: request.id,
                feature: request.feature,
                repository,
                number,
                reason,
            };
            // A run whose pull request is closed has ended: nobody is asked about it any more.
            let mut effects = desk::withdraw(state, instance, &request.run);
            effects.push(Effect::Forge { key, call });
            effects
        }
    }
}

fn as_checks(reports: &[qd_wire::v1::CheckReport]) -> Vec<Check> {
    let conclusion = |passed| if passed { Conclusion::Success } else { Conclusion::Failure };
    reports
        .iter()
        .map(|report| Check { name: report.name.clone(), conclusion: conclusion(report.passed) })
        .collect()
}
