//! What each request does. A path that is not here is a complaint, whatever Discord's description says of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    files,
    gateway::CONTENT,
    guild, limits,
    rest::{Asked, Refusal},
    shapes,
    world::{APPLICATION, BOT, Channel, World, without_content},
};

/// An answer has to begin within this.
/// <https://docs.discord.com/developers/interactions/receiving-and-responding#followup-messages>
const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// And may be changed and added to within this.
const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long a nonce is remembered; Discord says "a few minutes".
const NONCE_LIFE: Duration = Duration::from_secs(300);
/// What the gateway tells reactions and messages under.
const REACTIONS: u64 = 1 << 10;
const MESSAGES: u64 = 1 << 9;
/// <https://docs.discord.com/developers/topics/permissions#permissions-bitwise-permission-flags>
const ADD_REACTIONS: u64 = 1 << 6;
const VIEW_CHANNEL: u64 = 1 << 10;
const SEND_MESSAGES: u64 = 1 << 11;
const EMBED_LINKS: u64 = 1 << 14;
const READ_HISTORY: u64 = 1 << 16;
const ATTACH_FILES: u64 = 1 << 15;
const CREATE_THREADS: u64 = 1 << 35;
const SEND_IN_THREADS: u64 = 1 << 38;

pub(super) type Done = Result<Option<Value>, Refusal>;

pub(super) fn absent(code: u32, what: &str) -> Refusal {
    Refusal(404, code, format!("Unknown {what}"))
}

pub(super) fn handle(world: &mut World, asked: &Asked) -> Done {
    let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
    let body = asked.body.clone().unwrap_or(Value::Null);
    let id = |text: &str| text.parse::<u64>().unwrap_or(0);
    if let Some(done) = guild::handle(world, asked, &parts, &body) {
        return done;
    }
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["gateway"]) => Ok(Some(json!({"url": url(world)}))),
        ("GET", ["gateway", "bot"]) => {
            Ok(Some(json!({"url": url(world), "shards": 1, "session_start_limit":
            {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}})))
        }
        ("GET", ["users", "@me"]) => {
            let mut me = shapes::user(world, BOT);
            me["mfa_enabled"] = Value::from(true);
            Ok(Some(me))
        }
        ("GET", ["guilds", guild, "members", user]) => {
            let (guild, user) = (id(guild), id(user));
            known_guild(world, guild)?;
            if !world.members.contains_key(&user) {
                return Err(absent(10_007, "Member"));
            }
            Ok(Some(shapes::member(world, guild, user)))
        }
        ("PUT", ["applications", application, "guilds", guild, "commands"]) => {
            known_guild(world, id(guild))?;
            if id(application) != APPLICATION {
                return Err(absent(10_002, "Application"));
            }
            complain(world, asked, limits::commands(&body))?;
            commands(world, id(guild), &body)
        }
        ("POST", ["interactions", interaction, token, "callback"]) => {
            callback(world, asked, id(interaction), token, &body)
        }
        ("PATCH", ["webhooks", application, token, "messages", "@original"]) => {
            edit_answer(world, asked, id(application), token, &body)
        }
        ("POST", ["webhooks", application, token]) => {
            complain(world, asked, limits::message(&body, false))?;
            let interaction = answered(world, id(application), token)?;
            let channel = world.interactions[&interaction].channel;
            world.interactions.get_mut(&interaction).unwrap().files.extend(asked.files.clone());
            let message = world.snowflake();
            Ok(Some(shapes::message(world, message, channel, &body, true)))
        }
        (_, ["channels", channel, "messages", rest @ ..]) => {
            let channel = id(channel);
            let known = world.channels.get(&channel).ok_or_else(|| absent(10_003, "Channel"))?;
            let (denied, is_thread) = (world.denied(channel), known.parent.is_some());
            if denied & VIEW_CHANNEL != 0 || !world.is_in(channel) {
                return Err(Refusal(403, 50_001, "Missing Access".to_owned()));
            }
            let needed = match (asked.method.as_str(), rest) {
                ("POST", []) if is_thread => SEND_IN_THREADS | EMBED_LINKS,
                ("POST", []) => SEND_MESSAGES | EMBED_LINKS,
                ("POST", [_, "threads"]) => CREATE_THREADS,
                // https://docs.discord.com/developers/resources/message#create-reaction
                ("PUT", _) => ADD_REACTIONS | READ_HISTORY,
                // https://docs.discord.com/developers/resources/message#get-channel-message
                ("GET", [_]) => READ_HISTORY,
                _ => 0,
            };
            // https://docs.discord.com/developers/resources/message#create-message: a reply needs what it replies to.
            let replies = asked.method == "POST" && body.get("message_reference").is_some();
            let needed = if replies { needed | READ_HISTORY } else { needed };
            // https://docs.discord.com/developers/resources/message#get-channel-messages: without it, nothing is there.
            if asked.method == "GET" && rest.is_empty() && denied & READ_HISTORY != 0 {
                return Ok(Some(json!([])));
            }
            let needed = if asked.uploads.is_empty() { needed } else { needed | ATTACH_FILES };
            if denied & needed != 0 {
                return Err(Refusal(403, 50_013, "Missing Permissions".to_owned()));
            }
            messages(world, asked, channel, rest, &body)
        }
        _ => {
            let text = format!("unknown route: {} {}", asked.method, asked.path);
            world.complain(text.clone());
            Err(Refusal(404, 0, text))
        }
    }
}

