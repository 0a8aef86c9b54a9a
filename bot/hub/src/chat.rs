//! Delivery of messages within the budget of each channel: approvals first, then alerts, then living messages, then digests.
//! A message that changed twice before it was delivered is delivered once, as it stands.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use qd_approvals::{Place, Swept, Undelivered, trail};
use qd_core::{
    Event,
    budget::{Budget, Budgets, Class},
    chat::{Channel, ChatError, Delivered, Message},
};
use qd_types::ApprovalId;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    Hub, HubError, json, keep,
    keeper::{self, BOARD, BOT, FORGE},
    turn::Turn,
};

/// How long nothing is looked at while nothing is committed.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks that found nothing, however much is committed.
const PAUSE: Duration = Duration::from_millis(10);

/// A message that waits to be delivered, as its row has it.
#[derive(Debug, Clone)]
pub struct Due {
    pub(crate) key: String,
    changed: i64,
    attempts: u32,
    pub(crate) message: Message,
}

impl Due {
    /// What is to be delivered.
    pub fn message(&self) -> &Message {
        &self.message
    }
}

/// What was said in each channel lately, and how much may be.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    pub(crate) budget: Budget,
    pub(crate) spent: Budgets,
}

impl Voice {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { budget, spent: Budgets::default() }
    }
}

/// What is delivered by one task. The channels of cards have one of their own, so that no call for anything else stands in
/// their way; no message is in two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Cards,
    Others,
    All,
}

impl Lane {
    fn has(self, channel: Channel) -> bool {
        let cards = matches!(channel, Channel::Approvals | Channel::Fallback);
        match self {
            Self::Cards => cards,
            Self::Others => !cards,
            Self::All => true,
        }
    }
}

/// Delivers messages until the task is dropped.
pub(crate) async fn run(hub: Hub) {
    tokio::join!(lane(&hub, Lane::Cards), lane(&hub, Lane::Others));
}

