//! Discord's objects, complete: clients drop an event that misses a field without a word.

use serde_json::{Value, json};

use super::world::{APPLICATION, BOT, Channel, GUILD, Role, World};

/// Whose guild it is: nobody who takes part.
const OWNER: u64 = 1_000_000_000_000_000_009;

/// What everyone may: view channels, send messages, embed links, attach files, read history, add reactions, use commands, make
/// public threads, send messages in threads.
pub(super) const EVERYONE: u64 =
    1 << 10 | 1 << 11 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 6 | 1 << 31 | 1 << 35 | 1 << 38;

const BEGAN: &str = "2026-01-02T03:04:05.000000+00:00";

pub(super) fn user(world: &World, id: u64) -> Value {
    let name = world.members.get(&id).map_or("gone", |(name, _)| name.as_str());
    json!({"id": id.to_string(), "username": name, "discriminator": "0", "global_name": name, "avatar": null,
        "bot": id == BOT, "public_flags": 0, "flags": 0, "primary_guild": null, "banner": null, "accent_color": null})
}

pub(super) fn member(world: &World, guild: u64, id: u64) -> Value {
    let here = |role: &&u64| world.roles.get(role).is_some_and(|known| known.guild == guild);
    let roles: Vec<String> = world
        .members
        .get(&id)
        .map(|(_, roles)| roles.iter().filter(here).map(u64::to_string).collect())
        .unwrap_or_default();
    json!({"user": user(world, id), "nick": null, "avatar": null, "banner": null, "roles": roles, "joined_at": BEGAN,
        "premium_since": null, "deaf": false, "mute": false, "flags": 0, "pending": false,
        "communication_disabled_until": null})
}

pub(super) fn role(id: u64, known: &Role) -> Value {
    json!({"id": id.to_string(), "name": known.name, "description": null, "permissions": known.permissions.to_string(), "position": 0,
        "color": 0, "colors": {"primary_color": 0, "secondary_color": null, "tertiary_color": null}, "hoist": false,
        "managed": false, "mentionable": known.mentionable, "icon": null, "unicode_emoji": null, "flags": 0})
}

pub(super) fn channel(id: u64, known: &Channel) -> Value {
    if let Some(parent) = known.parent {
        return thread(id, known, parent);
    }
    let denied = json!({"id": BOT.to_string(), "type": 1, "allow": "0", "deny": known.denied.to_string()});
    let overwrites = if known.denied == 0 { json!([]) } else { json!([denied]) };
    json!({"id": id.to_string(), "type": 0, "guild_id": known.guild.to_string(), "name": known.name, "position": 0,
        "permission_overwrites": overwrites, "nsfw": false, "parent_id": null, "topic": null, "last_message_id": null,
        "rate_limit_per_user": 0, "flags": 0})
}

/// A public thread. <https://docs.discord.com/developers/topics/threads>
fn thread(id: u64, known: &Channel, parent: u64) -> Value {
    let count = known.messages.len();
    json!({"id": id.to_string(), "type": 11, "guild_id": known.guild.to_string(), "name": known.name,
        "parent_id": parent.to_string(), "owner_id": BOT.to_string(), "last_message_id": null, "flags": 0,
        "rate_limit_per_user": 0, "message_count": count, "total_message_sent": count, "member_count": 1,
        "thread_metadata": {"archived": false, "auto_archive_duration": 10080, "archive_timestamp": BEGAN,
            "locked": false, "create_timestamp": BEGAN}})
}

pub(super) fn guild(world: &World, guild: u64) -> Value {
    let roles = world.roles.iter().filter(|(_, known)| known.guild == guild);
    let roles: Vec<Value> = roles.map(|(id, known)| role(*id, known)).collect();
    let all = || world.channels.iter().filter(|(_, known)| known.guild == guild);
    let shown = |(id, known): (&u64, &Channel)| channel(*id, known);
    let channels: Vec<Value> = all().filter(|(_, known)| known.parent.is_none()).map(shown).collect();
    let threads: Vec<Value> = all().filter(|(_, known)| known.parent.is_some()).map(shown).collect();
    let name = if guild == GUILD { "fleet" } else { "other" };
    json!({"id": guild.to_string(), "name": name, "icon": null, "splash": null, "discovery_splash": null,
        "owner_id": OWNER.to_string(), "afk_channel_id": null, "afk_timeout": 300, "verification_level": 1,
        "default_message_notifications": 1, "explicit_content_filter": 0, "roles": roles, "emojis": [], "features": [],
        "mfa_level": 0, "application_id": null, "system_channel_id": null, "system_channel_flags": 0,
        "rules_channel_id": null, "vanity_url_code": null, "description": null, "banner": null, "premium_tier": 0,
        "premium_subscription_count": 0, "preferred_locale": "en-US", "public_updates_channel_id": null,
        "nsfw_level": 0, "stickers": [], "premium_progress_bar_enabled": false, "safety_alerts_channel_id": null,
        "joined_at": BEGAN, "large": false, "unavailable": false, "member_count": world.members.len(),
        "voice_states": [], "members": [member(world, guild, BOT)], "channels": channels, "threads": threads, "presences": [],
        "stage_instances": [], "guild_scheduled_events": [], "soundboard_sounds": [], "region": "deprecated",
        "nsfw": false, "incidents_data": null})
}

