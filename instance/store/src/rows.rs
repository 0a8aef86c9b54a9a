//! Rows to values and back. A row that makes no sense cannot be decoded: it is an error that names the table.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;
use qd_board::{CheckFact, Feature, Run, StepRow, StepState};
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
                       version, created_at, updated_at";

/// Features by a condition on `features`, dependencies included.
pub(crate) fn features(c: &Connection, filter: &str, args: impl rusqlite::Params) -> Result<Vec<Feature>> {
    let mut statement = c.prepare_cached(&format!("SELECT {FEATURE} FROM features {filter}"))?;
    let mut rows = statement.query(args)?;
    let mut features = Vec::new();
    while let Some(row) = rows.next()? {
        features.push(feature(row)?);
    }
    let mut needs = c.prepare_cached("SELECT needs FROM dependencies WHERE feature = ?1 ORDER BY needs")?;
    for feature in &mut features {
        let mut rows = needs.query([feature.id.to_string()])?;
        while let Some(row) = rows.next()? {
            feature.depends_on.push(parse("dependencies", row.get_ref(0)?.as_str().unwrap_or_default())?);
        }
        feature.depends_on.sort();
    }
    Ok(features)
}

fn feature(row: &Row<'_>) -> Result<Feature> {
    const T: &str = "features";
    let text = |index: usize| -> Result<&str> {
        row.get_ref(index)?.as_str().map_err(|e| StoreError::Corrupt { table: T, problem: e.to_string() })
    };
    Ok(Feature {
        id: parse(T, text(0)?)?,
        repository: parse(T, text(1)?)?,
        title: row.get(2)?,
        description: row.get(3)?,
        priority: row.get(4)?,
        labels: json(T, text(5)?)?,
        depends_on: Vec::new(),
        stage: parse(T, text(6)?)?,
        held: row.get(7)?,
        author: parse(T, text(8)?)?,
        editors: json(T, text(9)?)?,
        version: row.get::<_, i64>(10)? as u64,
        created_at: time(T, row.get(11)?)?,
        updated_at: time(T, row.get(12)?)?,
    })
}

pub(crate) fn feature_by_id(c: &Connection, id: &FeatureId) -> Result<Feature> {
    features(c, "WHERE id = ?1", [id.to_string()])?.pop().ok_or_else(|| StoreError::no_such("feature", id))
}

/// Dependencies of a feature that are not merged.
pub(crate) fn unmet(c: &Connection, id: &FeatureId) -> Result<Vec<FeatureId>> {
    let mut statement = c.prepare_cached(
        "SELECT needs FROM dependencies JOIN features ON features.id = needs
         WHERE feature = ?1 AND stage <> 'done' ORDER BY number",
    )?;
    let rows = statement.query_map([id.to_string()], |row| row.get::<_, String>(0))?;
    rows.map(|row| parse("dependencies", &row?)).collect()
}

const RUN: &str = "id, feature, agent, branch, round, base, commit_id, pull_request, approval, approved_by, words, \
                   stop, ending, started_at, ended_at";

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
