//! `[discord]`: the guild that the bot works in. Not the people: their accounts are linked with `quarterdeck person link`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use qd_types::{InstanceName, Role};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{Config, Secret};

/// Discord, where people command the fleet. Without this section there is the console alone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discord {
    /// The bot's token: `{ env = "NAME" }` or `{ file = "…" }`.
    pub token: Secret,
    /// The guild's id.
    pub guild: Snowflake,
    /// The channels. `quarterdeck bot discord setup` makes those that are missing.
    #[serde(default)]
    pub channels: DiscordChannels,
    /// Discord's roles that stand for the fleet's. Of a role that is listed, Discord's word is asked at every click, and
    /// only who holds it there has it; of one that is not, the fleet's own list counts.
    #[serde(default)]
    pub roles: DiscordRoles,
    /// Another address for `https://discord.com`: a proxy, or the fake of `quarterdeck dev fake-discord`.
    #[serde(default)]
    pub api: Option<String>,
    /// Commands, clicks and reactions that a person may give in a minute, from 1. Default: 60.
    #[serde(default = "default_commands")]
    #[schemars(range(min = 1))]
    pub commands_per_minute: u32,
    /// Whether each feature has a thread, in which people talk to its team. Default: `off`.
    #[serde(default)]
    pub threads: DiscordThreads,
    /// Channels of single teams, by their names: what would stand in #dev and #standup stands there. Default: there are none.
    #[serde(default)]
    pub teams: BTreeMap<InstanceName, Snowflake>,
    /// More guilds that the same bot works in, each with teams of its own. Default: there are none.
    #[serde(default)]
    pub guilds: Vec<DiscordGuild>,
}

/// Whether each feature has a thread, and what is heard in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiscordThreads {
    /// There are none.
    #[default]
    Off,
    /// There are, and what mentions the bot is heard.
    Mentions,
    /// There are, and everything in them is heard. The application needs its Message Content Intent for that.
    All,
}

/// Another guild. Its teams are seen and commanded there, and nowhere else.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscordGuild {
    /// The guild's id.
    pub guild: Snowflake,
    /// The teams that belong to it, by their names.
    pub teams: Vec<InstanceName>,
    /// Its channels: dev, alerts and approvals at least.
    pub channels: DiscordChannels,
    /// Its roles that stand for the fleet's.
    #[serde(default)]
    pub roles: DiscordRoles,
}

fn default_commands() -> u32 {
    60
}

/// Ids of channels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiscordChannels {
    /// One living message per feature.
    pub dev: Option<Snowflake>,
    /// One message per cause.
    pub alerts: Option<Snowflake>,
    /// One card per approval.
    pub approvals: Option<Snowflake>,
    /// What takes cards and alerts that can't be shown where they belong. Default: there is none.
    pub fallback: Option<Snowflake>,
    /// How each team stands, and its digests. Default: #dev has them.
    pub standup: Option<Snowflake>,
}

impl DiscordChannels {
    /// Each that is listed.
    fn listed(&self) -> impl Iterator<Item = Snowflake> {
        [self.dev, self.alerts, self.approvals, self.fallback, self.standup].into_iter().flatten()
    }
}

/// Ids of Discord's roles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiscordRoles {
    /// Owners.
    pub owner: Option<Snowflake>,
    /// Managers.
    pub manager: Option<Snowflake>,
    /// Operators.
    pub operator: Option<Snowflake>,
    /// Reviewers.
    pub reviewer: Option<Snowflake>,
    /// Viewers.
    pub viewer: Option<Snowflake>,
}

impl DiscordRoles {
    /// Each that is listed.
    pub fn listed(&self) -> Vec<(Role, Snowflake)> {
        let all = [
            (Role::Owner, self.owner),
            (Role::Manager, self.manager),
            (Role::Operator, self.operator),
            (Role::Reviewer, self.reviewer),
            (Role::Viewer, self.viewer),
        ];
        all.into_iter().filter_map(|(role, id)| Some((role, id?))).collect()
    }
}

/// An id of Discord's, written as text: many readers of numbers cut them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snowflake(u64);

/// A text that is no id of Discord's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id of Discord's: digits in quotes, like \"1000000000000000003\"")]
pub struct NoSnowflake(String);

impl Snowflake {
    /// The number; never 0.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Snowflake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Snowflake {
    type Err = NoSnowflake;
    fn from_str(text: &str) -> Result<Self, NoSnowflake> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u64>().ok().filter(|number| digits && *number > 0);
        number.map(Self).ok_or_else(|| NoSnowflake(text.to_owned()))
    }
}

impl Serialize for Snowflake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Snowflake {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Snowflake {
    fn schema_name() -> Cow<'static, str> {
        "Snowflake".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "An id of Discord's: digits in quotes.", "pattern": "^[1-9][0-9]*$" })
    }
}

/// What must hold of it. Channels that are missing are for `up` and `setup` to say: setup works without them.
pub(crate) fn check(config: &Config, add: &mut impl FnMut(String, String)) {
    let Some(discord) = &config.discord else { return };
    if matches!(discord.token, Secret::Value(_)) {
        let text = "the token itself does not belong into the configuration: name a variable, { env = \"NAME\" }, or a \
                    file, { file = \"…\" }";
        add("discord.token".into(), text.into());
    }
    let is_address = |api: &String| api.starts_with("https://") || api.starts_with("http://");
    if let Some(api) = discord.api.as_ref().filter(|api| !is_address(api) || api.ends_with('/')) {
        add(
            "discord.api".into(),
            format!("{api:?} is no address, like http://127.0.0.1:4000, without a / at its end"),
        );
    }
    let mut channels = BTreeSet::new();
    let all = discord.channels.listed().chain(discord.teams.values().copied());
    if all.filter(|id| !channels.insert(*id)).count() > 0 {
        add("discord.channels".into(), "two of them are one channel; give each its own".into());
    }
    let (mut guilds, mut taken) = (BTreeSet::from([discord.guild]), BTreeSet::new());
    let known = |team: &InstanceName| config.teams.iter().any(|each| each.name == *team);
    for team in discord.teams.keys().filter(|team| !known(team)) {
        add(format!("discord.teams.{team}"), format!("there is no team {team}"));
    }
    for (index, guild) in discord.guilds.iter().enumerate() {
        let key = |field: &str| format!("discord.guilds.{index}.{field}");
        if !guilds.insert(guild.guild) {
            add(key("guild"), format!("{} is there already: a guild stands in one place", guild.guild));
        }
        if guild.channels.listed().filter(|id| !channels.insert(*id)).count() > 0 {
            add(key("channels"), "two of them are one channel; give each its own".into());
        }
        if guild.teams.is_empty() {
            add(key("teams"), "name the teams that belong to it".into());
        }
        for team in &guild.teams {
            if !known(team) {
                add(key("teams"), format!("there is no team {team}"));
            } else if !taken.insert(team) {
                add(key("teams"), format!("{team} belongs to another guild already: a team is in one"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_digits_in_quotes() {
        insta::assert_snapshot!("dev".parse::<Snowflake>().unwrap_err(), @r#""dev" is no id of Discord's: digits in quotes, like "1000000000000000003""#);
        assert!("0".parse::<Snowflake>().is_err());
        assert!("+1".parse::<Snowflake>().is_err());
    }

    proptest! {
        #[test]
        fn every_id_is_read_back(id in 1_u64..) {
            prop_assert_eq!(id.to_string().parse::<Snowflake>(), Ok(Snowflake(id)));
        }
    }
}
