//! The guild itself: what there is, and making channels and roles.

use serde_json::{Value, json};

use super::{
    gateway::CONTENT,
    rest::{Asked, Refusal},
    routes::{Done, absent, complain, known_guild},
    shapes,
    world::{APPLICATION, BOT, Channel, World},
};

/// <https://docs.discord.com/developers/topics/permissions#permissions-bitwise-permission-flags>
const MANAGE_CHANNELS: u64 = 1 << 4;
const MANAGE_ROLES: u64 = 1 << 28;

/// What the bot may everywhere in a guild: what everyone may, and what its roles add.
fn may(world: &World, guild: u64) -> u64 {
    let everyone = world.roles.get(&guild).map_or(0, |role| role.permissions);
    let (_, held) = &world.members[&BOT];
    let held = held.iter().filter_map(|id| world.roles.get(id)).filter(|role| role.guild == guild);
    held.fold(everyone, |all, role| all | role.permissions)
}

fn needs(world: &World, guild: u64, permission: u64) -> Result<(), Refusal> {
    if may(world, guild) & permission == permission {
        return Ok(());
    }
    Err(Refusal(403, 50_013, "Missing Permissions".to_owned()))
}

/// A request about the guild; `None` if it is about something else.
pub(super) fn handle(world: &mut World, asked: &Asked, parts: &[&str], body: &Value) -> Option<Done> {
    let id = |text: &str| text.parse::<u64>().unwrap_or(0);
    let guild = |guild: &str, world: &World| {
        let guild = id(guild);
        known_guild(world, guild)?;
        if world.guilds[&guild] { Ok(guild) } else { Err(absent(10_004, "Guild")) }
    };
    // https://docs.discord.com/developers/resources/application#application-object-application-flags
    let flags = if world.privileged & CONTENT == 0 { 0 } else { 1_u64 << 19 };
    let done = match (asked.method.as_str(), parts) {
        ("GET", ["oauth2", "applications", "@me"]) => Ok(Some(json!({
            "id": APPLICATION.to_string(), "name": "Quarterdeck", "icon": null, "description": "", "bot_public": false,
            "bot_require_code_grant": false, "verify_key": "00", "owner": shapes::user(world, BOT), "team": null,
            "flags": flags, "summary": "", "type": null, "hook": true, "tags": [], "redirect_uris": [],
            "interactions_endpoint_url": null, "integration_types_config": {},
        }))),
        ("GET", ["guilds", it]) => guild(it, world).map(|it| Some(shapes::guild(world, it))),
        ("GET", ["guilds", it, "channels"]) => {
            guild(it, world).map(|it| Some(shapes::guild(world, it)["channels"].clone()))
        }
        ("GET", ["guilds", it, "roles"]) => {
            guild(it, world).map(|it| Some(shapes::guild(world, it)["roles"].clone()))
        }
        ("POST", ["guilds", it, "channels"]) => {
            guild(it, world).and_then(|it| make_channel(world, it, asked, body))
        }
        ("POST", ["guilds", it, "roles"]) => {
            guild(it, world).and_then(|it| make_role(world, it, asked, body))
        }
        _ => return None,
    };
    Some(done)
}

fn make_channel(world: &mut World, guild: u64, asked: &Asked, body: &Value) -> Done {
    needs(world, guild, MANAGE_CHANNELS)?;
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    // https://docs.discord.com/developers/resources/channel#channel-object-channel-structure
    if !(1..=100).contains(&name.chars().count()) {
        wrong.push(format!("a channel's name of {} characters", name.chars().count()));
    }
    if body["topic"].as_str().is_some_and(|topic| topic.chars().count() > 1024) {
        wrong.push("a topic of more than 1024 characters".to_owned());
    }
    complain(world, asked, wrong)?;
    let id = world.snowflake();
    world.channels.insert(id, Channel { guild, name, ..Channel::default() });
    let event = shapes::channel(id, &world.channels[&id]);
    world.dispatch(1, "CHANNEL_CREATE", &event);
    Ok(Some(event))
}

fn make_role(world: &mut World, guild: u64, asked: &Asked, body: &Value) -> Done {
    needs(world, guild, MANAGE_ROLES)?;
    let name = body["name"].as_str().unwrap_or("new role").to_owned();
    let permissions = body["permissions"].as_u64().unwrap_or(0);
    // https://docs.discord.com/developers/topics/permissions#permission-hierarchy: nobody gives what they don't have.
    let wrong = (permissions & !may(world, guild) != 0)
        .then(|| "a role with more than the bot's own permissions".to_owned());
    complain(world, asked, wrong.into_iter().collect())?;
    let id = world.snowflake();
    let mentionable = body["mentionable"] == true;
    world.roles.insert(id, super::world::Role { guild, name, permissions, mentionable });
    let role = shapes::role(id, &world.roles[&id]);
    world.dispatch(1, "GUILD_ROLE_CREATE", &json!({"guild_id": guild.to_string(), "role": role}));
    Ok(Some(role))
}
