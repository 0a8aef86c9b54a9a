//! What people and bad days do.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    FakeDiscord, GUILD,
    gateway::{CONTENT, Out},
    routes, shapes,
    world::{BOT, Channel, Interaction, Role, World},
};

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// The wire is cut; the session may be resumed.
    Cut,
    /// Opcode 7: reconnect, and resume.
    Reconnect,
    /// The wire is cut and the session forgotten: resuming is answered by opcode 9.
    Forgotten,
}

/// What a person sees of an interaction, once it is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The type of the first callback: 4 message, 5 deferred, 8 choices, 9 modal.
    pub callback: u64,
    /// The message, choices or modal.
    pub data: Value,
    /// Names and texts of files.
    pub files: Vec<(String, String)>,
}

impl Answer {
    /// The message's words.
    pub fn text(&self) -> &str {
        self.data["content"].as_str().unwrap_or_default()
    }
}

/// <https://docs.discord.com/developers/topics/permissions#permissions-bitwise-permission-flags>
const VIEW_CHANNEL: u64 = 1 << 10;

impl Interaction {
    /// What the person sees of it, once it is answered.
    fn seen(&self) -> Option<Answer> {
        Some(Answer { callback: self.callback?, data: self.answer.clone()?, files: self.files.clone() })
    }
}

impl FakeDiscord {
    /// A new role.
    pub fn add_role(&self, name: &str) -> u64 {
        self.add_role_in(GUILD, name)
    }

    /// A new role of a guild.
    pub fn add_role_in(&self, guild: u64, name: &str) -> u64 {
        self.shared.change(|world| {
            let id = world.snowflake();
            let role = Role { guild, name: name.to_owned(), permissions: 0, mentionable: true };
            world.roles.insert(id, role);
            id
        })
    }

    /// Another guild, which the bot is in. Everybody is a member of it.
    pub fn add_guild(&self) -> u64 {
        self.shared.change(|world| {
            let id = world.snowflake();
            world.guilds.insert(id, true);
            let permissions = shapes::EVERYONE;
            let everyone = Role { guild: id, name: "@everyone".to_owned(), permissions, mentionable: false };
            world.roles.insert(id, everyone);
            id
        })
    }

    /// The application is given the intent for what people write.
    pub fn let_read(&self) {
        self.shared.change(|world| world.privileged |= CONTENT);
    }

    /// A new person with these roles.
    pub fn add_member(&self, name: &str, roles: &[u64]) -> u64 {
        self.shared.change(|world| {
            let id = world.snowflake();
            world.members.insert(id, (name.to_owned(), roles.to_vec()));
            id
        })
    }

    /// A new text channel.
    pub fn add_channel(&self, name: &str) -> u64 {
        self.add_channel_in(GUILD, name)
    }

    /// A new text channel of a guild.
    pub fn add_channel_in(&self, guild: u64, name: &str) -> u64 {
        self.shared.change(|world| {
            let id = world.snowflake();
            world.channels.insert(id, Channel { guild, name: name.to_owned(), ..Channel::default() });
            id
        })
    }

    /// The threads of a channel: id and name.
    pub fn threads(&self, channel: u64) -> Vec<(u64, String)> {
        let world = self.shared.world();
        let threads = world.channels.iter().filter(|(_, known)| known.parent == Some(channel));
        threads.map(|(id, known)| (*id, known.name.clone())).collect()
    }

    /// The gateway ends every connection and lets nobody in, or lets everybody in again. Sessions go on.
    pub fn shut_gateway(&self, shut: bool) {
        self.shared.change(|world| {
            world.shut = shut;
            if shut {
                world.sessions.iter_mut().for_each(|session| session.disconnect(None));
            }
        });
    }

    /// Heartbeats come so often, and from now on stay without an answer, or get one again. What connects later hears of it.
    pub fn mute(&self, mute: bool, heartbeat: Duration) {
        self.shared.change(|world| {
            world.mute = mute;
            world.heartbeat = u64::try_from(heartbeat.as_millis()).unwrap();
        });
    }

