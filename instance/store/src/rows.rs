//! Rows to values and back. A row that makes no sense cannot be decoded: it is an error that names the table.

use std::{fmt::Display, str::FromStr, time::Duration};

use jiff::Timestamp;
use qd_board::{CheckFact, Dependency, Feature, Run, StepRow, StepState, Until, Wanted};
use qd_types::{FeatureId, Step};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Serialize, de::DeserializeOwned};

use crate::StoreError;

/// The one peer of an instance, in outbox and inbox.
pub(crate) const BOT: &str = "bot";

type Result<T> = std::result::Result<T, StoreError>;

pub(crate) fn parse<T: FromStr<Err: Display>>(table: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|error: T::Err| StoreError::Corrupt { table, problem: error.to_string() })
}

pub(crate) fn maybe<T: FromStr<Err: Display>>(
    table: &'static str,
    text: Option<String>,
) -> Result<Option<T>> {
    text.map(|text| parse(table, &text)).transpose()
}

pub(crate) fn json<T: DeserializeOwned>(table: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt { table, problem: error.to_string() })
}

pub(crate) fn to_json<T: Serialize>(table: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt { table, problem: error.to_string() })
}

pub(crate) fn time(table: &'static str, millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis)
        .map_err(|error| StoreError::Corrupt { table, problem: error.to_string() })
}

const FEATURE: &str = "id, repository, title, description, priority, labels, stage, held, author, editors, \
                       version, created_at, updated_at, details, touched, paused, not_before, rung";

/// Features by a condition on `features`, dependencies included.
pub(crate) fn features(c: &Connection, filter: &str, args: impl rusqlite::Params) -> Result<Vec<Feature>> {
    let mut statement = c.prepare_cached(&format!("SELECT {FEATURE} FROM features {filter}"))?;
    let mut rows = statement.query(args)?;
    let mut features = Vec::new();
    while let Some(row) = rows.next()? {
        features.push(feature(row)?);
    }
    let mut needs = c.prepare_cached("SELECT needs, until FROM dependencies WHERE feature = ?1")?;
    for feature in &mut features {
        let mut rows = needs.query([feature.id.to_string()])?;
        while let Some(row) = rows.next()? {
            feature.wanted.depends_on.push(dependency(row)?);
        }
        feature.wanted.depends_on.sort();
    }
    Ok(features)
}

/// `needs` and `until`, as the first two columns.
fn dependency(row: &Row<'_>) -> Result<Dependency> {
    const T: &str = "dependencies";
    let until = match row.get::<_, String>(1)?.as_str() {
        "done" => Until::Done,
        "review" => Until::Review,
        other => {
            return Err(StoreError::Corrupt { table: T, problem: format!("{other:?} satisfies nothing") });
        }
    };
    Ok(Dependency { feature: parse(T, &row.get::<_, String>(0)?)?, until })
}

fn feature(row: &Row<'_>) -> Result<Feature> {
    const T: &str = "features";
    let text = |index: usize| -> Result<&str> {
        row.get_ref(index)?.as_str().map_err(|e| StoreError::Corrupt { table: T, problem: e.to_string() })
    };
    let details: Wanted = json(T, text(13)?)?;
    Ok(Feature {
        id: parse(T, text(0)?)?,
        repository: parse(T, text(1)?)?,
        wanted: Wanted {
            title: row.get(2)?,
            description: row.get(3)?,
            priority: row.get(4)?,
            labels: json(T, text(5)?)?,
            ..details
        },
        stage: parse(T, text(6)?)?,
        held: row.get(7)?,
        author: parse(T, text(8)?)?,
        editors: json(T, text(9)?)?,
        version: row.get::<_, i64>(10)? as u64,
        created_at: time(T, row.get(11)?)?,
        updated_at: time(T, row.get(12)?)?,
        touched: json(T, text(14)?)?,
        paused: row.get(15)?,
        not_before: row.get::<_, Option<i64>>(16)?.map(|millis| time(T, millis)).transpose()?,
        rung: row.get(17)?,
    })
}