/// As Discord writes it.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

pub(super) fn message(world: &World, id: u64, channel: u64, body: &Value, webhook: bool) -> Value {
    let embeds: Vec<Value> = body["embeds"].as_array().cloned().unwrap_or_default();
    let mut message = json!({"id": id.to_string(), "channel_id": channel.to_string(), "author": user(world, BOT),
        "content": body["content"].as_str().unwrap_or_default(), "timestamp": now(), "edited_timestamp": null,
        "tts": false, "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [],
        "embeds": embeds.into_iter().map(embed).collect::<Vec<_>>(), "pinned": false, "type": if webhook { 20 } else { 0 },
        "flags": body["flags"].as_u64().unwrap_or(0), "components": numbered(&body["components"])});
    if webhook {
        message["webhook_id"] = Value::from(APPLICATION.to_string());
        message["application_id"] = Value::from(APPLICATION.to_string());
    }
    if !body["message_reference"].is_null() {
        message["type"] = Value::from(19);
        message["message_reference"] = json!({"type": 0, "message_id": body["message_reference"]["message_id"],
            "channel_id": channel.to_string(), "guild_id": world.guild_of(channel).to_string()});
    }
    if !body["nonce"].is_null() {
        message["nonce"] = body["nonce"].clone();
    }
    message
}

/// An embed as it is answered: of the type `rich`.
pub(super) fn embed(mut embed: Value) -> Value {
    embed["type"] = Value::from("rich");
    embed
}

/// Components as they are answered: each has a number.
pub(super) fn numbered(components: &Value) -> Value {
    let mut rows = components.as_array().cloned().unwrap_or_default();
    let mut next = 0;
    for row in &mut rows {
        next += 1;
        row["id"] = Value::from(next);
        for item in row["components"].as_array_mut().into_iter().flatten() {
            next += 1;
            item["id"] = Value::from(next);
        }
    }
    Value::Array(rows)
}

/// An interaction as the gateway tells it.
pub(super) fn interaction(world: &World, id: u64, data: &Value) -> Value {
    let known = &world.interactions[&id];
    let guild = world.guild_of(known.channel);
    let mut member = member(world, guild, known.user);
    member["permissions"] = Value::from(EVERYONE.to_string());
    let mut interaction = json!({"id": id.to_string(), "application_id": APPLICATION.to_string(), "type": known.kind,
        "data": data, "guild_id": guild.to_string(), "guild": {"id": guild.to_string(), "locale": "en-US", "features": []},
        "channel": channel(known.channel, &world.channels[&known.channel]),
        "channel_id": known.channel.to_string(), "member": member, "token": known.token, "version": 1,
        "app_permissions": EVERYONE.to_string(), "locale": "en-US", "guild_locale": "en-US", "entitlements": [],
        "entitlement_sku_ids": [], "authorizing_integration_owners": {"0": guild.to_string()}, "context": 0,
        "attachment_size_limit": 10_485_760});
    if let Some(message) = known.message.and_then(|message| world.message(known.channel, message)) {
        interaction["message"] = message;
    }
    interaction
}

/// The first event of a session.
pub(super) fn ready(world: &World, session: &str) -> Value {
    let mut me = user(world, BOT);
    me["verified"] = Value::from(true);
    me["mfa_enabled"] = Value::from(true);
    me["email"] = Value::Null;
    let guilds = world.guilds.iter().filter(|(_, invited)| **invited);
    let guilds: Vec<Value> =
        guilds.map(|(id, _)| json!({"id": id.to_string(), "unavailable": true})).collect();
    json!({"v": 10, "user": me, "guilds": guilds, "session_id": session,
        "resume_gateway_url": format!("ws://{}/gateway-ws", world.address), "session_type": "normal",
        "shard": [0, 1], "application": {"id": APPLICATION.to_string(), "flags": 0}, "private_channels": [],
        "relationships": [], "presences": [], "guild_join_requests": [], "user_settings": {}, "auth": {}})
}
