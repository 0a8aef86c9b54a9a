//! Rows to what surfaces show.

use jiff::Timestamp;
use qd_api::{ApprovalView, EventView, FeatureView, RunSummary, RunView, StepView};
use qd_board::Run;
use qd_store::{Event, InboxRow, Snapshot};
use qd_types::{Person, Step};

pub(crate) fn feature(snapshot: Snapshot, now: Timestamp) -> FeatureView {
    let Snapshot { feature, run, why, asks, clashes, spent } = snapshot;
    let run = run.map(|run| summary(&run, feature.wanted.title.clone(), asks, now));
    FeatureView { feature, waits: why.waits, sentence: why.sentence, run, clashes, spent }
}

pub(crate) fn summary(run: &Run, title: String, asks: bool, now: Timestamp) -> RunSummary {
    let newest = run.newest_checks();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    RunSummary {
        id: run.id.clone(),
        title,
        agent: run.agent.clone(),
        model: run.model.clone(),
        assigned_by: run.assigned_by.clone(),
        line: run.line(asks),
        branch: run.branch.clone(),
        commit: run.commit.clone(),
        pull_request: run.pull_request,
        checks_passed: count(newest.iter().filter(|check| check.passed).count()),
        checks: count(newest.len()),
        approved_by: run.approved_by.clone(),
        end: run.end.clone(),
        started_at: run.started_at,
        ended_at: run.ended_at,
        seconds: run.seconds(now),
        spent: run.spent.clone(),
    }
}

pub(crate) fn run(run: &Run, snapshot: Snapshot, approval: Option<ApprovalView>, now: Timestamp) -> RunView {
    let newest = snapshot.run.as_ref().is_some_and(|newest| newest.id == run.id);
    let asks = newest && snapshot.asks;
    let sentence = if newest {
        snapshot.why.sentence
    } else {
        format!("Run {} of {}; a later one took over.", run.id.attempt(), run.feature)
    };
    let line = run.line(asks);
    let steps = Step::ALL.into_iter().zip(line.0).map(|(step, mark)| {
        let row = run.step(step);
        let millis = row.and_then(|row| {
            row.ended_at.map(|end| end.as_millisecond().saturating_sub(row.started_at.as_millisecond()))
        });
        StepView {
            step,
            mark,
            note: row.and_then(|row| row.note.clone()),
            millis: millis.and_then(|millis| u64::try_from(millis).ok()),
        }
    });
    RunView {
        summary: summary(run, snapshot.feature.wanted.title, asks, now),
        sentence,
        steps: steps.collect(),
        check_results: run.checks.clone(),
        base: run.base.clone(),
        round: run.round,
        words: run.words.clone(),
        plan: run.plan.clone(),
        plan_waits: snapshot.feature.wanted.plan.asks()
            && run.plan.is_some()
            && run.plan_accepted.is_none()
            && run.end.is_none(),
        feedback: run.feedback.clone(),
        stopping: run.stop.is_some() && run.end.is_none(),
        approval,
    }
}

pub(crate) fn approval(row: InboxRow, caller: &Person) -> ApprovalView {
    let InboxRow { card, feature_title, deciding, snoozed } = row;
    let subject = &card.approval.subject;
    let refusal = if card.approval.state.is_open() {
        subject.requirement.refuses(caller, &subject.requesters)
    } else {
        None
    };
    ApprovalView {
        title: subject.title(),
        feature_title,
        facts: card.facts,
        words: card.words,
        ended: card.ended,
        confirm: card.confirm,
        decide_until: card.decide_until,
        deciding,
        refusal,
        snoozed,
        approval: card.approval,
    }
}

pub(crate) fn event(event: Event) -> EventView {
    let Event { seq, at, actor, kind, feature, run, text, reason, changes } = event;
    EventView { seq, at, actor, kind, feature, run, text, reason, changes }
}