    /// Gives a person exactly these roles.
    pub fn set_roles(&self, user: u64, roles: &[u64]) {
        self.shared.change(|world| world.members.get_mut(&user).unwrap().1 = roles.to_vec());
    }

    /// A file that went up with a message, by the attachment's id.
    pub fn file(&self, attachment: u64) -> Option<Vec<u8>> {
        self.shared.world().files.get(&attachment).cloned()
    }

    /// Takes the bot's right to a channel, or gives it back.
    pub fn deny(&self, channel: u64, denied: bool) {
        self.refuse(channel, if denied { VIEW_CHANNEL } else { 0 });
    }

    /// Refuses the bot exactly these permissions in a channel.
    pub fn refuse(&self, channel: u64, permissions: u64) {
        self.shared.change(|world| world.channels.get_mut(&channel).unwrap().denied = permissions);
    }

    /// Gives the bot a role of its own with these permissions, besides what everyone has.
    pub fn permit(&self, permissions: u64) {
        self.shared.change(|world| {
            let id = world.snowflake();
            let name = "Quarterdeck".to_owned();
            let role = Role { guild: GUILD, name, permissions, mentionable: false };
            world.roles.insert(id, role);
            world.members.get_mut(&BOT).unwrap().1 = vec![id];
        });
    }

    /// Puts the bot into the guild, or out of it.
    pub fn invite(&self, invited: bool) {
        self.shared.change(|world| {
            world.guilds.insert(GUILD, invited);
            if invited {
                let event = shapes::guild(world, GUILD);
                world.dispatch(1, "GUILD_CREATE", &event);
            } else {
                // Without `unavailable` it is no outage. https://docs.discord.com/developers/events/gateway-events#guild-delete
                world.dispatch(1, "GUILD_DELETE", &json!({"id": GUILD.to_string(), "unavailable": false}));
            }
        });
    }

    /// The text channels: id and name.
    pub fn channels(&self) -> Vec<(u64, String)> {
        let world = self.shared.world();
        let channels = world.channels.iter().filter(|(_, known)| known.parent.is_none());
        channels.map(|(id, known)| (*id, known.name.clone())).collect()
    }

    /// The people, without the bot: id, name and the roles that they hold.
    pub fn members(&self) -> Vec<(u64, String, Vec<u64>)> {
        let world = self.shared.world();
        let people = world.members.iter().filter(|(id, _)| **id != BOT);
        people.map(|(id, (name, roles))| (*id, name.clone(), roles.clone())).collect()
    }

    /// The roles, without the one that everyone has: id and name.
    pub fn roles(&self) -> Vec<(u64, String)> {
        let world = self.shared.world();
        let roles = world.roles.iter().filter(|(id, role)| **id != role.guild);
        roles.map(|(id, role)| (*id, role.name.clone())).collect()
    }

    /// Who gave a mark to a message.
    pub fn reacted(&self, channel: u64, message: u64, mark: &str) -> Vec<u64> {
        let world = self.shared.world();
        let marks = world.channels.get(&channel).and_then(|known| known.reactions.get(&message));
        let users = marks.into_iter().flatten().filter(|(known, _)| known == mark);
        users.flat_map(|(_, users)| users.clone()).collect()
    }

    /// What was answered to a person alone, newest first: the interaction, and what they see.
    pub fn answers(&self, user: u64, most: usize) -> Vec<(u64, Answer)> {
        let world = self.shared.world();
        let theirs =
            world.interactions.iter().rev().filter(|(_, known)| known.user == user && known.kind != 4);
        theirs.filter_map(|(id, known)| Some((*id, known.seen()?))).take(most).collect()
    }

    /// Whether the bot is connected right now.
    pub fn is_connected(&self) -> bool {
        self.shared.world().sessions.iter().any(super::gateway::Session::is_connected)
    }

