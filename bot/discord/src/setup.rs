//! Looking at a guild, and bringing it into shape: what `bot discord setup` does and `doctor` explains. It decides nothing:
//! what is made is made by name, after somebody agreed.

use std::collections::BTreeMap;

use qd_text::say;
use secrecy::SecretString;
use serde_json::json;
use serenity::{
    all::{ApplicationFlags, ChannelId, ChannelType, GuildId, Permissions},
    http::Http,
};

use crate::{
    calls::{Problem, call},
    config::{Config, Threads},
    discord::http,
    events, render, slash,
};

/// A permission, what Discord's own pages call it, and what it is for.
type Needs = (Permissions, &'static str, fn() -> String);

/// What the bot needs in every channel that it writes to.
const NEEDED: [Needs; 6] = [
    (Permissions::VIEW_CHANNEL, "View Channels", || say!("discord-needs-view")),
    (Permissions::SEND_MESSAGES, "Send Messages", || say!("discord-needs-send")),
    (Permissions::EMBED_LINKS, "Embed Links", || say!("discord-needs-embed")),
    (Permissions::ATTACH_FILES, "Attach Files", || say!("discord-needs-attach")),
    (Permissions::READ_MESSAGE_HISTORY, "Read Message History", || say!("discord-needs-history")),
    (Permissions::ADD_REACTIONS, "Add Reactions", || say!("discord-needs-react")),
];

/// What it needs besides where each feature has a thread.
const THREADS: [Needs; 2] = [
    (Permissions::CREATE_PUBLIC_THREADS, "Create Public Threads", || say!("discord-needs-threads")),
    (Permissions::SEND_MESSAGES_IN_THREADS, "Send Messages in Threads", || say!("discord-needs-answer")),
];

fn needed(threads: Threads) -> impl Iterator<Item = Needs> {
    let more = THREADS.into_iter().filter(move |_| threads != Threads::Off);
    NEEDED.into_iter().chain(more)
}

/// What it needs while it makes what is missing, and not afterwards.
const MAKING: Permissions = Permissions::MANAGE_CHANNELS.union(Permissions::MANAGE_ROLES);

/// The link by which somebody invites the bot: with the permissions that it needs and no other. `making` adds those by which it
/// makes channels and roles.
pub fn invite(application: u64, guild: u64, threads: Threads, making: bool) -> String {
    let needed = needed(threads).fold(Permissions::empty(), |all, (each, ..)| all | each);
    let wanted = if making { needed | MAKING } else { needed };
    format!(
        "https://discord.com/oauth2/authorize?client_id={application}&scope=bot%20applications.commands&permissions={}\
         &guild_id={guild}&disable_guild_select=true",
        wanted.bits()
    )
}

/// The permissions by name, as Discord's own pages call them.
pub fn permissions(threads: Threads) -> impl Iterator<Item = &'static str> {
    needed(threads).map(|(_, name, _)| name)
}

/// The intents by name. None of them is privileged but `MESSAGE_CONTENT`, which is asked for where all of a thread is heard.
pub fn intents(threads: Threads) -> Vec<&'static str> {
    events::intents(threads).iter_names().map(|(name, _)| name).collect()
}

/// What is true of the bot and its guild.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The bot's name.
    pub name: String,
    /// Its application, for the link.
    pub application: u64,
    /// Whether the application may be told what people write.
    pub reads: bool,
    /// The guild; `None` where nobody invited the bot yet.
    pub guild: Option<SeenGuild>,
}

/// A guild, as the bot sees it.
#[derive(Debug, Clone)]
pub struct SeenGuild {
    /// Its name.
    pub name: String,
    /// Its text channels, by id.
    pub channels: BTreeMap<u64, SeenChannel>,
    /// Its roles, by id.
    pub roles: BTreeMap<u64, SeenRole>,
    /// Whether the bot may make channels and roles now.
    pub may_make: bool,
}

/// A text channel.
#[derive(Debug, Clone)]
pub struct SeenChannel {
    /// Its name, without the `#`.
    pub name: String,
    /// Permissions that the bot lacks there, with what each is for.
    pub lacks: Vec<(&'static str, String)>,
}

/// A role.
#[derive(Debug, Clone)]
pub struct SeenRole {
    /// Its name.
    pub name: String,
    /// Whether the bot can call those who hold it.
    pub mentionable: bool,
}

/// Why it could not be looked at, or made. The text says what helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(pub String);

impl From<Problem> for SetupError {
    fn from(problem: Problem) -> Self {
        Self(problem.text())
    }
}

impl SeenGuild {
    /// The channel of this name.
    pub fn channel(&self, name: &str) -> Option<u64> {
        self.channels.iter().find(|(_, channel)| channel.name == name).map(|(id, _)| *id)
    }

    /// The role of this name.
    pub fn role(&self, name: &str) -> Option<u64> {
        self.roles.iter().find(|(_, role)| role.name == name).map(|(id, _)| *id)
    }
}

/// A bot that is being set up.
pub struct Setup {
    http: Http,
    guild: GuildId,
    threads: Threads,
}

impl Setup {
    /// Nothing is asked of Discord yet.
    pub fn new(token: &SecretString, guild: u64, threads: Threads, address: Option<&str>) -> Self {
        Self { http: http(token, address), guild: GuildId::new(guild), threads }
    }

