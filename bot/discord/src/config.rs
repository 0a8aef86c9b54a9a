//! What has to be known of a guild, and of its people. Nothing is read from files here: whoever starts the bot has done that.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use qd_core::chat::Channel;
use qd_types::{Person, Role};
use secrecy::SecretString;

/// A guild, and how the bot reaches it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The bot's token.
    pub token: SecretString,
    /// The guild's id.
    pub guild: u64,
    /// The channels.
    pub channels: ChannelIds,
    /// Discord's roles, by id, and what they are here. Of a role that stands here Discord's word is asked at every click; of
    /// one that does not, [`People`] says who holds it.
    pub roles: BTreeMap<u64, Role>,
    /// Another address for `https://discord.com`, without a slash at its end. The library's own rate limiter is off then.
    pub address: Option<String>,
    /// Commands, clicks and reactions that a person may give in a minute.
    pub per_minute: u32,
}

/// The ids of the channels.
#[derive(Debug, Clone)]
pub struct ChannelIds {
    /// #dev.
    pub dev: u64,
    /// #alerts.
    pub alerts: u64,
    /// #approvals.
    pub approvals: u64,
    /// Where cards and alerts go that can't be shown in the channel where they belong; none, if there is none.
    pub fallback: Option<u64>,
    /// Where the teams stand and digests are; none: #dev has them.
    pub standup: Option<u64>,
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

    /// All that there are, each once.
    pub(crate) fn all(&self) -> BTreeSet<u64> {
        Channel::ALL.into_iter().filter_map(|channel| self.id(channel)).collect()
    }

    /// The id of a channel by its name: `approvals`.
    pub(crate) fn named(&self, name: &str) -> Option<u64> {
        let channel = Channel::ALL.into_iter().find(|channel| channel.as_str() == name)?;
        self.id(channel)
    }
}

/// Whose accounts are linked. Asked at every click, so that whoever is shut out is out at once.
#[async_trait]
pub trait People: Send + Sync {
    /// Whose account it is, with the roles that the fleet itself lets them have; `None` if it is nobody's.
    ///
    /// # Errors
    /// Why it can't be told. Nothing is done then.
    async fn by_account(&self, account: u64) -> Result<Option<Person>, String>;
}

impl Config {
    /// The roles that count of somebody to whom the fleet gives `known`, and who holds `held` in the guild: of a role that is
    /// mapped both must say so.
    pub(crate) fn roles(&self, known: &[Role], held: &[u64]) -> Vec<Role> {
        let is_mapped = |role: &Role| self.roles.values().any(|mapped| mapped == role);
        let is_held = |role: &Role| held.iter().any(|id| self.roles.get(id) == Some(role));
        let mut roles: Vec<Role> =
            known.iter().filter(|role| !is_mapped(role) || is_held(role)).copied().collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_role_takes_both_words() {
        let config = Config {
            token: SecretString::from("token"),
            guild: 1,
            channels: ChannelIds { dev: 2, alerts: 3, approvals: 4, fallback: None, standup: None },
            roles: BTreeMap::from([(7, Role::Owner)]),
            address: None,
            per_minute: 60,
        };
        let both = [Role::Owner, Role::Operator];
        assert_eq!(config.roles(&both, &[7]), {
            let mut all = both.to_vec();
            all.sort_unstable();
            all
        });
        assert_eq!(config.roles(&both, &[8]), [Role::Operator]);
        // Discord alone makes nobody an owner.
        assert_eq!(config.roles(&[Role::Operator], &[7]), [Role::Operator]);
    }
}
