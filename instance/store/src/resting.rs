//! Runs that wait for people and do not work meanwhile: they give their slot to others, and take one again before they
//! go on. Which rest is kept, so that a restart forgets none.

use std::collections::BTreeSet;

use jiff::Timestamp;
use qd_approvals::{Approvals, DENIALS_PER_RUN, Directory, Executor, Record};
use qd_board::schedule::Limits;
use qd_types::{Approval, ApprovalId, ApprovalState, FeatureId, RunId};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Store, StoreError, limits, rows, runs, scheduling};

/// How a person has something asked again; its key follows.
const OPEN_AGAIN: &str = "open it again with `quarterdeck approvals reopen ";

/// The switch that names them.
const RESTING: &str = "resting";

impl Store {
    /// The run gives its slot to others. `false` if it had done so before.
    pub async fn rest(&self, run: &RunId) -> Result<bool, StoreError> {
        let run = run.clone();
        self.write(move |c| {
            let mut all = resting(c)?;
            let new = all.insert(run);
            if new {
                keep(c, &all)?;
            }
            Ok(new)
        })
        .await
    }

    /// Whether the run gave its slot to others.
    pub async fn rests(&self, run: &RunId) -> Result<bool, StoreError> {
        let run = run.clone();
        self.read(move |c| Ok(resting(c)?.contains(&run))).await
    }

    /// The run takes a slot again, if there is one within the limits; it has one if it never gave it away.
    pub async fn take_slot(&self, run: &RunId, limits: Limits) -> Result<bool, StoreError> {
        let run = run.clone();
        self.write(move |c| {
            let mut all = resting(c)?;
            if !all.contains(&run) {
                return Ok(true);
            }
            let agent = runs::one(c, &run)?.agent;
            let repository = rows::feature_by_id(c, run.feature())?.repository;
            let limits = Limits { lowered: limits::lowered(c)?, ..limits };
            if !limits.have_room(&scheduling::open(c)?, &agent, &repository) {
                return Ok(false);
            }
            all.remove(&run);
            keep(c, &all)?;
            Ok(true)
        })
        .await
    }

    /// Whether a person has to let the run go on: too much of what it asked for was denied, or nobody decided in time on
    /// what its agent wanted to do, and its feature is paused since.
    pub async fn held_back(&self, run: &RunId, now: Timestamp) -> Result<bool, StoreError> {
        let run = run.clone();
        self.read(move |c| held_back(c, &run, now)).await
    }
}

/// See [`Store::held_back`].
pub(crate) fn held_back(c: &Connection, run: &RunId, now: Timestamp) -> Result<bool, StoreError> {
    let Some(paused) = rows::feature_by_id(c, run.feature())?.paused else { return Ok(false) };
    let (nobody, people) = (Executor::new(""), Directory::default());
    let approvals = Approvals::reading(c, &nobody, &people, now)?;
    if approvals.denials(run)? >= DENIALS_PER_RUN {
        return Ok(true);
    }
    let stops =
        |record: &Record| record.state() == ApprovalState::Expired && stands_for(&paused, record.id());
    Ok(approvals.of_run(run)?.iter().any(stops))
}

/// Why a run waits whose request nobody decided on in time: nothing of it is thrown away.
pub(crate) fn stopped(approval: &Approval, else_: &str) -> String {
    let (title, key) = (approval.subject.title(), approval.id.key());
    format!("Nobody decided in time: {title}. Its attempt waits: {OPEN_AGAIN}{key}`, or {else_}.")
}

/// Whether a feature is paused because nobody decided in time.
pub(crate) fn is_stopped(paused: &str) -> bool {
    paused.contains(OPEN_AGAIN)
}

/// Whether a feature is paused because this one expired.
pub(crate) fn stands_for(paused: &str, id: &ApprovalId) -> bool {
    paused.contains(&format!("{OPEN_AGAIN}{}`", id.key()))
}

/// Features whose newest run rests.
pub(crate) fn features(c: &Connection) -> Result<BTreeSet<FeatureId>, StoreError> {
    Ok(resting(c)?.into_iter().map(|run| run.feature().clone()).collect())
}

/// A run that has ended does not rest.
pub(crate) fn ended(c: &Connection, run: &RunId) -> Result<(), StoreError> {
    let mut all = resting(c)?;
    if all.remove(run) { keep(c, &all) } else { Ok(()) }
}

fn resting(c: &Connection) -> Result<BTreeSet<RunId>, StoreError> {
    let text: Option<String> = c
        .prepare_cached("SELECT value FROM switches WHERE name = ?1")?
        .query_row([RESTING], |row| row.get(0))
        .optional()?;
    Ok(text.map(|text| rows::json("switches", &text)).transpose()?.unwrap_or_default())
}

fn keep(c: &Connection, all: &BTreeSet<RunId>) -> Result<(), StoreError> {
    c.prepare_cached(
        "INSERT INTO switches VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
    )?
    .execute(params![RESTING, rows::to_json("switches", all)?])?;
    Ok(())
}
