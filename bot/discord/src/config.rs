//! What has to be known of the guilds that the bot works in, and of their people. Nothing is read from files here: whoever starts the bot has done that.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use qd_core::chat::{About, Channel, Scope};
use qd_types::{InstanceName, Person, Role};
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
    /// Whether each feature has a thread, and what is heard in it.
    pub threads: Threads,
    /// Channels of single teams, which have what would stand in #dev and #standup.
    pub teams: BTreeMap<InstanceName, u64>,
    /// More guilds, each with teams of its own. A team that stands in none of them belongs to `guild`.
    pub guilds: Vec<Guild>,
}

/// Whether each feature has a thread, and what is heard in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Threads {
    /// There are none.
    #[default]
    Off,
    /// What mentions the bot is heard. Takes no privileged intent.
    Mentions,
    /// Everything is heard. Takes the intent for the content of messages, which is privileged.
    All,
}

/// Another guild.
#[derive(Debug, Clone)]
pub struct Guild {
    /// Its id.
    pub id: u64,
    /// The teams that belong to it.
    pub teams: Vec<InstanceName>,
    /// Its channels.
    pub channels: ChannelIds,
    /// Its roles, as those of the first guild.
    pub roles: BTreeMap<u64, Role>,
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
    fn of_team(&self, team: &InstanceName) -> Option<&Guild> {
        self.guilds.iter().find(|guild| guild.teams.contains(team))
    }

    fn named(&self, id: u64) -> Option<&Guild> {
        self.guilds.iter().find(|guild| guild.id == id)
    }

    /// Every guild's id.
    pub(crate) fn guild_ids(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.guild).chain(self.guilds.iter().map(|guild| guild.id))
    }

    /// Where a message belongs: its guild, and there its channel, if there is one.
    pub(crate) fn place(&self, channel: Channel, about: Option<&About>) -> (u64, Option<u64>) {
        let team = about.map(|about| &about.team);
        let own = team.filter(|_| matches!(channel, Channel::Dev | Channel::Standup));
        let own = own.and_then(|team| self.teams.get(team)).copied();
        match team.and_then(|team| self.of_team(team)) {
            Some(guild) => (guild.id, own.or_else(|| guild.channels.id(channel))),
            None => (self.guild, own.or_else(|| self.channels.id(channel))),
        }
    }

    /// All channels of all guilds, each once.
    pub(crate) fn all(&self) -> BTreeSet<u64> {
        let guilds = self.guilds.iter().flat_map(|guild| guild.channels.all());
        self.channels.all().into_iter().chain(guilds).chain(self.teams.values().copied()).collect()
    }

    /// Which teams are commanded from a guild.
    pub(crate) fn scope(&self, guild: u64) -> Scope {
        match self.named(guild) {
            Some(guild) => Scope::Only(guild.teams.clone()),
            None if self.guilds.is_empty() => Scope::Fleet,
            None => Scope::Except(self.guilds.iter().flat_map(|guild| guild.teams.clone()).collect()),
        }
    }

    /// The guild that a channel is in.
    pub(crate) fn guild_of(&self, channel: u64) -> u64 {
        let team = self.teams.iter().find(|(_, id)| **id == channel).map(|(team, _)| team);
        let of_team = team.and_then(|team| self.of_team(team));
        let found =
            of_team.or_else(|| self.guilds.iter().find(|guild| guild.channels.all().contains(&channel)));
        found.map_or(self.guild, |guild| guild.id)
    }

    /// Discord's roles in a guild.
    pub(crate) fn roles_of(&self, guild: u64) -> &BTreeMap<u64, Role> {
        self.named(guild).map_or(&self.roles, |guild| &guild.roles)
    }

    /// The roles that count in a guild of somebody to whom the fleet gives `known`, and who holds `held` there: of a role that
    /// is mapped both must say so.
    pub(crate) fn roles(&self, guild: u64, known: &[Role], held: &[u64]) -> Vec<Role> {
        let listed = self.roles_of(guild);
        let is_mapped = |role: &Role| listed.values().any(|mapped| mapped == role);
        let is_held = |role: &Role| held.iter().any(|id| listed.get(id) == Some(role));
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

    fn channels(first: u64) -> ChannelIds {
        ChannelIds { dev: first, alerts: first + 1, approvals: first + 2, fallback: None, standup: None }
    }

    fn config() -> Config {
        Config {
            token: SecretString::from("token"),
            guild: 1,
            channels: channels(2),
            roles: BTreeMap::from([(7, Role::Owner)]),
            address: None,
            per_minute: 60,
            threads: Threads::Off,
            teams: BTreeMap::from([("alpha".parse().unwrap(), 9)]),
            guilds: vec![Guild {
                id: 20,
                teams: vec!["beta".parse().unwrap()],
                channels: channels(22),
                roles: BTreeMap::from([(27, Role::Owner)]),
            }],
        }
    }

    #[test]
    fn a_mapped_role_takes_both_words_of_its_own_guild() {
        let config = config();
        let both = [Role::Owner, Role::Operator];
        assert_eq!(config.roles(1, &both, &[7]), {
            let mut all = both.to_vec();
            all.sort_unstable();
            all
        });
        assert_eq!(config.roles(1, &both, &[8]), [Role::Operator]);
        assert_eq!(
            config.roles(20, &both, &[7]),
            [Role::Operator],
            "an owner of the other guild is none here"
        );
        // Discord alone makes nobody an owner.
        assert_eq!(config.roles(1, &[Role::Operator], &[7]), [Role::Operator]);
    }

    #[test]
    fn a_message_goes_to_the_guild_and_the_channel_of_its_team() {
        let config = config();
        let place = |channel, team: &str| {
            let about = team.parse().ok().map(|team| About::team(&team));
            config.place(channel, about.as_ref())
        };
        assert_eq!(place(Channel::Dev, "alpha"), (1, Some(9)));
        assert_eq!(place(Channel::Standup, "alpha"), (1, Some(9)));
        assert_eq!(place(Channel::Approvals, "alpha"), (1, Some(4)));
        assert_eq!(place(Channel::Dev, "gamma"), (1, Some(2)));
        assert_eq!(place(Channel::Approvals, "beta"), (20, Some(24)));
        assert_eq!(place(Channel::Fallback, "beta"), (20, None));
        assert_eq!(place(Channel::Dev, ""), (1, Some(2)));
        let (alpha, beta) = ("alpha".parse().unwrap(), "beta".parse().unwrap());
        assert!(config.scope(1).has(&alpha) && !config.scope(1).has(&beta));
        assert!(config.scope(20).has(&beta) && !config.scope(20).has(&alpha));
    }
}
