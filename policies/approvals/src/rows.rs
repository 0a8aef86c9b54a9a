//! Rows to values and back. A row that makes no sense is an error, and nothing is decided from it.

use jiff::Timestamp;
use qd_types::{Approval, ApprovalId, ApprovalState, RunId};
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    ApprovalError,
    clock::Elapsed,
    confirm::{self, Confirm},
};

/// An approval as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The request, its state and the votes that count, each with the roles that this executor accepts.
    pub approval: Approval,
    /// What the agent said about it. An agent's words: show them quoted.
    pub words: Option<String>,
    /// It waits behind other requests of its run, and has no card yet.
    pub queued: bool,
    /// Milliseconds that are left to decide, from the first delivered card on; to execute, once granted.
    pub left_ms: Option<i64>,
    /// Why it ended, as a sentence.
    pub reason: Option<String>,
    /// The approval that a person opened in its place.
    pub reopened_as: Option<ApprovalId>,
    /// How a yes has to be given.
    pub confirm: Confirm,
    /// Until when people have to decide, by the wall clock, once a card was delivered.
    pub decide_until: Option<Timestamp>,
    /// Votes that its instance signed count.
    pub local_votes: bool,
    pub(crate) seq: i64,
    pub(crate) asked: String,
    pub(crate) decide_from: Option<Elapsed>,
    pub(crate) execute_from: Option<Elapsed>,
    pub(crate) opened: Option<Elapsed>,
    pub(crate) decide_ms: i64,
    pub(crate) execute_ms: i64,
    pub(crate) escalated: bool,
    pub(crate) alerted: bool,
}

impl Record {
    /// Its id.
    pub fn id(&self) -> &ApprovalId {
        &self.approval.id
    }

    /// Where it stands.
    pub fn state(&self) -> ApprovalState {
        self.approval.state
    }

    pub(crate) fn run(&self) -> &RunId {
        &self.approval.subject.run
    }

    /// What the action is done to.
    pub(crate) fn target(&self) -> &str {
        self.approval.subject.binding.as_ref().map_or("", |binding| &binding.target)
    }

    /// When its present deadline is, if one runs.
    pub(crate) fn deadline(&self) -> Option<Elapsed> {
        match self.approval.state {
            ApprovalState::Requested => Some(self.decide_from?.saturating_add(self.decide_ms)),
            ApprovalState::Granted | ApprovalState::Executing => {
                Some(self.execute_from?.saturating_add(self.execute_ms))
            }
            _ => None,
        }
    }
}

const COLUMNS: &str = "seq, id, asked, subject, words, state, reason, requested_at, decided_at, opened, decide_from, \
                       execute_from, decide_ms, execute_ms, escalated, alerted, \
                       (SELECT id FROM approval_requests AS later WHERE later.reopens = approval_requests.id), digest, \
                       way, local_votes, decide_until_at";

/// The approvals that a condition picks, in the order in which they were asked for. Their votes are left out.
pub(crate) fn select(
    c: &Connection,
    condition: &str,
    args: impl rusqlite::Params,
    now: Elapsed,
) -> Result<Vec<Record>, ApprovalError> {
    let sql = format!("SELECT {COLUMNS} FROM approval_requests WHERE {condition} ORDER BY seq");
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(args)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record(row, now)?);
    }
    Ok(records)
}

fn record(row: &Row<'_>, now: Elapsed) -> Result<Record, ApprovalError> {
    let subject: qd_types::Subject = json("approval_requests", &row.get::<_, String>(3)?)?;
    // The digest is taken anew: a row that was tampered with has another.
    let digest = subject.digest().map_err(|error| ApprovalError::corrupt("approval_requests", error))?;
    if row.get::<_, String>(17)? != digest.as_str() {
        return Err(ApprovalError::corrupt(
            "approval_requests",
            "the subject is not the one that was asked for",
        ));
    }
    let later: Option<String> = row.get(16)?;
    let way: Option<String> = row.get(18)?;
    let way = way.map(|way| from_word("approval_requests", &way)).transpose()?;
    let approval = Approval {
        id: id(&row.get::<_, String>(1)?)?,
        subject,
        digest,
        state: from_word("approval_requests", &row.get::<_, String>(5)?)?,
        votes: Vec::new(),
        requested_at: time("approval_requests", row.get(7)?)?,
        decided_at: row.get::<_, Option<i64>>(8)?.map(|at| time("approval_requests", at)).transpose()?,
    };
    let opened: Option<Elapsed> = row.get(9)?;
    let mut record = Record {
        words: row.get(4)?,
        queued: approval.state.is_open() && opened.is_none(),
        left_ms: None,
        reason: row.get(6)?,
        reopened_as: later.as_deref().map(id).transpose()?,
        confirm: confirm::confirm(&approval.subject, way),
        decide_until: row.get::<_, Option<i64>>(20)?.map(|at| time("approval_requests", at)).transpose()?,
        local_votes: row.get(19)?,
        seq: row.get(0)?,
        asked: row.get(2)?,
        opened,
        decide_from: row.get(10)?,
        execute_from: row.get(11)?,
        decide_ms: row.get(12)?,
        execute_ms: row.get(13)?,
        escalated: row.get(14)?,
        alerted: row.get(15)?,
        approval,
    };
    record.left_ms = record.deadline().map(|end| end.saturating_sub(now).max(0));
    Ok(record)
}

/// One approval, without its votes.
pub(crate) fn find(c: &Connection, id: &ApprovalId, now: Elapsed) -> Result<Option<Record>, ApprovalError> {
    Ok(select(c, "id = ?1", [id.to_string()], now)?.pop())
}

/// A single number or text, if there is a row.
pub(crate) fn one<T: rusqlite::types::FromSql>(
    c: &Connection,
    sql: &str,
    args: impl rusqlite::Params,
) -> Result<Option<T>, ApprovalError> {
    Ok(c.prepare_cached(sql)?.query_row(args, |row| row.get(0)).optional()?)
}

pub(crate) fn id(text: &str) -> Result<ApprovalId, ApprovalError> {
    text.parse().map_err(|error| ApprovalError::corrupt("approval_requests", error))
}

pub(crate) fn time(table: &'static str, millis: i64) -> Result<Timestamp, ApprovalError> {
    Timestamp::from_millisecond(millis).map_err(|error| ApprovalError::corrupt(table, error))
}

pub(crate) fn json<T: DeserializeOwned>(table: &'static str, text: &str) -> Result<T, ApprovalError> {
    serde_json::from_str(text).map_err(|error| ApprovalError::corrupt(table, error))
}

pub(crate) fn to_json<T: Serialize>(table: &'static str, value: &T) -> Result<String, ApprovalError> {
    serde_json::to_string(value).map_err(|error| ApprovalError::corrupt(table, error))
}

/// The word of a state, as it stands in a column.
pub(crate) fn word<T: Serialize>(table: &'static str, value: &T) -> Result<String, ApprovalError> {
    Ok(to_json(table, value)?.trim_matches('"').to_owned())
}

pub(crate) fn from_word<T: DeserializeOwned>(table: &'static str, word: &str) -> Result<T, ApprovalError> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|error| ApprovalError::corrupt(table, error))
}
