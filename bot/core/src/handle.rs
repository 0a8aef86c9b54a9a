//! The one function: `(state, event) -> effects`. It changes the state it is given and returns everything that has
//! to be kept, said or done. No I/O, no clock, no randomness: the same event in the same state gives the same effects.

use qd_types::{Action, ApprovalId, InstanceName, PersonId};
use qd_wire::v1::{Alert, ForgeAct, ForgeOutcome, ForgeRequest, Refusal, Report, Shown};

use crate::{
    answer::{Handled, answer, failed},
    ask,
    chat::{About, MessageKey},
    commands, desk,
    distil::{Form, digest, features, pipeline, query},
    effect::{Effect, ForgeCall, Save, Step},
    event::{Event, Moment},
    foreign,
    forge::{Check, Conclusion, Marker, NewPullRequest},
    links, machines, needs,
    outside::{self, Spot},
    page, presence, snapshot,
    state::{AlertState, Filed, FleetState},
    text,
};

/// Lines that are kept for a person who does not come.
const UNTOLD: usize = 20;
/// A cause that is back so soon is the same one.
const AGAIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(30);

/// Takes an event.
pub fn handle(state: &mut FleetState, event: Event, moment: Moment) -> Handled {
    match event {
        Event::Report { instance, report } => {
            let mut heard = presence::heard(state, &instance, moment);
            let handled = reported(state, &instance, *report, moment);
            heard.extend(handled.effects);
            Handled { effects: heard, ..handled }
        }
        Event::Command { person, given, text } => commands::handle(state, &person, &given, &text, moment),
        Event::Opened { instance, request, result } => {
            let outcome = match result {
                Ok(number) => ForgeOutcome::Opened { number },
                Err(error) => failed(&error),
            };
            vec![answer(&instance, &request, outcome)].into()
        }
        Event::EpochBegan { instance } => desk::lapse(state, &instance).into(),
        Event::Rebuilt { approval, result } => desk::rebuilt(state, &approval, result).into(),
        Event::Merged { approval, result } => {
            let mut effects = match &result {
                Ok(commit) => pipeline::merged(state, &approval, commit, moment),
                Err(_) => Vec::new(),
            };
            effects.extend(desk::merged(state, &approval, result));
            effects.into()
        }
        Event::IssueOpened { instance, request, team, issue, result } => {
            needs::opened(&instance, &request, &team, &issue, result).into()
        }
        Event::Carded { approval, result } => page::carded(state, &approval, result).into(),
        Event::Pushed { approval, result } => desk::finish(&approval, result.as_ref()).into(),
        Event::Collect { person, of } => collect(state, &person, of.as_ref()),
        Event::Ran { pipeline, commit, passed, url } => {
            pipeline::ran(state, pipeline, commit, passed, url, moment).into()
        }
        Event::Outside(what) => outside::handle(state, *what, moment),
        Event::Said { .. } => Handled::default(),
        Event::Look => presence::look(state, moment).into(),
        Event::Tick => {
            let mut effects = presence::look(state, moment);
            effects.extend(foreign::forget(state, moment.at));
            effects.extend(links::expire(state, moment.at));
            effects.extend(digest::due(state, moment));
            effects.extend(features::teams(state, moment.at));
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
        Event::Stranger { identity, text } => links::stranger(state, &identity, &text, moment),
        Event::Linked { hash, result } => links::linked(state, &hash, result),
        Event::Called(standing, facts) => {
            desk::file(state, *standing, Filed { facts, ..Filed::default() }).into()
        }
        Event::Machine { call, now } => machines::happened(state, &call, now).into(),
        Event::Closed { instance, request, result } => {
            let outcome = match result {
                Ok(()) => ForgeOutcome::Closed,
                Err(error) => failed(&error),
            };
            vec![answer(&instance, &request, outcome)].into()
        }
    }
}

/// An instance reported.
fn reported(state: &mut FleetState, instance: &InstanceName, report: Report, moment: Moment) -> Handled {
    match report {
        Report::Feature(report) => {
            let linked = outside::reported(state, instance, &report);
            let mut effects = features::feature(state, instance, report, moment);
            effects.extend(linked);
            effects.into()
        }
        Report::Blocked(blocked) => features::blocked(state, instance, &blocked).into(),
        Report::Cost(cost) => features::cost(state, instance, cost).into(),
        Report::Milestone(progress) => features::milestone(state, instance, progress, moment).into(),
        Report::Vote(vote) => vec![Effect::Step(Step::Cast(vote))].into(),
        Report::ForgeRequest(request) => request_from(state, instance, request).into(),
        Report::Approval(card) => match foreign::stands(state, instance, *card, moment) {
            Ok(effects) => effects.into(),
            Err(text) => {
                let report = Alert { key: "approvals".to_owned(), text, over: false };
                alert(state, instance, report, moment).into()
            }
        },
        Report::Heard(heard) => foreign::heard(state, instance, heard).into(),
        Report::Shown(Shown { approval }) => desk::on_board(state, instance, &approval).into(),
        Report::Alert(report) => foreign::escalated(state, instance, &report)
            .unwrap_or_else(|| alert(state, instance, report, moment))
            .into(),
        // Nothing is decided about these: whoever keeps the trail signs and keeps them.
        Report::AuditHead(_) | Report::AuditSigned(_) => Vec::new().into(),
        // Facts and living states that no message is made of yet.
        Report::RunFinished(_) | Report::Unread(_) => Vec::new().into(),
        Report::FleetQuery(query) => vec![query::answer(state, instance, &query, moment)].into(),
        Report::Answer(answer) => vec![ask::answered(state, instance, &answer)].into(),
        Report::Hello(hello) => presence::hello(state, instance, *hello).into(),
        Report::Heartbeat(beat) => presence::beat(state, instance, *beat).into(),
        Report::Snapshot(holds) => snapshot::holds(state, instance, &holds, moment).into(),
        Report::Refused(refusal) => refused(state, instance, &refusal).into(),
        Report::Told(told) => {
            let text = text::told(instance, told.text.as_str());
            vec![told_later(state, &told.person, text)].into()
        }
    }
}

/// What a person is to be told: of a word on an approval, and if of none, of all that they were not there to hear.
fn collect(state: &mut FleetState, person: &PersonId, of: Option<&ApprovalId>) -> Handled {
    let mut told = foreign::collect(state, person, of);
    if of.is_some() {
        return told;
    }
    if let Some(lines) = state.untold.remove(person) {
        told.effects.push(Effect::Save(Save::Untold(person.clone(), Vec::new())));
        told.reply = Some(told.reply.into_iter().chain(lines).collect::<Vec<_>>().join("\n"));
    }
    told
}

/// An order was not carried out: whoever gave it is told, the next time that they say something.
fn refused(state: &mut FleetState, instance: &InstanceName, refusal: &Refusal) -> Vec<Effect> {
    let Some(person) = &refusal.person else { return Vec::new() };
    vec![told_later(state, person, text::refused(instance, refusal))]
}

/// A person is told, the next time that they say something.
pub(crate) fn told_later(state: &mut FleetState, person: &PersonId, text: String) -> Effect {
    let untold = state.untold.entry(person.clone()).or_default();
    untold.push(text);
    let too_many = untold.len().saturating_sub(UNTOLD);
    untold.drain(..too_many);
    Effect::Save(Save::Untold(person.clone(), untold.clone()))
}

/// One message per cause and time that it is raised, counted, edited while it goes on and when it is over.
pub(crate) fn alert(
    state: &mut FleetState,
    instance: &InstanceName,
    report: Alert,
    moment: Moment,
) -> Vec<Effect> {
    let key = (instance.clone(), report.key.clone());
    let before = state.alerts.get(&key);
    let next = match before {
        None if report.over => return Vec::new(),
        Some(before) if before.over && report.over => return Vec::new(),
        Some(before) if report.over => AlertState { over: true, ended: Some(moment.at), ..before.clone() },
        // What comes and goes is one cause, counted.
        Some(before) if !before.over || recent(before, moment) => AlertState {
            text: report.text,
            count: before.count.saturating_add(1),
            over: false,
            ended: None,
            since: before.since,
        },
        _ => AlertState { text: report.text, count: 1, over: false, since: moment.at, ended: None },
    };
    // Nothing but the count is new.
    let calm = before.is_some_and(|before| before.over == next.over && before.text == next.text);
    state.alerts.insert(key, next.clone());
    let route = state.rules.distil.routes.alert;
    let text = text::alert(instance, &next, moment.at);
    let shown = if route.form == Form::Digest {
        digest::line(state, Some(instance), text, moment.at)
    } else {
        let key = MessageKey(format!("alert:{instance}:{}:{}", report.key, next.since.as_millisecond()));
        let put = desk::put(route.channel, key, text).about(About::team(instance));
        if calm { features::calm(put) } else { put }
    };
    vec![Effect::Save(Save::Alert(instance.clone(), report.key, next)), shown]
}

/// Whether an alert was over only a moment ago.
fn recent(alert: &AlertState, moment: Moment) -> bool {
    alert.ended.is_some_and(|ended| moment.at.duration_since(ended) < AGAIN)
}

fn request_from(state: &mut FleetState, instance: &InstanceName, request: ForgeRequest) -> Vec<Effect> {
    let key = format!("{instance}/{}", request.id);
    match request.act {
        ForgeAct::OpenIssue { ref repository, ref team, ref text } => {
            needs::asks(state, instance, &request, repository, team, text)
        }
        ForgeAct::OpenPullRequest {
            repository,
            branch,
            target,
            head,
            title,
            body,
            checks,
            labels,
            milestone,
        } => {
            // What nothing has shown to work is not to be reviewed yet.
            let draft = checks.is_empty() || checks.iter().any(|check| !check.passed);
            let new = NewPullRequest {
                repository,
                branch,
                target,
                title: format!("{}: {title}", request.feature),
                body,
                draft,
                labels,
                milestone,
                marker: Marker(key.clone()),
            };
            let checks = as_checks(&checks);
            let call = ForgeCall::Open { instance: instance.clone(), request: request.id, new, head, checks };
            let mut effects = desk::pushed(state, instance, &request.run);
            effects.push(Effect::Forge { key, call });
            effects
        }
        ForgeAct::AskMerge { merge, requesters, words, facts, findings } => {
            let at = Spot { repository: merge.repository.clone(), number: merge.pull_request };
            let settled = outside::asked(state, &at, &merge.head);
            let ask = desk::Ask {
                instance: instance.clone(),
                request: request.id,
                feature: request.feature,
                run: request.run,
                action: Action::Merge(merge),
                requesters,
                words,
                facts,
                findings,
            };
            let mut effects = desk::ask(state, ask);
            effects.extend(settled);
            effects
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
                findings: Vec::new(),
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
    reports.iter().map(|report| Check::new(&report.name, conclusion(report.passed))).collect()
}
