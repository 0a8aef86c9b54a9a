//! The operations table: begun and ended in the transactions of what they are about.

use jiff::Timestamp;
use qd_board::{FailureClass, Observed, Operation, OperationKind};
use qd_types::{FeatureId, RunId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::{Store, StoreError, rows};

const T: &str = "operations";
const COLUMNS: &str = "id, kind, subject, feature, run, title, desired, observed, class, text, attempt, started_at, \
                       updated_at, ended_at";

/// Which operations to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// All, newest first.
    #[default]
    All,
    /// Those under way.
    Running,
    /// Those that gave up.
    Dead,
}

/// An operation that begins.
pub(crate) struct Begin<'a> {
    pub(crate) kind: OperationKind,
    pub(crate) subject: &'a str,
    pub(crate) feature: Option<&'a FeatureId>,
    pub(crate) run: Option<&'a RunId>,
    pub(crate) title: &'a str,
}

/// Begun, or begun again.
pub(crate) fn begin(c: &Connection, begin: &Begin<'_>, now: Timestamp) -> Result<(), StoreError> {
    c.prepare_cached(
        "INSERT INTO operations (kind, subject, feature, run, title, desired, observed, started_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 'done', 'running', ?6, ?6)
         ON CONFLICT (kind, subject) DO UPDATE SET desired = 'done', observed = 'running', class = NULL, text = '',
         attempt = attempt + 1, updated_at = excluded.updated_at, ended_at = NULL",
    )?
    .execute(params![
        begin.kind.as_str(),
        begin.subject,
        begin.feature.map(ToString::to_string),
        begin.run.map(ToString::to_string),
        begin.title,
        now.as_millisecond()
    ])?;
    Ok(())
}

/// Says how it goes on.
pub(crate) fn say(
    c: &Connection,
    kind: OperationKind,
    subject: &str,
    text: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    c.prepare_cached(
        "UPDATE operations SET text = ?3, updated_at = ?4 WHERE kind = ?1 AND subject = ?2 AND ended_at IS NULL",
    )?
    .execute(params![kind.as_str(), subject, text, now.as_millisecond()])?;
    Ok(())
}

/// Ended. One that has ended stays as it ended.
pub(crate) fn end(
    c: &Connection,
    kind: OperationKind,
    subject: &str,
    observed: Observed,
    class: Option<FailureClass>,
    text: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    c.prepare_cached(
        "UPDATE operations SET observed = ?3, class = ?4, text = ?5, updated_at = ?6, ended_at = ?6
         WHERE kind = ?1 AND subject = ?2 AND ended_at IS NULL",
    )?
    .execute(params![
        kind.as_str(),
        subject,
        observed.as_str(),
        class.map(FailureClass::as_str),
        text,
        now.as_millisecond()
    ])?;
    Ok(())
}

/// What a run had under way ends with it.
pub(crate) fn end_within(c: &Connection, run: &RunId, text: &str, now: Timestamp) -> Result<(), StoreError> {
    c.prepare_cached(
        "UPDATE operations SET observed = 'stopped', text = ?2, updated_at = ?3, ended_at = ?3
         WHERE run = ?1 AND kind <> 'run' AND ended_at IS NULL",
    )?
    .execute(params![run.to_string(), text, now.as_millisecond()])?;
    Ok(())
}

pub(crate) fn desire_stop(c: &Connection, run: &RunId, now: Timestamp) -> Result<(), StoreError> {
    c.prepare_cached(
        "UPDATE operations SET desired = 'stopped', updated_at = ?2 WHERE run = ?1 AND ended_at IS NULL",
    )?
    .execute(params![run.to_string(), now.as_millisecond()])?;
    Ok(())
}

/// A feature moves on: what had given up about it is settled.
pub(crate) fn settle_dead(
    c: &Connection,
    feature: &FeatureId,
    observed: Observed,
    now: Timestamp,
) -> Result<(), StoreError> {
    c.prepare_cached(
        "UPDATE operations SET observed = ?2, updated_at = ?3 WHERE feature = ?1 AND observed = 'dead'",
    )?
    .execute(params![feature.to_string(), observed.as_str(), now.as_millisecond()])?;
    Ok(())
}