/// What of a feature is kept as JSON: everything that has no column of its own and is not its default.
pub(crate) fn details(wanted: &Wanted) -> Result<String> {
    let whole = serde_json::to_value(wanted);
    let rest = serde_json::to_value(Wanted::default());
    let (Ok(serde_json::Value::Object(mut whole)), Ok(defaults)) = (whole, rest) else {
        return Err(StoreError::Corrupt { table: "features", problem: "details have no JSON".into() });
    };
    for column in ["title", "description", "priority", "labels", "depends_on"] {
        whole.remove(column);
    }
    whole.retain(|field, value| defaults.get(field) != Some(value));
    to_json("features", &whole)
}

pub(crate) fn feature_by_id(c: &Connection, id: &FeatureId) -> Result<Feature> {
    features(c, "WHERE id = ?1", [id.to_string()])?.pop().ok_or_else(|| StoreError::no_such("feature", id))
}

/// Whether there is one of this id.
pub(crate) fn has_feature(c: &Connection, id: &FeatureId) -> Result<bool> {
    let mut found = c.prepare_cached("SELECT 1 FROM features WHERE id = ?1")?;
    Ok(found.exists([id.to_string()])?)
}

/// Dependencies of a feature that are not satisfied.
pub(crate) fn unmet(c: &Connection, id: &FeatureId) -> Result<Vec<Dependency>> {
    let mut statement = c.prepare_cached(
        "SELECT needs, until FROM dependencies JOIN features ON features.id = needs
         WHERE feature = ?1 AND NOT (stage = 'done' OR (until = 'review' AND stage = 'review')) ORDER BY number",
    )?;
    let mut rows = statement.query([id.to_string()])?;
    let mut unmet = Vec::new();
    while let Some(row) = rows.next()? {
        unmet.push(dependency(row)?);
    }
    Ok(unmet)
}

