//! The inbox: approvals as their executor keeps them. The instance shows them and sends votes; it never tallies
//! what another executes.

use jiff::Timestamp;
use qd_types::{ApprovalState, Vote};
use qd_wire::v1::{ApprovalCard, Report, SignedVote};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Store, StoreError, events, events::Draft, report, rows, store::Lens};

/// An approval in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// As the executor keeps it, with the facts of its card.
    pub card: ApprovalCard,
    /// Title of the feature.
    pub feature_title: String,
    /// A vote given here travels to the executor.
    pub deciding: bool,
}

impl Store {
    /// Approvals, open ones first, newest first, at most `limit`.
    pub async fn inbox(&self, limit: usize) -> Result<Vec<InboxRow>, StoreError> {
        self.read(move |c| select(c, "ORDER BY open DESC, at DESC LIMIT ?1", [limit as i64])).await
    }

    /// One approval by the unique part of its id.
    pub async fn inbox_row(&self, key: &str) -> Result<InboxRow, StoreError> {
        let key = key.to_owned();
        self.read(move |c| {
            select(c, "WHERE key = ?1", [&key])?.pop().ok_or_else(|| StoreError::no_such("approval", &key))
        })
        .await
    }

    /// Approvals that are open.
    pub async fn asks(&self) -> Result<u32, StoreError> {
        self.read(|c| Ok(c.query_row("SELECT count(*) FROM approvals WHERE open = 1", [], |row| row.get(0))?))
            .await
    }

    /// Sends a person's word to the executor; until it answers, the inbox says "deciding".
    /// `signed` is the same vote, for whoever counts it.
    pub async fn cast(&self, vote: Vote, signed: SignedVote, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |c| {
            let key = vote.approval.key();
            c.prepare_cached("UPDATE approvals SET deciding = 1 WHERE key = ?1 AND open = 1")?
                .execute([&key])?;
            let feature: Option<String> = c
                .prepare_cached("SELECT feature FROM approvals WHERE key = ?1")?
                .query_row([&key], |row| row.get(0))
                .optional()?;
            let word = match vote.ballot {
                qd_types::Ballot::Approve => "approves",
                qd_types::Ballot::Deny => "denies",
            };
            let mut event =
                Draft::new(vote.person.id.as_str(), "vote", format!("{} {word}.", vote.person.id));
            event.feature = rows::maybe("approvals", feature)?;
            events::write(c, &event, now)?;
            report::push(c, None, now, &Report::Vote(signed))
        })
        .await
    }
}

/// Takes over the executor's state of an approval.
pub(crate) fn put(
    c: &Connection,
    lens: &Lens,
    card: &ApprovalCard,
    now: Timestamp,
) -> Result<(), StoreError> {
    let approval = &card.approval;
    c.prepare_cached(
        "INSERT INTO approvals (key, feature, run, open, deciding, at, card)
         VALUES (?1, ?2, ?3, ?4 AND NOT EXISTS (SELECT 1 FROM runs WHERE id = ?3 AND ending IS NOT NULL), 0, ?5, ?6)
         ON CONFLICT DO UPDATE SET open = excluded.open, deciding = 0, card = excluded.card",
    )?
    .execute(params![
        approval.id.key(),
        approval.subject.feature.to_string(),
        approval.subject.run.to_string(),
        approval.state == ApprovalState::Requested,
        approval.requested_at.as_millisecond(),
        rows::to_json("approvals", card)?,
    ])?;
    let mut event =
        Draft::new("bot", "approval", format!("{}: {:?}.", approval.subject.action.title(), approval.state));
    event.feature = Some(approval.subject.feature.clone());
    event.run = Some(approval.subject.run.clone());
    events::write(c, &event, now)?;
    report::feature(c, lens, &approval.subject.feature, now)
}

fn select(c: &Connection, filter: &str, args: impl rusqlite::Params) -> Result<Vec<InboxRow>, StoreError> {
    let mut statement = c.prepare_cached(&format!("SELECT card, deciding, open FROM approvals {filter}"))?;
    let mut rows = statement.query(args)?;
    let mut inbox = Vec::new();
    while let Some(row) = rows.next()? {
        let mut card: ApprovalCard = rows::json("approvals", &row.get::<_, String>(0)?)?;
        // Its run has ended or went back to its agent: the executor hears of it, and nobody is asked meanwhile.
        if !row.get::<_, bool>(2)? && card.approval.state.is_open() {
            card.approval.state = ApprovalState::Lapsed;
            card.ended = Some("Its run does not ask for it any more.".to_owned());
        }
        let feature = rows::feature_by_id(c, &card.approval.subject.feature)?;
        inbox.push(InboxRow { card, feature_title: feature.wanted.title, deciding: row.get(1)? });
    }
    Ok(inbox)
}
