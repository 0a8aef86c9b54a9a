//! The guild itself: what there is, and making channels and roles.

use serde_json::{Value, json};

use super::{
    rest::{Asked, Refusal},
    routes::{Done, absent, complain, known_guild},
    shapes,
    world::{APPLICATION, BOT, Channel, GUILD, World},
};

/// <https://docs.discord.com/developers/topics/permissions#permissions-bitwise-permission-flags>
const MANAGE_CHANNELS: u64 = 1 << 4;
const MANAGE_ROLES: u64 = 1 << 28;

/// What the bot may everywhere: what everyone may, and what its roles add.
fn may(world: &World) -> u64 {
    let everyone = world.roles.get(&GUILD).map_or(0, |role| role.permissions);
    let (_, held) = &world.members[&BOT];
    held.iter().filter_map(|id| world.roles.get(id)).fold(everyone, |all, role| all | role.permissions)
}

fn needs(world: &World, permission: u64) -> Result<(), Refusal> {
    if may(world) & permission == permission {
        return Ok(());
    }
    Err(Refusal(403, 50_013, "Missing Permissions".to_owned()))
}

/// A request about the guild; `None` if it is about something else.
pub(super) fn handle(world: &mut World, asked: &Asked, parts: &[&str], body: &Value) -> Option<Done> {
    let id = |text: &str| text.parse::<u64>().unwrap_or(0);
    let guild = |guild: &str, world: &World| {
        known_guild(id(guild))?;
        if world.invited { Ok(()) } else { Err(absent(10_004, "Guild")) }
    };
    let done = match (asked.method.as_str(), parts) {
        ("GET", ["oauth2", "applications", "@me"]) => Ok(Some(json!({
            "id": APPLICATION.to_string(), "name": "Quarterdeck", "icon": null, "description": "", "bot_public": false,
            "bot_require_code_grant": false, "verify_key": "00", "owner": shapes::user(world, BOT), "team": null,
            "flags": 0, "summary": "", "type": null, "hook": true, "tags": [], "redirect_uris": [],
            "interactions_endpoint_url": null, "integration_types_config": {},
        }))),
        ("GET", ["guilds", it]) => guild(it, world).map(|()| Some(shapes::guild(world))),
        ("GET", ["guilds", it, "channels"]) => {
            guild(it, world).map(|()| Some(shapes::guild(world)["channels"].clone()))
        }
        ("GET", ["guilds", it, "roles"]) => {
            guild(it, world).map(|()| Some(shapes::guild(world)["roles"].clone()))
        }
        ("POST", ["guilds", it, "channels"]) => {
            guild(it, world).and_then(|()| make_channel(world, asked, body))
        }
        ("POST", ["guilds", it, "roles"]) => guild(it, world).and_then(|()| make_role(world, asked, body)),
        _ => return None,
    };
    Some(done)
}

fn make_channel(world: &mut World, asked: &Asked, body: &Value) -> Done {
    needs(world, MANAGE_CHANNELS)?;
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
    world.channels.insert(id, Channel { name, ..Channel::default() });
    let event = shapes::channel(id, &world.channels[&id]);
    world.dispatch(1, "CHANNEL_CREATE", &event);
    Ok(Some(event))
}

fn make_role(world: &mut World, asked: &Asked, body: &Value) -> Done {
    needs(world, MANAGE_ROLES)?;
    let name = body["name"].as_str().unwrap_or("new role").to_owned();
    let permissions = body["permissions"].as_u64().unwrap_or(0);
    // https://docs.discord.com/developers/topics/permissions#permission-hierarchy: nobody gives what they don't have.
    let wrong = (permissions & !may(world) != 0)
        .then(|| "a role with more than the bot's own permissions".to_owned());
    complain(world, asked, wrong.into_iter().collect())?;
    let id = world.snowflake();
    let mentionable = body["mentionable"] == true;
    world.roles.insert(id, super::world::Role { name, permissions, mentionable });
    let role = shapes::role(id, &world.roles[&id]);
    world.dispatch(1, "GUILD_ROLE_CREATE", &json!({"guild_id": GUILD.to_string(), "role": role}));
    Ok(Some(role))
}
