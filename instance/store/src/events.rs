//! The log: who changed what, when. Pages follow it by its number.

use jiff::Timestamp;
use qd_types::{FeatureId, RunId};
use rusqlite::{Connection, params};

use crate::{Store, StoreError, rows};

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// From 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// A person's name, `team` or `bot`.
    pub actor: String,
    /// A name for what happened.
    pub kind: String,
    /// Which feature.
    pub feature: Option<FeatureId>,
    /// Which run.
    pub run: Option<RunId>,
    /// What, in a sentence.
    pub text: String,
    /// Why, as the actor said it.
    pub reason: Option<String>,
    /// What changed: each field with its value before and after.
    pub changes: Option<serde_json::Value>,
}

/// An entry before it has a number.
pub(crate) struct Draft<'a> {
    pub(crate) actor: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) feature: Option<FeatureId>,
    pub(crate) run: Option<RunId>,
    pub(crate) version: Option<u64>,
    pub(crate) fields: Vec<String>,
    pub(crate) text: String,
    pub(crate) reason: Option<String>,
    pub(crate) changes: Option<serde_json::Value>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(actor: &'a str, kind: &'static str, text: impl Into<String>) -> Self {
        Self {
            actor,
            kind,
            feature: None,
            run: None,
            version: None,
            fields: Vec::new(),
            text: text.into(),
            reason: None,
            changes: None,
        }
    }
}

pub(crate) fn write(c: &Connection, draft: &Draft<'_>, now: Timestamp) -> Result<(), StoreError> {
    c.prepare_cached(
        "INSERT INTO events (at, actor, kind, feature, run, version, fields, text, reason, changes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        now.as_millisecond(),
        draft.actor,
        draft.kind,
        draft.feature.as_ref().map(ToString::to_string),
        draft.run.as_ref().map(ToString::to_string),
        draft.version.map(|version| version as i64),
        draft.fields.join(","),
        draft.text,
        draft.reason,
        draft.changes.as_ref().map(ToString::to_string),
    ])?;
    Ok(())
}

fn select(c: &Connection, filter: &str, args: impl rusqlite::Params) -> Result<Vec<Event>, StoreError> {
    const T: &str = "events";
    let mut statement = c.prepare_cached(&format!(
        "SELECT seq, at, actor, kind, feature, run, text, reason, changes FROM events {filter}"
    ))?;
    let mut rows = statement.query(args)?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(Event {
            seq: row.get::<_, i64>(0)? as u64,
            at: rows::time(T, row.get(1)?)?,
            actor: row.get(2)?,
            kind: row.get(3)?,
            feature: rows::maybe(T, row.get(4)?)?,
            run: rows::maybe(T, row.get(5)?)?,
            text: row.get(6)?,
            reason: row.get(7)?,
            changes: row.get::<_, Option<String>>(8)?.map(|text| rows::json(T, &text)).transpose()?,
        });
    }
    Ok(events)
}

impl Store {
    /// Entries after `seq`, oldest first, at most `limit`.
    pub async fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.read(move |c| select(c, "WHERE seq > ?1 ORDER BY seq LIMIT ?2", (seq as i64, limit as i64)))
            .await
    }

    /// The number of the newest entry; 0 before the first.
    pub async fn last_event(&self) -> Result<u64, StoreError> {
        self.read(|c| {
            let seq: i64 = c.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))?;
            Ok(seq as u64)
        })
        .await
    }

    /// All entries about one feature, oldest first, at most the last 500.
    pub async fn history(&self, feature: &FeatureId) -> Result<Vec<Event>, StoreError> {
        let id = feature.to_string();
        self.read(move |c| {
            let mut events = select(c, "WHERE feature = ?1 ORDER BY seq DESC LIMIT 500", [id])?;
            events.reverse();
            Ok(events)
        })
        .await
    }
}
