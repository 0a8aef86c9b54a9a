//! What is true in the fake guild.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{buckets::Buckets, gateway::Session, shapes};

/// The bot's application.
pub const APPLICATION: u64 = 1_000_000_000_000_000_001;
/// The bot's user.
pub const BOT: u64 = 1_000_000_000_000_000_002;
/// The one guild.
pub const GUILD: u64 = 1_000_000_000_000_000_003;
/// The bot's token. No real one looks like it.
pub const TOKEN: &str = "MTAwMDAwMDAwMDAwMDAwMDAwMg.fake.this-is-not-a-real-token-at-all";

#[derive(Debug)]
pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) roles: BTreeMap<u64, Role>,
    /// Name and roles.
    pub(super) members: BTreeMap<u64, (String, Vec<u64>)>,
    pub(super) channels: BTreeMap<u64, Channel>,
    pub(super) interactions: BTreeMap<u64, Interaction>,
    /// Those of each guild.
    pub(super) commands: BTreeMap<u64, Vec<Value>>,
    /// What went up, by the attachment's id.
    pub(super) files: BTreeMap<u64, Vec<u8>>,
    pub(super) sessions: Vec<Session>,
    pub(super) buckets: Buckets,
    /// Status codes that the next requests get instead of an answer.
    pub(super) faults: VecDeque<u16>,
    /// What Discord would not have understood.
    pub(super) complaints: Vec<String>,
    pub(super) requests: Vec<String>,
    /// Pings so far.
    pub(super) mentions: usize,
    /// How far the clock was put forward.
    pub(super) ahead: Duration,
    /// The guilds, and whether the bot is in each.
    pub(super) guilds: BTreeMap<u64, bool>,
    /// What people attached, by its path.
    pub(super) given: BTreeMap<String, (String, Vec<u8>)>,
    /// Whether the gateway lets nobody in.
    pub(super) shut: bool,
    /// Whether heartbeats stay without an answer.
    pub(super) mute: bool,
    /// Milliseconds between heartbeats.
    pub(super) heartbeat: u64,
    /// Privileged intents that the application has: message content, members.
    pub(super) privileged: u64,
    next: u64,
}

/// A role.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) guild: u64,
    pub(super) name: String,
    pub(super) permissions: u64,
    pub(super) mentionable: bool,
}

/// A text channel, or a thread.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) guild: u64,
    pub(super) name: String,
    /// The channel that it is a thread of.
    pub(super) parent: Option<u64>,
    /// Permissions that the bot is refused there.
    pub(super) denied: u64,
    /// As Discord answers them, but for reactions.
    pub(super) messages: BTreeMap<u64, Value>,
    /// Mark to users, in order, of a message.
    pub(super) reactions: HashMap<u64, Vec<(String, Vec<u64>)>>,
    pub(super) nonces: HashMap<String, (u64, Instant)>,
}

/// Something that a person did and the bot has to answer.
#[derive(Debug)]
pub(super) struct Interaction {
    pub(super) token: String,
    pub(super) kind: u64,
    pub(super) user: u64,
    pub(super) channel: u64,
    pub(super) message: Option<u64>,
    /// On the fake clock.
    pub(super) at: Duration,
    /// The type of the callback, once given.
    pub(super) callback: Option<u64>,
    /// What was answered, as the person sees it.
    pub(super) answer: Option<Value>,
    pub(super) files: Vec<(String, String)>,
}

