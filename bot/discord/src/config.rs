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
    /// Where cards and alerts go that can't be shown in the channel where they belong; none, if there is none.
    #[serde(default, with = "maybe_snowflake")]
    pub fallback: Option<u64>,
    /// Where the teams stand and digests are; none: #dev has them.
    #[serde(default, with = "maybe_snowflake")]
    pub standup: Option<u64>,
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
    /// The id of a channel, if there is one.
    pub fn id(&self, channel: Channel) -> Option<u64> {
        match channel {
            Channel::Dev => Some(self.dev),
            Channel::Alerts => Some(self.alerts),
            Channel::Approvals => Some(self.approvals),
            Channel::Standup => Some(self.standup.unwrap_or(self.dev)),
            Channel::Fallback => self.fallback,
        }
    }

    /// All that there are.
    pub(crate) fn all(&self) -> impl Iterator<Item = u64> {
        Channel::ALL.into_iter().filter_map(|channel| self.id(channel))
    }

    /// The id of a channel by its name: `approvals`.
    pub(crate) fn named(&self, name: &str) -> Option<u64> {
        let channel = Channel::ALL.into_iter().find(|channel| channel.as_str() == name)?;
        self.id(channel)
    }
}

/// Snowflakes as text: many readers of numbers cut them.
mod snowflake {
    use serde::{Deserialize as _, Deserializer, de::Error};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        read(&text)
    }

    pub(super) fn read<E: Error>(text: &str) -> Result<u64, E> {
        text.parse::<u64>().ok().filter(|id| *id > 0).ok_or_else(|| {
            E::custom(format!(
                "{text:?} is no id of Discord's: digits in quotes, like \"1000000000000000003\""
            ))
        })
    }
}

/// One that may be missing.
mod maybe_snowflake {
    use serde::{Deserialize as _, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        Option::<String>::deserialize(from)?.map(|text| super::snowflake::read(&text)).transpose()
    }
}
