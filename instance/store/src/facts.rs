//! What happened, in facts, for the bot: how a run ended, what stands still, how far a milestone is, what a day has cost. Each is
//! written in the transaction of what it tells of.

use std::collections::BTreeSet;

use jiff::{Timestamp, civil::Date};
use qd_board::{Run, RunEnd, StepState, Wanted};
use qd_types::{FeatureId, RepositoryName, RunId, Spent};
use qd_wire::v1::{
    Blocked, ChangeSize, CheckResult, Cost, MilestoneProgress, Report, RunEnding, RunFinished, Sentence,
    StepFact,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{StoreError, projects, report, rows, runs, store::Lens};

/// Risks that a milestone is told with.
const RISKS: usize = 3;

/// A run has ended. Said once: whoever ends a run has looked that nobody did before.
pub(crate) fn finished(c: &Connection, id: &RunId, end: &RunEnd, now: Timestamp) -> Result<(), StoreError> {
    let run = runs::one(c, id)?;
    let feature = rows::feature_by_id(c, &run.feature)?;
    let (change, worked): (Option<String>, i64) = c
        .prepare_cached("SELECT change_size, worked_ms FROM runs WHERE id = ?1")?
        .query_row([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let change = change.map(|text| rows::json::<ChangeSize>("runs", &text)).transpose()?;
    let finished = RunFinished {
        run: id.clone(),
        title: feature.wanted.title.into(),
        repository: feature.repository,
        agent: run.agent.clone(),
        model: run.model.clone(),
        end: ending(end),
        steps: steps(&run, now),
        checks: run
            .newest_checks()
            .into_iter()
            .map(|check| CheckResult { name: check.name.clone(), passed: check.passed, millis: check.millis })
            .collect(),
        rounds: run.round,
        pull_request: run.pull_request,
        change,
        seconds: run.seconds(now),
        worked_seconds: worked.unsigned_abs() / 1000,
        spent: run.spent,
    };
    report::push(c, None, now, &Report::RunFinished(Box::new(finished)))
}

fn ending(end: &RunEnd) -> RunEnding {
    match end {
        RunEnd::Merged { commit } => RunEnding::Merged { commit: commit.clone() },
        RunEnd::Planned { features } => RunEnding::Planned { features: *features },
        RunEnd::Answered { known, .. } => RunEnding::Answered { known: *known },
        RunEnd::Failed { reason, class } => {
            RunEnding::Failed { reason: reason.as_str().into(), class: class.as_str().to_owned() }
        }
        RunEnd::Stopped { reason } => RunEnding::Stopped { reason: reason.as_str().into() },
    }
}

fn steps(run: &Run, now: Timestamp) -> Vec<StepFact> {
    let fact = |row: &qd_board::StepRow| {
        let seconds = row.ended_at.unwrap_or(now).as_second() - row.started_at.as_second();
        StepFact {
            step: row.step,
            done: row.state == StepState::Done,
            seconds: u64::try_from(seconds).unwrap_or(0),
        }
    };
    run.steps.iter().map(fact).collect()
}

/// A feature stands still until a person does something, or moves again.
pub(crate) fn blocked(
    c: &Connection,
    feature: &FeatureId,
    why: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let run = rows::newest_run(c, feature)?.map(|run| run.id);
    let blocked = Blocked { feature: feature.clone(), run, why: why.map(Into::into), since: now };
    report::push(c, Some(&format!("blocked:{feature}")), now, &Report::Blocked(blocked))
}

/// How far the milestones of a feature's project are, after it changed. A feature of none tells of none.
pub(crate) fn milestone(
    c: &Connection,
    lens: &Lens,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (Some(project), Some(milestone)) = (&wanted.project, &wanted.milestone) else { return Ok(()) };
    progress(c, lens, project, Some(milestone), now)
}

/// How far the milestones of a project are: all of them, or the one that is named.
pub(crate) fn progress(
    c: &Connection,
    lens: &Lens,
    project: &str,
    only: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(row) = projects::stands_now(c, project, &lens.settings.zone, now)? else { return Ok(()) };
    let risks: Vec<Sentence> = row.risks.iter().take(RISKS).map(|risk| risk.as_str().into()).collect();
    for found in row.milestones.into_iter().filter(|found| only.is_none_or(|only| only == found.name)) {
        let living = format!("milestone:{project}/{}", found.name);
        let (repository, blocked) = standing_still(c, project, &found.name)?;
        let said = MilestoneProgress {
            repository,
            blocked,
            risks: risks.clone(),
            project: project.into(),
            milestone: found.name.into(),
            done: found.progress.done,
            features: found.progress.features,
            percent: found.progress.percent(),
            due: found.due,
            forecast: found.forecast,
        };
        report::push(c, Some(&living), now, &Report::Milestone(said))?;
    }
    Ok(())
}

/// Where most of a milestone's features are worked on, and which of them stand still until a person does something.
fn standing_still(
    c: &Connection,
    project: &str,
    milestone: &str,
) -> Result<(Option<RepositoryName>, Vec<FeatureId>), StoreError> {
    const OF: &str = "FROM features WHERE project = ?1 AND details ->> '$.milestone' = ?2";
    let repository: Option<String> = c
        .prepare_cached(&format!(
            "SELECT repository {OF} GROUP BY repository ORDER BY count(*) DESC, repository"
        ))?
        .query_row([project, milestone], |row| row.get(0))
        .optional()?;
    let repository = repository.map(|name| rows::parse("features", &name)).transpose()?;
    let mut held = c.prepare_cached(&format!(
        "SELECT id {OF} AND held IS NOT NULL AND stage NOT IN ('backlog', 'done', 'cancelled') ORDER BY number"
    ))?;
    let held = held.query_map([project, milestone], |row| row.get::<_, String>(0))?;
    let blocked = held.map(|id| rows::parse("features", &id?)).collect::<Result<_, StoreError>>()?;
    Ok((repository, blocked))
}

/// What a run spent since it was looked at last counts for the day that it is now.
pub(crate) fn cost(
    c: &Connection,
    lens: &Lens,
    before: &Spent,
    after: &Spent,
    now: Timestamp,
) -> Result<(), StoreError> {
    let day = now.to_zoned(lens.settings.zone.clone()).date();
    let more = Spent {
        calls: after.calls.saturating_sub(before.calls),
        tokens: after.tokens.saturating_sub(before.tokens),
        micro_dollars: after.micro_dollars.saturating_sub(before.micro_dollars),
        unpriced_tokens: after.unpriced_tokens.saturating_sub(before.unpriced_tokens),
        warning: None,
        estimated: after.estimated,
    };
    let spent = of_day(c, day)?.unwrap_or_default().plus(more);
    c.prepare_cached("INSERT INTO costs VALUES (?1, ?2) ON CONFLICT DO UPDATE SET spent = excluded.spent")?
        .execute(params![day.to_string(), rows::to_json("costs", &spent)?])?;
    report::push(c, Some(&format!("cost:{day}")), now, &Report::Cost(Cost { day, spent }))
}

fn of_day(c: &Connection, day: Date) -> Result<Option<Spent>, StoreError> {
    let text: Option<String> = c
        .prepare_cached("SELECT spent FROM costs WHERE day = ?1")?
        .query_row([day.to_string()], |row| row.get(0))
        .optional()?;
    text.map(|text| rows::json("costs", &text)).transpose()
}

/// Days whose cost a bot is told that knows nothing.
const DAYS_TOLD: i64 = 31;

/// All of it again, for a bot that knows nothing of it.
pub(crate) fn anew(c: &Connection, lens: &Lens, now: Timestamp) -> Result<(), StoreError> {
    let days: Vec<(String, String)> = c
        .prepare_cached("SELECT day, spent FROM costs ORDER BY day DESC LIMIT ?1")?
        .query_map([DAYS_TOLD], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, rusqlite::Error>>()?;
    for (day, spent) in days {
        let (day, spent) = (rows::parse::<Date>("costs", &day)?, rows::json("costs", &spent)?);
        report::push(c, Some(&format!("cost:{day}")), now, &Report::Cost(Cost { day, spent }))?;
    }
    let projects: BTreeSet<String> = c
        .prepare_cached("SELECT name FROM projects")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, rusqlite::Error>>()?;
    projects.iter().try_for_each(|project| progress(c, lens, project, None, now))
}
