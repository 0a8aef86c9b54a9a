//! Messages as rows. The same key is the same message: putting it again edits it.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_core::chat::{Button, Channel, Chat, ChatError, Delivered, Message, MessageKey, Reaction};
use qd_sqlite::{Db, DbError, Migration};
use rusqlite::{OptionalExtension as _, params};
use tokio::sync::watch;

/// Longest message, in characters: Discord's limit for bots, so that what fits here fits there.
const MAX_TEXT: usize = 2_000;
/// Most buttons under a message: one row of Discord's components.
const MAX_BUTTONS: usize = 5;

const MIGRATIONS: &[Migration] = &[
    "
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    text TEXT NOT NULL,
    buttons TEXT NOT NULL,
    posted_at INTEGER NOT NULL,
    edited_at INTEGER NOT NULL,
    edits INTEGER NOT NULL DEFAULT 0,
    change INTEGER NOT NULL
);
CREATE INDEX messages_channel ON messages (channel, id);
CREATE INDEX messages_change ON messages (change);
",
    "
ALTER TABLE messages ADD COLUMN reactions TEXT NOT NULL DEFAULT '[]';
",
    // A card may stand in several channels: its key is unique in each.
    "
CREATE TABLE placed (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    channel TEXT NOT NULL,
    text TEXT NOT NULL,
    buttons TEXT NOT NULL,
    reactions TEXT NOT NULL,
    posted_at INTEGER NOT NULL,
    edited_at INTEGER NOT NULL,
    edits INTEGER NOT NULL DEFAULT 0,
    change INTEGER NOT NULL,
    UNIQUE (channel, key)
);
INSERT INTO placed SELECT id, key, channel, text, buttons, reactions, posted_at, edited_at, edits, change FROM messages;
DROP TABLE messages;
ALTER TABLE placed RENAME TO messages;
CREATE INDEX messages_channel ON messages (channel, id);
CREATE INDEX messages_change ON messages (change);
",
    "
ALTER TABLE messages ADD COLUMN picture TEXT NOT NULL DEFAULT '';
",
];

/// Which channels the console has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Those of the fleet's own that are there; what belongs into another one is refused.
    pub channels: Vec<Channel>,
    /// What the channel is called that takes what can't be shown where it belongs; `None`: there is none.
    pub fallback: Option<String>,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            channels: vec![Channel::Dev, Channel::Alerts, Channel::Approvals, Channel::Standup],
            fallback: None,
        }
    }
}

impl Layout {
    /// What a channel is called, if it is there.
    pub fn name(&self, channel: Channel) -> Option<&str> {
        match channel {
            Channel::Fallback => self.fallback.as_deref(),
            own => self.channels.contains(&own).then_some(own.as_str()),
        }
    }
}

/// Why the console did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A row that makes no sense.
    #[error("a message makes no sense: {0}")]
    Corrupt(String),
}

impl From<rusqlite::Error> for ConsoleError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// A message as it stands in its channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The console's id.
    pub id: i64,
    /// Its channel.
    pub channel: Channel,
    /// Its words.
    pub text: String,
    /// What its picture shows, in words; empty without one.
    pub picture: String,
    /// The buttons under it.
    pub buttons: Vec<Button>,
    /// The reactions beside them.
    pub reactions: Vec<Reaction>,
    /// When it was last edited.
    pub edited_at: Timestamp,
    /// How often it was edited.
    pub edits: u32,
    /// Raised by every post and edit of any message.
    pub change: i64,
}

/// The channels.
#[derive(Clone)]
pub struct Console {
    db: Db,
    layout: Arc<RwLock<Layout>>,
}

impl Console {
    /// Opens or makes `console.db` at `path`, with the channels of [`Layout::default`].
    pub fn open(path: &Path) -> Result<Self, ConsoleError> {
        Ok(Self { db: Db::open(path, MIGRATIONS)?, layout: Arc::default() })
    }

    /// Has these channels from now on. What stood in one that is gone is gone with it. `false` if nothing changes.
    pub async fn set_layout(&self, layout: Layout) -> Result<bool, ConsoleError> {
        let gone = Channel::ALL.into_iter().filter(|channel| layout.name(*channel).is_none());
        let gone: Vec<&str> = gone.map(Channel::as_str).collect();
        let same = self.layout() == layout;
        *self.layout.write().unwrap_or_else(PoisonError::into_inner) = layout;
        self.db
            .write(move |c| {
                for channel in gone {
                    c.prepare_cached("DELETE FROM messages WHERE channel = ?1")?.execute([channel])?;
                }
                Ok::<_, DbError>(())
            })
            .await?;
        Ok(!same)
    }