impl Store {
    /// Operations, newest first, at most `limit`.
    pub async fn operations(&self, which: Which, limit: usize) -> Result<Vec<Operation>, StoreError> {
        let filter = match which {
            Which::All => "",
            Which::Running => "WHERE observed = 'running'",
            Which::Dead => "WHERE observed = 'dead'",
        };
        self.read(move |c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM operations {filter} ORDER BY id DESC LIMIT ?1"
            ))?;
            let mut rows = statement.query([limit as i64])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(operation(row)?);
            }
            Ok(all)
        })
        .await
    }

    /// One operation.
    pub async fn operation(&self, id: u64) -> Result<Operation, StoreError> {
        self.read(move |c| one(c, id)).await
    }

    /// An operation that belongs to no run begins.
    pub async fn begin_operation(
        &self,
        kind: OperationKind,
        subject: &str,
        title: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (subject, title) = (subject.to_owned(), title.to_owned());
        self.write(move |c| {
            begin(c, &Begin { kind, subject: &subject, feature: None, run: None, title: &title }, now)
        })
        .await
    }

    /// An operation that belongs to no run ends.
    pub async fn end_operation(
        &self,
        kind: OperationKind,
        subject: &str,
        observed: Observed,
        text: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (subject, text) = (subject.to_owned(), text.to_owned());
        self.write(move |c| end(c, kind, &subject, observed, None, &text, now)).await
    }

    /// A person drops an operation that gave up.
    pub async fn drop_operation(&self, id: u64, now: Timestamp) -> Result<Operation, StoreError> {
        self.write(move |c| {
            let operation = one(c, id)?;
            if operation.observed != Observed::Dead {
                let reason =
                    format!("Operation {id} is {}: only what gave up is dropped.", operation.observed);
                return Err(qd_board::Refused { reason }.into());
            }
            c.prepare_cached("UPDATE operations SET observed = 'dropped', updated_at = ?2 WHERE id = ?1")?
                .execute(params![id as i64, now.as_millisecond()])?;
            one(c, id)
        })
        .await
    }

    /// What an older process left under way and no run goes on with has stopped; gives how many.
    pub async fn end_interrupted(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.write(move |c| {
            let ended = c
                .prepare_cached(
                    "UPDATE operations SET observed = 'stopped', text = 'Interrupted.', updated_at = ?1, ended_at = ?1
                     WHERE ended_at IS NULL AND observed = 'running' AND
                     (run IS NULL OR run NOT IN (SELECT id FROM runs WHERE ended_at IS NULL))",
                )?
                .execute([now.as_millisecond()])?;
            Ok(ended as u64)
        })
        .await
    }
}

fn one(c: &Connection, id: u64) -> Result<Operation, StoreError> {
    let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM operations WHERE id = ?1"))?;
    statement
        .query_row([id as i64], |row| Ok(operation(row)))
        .optional()?
        .ok_or_else(|| StoreError::no_such("operation", id))?
}

fn operation(row: &Row<'_>) -> Result<Operation, StoreError> {
    let text = |index: usize| row.get::<_, String>(index);
    Ok(Operation {
        id: row.get::<_, i64>(0)? as u64,
        kind: rows::parse(T, &text(1)?)?,
        subject: text(2)?,
        feature: rows::maybe(T, row.get(3)?)?,
        run: rows::maybe(T, row.get(4)?)?,
        title: text(5)?,
        desired: rows::parse(T, &text(6)?)?,
        observed: rows::parse(T, &text(7)?)?,
        class: rows::maybe(T, row.get(8)?)?,
        text: text(9)?,
        attempt: row.get(10)?,
        started_at: rows::time(T, row.get(11)?)?,
        updated_at: rows::time(T, row.get(12)?)?,
        ended_at: row.get::<_, Option<i64>>(13)?.map(|millis| rows::time(T, millis)).transpose()?,
    })
}