fn url(world: &World) -> String {
    format!("ws://{}/gateway-ws", world.address)
}

pub(super) fn known_guild(world: &World, guild: u64) -> Result<(), Refusal> {
    if world.guilds.contains_key(&guild) { Ok(()) } else { Err(absent(10_004, "Guild")) }
}

pub(super) fn complain(world: &mut World, asked: &Asked, wrong: Vec<String>) -> Result<(), Refusal> {
    if wrong.is_empty() {
        return Ok(());
    }
    let text = format!("{} {}: {}", asked.method, asked.path, wrong.join("; "));
    world.complain(text.clone());
    Err(Refusal(400, 50_035, text))
}

fn messages(world: &mut World, asked: &Asked, channel: u64, rest: &[&str], body: &Value) -> Done {
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    let query = |name: &str| asked.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if let Some(message) = rest.first().map(|text| number(text))
        && !world.channels[&channel].messages.contains_key(&message)
    {
        return Err(absent(10_008, "Message"));
    }
    match (asked.method.as_str(), rest) {
        ("GET", []) => {
            // https://docs.discord.com/developers/resources/message#get-channel-messages: one of them at a time, 1 to 100.
            let (before, after) = (query("before").map(number), query("after").map(number));
            let limit = query("limit").map_or(50, number);
            let mut wrong = Vec::new();
            if before.is_some() && after.is_some() || query("around").is_some() {
                wrong.push("more than one of before and after, or around".to_owned());
            }
            if !(1..=100).contains(&limit) {
                wrong.push(format!("a limit of {limit}"));
            }
            complain(world, asked, wrong)?;
            let (all, limit) = (&world.channels[&channel].messages, usize::try_from(limit).unwrap());
            let from = after.map_or(0, |after| after + 1);
            let found = all.range(from..before.unwrap_or(u64::MAX)).map(|(id, _)| *id);
            // The nearest to what is named, and always the newest first.
            let mut ids: Vec<u64> =
                if after.is_some() { found.take(limit).collect() } else { found.rev().take(limit).collect() };
            ids.sort_unstable_by(|one, other| other.cmp(one));
            Ok(Some(ids.into_iter().filter_map(|id| read(world, channel, id)).collect()))
        }
        ("POST", []) => {
            complain(world, asked, limits::message(body, false))?;
            complain(world, asked, files::wrong(asked, body))?;
            create(world, channel, asked, body)
        }
        ("GET", [message]) => Ok(read(world, channel, number(message))),
        ("POST", [message, "threads"]) => {
            complain(world, asked, limits::thread(body))?;
            begin_thread(world, channel, number(message), body)
        }
        ("PATCH", [message]) => {
            complain(world, asked, limits::message(body, true))?;
            complain(world, asked, files::wrong(asked, body))?;
            edit(world, channel, number(message), asked, body)
        }
        ("DELETE", [message]) => {
            remove(world, channel, number(message));
            Ok(None)
        }
        ("PUT", [message, "reactions", mark, "@me"]) => {
            react(world, channel, number(message), mark, BOT, true);
            Ok(None)
        }
        // By number of the account, 25 if no other limit is named, after the one that is named.
        // <https://docs.discord.com/developers/resources/message#get-reactions>
        ("GET", [message, "reactions", mark]) => {
            let (after, limit) = (query("after").map_or(0, number), query("limit").map_or(25, number));
            let mut users: Vec<u64> = world.channels[&channel]
                .reactions
                .get(&number(message))
                .into_iter()
                .flatten()
                .filter(|(known, _)| known == mark)
                .flat_map(|(_, users)| users.clone())
                .filter(|user| *user > after)
                .collect();
            users.sort_unstable();
            users.truncate(usize::try_from(limit).unwrap());
            Ok(Some(users.into_iter().map(|user| shapes::user(world, user)).collect()))
        }
        // Manage messages is what the bot would need to remove other people's reactions; it does not ask for it.
        ("DELETE", [_, "reactions", ..]) => Err(Refusal(403, 50_013, "Missing Permissions".to_owned())),
        _ => {
            let text = format!("unknown route: {} {}", asked.method, asked.path);
            world.complain(text.clone());
            Err(Refusal(404, 0, text))
        }
    }
}