/// The nearest epic above a feature that is paused, and by whom. Epics nest at most 16 deep.
pub(crate) fn paused_epic(c: &Connection, feature: &Feature) -> Result<Option<(FeatureId, String)>> {
    let mut next = feature.wanted.epic.clone();
    for _ in 0..16 {
        let Some(epic) = next else { return Ok(None) };
        let row: Option<(Option<String>, Option<String>)> = c
            .prepare_cached("SELECT paused, epic FROM features WHERE id = ?1")?
            .query_row([epic.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((paused, above)) = row else { return Ok(None) };
        if let Some(by) = paused {
            return Ok(Some((epic, by)));
        }
        next = maybe("features", above)?;
    }
    Ok(None)
}

/// How long agents have worked on a feature, over all runs.
pub(crate) fn worked(c: &Connection, id: &FeatureId) -> Result<Duration> {
    let millis: i64 = c
        .prepare_cached("SELECT coalesce(sum(worked_ms), 0) FROM runs WHERE feature = ?1")?
        .query_row([id.to_string()], |row| row.get(0))?;
    Ok(Duration::from_millis(millis as u64))
}

/// Whole minutes.
pub(crate) fn minutes(worked: Duration) -> u32 {
    u32::try_from(worked.as_secs() / 60).unwrap_or(u32::MAX)
}

const RUN: &str = "id, feature, agent, branch, round, base, commit_id, pull_request, approval, approved_by, words, \
                   stop, ending, started_at, ended_at, model, assigned_by, plan, plan_accepted, feedback, \
                   round_from, returns, spent";

/// Runs by a condition on `runs`, steps and checks included.
pub(crate) fn runs(c: &Connection, filter: &str, args: impl rusqlite::Params) -> Result<Vec<Run>> {
    let mut statement = c.prepare_cached(&format!("SELECT {RUN} FROM runs {filter}"))?;
    let mut rows = statement.query(args)?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(run(row)?);
    }
    for run in &mut runs {
        run.steps = steps(c, &run.id.to_string())?;
        run.checks = checks(c, &run.id.to_string())?;
    }
    Ok(runs)
}

fn run(row: &Row<'_>) -> Result<Run> {
    const T: &str = "runs";
    Ok(Run {
        id: parse(T, &row.get::<_, String>(0)?)?,
        feature: parse(T, &row.get::<_, String>(1)?)?,
        agent: row.get(2)?,
        model: row.get(15)?,
        assigned_by: row.get(16)?,
        plan: row.get(17)?,
        plan_accepted: row.get(18)?,
        feedback: row.get::<_, Option<String>>(19)?.map(|text| json(T, &text)).transpose()?,
        round_from: row.get(20)?,
        returns: row.get(21)?,
        spent: row.get::<_, Option<String>>(22)?.map(|text| json(T, &text)).transpose()?,
        branch: row.get(3)?,
        steps: Vec::new(),
        checks: Vec::new(),
        round: row.get(4)?,
        base: maybe(T, row.get(5)?)?,
        commit: maybe(T, row.get(6)?)?,
        pull_request: row.get::<_, Option<i64>>(7)?.map(|number| number as u64),
        approval: maybe(T, row.get(8)?)?,
        approved_by: json(T, &row.get::<_, String>(9)?)?,
        words: row.get(10)?,
        stop: row.get(11)?,
        end: row.get::<_, Option<String>>(12)?.map(|text| json(T, &text)).transpose()?,
        started_at: time(T, row.get(13)?)?,
        ended_at: row.get::<_, Option<i64>>(14)?.map(|millis| time(T, millis)).transpose()?,
    })
}

fn steps(c: &Connection, run: &str) -> Result<Vec<StepRow>> {
    const T: &str = "steps";
    let mut statement =
        c.prepare_cached("SELECT step, state, started_at, ended_at, note FROM steps WHERE run = ?1")?;
    let mut rows = statement.query([run])?;
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        let state = match row.get::<_, String>(1)?.as_str() {
            "started" => StepState::Started,
            "done" => StepState::Done,
            "failed" => StepState::Failed,
            other => {
                return Err(StoreError::Corrupt {
                    table: T,
                    problem: format!("{other:?} is no state of a step"),
                });
            }
        };
        steps.push(StepRow {
            step: parse::<Step>(T, &row.get::<_, String>(0)?)?,
            state,
            started_at: time(T, row.get(2)?)?,
            ended_at: row.get::<_, Option<i64>>(3)?.map(|millis| time(T, millis)).transpose()?,
            note: row.get(4)?,
        });
    }
    steps.sort_by_key(|row| row.step);
    Ok(steps)
}

fn checks(c: &Connection, run: &str) -> Result<Vec<CheckFact>> {
    const T: &str = "checks";
    let mut statement = c.prepare_cached(
        "SELECT name, commit_id, passed, round, millis, reason FROM checks WHERE run = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([run])?;
    let mut checks = Vec::new();
    while let Some(row) = rows.next()? {
        checks.push(CheckFact {
            name: row.get(0)?,
            commit: parse(T, &row.get::<_, String>(1)?)?,
            passed: row.get(2)?,
            round: row.get(3)?,
            millis: row.get::<_, i64>(4)? as u64,
            reason: row.get(5)?,
        });
    }
    Ok(checks)
}

/// The newest run of a feature.
pub(crate) fn newest_run(c: &Connection, feature: &FeatureId) -> Result<Option<Run>> {
    Ok(runs(c, "WHERE feature = ?1 ORDER BY attempt DESC LIMIT 1", [feature.to_string()])?.pop())
}

/// The card of the open approval of a feature.
pub(crate) fn open_approval(
    c: &Connection,
    feature: &FeatureId,
) -> Result<Option<qd_wire::v1::ApprovalCard>> {
    c.prepare_cached("SELECT card FROM approvals WHERE feature = ?1 AND open = 1 ORDER BY at DESC LIMIT 1")?
        .query_row(params![feature.to_string()], |row| row.get::<_, String>(0))
        .optional()?
        .map(|text| json("approvals", &text))
        .transpose()
}