impl World {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            roles: BTreeMap::from([(
                GUILD,
                Role {
                    guild: GUILD,
                    name: "@everyone".to_owned(),
                    permissions: shapes::EVERYONE,
                    mentionable: false,
                },
            )]),
            members: BTreeMap::from([(BOT, ("Quarterdeck".to_owned(), Vec::new()))]),
            channels: BTreeMap::new(),
            interactions: BTreeMap::new(),
            commands: BTreeMap::new(),
            files: BTreeMap::new(),
            sessions: Vec::new(),
            buckets: Buckets::default(),
            faults: VecDeque::new(),
            complaints: Vec::new(),
            requests: Vec::new(),
            mentions: 0,
            ahead: Duration::ZERO,
            guilds: BTreeMap::from([(GUILD, true)]),
            given: BTreeMap::new(),
            shut: false,
            mute: false,
            heartbeat: 41_250,
            privileged: 0,
            next: 1_100_000_000_000_000_000,
        }
    }

    /// A new snowflake, greater than all before.
    pub(super) fn snowflake(&mut self) -> u64 {
        self.next += 1 << 22;
        self.next
    }

    /// The fake clock, from an arbitrary beginning.
    pub(super) fn clock(&self) -> Duration {
        use std::sync::OnceLock;
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        BEGIN.get_or_init(Instant::now).elapsed() + self.ahead
    }

    /// A message with its reactions, as Discord answers it.
    pub(super) fn message(&self, channel: u64, id: u64) -> Option<Value> {
        let channel = self.channels.get(&channel)?;
        let mut message = channel.messages.get(&id)?.clone();
        let reactions: Vec<Value> = channel
            .reactions
            .get(&id)
            .into_iter()
            .flatten()
            .filter(|(_, users)| !users.is_empty())
            .map(|(mark, users)| {
                json!({"count": users.len(), "count_details": {"burst": 0, "normal": users.len()},
                    "burst_colors": [], "me_burst": false, "burst_me": false, "burst_count": 0,
                    "me": users.contains(&BOT), "emoji": {"id": null, "name": mark}})
            })
            .collect();
        if !reactions.is_empty() {
            message["reactions"] = Value::Array(reactions);
        }
        Some(message)
    }

    /// Keeps a new message of the bot and counts its pings.
    pub(super) fn post(&mut self, channel: u64, body: &Value, webhook: bool) -> Value {
        let id = self.snowflake();
        self.mentions += pings(body);
        let message = shapes::message(self, id, channel, body, webhook);
        self.channels.get_mut(&channel).unwrap().messages.insert(id, message.clone());
        message
    }

    /// Sends an event to everybody who asked for it, and keeps it for those who resume.
    pub(super) fn dispatch(&mut self, intent: u64, event: &str, data: &Value) {
        for session in &mut self.sessions {
            session.dispatch(intent, event, data);
        }
    }

    /// The guild of a channel.
    pub(super) fn guild_of(&self, channel: u64) -> u64 {
        self.channels.get(&channel).map_or(GUILD, |known| known.guild)
    }

    /// Whether the bot is in the guild of a channel.
    pub(super) fn is_in(&self, channel: u64) -> bool {
        self.guilds.get(&self.guild_of(channel)).copied().unwrap_or(false)
    }

    /// What the bot is refused there: in a thread, what it is refused in the channel of it.
    pub(super) fn denied(&self, channel: u64) -> u64 {
        let known = self.channels.get(&channel);
        let above = known.and_then(|known| known.parent).and_then(|parent| self.channels.get(&parent));
        above.or(known).map_or(0, |known| known.denied)
    }

    /// Tells of a new message; what it says, to those alone who may know.
    pub(super) fn tell(&mut self, event: &Value) {
        let bare = without_content(event);
        for session in &mut self.sessions {
            let told = if session.reads() { event } else { &bare };
            session.dispatch(1 << 9, "MESSAGE_CREATE", told);
        }
    }

    pub(super) fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }
}

/// A message as it is told to who has not the intent for content: unless it is the bot's own, or mentions the bot.
/// <https://docs.discord.com/developers/events/gateway#message-content-intent>
pub(super) fn without_content(message: &Value) -> Value {
    let bot = BOT.to_string();
    let mentions = message["mentions"].as_array();
    let told = mentions.is_some_and(|users| users.iter().any(|user| user["id"] == bot));
    let mut message = message.clone();
    if message["author"]["id"] != bot && !told {
        message["content"] = Value::from("");
        for field in ["embeds", "attachments", "components"] {
            message[field] = json!([]);
        }
    }
    message
}

/// How many pings a message makes: what its content names, as far as `allowed_mentions` lets it. Embeds never ping.
/// <https://docs.discord.com/developers/resources/message#allowed-mentions-object>
fn pings(body: &Value) -> usize {
    let content = body["content"].as_str().unwrap_or_default();
    let allowed = &body["allowed_mentions"];
    let parse = |what: &str| {
        allowed.is_null()
            || allowed["parse"].as_array().is_some_and(|list| list.iter().any(|item| item == what))
    };
    let named = |list: &str, id: &str| {
        allowed[list].as_array().is_some_and(|ids| ids.iter().any(|known| known == id))
    };
    let mut count = 0;
    for word in ["@everyone", "@here"] {
        count += usize::from(parse("everyone") && content.contains(word));
    }
    for part in content.split("<@").skip(1) {
        let Some((inner, _)) = part.split_once('>') else { continue };
        count += match inner.strip_prefix('&') {
            Some(role) => usize::from(parse("roles") || named("roles", role)),
            None => usize::from(parse("users") || named("users", inner.trim_start_matches('!'))),
        };
    }
    count
}