/// A message as the application may read it.
fn read(world: &World, channel: u64, id: u64) -> Option<Value> {
    let message = world.message(channel, id)?;
    Some(if world.privileged & CONTENT == 0 { without_content(&message) } else { message })
}

/// A thread has the id of its message. <https://docs.discord.com/developers/resources/channel#start-thread-from-message>
fn begin_thread(world: &mut World, channel: u64, message: u64, body: &Value) -> Done {
    if world.channels.contains_key(&message) {
        return Err(Refusal(400, 160_004, "A thread has already been created for this message".to_owned()));
    }
    let known = world.channels.get_mut(&channel).unwrap();
    if known.parent.is_some() {
        return Err(Refusal(400, 50_024, "Cannot execute action on this channel type".to_owned()));
    }
    let guild = known.guild;
    let on = known.messages.get_mut(&message).unwrap();
    on["flags"] = Value::from(on["flags"].as_u64().unwrap_or(0) | 1 << 5);
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    let thread = Channel { guild, name, parent: Some(channel), ..Channel::default() };
    let mut event = shapes::channel(message, &thread);
    world.channels.insert(message, thread);
    let answer = event.clone();
    event["newly_created"] = Value::from(true);
    world.dispatch(1, "THREAD_CREATE", &event);
    Ok(Some(answer))
}

fn create(world: &mut World, channel: u64, asked: &Asked, body: &Value) -> Done {
    let nonce = match &body["nonce"] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let known = world.channels.get_mut(&channel).unwrap();
    known.nonces.retain(|_, (_, at)| at.elapsed() < NONCE_LIFE);
    if let (Some(nonce), true) = (&nonce, body["enforce_nonce"] == true)
        && let Some((id, _)) = known.nonces.get(nonce)
    {
        let id = *id;
        return Ok(world.message(channel, id));
    }
    let attachments = files::attach(world, &json!([]), asked, body);
    let mut message = world.post(channel, body, false);
    let id: u64 = message["id"].as_str().unwrap().parse().unwrap();
    if attachments.is_array() {
        message["attachments"] = attachments;
        world.channels.get_mut(&channel).unwrap().messages.insert(id, message.clone());
    }
    if let Some(nonce) = nonce {
        world.channels.get_mut(&channel).unwrap().nonces.insert(nonce, (id, std::time::Instant::now()));
    }
    let event = told(world, channel, BOT, message.clone());
    world.tell(&event);
    Ok(Some(message))
}

/// A new message as the gateway tells it.
pub(super) fn told(world: &World, channel: u64, author: u64, mut event: Value) -> Value {
    let guild = world.guild_of(channel);
    event["guild_id"] = Value::from(guild.to_string());
    event["member"] = shapes::member(world, guild, author);
    event["member"].as_object_mut().unwrap().remove("user");
    event
}

fn edit(world: &mut World, channel: u64, id: u64, asked: &Asked, body: &Value) -> Done {
    let before = world.channels[&channel].messages[&id]["attachments"].clone();
    let attachments = files::attach(world, &before, asked, body);
    let message = world.channels.get_mut(&channel).unwrap().messages.get_mut(&id).unwrap();
    if !body["content"].is_null() {
        message["content"] = body["content"].clone();
    }
    if let Some(embeds) = body["embeds"].as_array() {
        message["embeds"] = embeds.iter().cloned().map(shapes::embed).collect();
    }
    if body["components"].is_array() {
        message["components"] = shapes::numbered(&body["components"]);
    }
    message["attachments"] = attachments;
    message["edited_timestamp"] = Value::from("2026-01-02T03:05:05.000000+00:00");
    Ok(world.message(channel, id))
}

pub(super) fn remove(world: &mut World, channel: u64, id: u64) {
    let guild = world.guild_of(channel).to_string();
    world.channels.get_mut(&channel).unwrap().messages.remove(&id);
    let event = json!({"id": id.to_string(), "channel_id": channel.to_string(), "guild_id": guild});
    world.dispatch(MESSAGES, "MESSAGE_DELETE", &event);
}

