//! The inbox: approvals as their executor keeps them, the instance's own among them. It shows them and sends votes; it
//! never tallies what another executes.

use jiff::Timestamp;
use qd_types::{Action, Approval, ApprovalState, PersonId, RunId, Vote};
use qd_wire::v1::{ApprovalCard, Report, Shown, SignedVote};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    Keeper, Store, StoreError, events, events::Draft, executor, features, report, resting, rows, store::Lens,
};

/// An approval in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// As the executor keeps it, with the facts of its card.
    pub card: ApprovalCard,
    /// Title of the feature.
    pub feature_title: String,
    /// A vote given here travels to the executor.
    pub deciding: bool,
    /// Until when its reader does not want to see it.
    pub snoozed: Option<Timestamp>,
}

impl Store {
    /// Approvals for a person, the instance's own and those of others, open ones first, newest first, at most `limit`.
    pub async fn inbox(
        &self,
        keeper: &Keeper,
        reader: &PersonId,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<InboxRow>, StoreError> {
        let (keeper, reader) = (keeper.clone(), reader.clone());
        self.read(move |c| {
            let filter = "ORDER BY open DESC, at DESC LIMIT ?1";
            let mut inbox = select(c, &reader, now, filter, [limit as i64])?;
            for card in executor::cards(c, &keeper, limit, now)? {
                inbox.push(row(c, &reader, now, card, false)?);
            }
            inbox.sort_by_key(|row| {
                let approval = &row.card.approval;
                (!approval.state.is_open(), std::cmp::Reverse(approval.requested_at))
            });
            inbox.truncate(limit);
            Ok(inbox)
        })
        .await
    }

    /// One approval by the unique part of its id.
    pub async fn inbox_row(
        &self,
        keeper: &Keeper,
        reader: &PersonId,
        key: &str,
        now: Timestamp,
    ) -> Result<InboxRow, StoreError> {
        let (keeper, reader, key) = (keeper.clone(), reader.clone(), key.to_owned());
        self.read(move |c| {
            if let Some(card) = executor::card_of(c, &keeper, &key, now)? {
                return row(c, &reader, now, card, false);
            }
            let found = select(c, &reader, now, "WHERE key = ?1", [&key])?.pop();
            found.ok_or_else(|| StoreError::no_such("approval", &key))
        })
        .await
    }

    /// Approvals that are open, and that the reader did not put off.
    pub async fn asks(&self, reader: &PersonId, now: Timestamp) -> Result<u32, StoreError> {
        let reader = reader.clone();
        self.read(move |c| {
            Ok(c.prepare_cached(
                "SELECT count(*) FROM (
                     SELECT key FROM approvals WHERE open = 1
                     UNION ALL
                     SELECT substr(id, instr(id, '/') + 1) FROM approval_requests
                     WHERE state = 'requested' AND opened IS NOT NULL)
                 WHERE NOT EXISTS (
                     SELECT 1 FROM snoozes WHERE person = ?1 AND approval = key AND until > ?2)",
            )?
            .query_row(params![reader.as_str(), now.as_millisecond()], |row| row.get(0))?)
        })
        .await
    }

    /// Runs whose approval is open.
    pub async fn asking(&self) -> Result<Vec<RunId>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT run FROM approvals WHERE open = 1
                 UNION SELECT run FROM approval_requests WHERE state = 'requested'",
            )?;
            let runs: Vec<String> =
                statement.query_map([], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()?;
            runs.iter().map(|run| rows::parse("approvals", run)).collect()
        })
        .await
    }

    /// Puts an approval off for its reader, or brings it back. Its clocks go on.
    pub async fn snooze(
        &self,
        reader: &PersonId,
        key: &str,
        until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let (reader, key) = (reader.clone(), key.to_owned());
        self.write(move |c| {
            match until {
                Some(until) => c
                    .prepare_cached(
                        "INSERT INTO snoozes VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET until = excluded.until",
                    )?
                    .execute(params![reader.as_str(), key, until.as_millisecond()])?,
                None => c
                    .prepare_cached("DELETE FROM snoozes WHERE person = ?1 AND approval = ?2")?
                    .execute(params![reader.as_str(), key])?,
            };
            Ok(())
        })
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
    let refused = uncounted(c, card)?;
    let new = c
        .prepare_cached("SELECT 1 FROM approvals WHERE key = ?1")?
        .query_row([approval.id.key()], |_| Ok(()))
        .optional()?
        .is_none();
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
    waits_or_goes_on(c, lens, approval, now)?;
    if new && approval.state.is_open() {
        // Its receipt: where no channel takes its card, it is decided here, and its time begins.
        report::push(c, None, now, &Report::Shown(Shown { approval: approval.id.clone() }))?;
    }
    let mut event =
        Draft::new("bot", "approval", format!("{}: {:?}.", approval.subject.title(), approval.state));
    event.feature = Some(approval.subject.feature.clone());
    event.run = Some(approval.subject.run.clone());
    events::write(c, &event, now)?;
    if refused {
        let text = format!(
            "{}: a vote that was given here does not count. One from this computer does not while an agent runs beside it: \
             quarterdeck doctor says more. Vote again, or somewhere else.",
            approval.subject.title()
        );
        let mut event = Draft::new("bot", "vote_refused", text);
        event.feature = Some(approval.subject.feature.clone());
        event.run = Some(approval.subject.run.clone());
        events::write(c, &event, now)?;
    }
    report::feature(c, lens, &approval.subject.feature, now)
}

