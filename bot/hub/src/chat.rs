//! Delivery of messages: approvals first, then alerts, then living messages. A message that changed twice before it
//! was delivered is delivered once, as it stands.

use std::time::Duration;

use qd_approvals::{Place, Swept, Undelivered, trail};
use qd_core::{
    Event,
    chat::{Channel, ChatError, Delivered, Message},
};
use qd_types::ApprovalId;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    Hub, HubError, json, keep,
    keeper::{self, BOARD, BOT},
    turn::Turn,
};

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

/// Delivers messages until the task is dropped.
pub(crate) async fn run(hub: Hub) {
    let mut commits = hub.inner.db.commits();
    loop {
        commits.borrow_and_update();
        match hub.inner.db.read(next).await {
            Ok(Some(due)) => {
                if let Err(error) = deliver(&hub, due).await {
                    tracing::error!(%error, "a delivery could not be noted");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Ok(None) => {
                if commits.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(%error, "the messages can't be read");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// What is delivered next.
pub(crate) fn next(c: &Connection) -> Result<Option<Due>, HubError> {
    let row: Option<(String, i64, u32, String)> = c
        .prepare_cached(
            "SELECT key, changed, attempts, message FROM messages WHERE pending = 1
             ORDER BY CASE channel WHEN 'approvals' THEN 0 WHEN 'alerts' THEN 1 ELSE 2 END, changed LIMIT 1",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    row.map(|(key, changed, attempts, message)| {
        Ok(Due { key, changed, attempts, message: json::from_json("messages", &message)? })
    })
    .transpose()
}

/// It stands in chat. If it changed meanwhile, it stays pending and goes out again.
pub(crate) fn delivered(turn: &mut Turn<'_>, due: &Due, delivered: &Delivered) -> Result<(), HubError> {
    let Due { key, changed, message, .. } = due;
    if let Some(id) = own(message) {
        shown(turn, &id, message, delivered)?;
    }
    turn.c
        .prepare_cached(
            "UPDATE messages SET delivered = ?2, pending = (changed <> ?3 OR message <> ?4) WHERE key = ?1",
        )?
        .execute(params![key, delivered.id, changed, json::to_json("messages", message)?])?;
    Ok(())
}

async fn deliver(hub: &Hub, due: Due) -> Result<(), HubError> {
    let put = hub.inner.chat.put(&due.message).await;
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
                    BOARD => {}
                    _ => keep::fall_back(turn.c, message, turn.now)?,
                }
            }
            Ok(())
        }
        Undelivered::Elsewhere | Undelivered::Nothing => Ok(()),
    }
}