/// Adds or takes away a reaction, and tells it if that changed something.
pub(super) fn react(world: &mut World, channel: u64, id: u64, mark: &str, user: u64, add: bool) {
    let guild = world.guild_of(channel);
    let marks = world.channels.get_mut(&channel).unwrap().reactions.entry(id).or_default();
    if !marks.iter().any(|(known, _)| known == mark) {
        marks.push((mark.to_owned(), Vec::new()));
    }
    let users = &mut marks.iter_mut().find(|(known, _)| known == mark).unwrap().1;
    if users.contains(&user) == add {
        return;
    }
    users.retain(|known| *known != user);
    if add {
        users.push(user);
    }
    let mut event = json!({"user_id": user.to_string(), "channel_id": channel.to_string(), "message_id": id.to_string(),
        "guild_id": guild.to_string(), "emoji": {"id": null, "name": mark}, "burst": false, "type": 0});
    if add {
        event["member"] = shapes::member(world, guild, user);
        event["message_author_id"] = Value::from(BOT.to_string());
        event["burst_colors"] = json!([]);
    }
    world.dispatch(REACTIONS, if add { "MESSAGE_REACTION_ADD" } else { "MESSAGE_REACTION_REMOVE" }, &event);
}

fn commands(world: &mut World, guild: u64, list: &Value) -> Done {
    let mut known = Vec::new();
    for command in list.as_array().cloned().unwrap_or_default() {
        let mut command = command;
        command["id"] = Value::from(world.snowflake().to_string());
        command["application_id"] = Value::from(APPLICATION.to_string());
        command["guild_id"] = Value::from(guild.to_string());
        command["version"] = Value::from(world.snowflake().to_string());
        if command["type"].is_null() {
            command["type"] = Value::from(1);
        }
        if command["description"].is_null() {
            command["description"] = Value::from("");
        }
        if command["default_member_permissions"].is_null() {
            command["default_member_permissions"] = Value::Null;
        }
        known.push(command);
    }
    world.commands.insert(guild, known.clone());
    Ok(Some(Value::Array(known)))
}

/// The first answer. Types: 4 message, 5 deferred, 6 deferred edit, 7 edit, 8 choices, 9 modal.
fn callback(world: &mut World, asked: &Asked, id: u64, token: &str, body: &Value) -> Done {
    let now = world.clock();
    let kind = body["type"].as_u64().unwrap_or(0);
    let data = &body["data"];
    let wrong = match kind {
        4 | 7 => limits::message(data, kind == 7),
        5 | 6 => Vec::new(),
        8 => limits::choices(data),
        9 => limits::modal(data),
        other => vec![format!("a callback of type {other}")],
    };
    complain(world, asked, wrong)?;
    let known = world.interactions.get_mut(&id).filter(|known| known.token == token);
    let Some(known) = known.filter(|known| now.saturating_sub(known.at) <= FIRST_ANSWER) else {
        return Err(absent(10_062, "interaction"));
    };
    if known.callback.is_some() {
        return Err(Refusal(400, 40_060, "Interaction has already been acknowledged.".to_owned()));
    }
    // 2 command, 3 component, 4 autocomplete, 5 modal: choices answer autocomplete and nothing else; a modal does not
    // follow a modal.
    let fits = match known.kind {
        4 => kind == 8,
        2 => matches!(kind, 4 | 5 | 9),
        3 => matches!(kind, 4..=7 | 9),
        _ => matches!(kind, 4..=7),
    };
    if !fits {
        let wrong = vec![format!("a callback of type {kind} to an interaction of type {}", known.kind)];
        return complain(world, asked, wrong).map(|()| None);
    }
    known.callback = Some(kind);
    known.files.extend(asked.files.clone());
    if matches!(kind, 4 | 7 | 8 | 9) {
        known.answer = Some(data.clone());
    }
    let pressed = known.message.map(|message| (known.channel, message));
    if let (7, Some((channel, message))) = (kind, pressed) {
        edit(world, channel, message, asked, data)?;
    }
    Ok(None)
}

fn answered(world: &mut World, application: u64, token: &str) -> Result<u64, Refusal> {
    let now = world.clock();
    let found = world.interactions.iter().find(|(_, known)| known.token == token);
    let Some((id, known)) = found.filter(|_| application == APPLICATION) else {
        return Err(absent(10_015, "Webhook"));
    };
    if now.saturating_sub(known.at) > TOKEN_LIFE {
        return Err(Refusal(401, 50_027, "Invalid Webhook Token".to_owned()));
    }
    if known.callback.is_none() {
        return Err(absent(10_015, "Webhook"));
    }
    Ok(*id)
}

fn edit_answer(world: &mut World, asked: &Asked, application: u64, token: &str, body: &Value) -> Done {
    complain(world, asked, limits::message(body, true))?;
    let id = answered(world, application, token)?;
    let known = world.interactions.get_mut(&id).unwrap();
    known.answer = Some(body.clone());
    known.files.extend(asked.files.clone());
    let (channel, pressed) = (known.channel, known.message);
    // The original of an answer that was announced as an edit is the message whose button was pressed.
    if let (Some(6 | 7), Some(message)) = (known.callback, pressed) {
        return edit(world, channel, message, asked, body);
    }
    let message = world.snowflake();
    Ok(Some(shapes::message(world, message, channel, body, true)))
}
