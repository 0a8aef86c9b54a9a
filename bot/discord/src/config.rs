//! What has to be known of a guild. Ids are Discord's snowflakes, written as text.

use std::{collections::BTreeMap, path::PathBuf};

use qd_core::chat::Channel;
use qd_types::{PersonId, Role};
use secrecy::SecretString;
use serde::Deserialize;

/// `[discord]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the bot's token is found.
    pub token: TokenSource,
    /// The guild's id.
    #[serde(with = "snowflake")]
    pub guild: u64,
    /// The channels.
    pub channels: ChannelIds,
    /// Discord's roles, by id, and what they are here. A role that is not listed counts for nothing.
    #[serde(default)]
    pub roles: BTreeMap<String, Role>,
    /// Accounts, by id, and who they are here. An account that is not listed may do nothing.
    #[serde(default)]
    pub people: BTreeMap<String, PersonId>,
    /// Another address for `https://discord.com`, for a fake. The library's own rate limiter is off then.
    #[serde(default)]
    pub address: Option<String>,
}

/// Where the token is found. It is never written into the configuration itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenSource {
    /// In this variable of the environment.
    Env(String),
    /// Alone in this file.
    File(PathBuf),
}

/// The ids of the channels.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelIds {
    /// #dev.
    #[serde(with = "snowflake")]
    pub dev: u64,
    /// #alerts.
    #[serde(with = "snowflake")]
    pub alerts: u64,
    /// #approvals.
    #[serde(with = "snowflake")]
    pub approvals: u64,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The variable is not set, or empty.
    #[error("{0} is not set; put the bot's token into it, or name a file: token = {{ file = \"…\" }}")]
    Env(String),
    /// The file can't be read, or is empty.
    #[error("the bot's token can't be read from {path}: {problem}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

impl TokenSource {
    /// The token, as it stands there now.
    pub fn read(&self) -> Result<SecretString, ConfigError> {
        match self {
            Self::Env(name) => std::env::var(name)
                .ok()
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty())
                .map(SecretString::from)
                .ok_or_else(|| ConfigError::Env(name.clone())),
            Self::File(path) => {
                let problem = |problem: String| ConfigError::File { path: path.clone(), problem };
                let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
                match text.trim() {
                    "" => Err(problem("it is empty".to_owned())),
                    token => Ok(SecretString::from(token.to_owned())),
                }
            }
        }
    }
}

impl ChannelIds {
    /// The id of a channel.
    pub fn id(&self, channel: Channel) -> u64 {
        match channel {
            Channel::Dev => self.dev,
            Channel::Alerts => self.alerts,
            Channel::Approvals => self.approvals,
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> [u64; 3] {
        Channel::ALL.map(|channel| self.id(channel))
    }

    /// The id of a channel by its name: `approvals`.
    pub(crate) fn named(&self, name: &str) -> Option<u64> {
        Channel::ALL.into_iter().find(|channel| channel.as_str() == name).map(|channel| self.id(channel))
    }
}

/// Snowflakes as text: many readers of numbers cut them.
mod snowflake {
    use serde::{Deserialize as _, Deserializer, de::Error};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        text.parse::<u64>().ok().filter(|id| *id > 0).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no id of Discord's: digits in quotes, like \"1000000000000000003\""
            ))
        })
    }
}
