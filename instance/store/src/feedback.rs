//! What people and the forge say about a run's work, until the run takes it back to its agent.

use jiff::Timestamp;
use qd_types::{CommitId, FeatureId, RepositoryName, RunId};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Store, StoreError, rows, runs, store::Lens};

/// Something said.
pub(crate) struct Feedback<'a> {
    /// The same id again is the same word.
    pub(crate) id: &'a str,
    /// To which run.
    pub(crate) run: &'a RunId,
    /// In a few words: "the review of ines".
    pub(crate) about: &'a str,
    /// What its agent is told.
    pub(crate) text: &'a str,
}

/// Notes it. `false` if it was noted before.
pub(crate) fn put(
    c: &Connection,
    lens: &Lens,
    said: &Feedback<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let fresh = c
        .prepare_cached(
            "INSERT INTO feedback (id, run, about, text, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![said.id, said.run.to_string(), said.about, said.text, now.as_millisecond()])?;
    if fresh > 0 {
        let text = format!("Taken as guidance for run {}: {}.", said.run.attempt(), said.about);
        runs::told(c, lens, said.run, "guidance", text, now)?;
    }
    Ok(fresh > 0)
}

/// What becomes of something that is said again.
pub(crate) enum Restated {
    /// It was not said before.
    New,
    /// It was said just so.
    Same,
    /// It is meant otherwise from now on.
    Changed,
    /// Its agent has it, as this: it can't be meant otherwise any more.
    Taken(String),
}

/// Looks whether something was said before, and has it mean what it means now.
pub(crate) fn restate(
    c: &Connection,
    lens: &Lens,
    said: &Feedback<'_>,
    now: Timestamp,
) -> Result<Restated, StoreError> {
    let sql = "SELECT about, taken FROM feedback WHERE id = ?1";
    let before: Option<(String, bool)> =
        c.prepare_cached(sql)?.query_row([said.id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match before {
        None => Ok(Restated::New),
        Some((about, _)) if about == said.about => Ok(Restated::Same),
        Some((about, true)) => Ok(Restated::Taken(about)),
        Some((about, false)) => {
            c.prepare_cached("UPDATE feedback SET about = ?2 WHERE id = ?1")?
                .execute(params![said.id, said.about])?;
            let text = format!("What was taken as {about} is {} now.", said.about);
            runs::told(c, lens, said.run, "guidance", text, now)?;
            Ok(Restated::Changed)
        }
    }
}

/// The run that works on a feature, if one does.
pub(crate) fn active(c: &Connection, feature: &FeatureId) -> Result<Option<RunId>, StoreError> {
    rows::feature_by_id(c, feature)?;
    find(c, "SELECT id FROM runs WHERE feature = ?1 AND ending IS NULL", [feature.to_string()])
}

/// The run whose pull request it is, if it is not over.
pub(crate) fn of_pull_request(
    c: &Connection,
    repository: &RepositoryName,
    number: u64,
) -> Result<Option<RunId>, StoreError> {
    find(
        c,
        "SELECT runs.id FROM runs JOIN features ON features.id = runs.feature
         WHERE repository = ?1 AND pull_request = ?2 AND ending IS NULL",
        params![repository.as_str(), number.cast_signed()],
    )
}

/// The run whose branch stands at this commit, if it is not over.
pub(crate) fn of_commit(
    c: &Connection,
    repository: &RepositoryName,
    commit: &CommitId,
) -> Result<Option<RunId>, StoreError> {
    find(
        c,
        "SELECT runs.id FROM runs JOIN features ON features.id = runs.feature
         WHERE repository = ?1 AND pushed = ?2 AND ending IS NULL",
        params![repository.as_str(), commit.as_str()],
    )
}

fn find(c: &Connection, sql: &str, args: impl rusqlite::Params) -> Result<Option<RunId>, StoreError> {
    let found: Option<String> = c.prepare_cached(sql)?.query_row(args, |row| row.get(0)).optional()?;
    rows::maybe("runs", found)
}

impl Store {
    /// All that was said about a run's work and not taken back to its agent yet, oldest first: what about, and the words.
    pub async fn feedback(&self, run: &RunId) -> Result<Vec<(String, String)>, StoreError> {
        let run = run.to_string();
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT about, text FROM feedback WHERE run = ?1 AND taken = 0 ORDER BY at, id",
            )?;
            let said = statement.query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(said.collect::<Result<_, rusqlite::Error>>()?)
        })
        .await
    }
}

/// Its agent has it now.
pub(crate) fn taken(c: &Connection, run: &RunId) -> Result<(), StoreError> {
    c.prepare_cached("UPDATE feedback SET taken = 1 WHERE run = ?1 AND taken = 0")?
        .execute([run.to_string()])?;
    Ok(())
}