    /// How often anything changed so far.
    pub fn version(&self) -> u64 {
        self.shared.version.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Waits until something changes after `version`, at most so long. The version then.
    pub async fn changed(&self, version: u64, patience: Duration) -> u64 {
        let wait = async {
            loop {
                let changed = self.shared.changed.notified();
                if self.version() != version {
                    return;
                }
                let _ = tokio::time::timeout(Duration::from_millis(500), changed).await;
            }
        };
        let _ = tokio::time::timeout(patience, wait).await;
        self.version()
    }

    /// Deletes a channel.
    pub fn delete_channel(&self, channel: u64) {
        self.shared.change(|world| {
            let known = world.channels.remove(&channel).unwrap();
            let event = shapes::channel(channel, &known);
            match known.parent {
                None => world.dispatch(1, "CHANNEL_DELETE", &event),
                Some(parent) => {
                    let event = json!({"id": channel.to_string(), "guild_id": known.guild.to_string(),
                        "parent_id": parent.to_string(), "type": 11});
                    world.dispatch(1, "THREAD_DELETE", &event);
                }
            }
        });
    }

    /// Deletes a message, as a moderator would.
    pub fn delete_message(&self, channel: u64, message: u64) {
        self.shared.change(|world| routes::remove(world, channel, message));
    }

    /// A channel's messages, oldest first.
    pub fn messages(&self, channel: u64) -> Vec<Value> {
        let world = self.shared.world();
        let Some(known) = world.channels.get(&channel) else { return Vec::new() };
        known.messages.keys().filter_map(|id| world.message(channel, *id)).collect()
    }

    /// Pings so far.
    pub fn mentions(&self) -> usize {
        self.shared.world().mentions
    }

    /// The commands that the bot registered in the guild.
    pub fn commands(&self) -> Vec<Value> {
        self.shared.world().commands.get(&GUILD).cloned().unwrap_or_default()
    }

    /// A reaction is given.
    pub fn react(&self, user: u64, channel: u64, message: u64, mark: &str) {
        self.shared.change(|world| routes::react(world, channel, message, mark, user, true));
    }

    /// A reaction is taken back.
    pub fn unreact(&self, user: u64, channel: u64, message: u64, mark: &str) {
        self.shared.change(|world| routes::react(world, channel, message, mark, user, false));
    }

    /// Tells every connection of an event as it is given, whatever it misses.
    pub fn dispatch(&self, event: &str, data: &Value) {
        self.shared.change(|world| {
            for session in &mut world.sessions {
                session.dispatch(0, event, data);
            }
        });
    }

    /// Ends every connection.
    pub fn drop_gateway(&self, how: Drop) {
        self.shared.change(|world| {
            for session in &mut world.sessions {
                if how == Drop::Reconnect {
                    session.send(Out::Event(json!({"op": 7, "s": null, "t": null, "d": null})));
                } else {
                    session.disconnect(None);
                }
            }
            if how == Drop::Forgotten {
                world.sessions.clear();
            }
        });
    }

    /// Waits until the bot is connected; `false` after ten seconds without.
    pub async fn connected(&self) -> bool {
        self.until(|world| world.sessions.iter().any(super::gateway::Session::is_connected).then_some(()))
            .await
            .is_some()
    }

    /// The next requests are answered by this status.
    pub fn fail(&self, status: u16, times: usize) {
        self.shared.change(|world| world.faults.extend(std::iter::repeat_n(status, times)));
    }

    /// From now on a route, written `POST /channels/{}/messages`, allows so many requests in such a time.
    pub fn limit(&self, route: &str, count: u32, window: Duration) {
        self.shared.change(|world| world.buckets.limit(route, count, window));
    }

    /// Puts the clock forward: windows for answers pass.
    pub fn advance(&self, by: Duration) {
        self.shared.change(|world| world.ahead += by);
    }

    /// A person types a slash command. `options` as Discord sends them: `[{"name": "id", "type": 3, "value": "A-1"}]`.
    /// Panics where the bot registered no such command.
    pub fn slash(&self, user: u64, channel: u64, name: &str, options: Value) -> u64 {
        self.command(2, user, channel, name, options)
    }

    /// A person is typing a slash command: the option that has `"focused": true` is to be completed.
    pub fn complete(&self, user: u64, channel: u64, name: &str, options: Value) -> u64 {
        self.command(4, user, channel, name, options)
    }

    fn command(&self, kind: u64, user: u64, channel: u64, name: &str, options: Value) -> u64 {
        self.shared.change(|world| {
            let guild = world.guild_of(channel);
            let mut known = world.commands.get(&guild).into_iter().flatten();
            let known = known.find(|command| command["name"] == name);
            let known = known.unwrap_or_else(|| panic!("no command {name} is registered"));
            let data = json!({"id": known["id"], "name": name, "type": 1, "options": options,
                "guild_id": guild.to_string()});
            happen(world, kind, (user, channel, None), &data)
        })
    }

    /// A person presses the button with this label. Panics where there is none.
    pub fn click(&self, user: u64, channel: u64, message: u64, label: &str) -> u64 {
        self.shared.change(|world| {
            let shown = world.message(channel, message).unwrap_or_else(|| panic!("no message {message}"));
            let rows = shown["components"].as_array().cloned().unwrap_or_default();
            let buttons = rows.iter().flat_map(|row| row["components"].as_array().into_iter().flatten());
            let button = buttons.clone().find(|button| button["label"] == label);
            let button = button.unwrap_or_else(|| panic!("no button {label} under {message}"));
            let data = json!({"custom_id": button["custom_id"], "component_type": 2, "id": button["id"]});
            happen(world, 3, (user, channel, Some(message)), &data)
        })
    }

    /// A person fills in the first input of the modal that answered this interaction.
    pub fn submit(&self, interaction: u64, text: &str) -> u64 {
        self.submit_all(interaction, &[text])
    }

    /// A person fills in the modal that answered this interaction: its inputs from the first on, the others as they were.
    pub fn submit_all(&self, interaction: u64, texts: &[&str]) -> u64 {
        self.shared.change(|world| {
            let known = &world.interactions[&interaction];
            assert_eq!(known.callback, Some(9), "no modal was shown");
            let modal = known.answer.clone().unwrap();
            let place = (known.user, known.channel, known.message);
            let rows = modal["components"].as_array().cloned().unwrap_or_default();
            let rows = rows.iter().enumerate().map(|(index, row)| {
                let (input, id) = (&row["components"][0], 2 * index + 1);
                let text = texts.get(index).copied().or(input["value"].as_str()).unwrap_or_default();
                json!({"type": 1, "id": id, "components":
                    [{"type": 4, "id": id + 1, "custom_id": input["custom_id"], "value": text}]})
            });
            let rows: Vec<Value> = rows.collect();
            let data = json!({"custom_id": modal["custom_id"], "components": rows});
            happen(world, 5, place, &data)
        })
    }

    /// A person takes a command from a message's context menu. Panics where the bot registered no such command.
    pub fn apply(&self, user: u64, channel: u64, message: u64, name: &str) -> u64 {
        self.shared.change(|world| {
            let guild = world.guild_of(channel);
            let mut known = world.commands.get(&guild).into_iter().flatten();
            let known = known.find(|command| command["name"] == name && command["type"] == 3);
            let known = known.unwrap_or_else(|| panic!("no command {name} for messages is registered"));
            let shown = world.message(channel, message).unwrap_or_else(|| panic!("no message {message}"));
            let mut messages = serde_json::Map::new();
            messages.insert(message.to_string(), shown);
            let data = json!({"id": known["id"], "name": name, "type": 3, "guild_id": guild.to_string(),
                "target_id": message.to_string(), "resolved": {"messages": messages}});
            happen(world, 2, (user, channel, None), &data)
        })
    }

    /// A person writes a message.
    pub fn write(&self, user: u64, channel: u64, text: &str) -> u64 {
        self.write_with(user, channel, text, false, &[])
    }

    /// A person writes a message, with or without a mention of the bot, and attaches files: name, media type and bytes.
    pub fn write_with(
        &self,
        user: u64,
        channel: u64,
        text: &str,
        mention: bool,
        files: &[(&str, &str, &[u8])],
    ) -> u64 {
        self.shared.change(|world| {
            let id = world.snowflake();
            let text = if mention { format!("<@{BOT}> {text}") } else { text.to_owned() };
            let mut message = shapes::message(world, id, channel, &json!({"content": text}), false);
            attach(world, channel, id, &mut message, files);
            said(world, user, channel, id, message, mention)
        })
    }

    /// A person replies to a message of the bot. With `mention`, as clients do it by themselves, the bot is told what is said.
    pub fn reply(&self, user: u64, channel: u64, to: u64, text: &str, mention: bool) -> u64 {
        self.reply_with(user, (channel, to), text, mention, &[])
    }

    /// The same, with files: name, media type and bytes.
    pub fn reply_with(
        &self,
        user: u64,
        (channel, to): (u64, u64),
        text: &str,
        mention: bool,
        files: &[(&str, &str, &[u8])],
    ) -> u64 {
        self.shared.change(|world| {
            let id = world.snowflake();
            let mut message = shapes::message(world, id, channel, &json!({"content": text}), false);
            message["type"] = Value::from(19);
            message["message_reference"] = json!({"type": 0, "message_id": to.to_string(),
                "channel_id": channel.to_string(), "guild_id": world.guild_of(channel).to_string()});
            message["referenced_message"] = world.message(channel, to).unwrap_or(Value::Null);
            attach(world, channel, id, &mut message, files);
            said(world, user, channel, id, message, mention)
        })
    }

    /// What the person sees, once the bot has answered for good: not while it is deferred. `None` after ten seconds.
    pub async fn answer(&self, interaction: u64) -> Option<Answer> {
        self.until(|world| world.interactions.get(&interaction)?.seen()).await
    }

    /// Waits until something is so among a channel's messages; `None` after ten seconds.
    pub async fn seen<T>(&self, channel: u64, so: impl Fn(&[Value]) -> Option<T>) -> Option<T> {
        self.until(|world| {
            let ids: Vec<u64> = world.channels.get(&channel)?.messages.keys().copied().collect();
            let messages: Vec<Value> = ids.into_iter().filter_map(|id| world.message(channel, id)).collect();
            so(&messages)
        })
        .await
    }

    async fn until<T>(&self, so: impl Fn(&World) -> Option<T>) -> Option<T> {
        let wait = async {
            loop {
                let changed = self.shared.changed.notified();
                if let Some(found) = so(&self.shared.world()) {
                    return found;
                }
                let _ = tokio::time::timeout(Duration::from_millis(200), changed).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.ok()
    }
}

/// Keeps what a person wrote and tells of it.
/// Files of a message, where Discord keeps them.
fn attach(world: &mut World, channel: u64, id: u64, message: &mut Value, files: &[(&str, &str, &[u8])]) {
    for (index, (name, kind, bytes)) in files.iter().enumerate() {
        let path = format!("{channel}/{id}/{index}/{name}");
        let url = format!("http://{}/given/{path}", world.address);
        let file = json!({"id": (id + index as u64 + 1).to_string(), "filename": name, "size": bytes.len(),
            "url": url, "proxy_url": url, "content_type": kind});
        message["attachments"].as_array_mut().unwrap().push(file);
        world.given.insert(path, ((*kind).to_owned(), bytes.to_vec()));
    }
}

fn said(world: &mut World, user: u64, channel: u64, id: u64, mut message: Value, mention: bool) -> u64 {
    message["author"] = shapes::user(world, user);
    if mention {
        message["mentions"] = json!([shapes::user(world, BOT)]);
    }
    world.channels.get_mut(&channel).unwrap().messages.insert(id, message.clone());
    let event = routes::told(world, channel, user, message);
    world.tell(&event);
    id
}

fn happen(world: &mut World, kind: u64, place: (u64, u64, Option<u64>), data: &Value) -> u64 {
    let (id, at) = (world.snowflake(), world.clock());
    let (user, channel, message) = place;
    let token = format!("token-{id}");
    let interaction = Interaction {
        token,
        kind,
        user,
        channel,
        message,
        at,
        callback: None,
        answer: None,
        files: Vec::new(),
    };
    world.interactions.insert(id, interaction);
    let event = shapes::interaction(world, id, data);
    // Interactions need no intent.
    world.dispatch(0, "INTERACTION_CREATE", &event);
    id
}