    /// The channels that are there.
    pub fn layout(&self) -> Layout {
        self.layout.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Messages of a channel in the order in which they were first posted, the last `limit`.
    pub async fn messages(&self, channel: Channel, limit: usize) -> Result<Vec<Posted>, ConsoleError> {
        self.db
            .read(move |c| {
                let filter = "WHERE channel = ?1 ORDER BY id DESC LIMIT ?2";
                let mut messages = select(c, filter, params![channel.as_str(), limit as i64])?;
                messages.reverse();
                Ok(messages)
            })
            .await
    }

    /// Messages that were posted or edited after `change`, oldest change first.
    pub async fn changed(&self, change: i64) -> Result<Vec<Posted>, ConsoleError> {
        self.db.read(move |c| select(c, "WHERE change > ?1 ORDER BY change LIMIT 500", params![change])).await
    }

    /// The id of the message of a key in a channel, if it was posted.
    pub async fn find(&self, channel: Channel, key: &MessageKey) -> Result<Option<i64>, ConsoleError> {
        let key = key.0.clone();
        self.db
            .read(move |c| {
                let mut found =
                    c.prepare_cached("SELECT id FROM messages WHERE key = ?1 AND channel = ?2")?;
                Ok(found.query_row(params![key, channel.as_str()], |row| row.get(0)).optional()?)
            })
            .await
    }

    /// The key of a message in a channel.
    pub(crate) async fn key(&self, channel: Channel, id: i64) -> Result<Option<MessageKey>, ConsoleError> {
        self.db
            .read(move |c| {
                let mut found =
                    c.prepare_cached("SELECT key FROM messages WHERE id = ?1 AND channel = ?2")?;
                let key = found.query_row(params![id, channel.as_str()], |row| row.get(0)).optional()?;
                Ok(key.map(MessageKey))
            })
            .await
    }

    /// Ticks when a message was posted or edited.
    pub fn ticks(&self) -> watch::Receiver<u64> {
        self.db.commits()
    }
}

fn select(
    c: &rusqlite::Connection,
    filter: &str,
    args: impl rusqlite::Params,
) -> Result<Vec<Posted>, ConsoleError> {
    let sql = format!(
        "SELECT id, channel, text, buttons, edited_at, edits, change, reactions, picture FROM messages {filter}"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(args)?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        let channel: String = row.get(1)?;
        let channel = Channel::ALL.into_iter().find(|known| known.as_str() == channel);
        let (buttons, reactions): (String, String) = (row.get(3)?, row.get(7)?);
        let corrupt = |error: serde_json::Error| ConsoleError::Corrupt(error.to_string());
        messages.push(Posted {
            id: row.get(0)?,
            channel: channel.ok_or_else(|| ConsoleError::Corrupt("its channel is unknown".into()))?,
            text: row.get(2)?,
            picture: row.get(8)?,
            buttons: serde_json::from_str(&buttons).map_err(corrupt)?,
            reactions: serde_json::from_str(&reactions).map_err(corrupt)?,
            edited_at: Timestamp::from_millisecond(row.get(4)?)
                .map_err(|error| ConsoleError::Corrupt(error.to_string()))?,
            edits: row.get(5)?,
            change: row.get(6)?,
        });
    }
    Ok(messages)
}

#[async_trait]
impl Chat for Console {
    async fn put(&self, message: &Message) -> Result<Delivered, ChatError> {
        if self.layout().name(message.channel).is_none() {
            return Err(ChatError::Refused(match message.channel {
                Channel::Fallback => "no fallback channel is configured: chat.fallback names one".to_owned(),
                channel => format!("there is no channel #{} any more: see chat.channels", channel.as_str()),
            }));
        }
        let length = message.text.chars().count();
        if length > MAX_TEXT {
            return Err(ChatError::Refused(format!("it has {length} characters, {MAX_TEXT} fit")));
        }
        if message.buttons.len() > MAX_BUTTONS {
            return Err(ChatError::Refused(format!(
                "it has {} buttons, {MAX_BUTTONS} fit",
                message.buttons.len()
            )));
        }
        let refused = |error: serde_json::Error| ChatError::Refused(error.to_string());
        let buttons = serde_json::to_string(&message.buttons).map_err(refused)?;
        let reactions = serde_json::to_string(&message.reactions).map_err(refused)?;
        let picture = message.picture.as_ref().map_or_else(String::new, |picture| picture.alt());
        let (message, at) = (message.clone(), Timestamp::now());
        let id: Result<i64, DbError> = self
            .db
            .write(move |c| {
                // The same again is no edit.
                let same = c
                    .prepare_cached(
                        "SELECT id FROM messages
                         WHERE key = ?1 AND channel = ?5 AND text = ?2 AND buttons = ?3 AND reactions = ?4
                         AND picture = ?6",
                    )?
                    .query_row(
                        params![
                            message.key.0,
                            message.text,
                            buttons,
                            reactions,
                            message.channel.as_str(),
                            picture
                        ],
                        |row| row.get(0),
                    )
                    .optional()?;
                if let Some(id) = same {
                    return Ok(id);
                }
                Ok(c.prepare_cached(
                    "INSERT INTO messages (key, channel, text, buttons, reactions, picture, posted_at, edited_at, change)
                     VALUES (?1, ?2, ?3, ?4, ?6, ?7, ?5, ?5, (SELECT coalesce(max(change), 0) + 1 FROM messages))
                     ON CONFLICT (channel, key) DO UPDATE SET text = excluded.text, buttons = excluded.buttons,
                     reactions = excluded.reactions, picture = excluded.picture, edited_at = excluded.edited_at, edits = edits + 1, change = excluded.change
                     RETURNING id",
                )?
                .query_row(
                    params![
                        message.key.0,
                        message.channel.as_str(),
                        message.text,
                        buttons,
                        at.as_millisecond(),
                        reactions,
                        picture
                    ],
                    |row| row.get(0),
                )?)
            })
            .await;
        let id = id.map_err(|error| ChatError::Unavailable(error.to_string()))?;
        Ok(Delivered { id: id.to_string(), at })
    }
}