async fn lane(hub: &Hub, lane: Lane) {
    let mut commits = hub.inner.db.commits();
    loop {
        commits.borrow_and_update();
        let (inner, now) = (Arc::clone(&hub.inner), Timestamp::now());
        let found = hub
            .inner
            .db
            .read(move |c| {
                let mut voice = inner.voice.lock().unwrap_or_else(PoisonError::into_inner);
                next(c, lane, &mut voice, now)
            })
            .await;
        match found {
            Ok(Some(due)) => {
                if let Err(error) = deliver(hub, due).await {
                    tracing::error!(%error, "a delivery could not be noted");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Ok(None) => {
                // A message may wait for its channel or for calm: then no commit tells that it is due.
                let told = tokio::time::timeout(LOOK, commits.changed()).await;
                if matches!(told, Ok(Err(_))) {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::error!(%error, "the messages can't be read");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// The first that waits in a channel: its class and since when, which is the order.
struct Waiting {
    order: (i64, i64),
    channel: Channel,
    calm: bool,
    key: String,
}

/// What is delivered next, if its channel can take it now; that is noted as a call to it.
pub(crate) fn next(
    c: &Connection,
    lane: Lane,
    voice: &mut Voice,
    now: Timestamp,
) -> Result<Option<Due>, HubError> {
    let mut best: Option<Waiting> = None;
    // What can wait for calm does not hold up what is behind it.
    let calm = voice.budget.calm(Timestamp::UNIX_EPOCH).as_millisecond();
    for channel in Channel::ALL.into_iter().filter(|channel| lane.has(*channel)) {
        let calmly = voice.spent.calm_when(&voice.budget, channel, now) <= now;
        let row = c
            .prepare_cached(
                "SELECT class, since, calm, key FROM messages WHERE pending = 1 AND channel = ?1
                 AND (calm = 0 OR ?4 AND (delivered_at IS NULL OR delivered_at NOT BETWEEN ?2 - ?3 + 1 AND ?2))
                 ORDER BY class, calm, since LIMIT 1",
            )?
            .query_row(params![channel.as_str(), now.as_millisecond(), calm, calmly], |row| {
                let order = (row.get(0)?, row.get(1)?);
                Ok(Waiting { order, channel, calm: row.get(2)?, key: row.get(3)? })
            })
            .optional()?;
        let Some(row) = row else { continue };
        let class = Class::ALL.into_iter().find(|class| class.rank() == row.order.0);
        let when = voice.spent.when(&voice.budget, channel, class.unwrap_or(Class::Digest), now);
        if when <= now && best.as_ref().is_none_or(|best| row.order < best.order) {
            best = Some(row);
        }
    }
    let Some(Waiting { channel, calm, key, .. }) = best else { return Ok(None) };
    voice.spent.spend(&voice.budget, channel, calm, now);
    let row: (i64, u32, String) = c
        .prepare_cached("SELECT changed, attempts, message FROM messages WHERE key = ?1")?
        .query_row([&key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (changed, attempts, message) = row;
    Ok(Some(Due { key, changed, attempts, message: json::from_json("messages", &message)? }))
}

/// It stands in chat. If it changed meanwhile, it stays pending and goes out again.
pub(crate) fn delivered(turn: &mut Turn<'_>, due: &Due, delivered: &Delivered) -> Result<(), HubError> {
    let Due { key, changed, message, .. } = due;
    if let Some(id) = own(message) {
        shown(turn, &id, message, delivered)?;
    }
    turn.c
        .prepare_cached(
            "UPDATE messages SET delivered = ?2, delivered_at = ?5, since = ?5, attempts = 0,
             pending = (changed <> ?3 OR message <> ?4) WHERE key = ?1",
        )?
        .execute(params![
            key,
            delivered.id,
            changed,
            json::to_json("messages", message)?,
            turn.now.as_millisecond()
        ])?;
    Ok(())
}

async fn deliver(hub: &Hub, due: Due) -> Result<(), HubError> {
    qd_failpoint::reached("delivering");
    let put = hub.inner.chat.put(&due.message).await;
    qd_failpoint::reached("delivered");
    let (key, attempts) = (due.key.clone(), due.attempts);
    match put {
        Ok(there) => hub.within(move |turn| delivered(turn, &due, &there)).await,
        Err(ChatError::Refused(reason)) => {
            tracing::error!(message = key, reason, "chat refused a message, it is dropped");
            set_attempts(hub, key, attempts + 1, false).await?;
            refused(hub, due.message, reason).await
        }
        Err(ChatError::Unavailable(reason)) => {
            tracing::warn!(message = key, reason, attempts, "chat does not answer, the message waits");
            tokio::time::sleep(Duration::from_millis(200 << attempts.min(8))).await;
            set_attempts(hub, key, attempts + 1, true).await
        }
    }
}

async fn set_attempts(hub: &Hub, key: String, attempts: u32, pending: bool) -> Result<(), HubError> {
    hub.inner
        .db
        .write(move |c| {
            c.prepare_cached("UPDATE messages SET attempts = ?2, pending = ?3 WHERE key = ?1")?
                .execute(params![key, attempts, pending])?;
            Ok(())
        })
        .await
}

/// Whose card it is, if it is one of the bot's own approvals. The clocks of others begin where they are kept.
fn own(message: &Message) -> Option<ApprovalId> {
    message.key.approval().filter(|id| id.executor() == BOT)
}

/// The place of a card.
fn place_of(message: &Message) -> Place {
    if message.channel == Channel::Fallback { keeper::fallback() } else { keeper::place() }
}

/// A card is delivered: its time begins, and from now on it says until when. One without buttons is closed.
fn shown(
    turn: &mut Turn<'_>,
    id: &ApprovalId,
    message: &Message,
    delivered: &Delivered,
) -> Result<(), HubError> {
    let (c, now, place, closed) = (turn.c, turn.now, place_of(message), message.buttons.is_empty());
    let approvals = turn.keeper.at(c, now)?;
    let begins = approvals.delivered(id, &place, &delivered.id)?;
    if begins {
        trail::card(c, &approvals.show(id)?, &place, &delivered.id, now)?;
    }
    if closed {
        approvals.closed(id, &place)?;
    }
    if begins {
        let stands = keeper::stands(c, &approvals, id, now)?;
        turn.happens(stands)?;
    }
    Ok(())
}

/// Chat does not take a message: what somebody has to see goes elsewhere.
async fn refused(hub: &Hub, message: Message, problem: String) -> Result<(), HubError> {
    let Some(id) = message.key.approval() else {
        // What is only news is told by the board as well.
        if matches!(message.channel, Channel::Fallback | Channel::Dev) {
            return Ok(());
        }
        return hub.within(move |turn| keep::fall_back(turn.c, &message, turn.now)).await;
    };
    hub.within(move |turn| {
        if id.executor() == BOT {
            return undelivered(turn, &id, &message, &problem);
        }
        if message.channel != Channel::Fallback {
            return keep::fall_back(turn.c, &message, turn.now);
        }
        // The board of its team shows it: it is kept there. That nobody can see it here is said here.
        turn.happens(Event::Swept(Swept::Unseen(id))).map(drop)
    })
    .await
}

/// A card of the bot's own approvals can't be shown where it was tried: the next place is due. If there is none, and nobody
/// can have seen the request, people are alerted.
fn undelivered(
    turn: &mut Turn<'_>,
    id: &ApprovalId,
    message: &Message,
    problem: &str,
) -> Result<(), HubError> {
    let keeper = turn.keeper;
    let approvals = keeper.at(turn.c, turn.now)?;
    match approvals.undeliverable(id, &place_of(message), problem)? {
        Undelivered::Alert => turn.happens(Event::Swept(Swept::Unseen(id.clone()))).map(drop),
        Undelivered::Fallback(places) => {
            let on_board = turn.fleet.desk(id).is_some_and(|desk| desk.filed.on_board);
            for place in places {
                match place.surface.as_str() {
                    // The order that shows it there is on its way since it was asked; its receipt comes, or came before.
                    BOARD if on_board => {
                        for event in keeper.on_board(turn.c, id, turn.now)? {
                            turn.happens(event)?;
                        }
                    }
                    FORGE => {
                        let comment = turn.fleet.desk(id).and_then(|desk| desk.filed.on_forge);
                        if let Some(comment) = comment {
                            let receipt = comment.to_string();
                            for event in keeper.stands_at(turn.c, id, FORGE, &receipt, turn.now)? {
                                turn.happens(event)?;
                            }
                        }
                    }
                    BOARD => {}
                    _ => keep::fall_back(turn.c, message, turn.now)?,
                }
            }
            Ok(())
        }
        Undelivered::Elsewhere | Undelivered::Nothing => Ok(()),
    }
}
