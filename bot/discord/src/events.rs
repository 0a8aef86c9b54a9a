//! The gateway: events go to `hears`, deletions to the registry. The library reconnects and resumes.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use qd_core::chat::Commands;
use qd_text::say;
use serenity::{
    all::{
        ChannelId, ClientBuilder, Context, Event, EventHandler, GatewayIntents, Guild, GuildChannel, GuildId,
        Interaction, Message, MessageId, PartialGuildChannel, RawEventHandler, Reaction, Ready, ResumedEvent,
        UnavailableGuild,
    },
    gateway::{GatewayError, ShardManager},
};

use crate::{
    Discord, DiscordError, Threads,
    calls::{Problem, call},
    discord::http,
    slash,
};

/// Before what could not be read is read again, doubled each time, and the longest.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(300);

/// No privileged intent: what people write in channels is not read.
const INTENTS: GatewayIntents = GatewayIntents::GUILDS
    .union(GatewayIntents::GUILD_MESSAGES)
    .union(GatewayIntents::GUILD_MESSAGE_REACTIONS);

/// What the bot has to be told. What people write is told only where everything in threads is to be heard.
pub(crate) fn intents(threads: Threads) -> GatewayIntents {
    match threads {
        Threads::All => INTENTS.union(GatewayIntents::MESSAGE_CONTENT),
        Threads::Off | Threads::Mentions => INTENTS,
    }
}

/// What helps where the gateway does not let the bot in.
fn ended(error: serenity::Error) -> DiscordError {
    DiscordError::Gateway(match error {
        serenity::Error::Gateway(GatewayError::DisallowedGatewayIntents) => {
            say!("discord-may-not-read")
        }
        serenity::Error::Gateway(GatewayError::InvalidAuthentication) => {
            say!("discord-token")
        }
        other => other.to_string(),
    })
}

struct Handler {
    discord: Discord,
    commands: Arc<dyn Commands>,
}

pub(crate) async fn run(discord: Discord, commands: Arc<dyn Commands>) -> Result<(), DiscordError> {
    let config = &discord.inner.config;
    let http = http(&config.token, config.address.as_deref());
    let intents = intents(config.threads);
    let handler = Handler { discord, commands };
    let client = ClientBuilder::new_with_http(http, intents).event_handler(handler).raw_event_handler(Unread);
    let mut client = client.await.map_err(ended)?;
    let _stop = Stop(client.shard_manager.clone());
    client.start().await.map_err(ended)
}

/// What is heard, as Discord calls it. Other kinds come and go without a loss.
const HEARD: [&str; 9] = [
    "READY",
    "INTERACTION_CREATE",
    "MESSAGE_CREATE",
    "MESSAGE_DELETE",
    "MESSAGE_DELETE_BULK",
    "MESSAGE_REACTION_ADD",
    "MESSAGE_REACTION_REMOVE",
    "GUILD_CREATE",
    "GUILD_DELETE",
];

/// The library drops an event that misses a field without a word: it is said here.
struct Unread;

#[async_trait]
impl RawEventHandler for Unread {
    async fn raw_event(&self, _: Context, event: Event) {
        if let Event::Unknown(event) = event
            && HEARD.contains(&event.kind.as_str())
        {
            tracing::error!(kind = event.kind, "Discord told of something that can't be read");
        }
    }
}

/// The library's connection has a task of its own: it ends when ours does.
struct Stop(Arc<ShardManager>);

impl Drop for Stop {
    fn drop(&mut self) {
        let manager = self.0.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { manager.shutdown_all().await });
        }
    }
}

impl Handler {
    /// Registers the commands in every guild. Whether that need not be tried again.
    async fn register(&self) -> bool {
        let (inner, commands, mut done) = (&self.discord.inner, slash::commands(), true);
        for guild in inner.config.guild_ids() {
            let guild = GuildId::new(guild);
            if let Err(problem) = call(|| inner.http.create_guild_commands(guild, &commands)).await {
                done &= !matches!(problem, Problem::Later(_));
                tracing::error!(%guild, problem = problem.text(), "commands could not be registered");
            }
        }
        done
    }
}

#[async_trait]
impl EventHandler for Handler {
    /// A new session: what happened before it is not told, so it is read.
    async fn ready(&self, _: Context, ready: Ready) {
        let inner = &self.discord.inner;
        inner.http.set_application_id(ready.application.id);
        let session = inner.session.fetch_add(1, Ordering::Relaxed) + 1;
        let (mut registered, mut read, mut pause) = (false, false, PAUSE);
        loop {
            registered = registered || self.register().await;
            read = read || self.discord.catch_up(&self.commands).await;
            if registered && read {
                return;
            }
            // Discord has a bad hour. What it did not say now is asked again, unless a new session does.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
            if inner.session.load(Ordering::Relaxed) != session {
                return;
            }
        }
    }

    async fn resume(&self, _: Context, _: ResumedEvent) {
        tracing::info!("resumed; what was missed is told again");
    }

    async fn interaction_create(&self, _: Context, interaction: Interaction) {
        self.discord.hear(&self.commands, interaction).await;
    }

    async fn reaction_add(&self, _: Context, reaction: Reaction) {
        if let (Some(user), Some(guild)) = (reaction.user_id, self.discord.ours(reaction.guild_id)) {
            let (from, mark) = ((user.get(), guild), reaction.emoji.to_string());
            self.discord.reacted(&self.commands, reaction.message_id.get(), from, &mark).await;
        }
    }

    async fn reaction_remove(&self, _: Context, reaction: Reaction) {
        if let Some(user) = reaction.user_id {
            self.discord.unreacted(reaction.message_id.get(), user.get(), &reaction.emoji.to_string());
        }
    }

    async fn message(&self, _: Context, message: Message) {
        self.discord.wrote(&self.commands, &message).await;
    }

    async fn message_delete(&self, _: Context, _: ChannelId, id: MessageId, _: Option<GuildId>) {
        self.discord.gone(&self.commands, id.get()).await;
    }

    async fn message_delete_bulk(&self, _: Context, _: ChannelId, ids: Vec<MessageId>, _: Option<GuildId>) {
        for id in ids {
            self.discord.gone(&self.commands, id.get()).await;
        }
    }

    async fn thread_delete(&self, _: Context, thread: PartialGuildChannel, _: Option<GuildChannel>) {
        self.discord.registry().no_thread(thread.id.get());
    }

    async fn guild_create(&self, _: Context, guild: Guild, _: Option<bool>) {
        // What could not be shown while the bot was not there is shown now.
        if self.discord.entered(guild.id.get()) {
            self.commands.show_again().await;
        }
    }

    async fn guild_delete(&self, _: Context, guild: UnavailableGuild, _: Option<Guild>) {
        // A guild that is unavailable has an outage; the bot is still in it.
        if !guild.unavailable && self.discord.left(guild.id.get()) {
            tracing::error!(guild = %guild.id, "{}", say!("discord-absent"));
        }
    }
}