/// Nobody decided in time on what the bot was asked for: its run waits as it is, and goes on when a person had it asked
/// again.
fn waits_or_goes_on(
    c: &Connection,
    lens: &Lens,
    approval: &Approval,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (run, feature) = (&approval.subject.run, &approval.subject.feature);
    let reopens = approval.subject.binding.as_ref().and_then(|binding| binding.reopens.as_ref());
    let paused = rows::feature_by_id(c, feature)?.paused;
    if let Some(before) = reopens.filter(|_| approval.state.is_open()) {
        if paused.is_some_and(|why| resting::stands_for(&why, before)) {
            features::set_paused(c, lens, "bot", feature, None, now)?;
        }
        return Ok(());
    }
    let works = "SELECT ending IS NULL FROM runs WHERE id = ?1";
    let works: Option<bool> =
        c.prepare_cached(works)?.query_row([run.to_string()], |row| row.get(0)).optional()?;
    if approval.state == ApprovalState::Expired && works == Some(true) && paused.is_none() {
        let else_ = format!("stop it with `quarterdeck run stop {run}`");
        features::set_paused(c, lens, "bot", feature, Some(resting::stopped(approval, &else_)), now)?;
    }
    Ok(())
}

/// Whether a vote is on its way from here, and the executor answers without having counted any.
fn uncounted(c: &Connection, card: &ApprovalCard) -> Result<bool, StoreError> {
    let before: Option<String> = c
        .prepare_cached("SELECT card FROM approvals WHERE key = ?1 AND deciding = 1")?
        .query_row([card.approval.id.key()], |row| row.get(0))
        .optional()?;
    let before: Option<ApprovalCard> = before.map(|text| rows::json("approvals", &text)).transpose()?;
    let open = card.approval.state == ApprovalState::Requested;
    Ok(open && before.is_some_and(|before| before.approval.votes == card.approval.votes))
}

fn select(
    c: &Connection,
    reader: &PersonId,
    now: Timestamp,
    filter: &str,
    args: impl rusqlite::Params,
) -> Result<Vec<InboxRow>, StoreError> {
    let mut statement = c.prepare_cached(&format!("SELECT card, deciding, open FROM approvals {filter}"))?;
    let mut rows = statement.query(args)?;
    let mut inbox = Vec::new();
    while let Some(found) = rows.next()? {
        let mut card: ApprovalCard = rows::json("approvals", &found.get::<_, String>(0)?)?;
        // Its run has ended or went back to its agent: the executor hears of it, and nobody is asked meanwhile.
        if !found.get::<_, bool>(2)? && card.approval.state.is_open() {
            card.approval.state = ApprovalState::Lapsed;
            card.ended = Some("Its run does not ask for it any more.".to_owned());
        }
        inbox.push(row(c, reader, now, card, found.get(1)?)?);
    }
    Ok(inbox)
}

/// A card as its reader has it.
fn row(
    c: &Connection,
    reader: &PersonId,
    now: Timestamp,
    card: ApprovalCard,
    deciding: bool,
) -> Result<InboxRow, StoreError> {
    let subject = &card.approval.subject;
    let feature_title = match &subject.action {
        // For the fleet, a repository or the whole board, and for no feature.
        Action::Policy(change) if change.person.is_none() => "The policies".to_owned(),
        action if action.is_of_the_fleet() => "People".to_owned(),
        Action::Operation(_) => "The team".to_owned(),
        Action::Tool(_) if !rows::has_feature(c, &subject.feature)? => "The board".to_owned(),
        _ => rows::feature_by_id(c, &subject.feature)?.wanted.title,
    };
    let snoozed: Option<i64> = c
        .prepare_cached("SELECT until FROM snoozes WHERE person = ?1 AND approval = ?2 AND until > ?3")?
        .query_row(params![reader.as_str(), card.approval.id.key(), now.as_millisecond()], |row| row.get(0))
        .optional()?;
    let snoozed = snoozed.map(|until| rows::time("snoozes", until)).transpose()?;
    Ok(InboxRow { card, feature_title, deciding, snoozed })
}
