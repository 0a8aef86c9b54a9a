//! The gateway: hello, identify, resume, heartbeats, dispatches.
//! <https://docs.discord.com/developers/events/gateway>

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use super::{Shared, TOKEN, shapes, world::World};

/// Message content, members and presences are given by consent only.
const PRIVILEGED: u64 = 1 << 1 | 1 << 8 | 1 << 15;
/// The intent for what people write.
pub(super) const CONTENT: u64 = 1 << 15;

/// What a client may say. <https://docs.discord.com/developers/events/gateway#rate-limiting>
const PER_MINUTE: usize = 120;
const MINUTE: Duration = Duration::from_secs(60);
/// A busy machine is no silent client.
const GRACE: Duration = Duration::from_secs(5);

/// What a test does to a connection.
#[derive(Debug, Clone)]
pub(super) enum Out {
    Event(Value),
    /// Ends it with this code; none is a cut wire.
    Close(Option<u16>),
}

/// A session, which outlives its connections.
#[derive(Debug)]
pub(super) struct Session {
    id: String,
    intents: u64,
    seq: u64,
    /// Everything since it began: one resumes from a number.
    log: Vec<Value>,
    out: Option<mpsc::UnboundedSender<Out>>,
}

impl Session {
    pub(super) fn dispatch(&mut self, intent: u64, event: &str, data: &Value) {
        if intent != 0 && self.intents & intent == 0 {
            return;
        }
        self.seq += 1;
        let event = json!({"op": 0, "t": event, "s": self.seq, "d": data});
        self.log.push(event.clone());
        self.send(Out::Event(event));
    }

    pub(super) fn send(&self, out: Out) {
        if let Some(wire) = &self.out {
            let _ = wire.send(out);
        }
    }

    /// Whether it may know what people write.
    pub(super) fn reads(&self) -> bool {
        self.intents & CONTENT != 0
    }

    pub(super) fn is_connected(&self) -> bool {
        self.out.as_ref().is_some_and(|wire| !wire.is_closed())
    }

    pub(super) fn disconnect(&mut self, code: Option<u16>) {
        self.send(Out::Close(code));
        self.out = None;
    }
}

pub(super) async fn serve(shared: Arc<Shared>, mut socket: WebSocket) {
    let (wire, mut out) = mpsc::unbounded_channel();
    let heartbeat = shared.world().heartbeat;
    if say(
        &mut socket,
        &json!({"op": 10, "s": null, "t": null, "d": {"heartbeat_interval": heartbeat, "_trace": []}}),
    )
    .await
    .is_err()
    {
        return;
    }
    let (mut lately, mut beat) = (VecDeque::new(), Instant::now());
    // https://docs.discord.com/developers/events/gateway#sending-heartbeats: who is not heard of is gone.
    let silent = Duration::from_millis(heartbeat) * 2 + GRACE;
    loop {
        let heard = tokio::select! {
            () = tokio::time::sleep_until(beat + silent) => return close(&mut socket, 4009).await,
            told = out.recv() => {
                let end = match told {
                    Some(Out::Event(event)) => say(&mut socket, &event).await.is_err(),
                    Some(Out::Close(Some(code))) => { close(&mut socket, code).await; true }
                    Some(Out::Close(None)) | None => true,
                };
                if end { return } else { continue }
            }
            heard = socket.recv() => heard,
        };
        let text = match heard {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            _ => return,
        };
        let Ok(heard) = serde_json::from_str::<Value>(&text) else {
            shared.change(|world| world.complain("gateway: not JSON".to_owned()));
            return close(&mut socket, 4002).await;
        };
        let now = Instant::now();
        if heard["op"] == 1 {
            beat = now;
        }
        lately.push_back(now);
        lately.retain(|at| now - *at < MINUTE);
        if lately.len() > PER_MINUTE {
            shared.change(|world| world.complain("gateway: more than 120 events in a minute".to_owned()));
            return close(&mut socket, 4008).await;
        }
        match take(&shared, &heard, &wire) {
            Ok(answers) => {
                for answer in answers {
                    if say(&mut socket, &answer).await.is_err() {
                        return;
                    }
                }
            }
            Err(code) => return close(&mut socket, code).await,
        }
    }
}

async fn say(socket: &mut WebSocket, event: &Value) -> Result<(), axum::Error> {
    socket.send(Message::Text(event.to_string().into())).await
}

async fn close(socket: &mut WebSocket, code: u16) {
    let _ = socket.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await;
}

/// What is said at once to something heard, or the code to close with.
fn take(shared: &Shared, heard: &Value, wire: &mpsc::UnboundedSender<Out>) -> Result<Vec<Value>, u16> {
    let data = &heard["d"];
    // Discord takes the token with and without the word before it; serenity says it with it.
    let token = |data: &Value| {
        let said = data["token"].as_str().unwrap_or_default();
        if said.trim_start_matches("Bot ") == TOKEN { Ok(()) } else { Err(4004_u16) }
    };
    match heard["op"].as_u64() {
        Some(1) if shared.world().mute => Ok(Vec::new()),
        Some(1) => Ok(vec![json!({"op": 11, "s": null, "t": null, "d": null})]),
        Some(2) => {
            token(data)?;
            let intents = data["intents"].as_u64().ok_or(4013_u16)?;
            shared.change(|world| identify(world, intents, wire))?;
            Ok(Vec::new())
        }
        Some(6) => {
            token(data)?;
            Ok(shared.change(|world| resume(world, data, wire)))
        }
        // Presence: shown nowhere.
        Some(3) => Ok(Vec::new()),
        other => {
            shared.change(|world| world.complain(format!("gateway: opcode {other:?}")));
            Err(4001)
        }
    }
}

fn identify(world: &mut World, intents: u64, wire: &mpsc::UnboundedSender<Out>) -> Result<(), u16> {
    if intents & PRIVILEGED & !world.privileged != 0 {
        world.complain("gateway: an intent that the application was not given".to_owned());
        return Err(4014);
    }
    let id = format!("session-{}", world.snowflake());
    let ready = shapes::ready(world, &id);
    let invited = world.guilds.iter().filter(|(_, invited)| **invited);
    let guilds: Vec<Value> = invited.map(|(guild, _)| shapes::guild(world, *guild)).collect();
    let mut session = Session { id, intents, seq: 0, log: Vec::new(), out: Some(wire.clone()) };
    session.dispatch(0, "READY", &ready);
    for guild in guilds {
        session.dispatch(1, "GUILD_CREATE", &guild);
    }
    world.sessions.retain(Session::is_connected);
    world.sessions.push(session);
    Ok(())
}

/// What was missed, or that the session is gone.
fn resume(world: &mut World, data: &Value, wire: &mpsc::UnboundedSender<Out>) -> Vec<Value> {
    let seq = data["seq"].as_u64().unwrap_or(u64::MAX);
    let Some(session) =
        world.sessions.iter_mut().find(|session| data["session_id"] == session.id && seq <= session.seq)
    else {
        return vec![json!({"op": 9, "s": null, "t": null, "d": false})];
    };
    for event in session.log.iter().filter(|event| event["s"].as_u64() > Some(seq)) {
        let _ = wire.send(Out::Event(event.clone()));
    }
    session.out = Some(wire.clone());
    session.dispatch(0, "RESUMED", &json!({"_trace": []}));
    Vec::new()
}
