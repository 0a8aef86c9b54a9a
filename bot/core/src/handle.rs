//! The one function: `(state, event) -> effects`. It changes the state it is given and returns everything that has
//! to be kept, said or done. No I/O, no clock, no randomness: the same event in the same state gives the same effects.

use qd_types::InstanceName;
use qd_wire::v1::{Alert, FeatureReport, ForgeAct, ForgeOutcome, ForgeRequest, Order, Report};

use crate::{
    chat::{Channel, Message, MessageKey},
    commands, desk,
    effect::{Effect, ForgeCall, Save},
    event::{Event, Moment},
    forge::{Check, Conclusion, ForgeError, Marker, NewPullRequest},
    state::{AlertState, FleetState},
    text,
};

/// What follows from an event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Handled {
    /// To be kept, said and done.
    pub effects: Vec<Effect>,
    /// The answer to a command, for the person who gave it.
    pub reply: Option<String>,
}

impl From<Vec<Effect>> for Handled {
    fn from(effects: Vec<Effect>) -> Self {
        Self { effects, reply: None }
    }
}

/// Takes an event.
pub fn handle(state: &mut FleetState, event: Event, moment: Moment) -> Handled {
    match event {
        Event::Report { instance, report } => match *report {
            Report::Feature(report) => feature(state, &instance, report).into(),
            Report::Vote(vote) => desk::vote(state, vote, moment).0.into(),
            Report::ForgeRequest(request) => request_from(state, &instance, request, moment).into(),
            Report::Alert(report) => alert(state, &instance, report, moment).into(),
        },
        Event::Command { person, surface, text } => commands::handle(state, &person, &surface, &text, moment),
        Event::Opened { instance, request, result } => {
            let outcome = match result {
                Ok(number) => ForgeOutcome::Opened { number },
                Err(error) => failed(&error),
            };
            vec![answer(&instance, &request, outcome)].into()
        }
        Event::Rebuilt { approval, result } => desk::rebuilt(state, &approval, result, moment).into(),
        Event::Merged { approval, result } => desk::merged(state, &approval, result, moment).into(),
        Event::Closed { instance, request, result } => {
            let outcome = match result {
                Ok(()) => ForgeOutcome::Closed,
                Err(error) => failed(&error),
            };
            vec![answer(&instance, &request, outcome)].into()
        }
    }
}

/// The answer to a forge request.
pub(crate) fn answer(to: &InstanceName, request: &str, outcome: ForgeOutcome) -> Effect {
    let order = Order::ForgeOutcome { request: request.to_owned(), outcome };
    Effect::Tell { to: to.clone(), living: None, order: Box::new(order) }
}

/// An error of the forge as an outcome: what can't be told is unknown, all else did not happen.
pub(crate) fn failed(error: &ForgeError) -> ForgeOutcome {
    match error {
        ForgeError::BaseMoved { actual } => ForgeOutcome::BaseMoved { base: actual.clone() },
        ForgeError::Unavailable { .. } => ForgeOutcome::Unknown { reason: text::sentence(error) },
        _ => ForgeOutcome::Refused { reason: text::sentence(error) },
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
        }));
    }
    effects
}

fn alert(state: &mut FleetState, instance: &InstanceName, report: Alert, moment: Moment) -> Vec<Effect> {
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
    };
    vec![Effect::Save(Save::Alert(instance.clone(), report.key, next)), Effect::Put(message)]
}

fn request_from(
    state: &mut FleetState,
    instance: &InstanceName,
    request: ForgeRequest,
    moment: Moment,
) -> Vec<Effect> {
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
            vec![Effect::Forge { key, call }]
        }
        ForgeAct::AskMerge { merge, requesters, words, facts } => {
            let ask = desk::Ask {
                instance: instance.clone(),
                request: request.id,
                feature: request.feature,
                run: request.run,
                merge,
                requesters,
                words,
                facts,
            };
            desk::ask(state, ask, moment)
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
            vec![Effect::Forge { key, call }]
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
