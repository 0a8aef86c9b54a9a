//! The audit trail of an executor's approvals: a row for each thing that happens to one, in the transaction in which it
//! happens. People stand in it under pseudonyms, and nothing that people wrote stands in it.

use jiff::Timestamp;
use qd_audit::{About, Actor, Entry, Kind, append, pseudonym};
use qd_sqlite::Migration;
use qd_types::{ApprovalState, Ballot, PersonId, Vote};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value, json};

use crate::{ApprovalError, Approvals, Place, Record, SignedVote, WHOLE, decide::BOT, rows};

/// Where the trail has each approval, as one migration of the executor's database.
pub const SCHEMA: Migration = "
CREATE TABLE trailed (
    approval TEXT PRIMARY KEY,
    state TEXT NOT NULL
) WITHOUT ROWID;
";

/// Notes where an approval stands, if the trail has it elsewhere: `true` if that is news.
pub fn state(
    c: &Connection,
    approvals: &Approvals<'_>,
    record: &Record,
    now: Timestamp,
) -> Result<bool, ApprovalError> {
    let Some(word) = news(c, record)? else { return Ok(false) };
    let subject = &record.approval.subject;
    let effect = approvals.effect(record.id(), WHOLE)?;
    let (kind, payload) = match record.state() {
        ApprovalState::Requested => (Kind::Request, request(record)),
        ApprovalState::Granted
        | ApprovalState::Denied
        | ApprovalState::Expired
        | ApprovalState::Withdrawn
        | ApprovalState::Lapsed => {
            (Kind::Decision, json!({ "text": word, "digest": record.approval.digest }))
        }
        ApprovalState::Executing => (
            Kind::Execution,
            json!({ "text": subject.title(), "effect": effect.map(|effect| effect.effect) }),
        ),
        ApprovalState::Executed | ApprovalState::Failed | ApprovalState::Unknown => {
            let outcome = effect.and_then(|effect| effect.outcome).unwrap_or_default();
            (Kind::Outcome, json!({ "text": format!("{word}: {outcome}"), "outcome": outcome }))
        }
    };
    // The run asked; what follows is the executor's doing.
    let actor = match kind {
        Kind::Request => Actor::Agent(subject.run.clone()),
        _ => keeper(record)?,
    };
    write(c, record, kind, actor, payload, now)?;
    Ok(true)
}

/// The word for where an approval stands, if the trail has it elsewhere; from now on it has it there.
fn news(c: &Connection, record: &Record) -> Result<Option<String>, ApprovalError> {
    let (id, word) = (record.id().to_string(), rows::word("trailed", &record.state())?);
    let last: Option<String> = c
        .prepare_cached("SELECT state FROM trailed WHERE approval = ?1")?
        .query_row([&id], |row| row.get(0))
        .optional()?;
    if last.as_ref() == Some(&word) {
        return Ok(None);
    }
    c.prepare_cached("INSERT INTO trailed VALUES (?1, ?2) ON CONFLICT DO UPDATE SET state = excluded.state")?
        .execute(params![id, word])?;
    Ok(Some(word))
}

fn request(record: &Record) -> Value {
    let subject = &record.approval.subject;
    let binding = subject.binding.as_ref();
    json!({
        "text": subject.title(),
        "target": binding.map(|binding| &binding.target),
        "digest": record.approval.digest,
        "decide": subject.requirement.describe(),
        "reopens": binding.and_then(|binding| binding.reopens.as_ref()),
    })
}

/// Notes that a person opened an expired request again.
pub fn reopened(c: &Connection, record: &Record, by: &PersonId, now: Timestamp) -> Result<(), ApprovalError> {
    let actor = Actor::Person(pseudonym(c, by)?);
    match news(c, record)? {
        Some(_) => write(c, record, Kind::Request, actor, request(record), now),
        None => Ok(()),
    }
}

/// Notes a vote that counts.
pub fn vote(
    c: &Connection,
    record: &Record,
    vote: &Vote,
    signed: &SignedVote,
    now: Timestamp,
) -> Result<(), ApprovalError> {
    let actor = Actor::Person(pseudonym(c, &vote.person.id)?);
    let word = match vote.ballot {
        Ballot::Approve => "yes",
        Ballot::Deny => "no",
    };
    let payload = json!({
        "text": format!("{word}, on the {}", vote.surface),
        "digest": vote.digest,
        "key": signed.key.as_str(),
        "signature": signed.signature,
    });
    write(c, record, Kind::Vote, actor, payload, now)
}

/// Notes that a card was delivered.
pub fn card(
    c: &Connection,
    record: &Record,
    place: &Place,
    receipt: &str,
    now: Timestamp,
) -> Result<(), ApprovalError> {
    let payload = json!({ "text": format!("shown on the {}", place.surface), "receipt": receipt });
    write(c, record, Kind::Card, keeper(record)?, payload, now)
}

/// Who keeps an approval: the bot, or an instance.
fn keeper(record: &Record) -> Result<Actor, ApprovalError> {
    match record.id().executor() {
        BOT => Ok(Actor::Bot),
        name => {
            let name = name.parse().map_err(|error| ApprovalError::corrupt("approval_requests", error))?;
            Ok(Actor::Team(name))
        }
    }
}

fn write(
    c: &Connection,
    record: &Record,
    kind: Kind,
    actor: Actor,
    payload: Value,
    at: Timestamp,
) -> Result<(), ApprovalError> {
    let subject = &record.approval.subject;
    let about = About {
        feature: Some(subject.feature.clone()),
        run: Some(subject.run.clone()),
        approval: Some(record.id().clone()),
        ..About::default()
    };
    let payload = match payload {
        Value::Object(payload) => payload,
        other => Map::from_iter([("text".to_owned(), other)]),
    };
    append(c, &Entry { kind, actor, about, at, payload })?;
    Ok(())
}
