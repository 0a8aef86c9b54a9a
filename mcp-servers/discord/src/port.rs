//! What is needed of Discord, in this crate's words.

use async_trait::async_trait;
use qd_types::InstanceName;

/// Why Discord did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscordError {
    /// There is no adapter, or no credentials.
    #[error("Discord is not configured here")]
    NotConfigured,
    /// The team runs apart from its bot, which alone has the way to chat.
    #[error("This team runs apart from its bot, and only the bot reaches Discord")]
    Apart,
    /// There is no such thing, or it may not be seen.
    #[error("There is no {0}")]
    Absent(String),
    /// It said no. Its words are cut by the adapter, and hold no credentials.
    #[error("Discord refused: {0}")]
    Refused(String),
    /// No answer: whether it happened can't be told.
    #[error("Discord can't be reached: {0}")]
    Unreachable(String),
}

impl DiscordError {
    /// What the caller can do, as a sentence.
    pub fn way_out(&self) -> &'static str {
        match self {
            Self::NotConfigured => {
                "A person has to connect Discord to this fleet; until then, say in your report what you wanted to say."
            }
            Self::Apart => {
                "Ask people with the board's ask_human, and say all else in your report: those reach them from here."
            }
            Self::Absent(_) => "List the channels or read the messages, and take one of those.",
            Self::Refused(_) => "Look at what it says; call again when that has changed.",
            Self::Unreachable(_) => "Wait, then call again.",
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: u64,
    /// Who wrote it.
    pub author: String,
    /// Its text; `None` where Discord does not tell it.
    pub text: Option<String>,
}

/// A channel, as a team calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The team, by its id.
    pub team: &'a InstanceName,
    /// The channel's name.
    pub channel: &'a str,
}

/// A message to be. Its texts mention nobody and format nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Its text.
    pub text: String,
    /// Choices, if it is a question with some.
    pub choices: Vec<String>,
    /// Whether it is a question.
    pub question: bool,
    /// What it is known by: one key is one message.
    pub key: String,
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub author: String,
    /// What: a choice, or a text.
    pub text: String,
}

/// Discord.
#[async_trait]
pub trait Discord: Send + Sync {
    /// A channel's newest messages, newest first, at most so many.
    async fn messages(&self, place: Place<'_>, most: usize) -> Result<Vec<Message>, DiscordError>;
    /// Posts; the message's id. The adapter has to allow no mentions.
    async fn post(&self, place: Place<'_>, post: &Post) -> Result<u64, DiscordError>;
    /// The message of a key in a channel, if it was posted.
    async fn posted(&self, place: Place<'_>, key: &str) -> Result<Option<u64>, DiscordError>;
    /// Opens a thread under a message; the thread's id. The adapter finds one that is there.
    async fn thread(&self, place: Place<'_>, message: u64, title: &str) -> Result<u64, DiscordError>;
    /// What was answered so far to a message of a channel, newest first, at most so many.
    async fn answers(&self, place: Place<'_>, message: u64, most: usize)
    -> Result<Vec<Answer>, DiscordError>;
}

/// No Discord: every call says why.
#[derive(Debug, Clone)]
pub struct Nowhere(pub DiscordError);

#[async_trait]
impl Discord for Nowhere {
    async fn messages(&self, _: Place<'_>, _: usize) -> Result<Vec<Message>, DiscordError> {
        Err(self.0.clone())
    }

    async fn post(&self, _: Place<'_>, _: &Post) -> Result<u64, DiscordError> {
        Err(self.0.clone())
    }

    async fn posted(&self, _: Place<'_>, _: &str) -> Result<Option<u64>, DiscordError> {
        Err(self.0.clone())
    }

    async fn thread(&self, _: Place<'_>, _: u64, _: &str) -> Result<u64, DiscordError> {
        Err(self.0.clone())
    }

    async fn answers(&self, _: Place<'_>, _: u64, _: usize) -> Result<Vec<Answer>, DiscordError> {
        Err(self.0.clone())
    }
}