    /// The same, of a bot that is configured: one for each guild, the first first.
    pub fn of(config: &Config) -> Vec<(u64, Self)> {
        let of = |guild| (guild, Self::new(&config.token, guild, config.threads, config.address.as_deref()));
        config.guild_ids().map(of).collect()
    }

    /// Looks at the bot and its guild.
    ///
    /// # Errors
    /// If the token is wrong, or Discord does not answer.
    pub async fn look(&self) -> Result<Seen, SetupError> {
        let me = call(|| self.http.get_current_user()).await?;
        let info = call(|| self.http.get_current_application_info()).await?;
        let read =
            ApplicationFlags::GATEWAY_MESSAGE_CONTENT | ApplicationFlags::GATEWAY_MESSAGE_CONTENT_LIMITED;
        let reads = info.flags.is_some_and(|flags| flags.intersects(read));
        let seen = Seen { name: me.name.clone(), application: info.id.get(), reads, guild: None };
        let guild = match call(|| self.http.get_guild(self.guild)).await {
            Ok(guild) => guild,
            Err(Problem::Absent) => return Ok(seen),
            Err(problem) => return Err(problem.into()),
        };
        let member = call(|| self.http.get_member(self.guild, me.id)).await?;
        let mut channels = BTreeMap::new();
        for channel in call(|| self.http.get_channels(self.guild)).await? {
            if channel.kind == ChannelType::Text {
                let has = guild.user_permissions_in(&channel, &member);
                let lacks = needed(self.threads).filter(|(each, ..)| !has.contains(*each));
                let lacks = lacks.map(|(_, name, why)| (name, why())).collect();
                channels.insert(channel.id.get(), SeenChannel { name: channel.name.clone(), lacks });
            }
        }
        let may = guild.member_permissions(&member);
        let calls = may.contains(Permissions::MENTION_EVERYONE);
        let roles = guild.roles.values().map(|role| {
            let mentionable = role.mentionable || calls;
            (role.id.get(), SeenRole { name: role.name.clone(), mentionable })
        });
        let roles = roles.collect();
        let name = guild.name.clone();
        Ok(Seen { guild: Some(SeenGuild { name, channels, roles, may_make: may.contains(MAKING) }), ..seen })
    }

    /// Makes a text channel. Its id.
    ///
    /// # Errors
    /// If Discord refuses, and what helps.
    pub async fn make_channel(&self, name: &str, topic: &str) -> Result<u64, SetupError> {
        let body = json!({"name": name, "type": 0, "topic": topic});
        // Not tried again by itself: a second channel would be worse than a question.
        let made = self.http.create_channel(self.guild, &body, Some(&say!("discord-setup"))).await;
        made.map(|channel| channel.id.get()).map_err(|error| Problem::of(&error).into())
    }

    /// Makes a role that gives no rights in Discord, and can be called. Its id.
    ///
    /// # Errors
    /// If Discord refuses, and what helps.
    pub async fn make_role(&self, name: &str) -> Result<u64, SetupError> {
        let body = json!({"name": name, "permissions": 0, "mentionable": true});
        let made = self.http.create_role(self.guild, &body, Some(&say!("discord-setup"))).await;
        made.map(|role| role.id.get()).map_err(|error| Problem::of(&error).into())
    }

    /// Registers all commands in the guild. How many there are.
    ///
    /// # Errors
    /// If Discord refuses, and what helps.
    pub async fn register(&self, application: u64) -> Result<usize, SetupError> {
        self.http.set_application_id(application.into());
        let commands = slash::commands();
        Ok(call(|| self.http.create_guild_commands(self.guild, &commands)).await?.len())
    }

    /// Says hello in a channel.
    ///
    /// # Errors
    /// If Discord refuses, and what helps.
    pub async fn hello(&self, channel: u64, text: &str) -> Result<(), SetupError> {
        let body = json!({
            "embeds": [{
                "description": text, "color": render::Tone::Quiet.colour(), "footer": {"text": "setup:hello"},
            }],
            "allowed_mentions": {"parse": []},
            "nonce": render::nonce(&format!("setup:{channel}"), 0),
            "enforce_nonce": true,
        });
        let channel = ChannelId::new(channel);
        call(|| self.http.send_message(channel, Vec::new(), &body)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_asks_for_what_is_needed_and_no_more() {
        insta::assert_snapshot!(invite(1, 2, Threads::Off, false), @"https://discord.com/oauth2/authorize?client_id=1&scope=bot%20applications.commands&permissions=117824&guild_id=2&disable_guild_select=true");
        insta::assert_snapshot!(invite(1, 2, Threads::Off, true), @"https://discord.com/oauth2/authorize?client_id=1&scope=bot%20applications.commands&permissions=268553296&guild_id=2&disable_guild_select=true");
        insta::assert_snapshot!(invite(1, 2, Threads::All, false), @"https://discord.com/oauth2/authorize?client_id=1&scope=bot%20applications.commands&permissions=309237763136&guild_id=2&disable_guild_select=true");
        insta::assert_snapshot!(intents(Threads::Mentions).join(", "), @"GUILDS, GUILD_MESSAGES, GUILD_MESSAGE_REACTIONS");
        insta::assert_snapshot!(intents(Threads::All).join(", "), @"GUILDS, GUILD_MESSAGES, GUILD_MESSAGE_REACTIONS, MESSAGE_CONTENT");
    }
}
