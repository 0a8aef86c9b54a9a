//! What is needed of Discord, in this crate's words.

use async_trait::async_trait;

/// Why Discord did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscordError {
    /// There is no adapter, or no credentials.
    #[error("Discord is not configured here")]
    NotConfigured,
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
    /// Its text.
    pub text: String,
}

/// A message to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// The channel's name.
    pub channel: String,
    /// Its text. The adapter has to allow no mentions.
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
    async fn messages(&self, channel: &str, most: usize) -> Result<Vec<Message>, DiscordError>;
    /// Posts; the message's id.
    async fn post(&self, post: &Post) -> Result<u64, DiscordError>;
    /// The message of a key in a channel, if it was posted.
    async fn posted(&self, channel: &str, key: &str) -> Result<Option<u64>, DiscordError>;
    /// Opens a thread under a message; the thread's id. The adapter finds one that is there.
    async fn thread(&self, channel: &str, message: u64, title: &str) -> Result<u64, DiscordError>;
    /// What was answered so far.
    async fn answers(&self, channel: &str, message: u64, most: usize) -> Result<Vec<Answer>, DiscordError>;
}

/// No Discord: every call says so.
#[derive(Debug, Clone, Copy, Default)]
pub struct NotConfigured;

#[async_trait]
impl Discord for NotConfigured {
    async fn messages(&self, _: &str, _: usize) -> Result<Vec<Message>, DiscordError> {
        Err(DiscordError::NotConfigured)
    }

    async fn post(&self, _: &Post) -> Result<u64, DiscordError> {
        Err(DiscordError::NotConfigured)
    }

    async fn posted(&self, _: &str, _: &str) -> Result<Option<u64>, DiscordError> {
        Err(DiscordError::NotConfigured)
    }

    async fn thread(&self, _: &str, _: u64, _: &str) -> Result<u64, DiscordError> {
        Err(DiscordError::NotConfigured)
    }

    async fn answers(&self, _: &str, _: u64, _: usize) -> Result<Vec<Answer>, DiscordError> {
        Err(DiscordError::NotConfigured)
    }
}
