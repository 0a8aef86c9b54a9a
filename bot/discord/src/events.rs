//! The gateway: events go to `hears`, deletions to the registry. The library reconnects and resumes.

use std::sync::Arc;

use async_trait::async_trait;
use qd_core::chat::Commands;
use serenity::{
    all::{
        ChannelId, ClientBuilder, Context, EventHandler, GatewayIntents, GuildId, Interaction, Message,
        MessageId, Reaction, Ready, ResumedEvent,
    },
    gateway::ShardManager,
};

use crate::{Discord, DiscordError, calls::call, discord::http, slash};

/// No privileged intent: what people write in channels is not read.
pub(crate) const INTENTS: GatewayIntents = GatewayIntents::GUILDS
    .union(GatewayIntents::GUILD_MESSAGES)
    .union(GatewayIntents::GUILD_MESSAGE_REACTIONS);

struct Handler {
    discord: Discord,
    commands: Arc<dyn Commands>,
}

pub(crate) async fn run(discord: Discord, commands: Arc<dyn Commands>) -> Result<(), DiscordError> {
    let ended = |error: serenity::Error| DiscordError::Gateway(error.to_string());
    let config = &discord.inner.config;
    let http = http(&config.token, config.address.as_deref());
    let handler = Handler { discord, commands };
    let mut client =
        ClientBuilder::new_with_http(http, INTENTS).event_handler(handler).await.map_err(ended)?;
    let _stop = Stop(client.shard_manager.clone());
    client.start().await.map_err(ended)
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

#[async_trait]
impl EventHandler for Handler {
    /// A new session: what happened before it is not told, so it is read.
    async fn ready(&self, _: Context, ready: Ready) {
        let inner = &self.discord.inner;
        inner.http.set_application_id(ready.application.id);
        let (guild, commands) = (GuildId::new(inner.config.guild), slash::commands());
        if let Err(problem) = call(|| inner.http.create_guild_commands(guild, &commands)).await {
            tracing::error!(problem = problem.text(), "commands could not be registered");
        }
        self.discord.catch_up(&self.commands).await;
    }

    async fn resume(&self, _: Context, _: ResumedEvent) {
        tracing::info!("resumed; what was missed is told again");
    }

    async fn interaction_create(&self, _: Context, interaction: Interaction) {
        self.discord.hear(&self.commands, interaction).await;
    }

    async fn reaction_add(&self, _: Context, reaction: Reaction) {
        if let Some(user) = reaction.user_id {
            let mark = reaction.emoji.to_string();
            self.discord.reacted(&self.commands, reaction.message_id.get(), user.get(), &mark).await;
        }
    }

    async fn reaction_remove(&self, _: Context, reaction: Reaction) {
        if let Some(user) = reaction.user_id {
            self.discord.unreacted(reaction.message_id.get(), user.get(), &reaction.emoji.to_string());
        }
    }

    async fn message(&self, _: Context, message: Message) {
        self.discord.replied(&self.commands, &message).await;
    }

    async fn message_delete(&self, _: Context, _: ChannelId, id: MessageId, _: Option<GuildId>) {
        self.discord.registry().gone(id.get());
    }

    async fn message_delete_bulk(&self, _: Context, _: ChannelId, ids: Vec<MessageId>, _: Option<GuildId>) {
        for id in ids {
            self.discord.registry().gone(id.get());
        }
    }
}
