//! The demo's Discord: a fake one in this process, which is stricter than the real one. The bot that works in it is the fleet's own;
//! what its people see there is told at the end.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use axum::Router;
use qd_discord::{ChannelIds, Config, Threads};
use qd_people::{By, Identity};
use qd_testkit::discord::{FakeDiscord, GUILD, TOKEN};
use qd_types::Person;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{failed, scene::Scene};
use crate::{context::UserError, people::Roster, say};

/// Longest wait for what the bot says.
const PATIENCE: Duration = Duration::from_secs(10);

/// The guild.
pub(super) struct Guild {
    fake: Arc<FakeDiscord>,
    dev: u64,
    approvals: u64,
    /// Who filed the features, and their account.
    requester: (Person, u64),
}

/// Opens the guild, and has the fleet work in it.
pub(super) async fn open(scene: &mut Scene) -> Result<Guild, UserError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| failed(&error))?;
    let fake = Arc::new(FakeDiscord::by_hand(listener.local_addr().map_err(|error| failed(&error))?));
    let [dev, alerts, approvals] = ["dev", "alerts", "approvals"].map(|name| fake.add_channel(name));
    scene.plan.discord = Some(Config {
        token: TOKEN.into(),
        guild: GUILD,
        channels: ChannelIds { dev, alerts, approvals, fallback: None, standup: None },
        roles: Default::default(),
        address: Some(fake.url()),
        per_minute: 60,
        threads: Threads::Mentions,
        teams: Default::default(),
        guilds: Vec::new(),
    });
    let served = Arc::clone(&fake);
    tokio::spawn(async move {
        if let Err(error) = served.serve(listener, Router::new()).await {
            tracing::error!(%error, "the demo's Discord has ended");
        }
    });
    let requester = scene.requester.clone();
    let account = fake.add_member(requester.id.as_str(), &[]);
    let roster = Roster::hold(&scene.plan.state).await.map_err(|error| failed(&error))?;
    roster.seed(&scene.plan.people).await.map_err(|error| failed(&error))?;
    let person = requester.id.clone();
    let link = move |people: &qd_people::People<'_>| people.link(&person, &Identity::Discord(account));
    roster.change(By::Configuration, link).await.map_err(|error| failed(&error))?;
    Ok(Guild { fake, dev, approvals, requester: (requester, account) })
}

/// The words of a message.
fn words(message: &Value) -> &str {
    message.pointer("/embeds/0/description").and_then(Value::as_str).unwrap_or_default()
}

/// Tells what its people see.
pub(super) async fn tell(guild: &Guild) -> Result<(), UserError> {
    let Guild { fake, dev, approvals, requester: (requester, account) } = guild;
    say::note("");
    say::note("Discord, as its people see it (a fake one in this process; its bot is the fleet's own):");
    // What is said there has a budget, so that the last edits may be on their way.
    let done = |messages: &[Value]| {
        let features = || messages.iter().filter(|message| words(message).contains('▰'));
        let all = features().all(|message| words(message).contains("Merged"));
        (all && features().count() > 0).then_some(())
    };
    let _ = tokio::time::timeout(PATIENCE, fake.seen(*dev, done)).await;
    let threads = fake.threads(*dev);
    let has_thread = |message: &Value| {
        let id = message.get("id").and_then(Value::as_str);
        threads.iter().any(|(thread, _)| id == Some(thread.to_string().as_str()))
    };
    for message in fake.messages(*dev).iter().filter(|message| has_thread(message)) {
        say::note(&format!("  #dev        {}", words(message).replace('\n', "\n              ")));
    }
    for message in fake.messages(*approvals) {
        say::note(&format!("  #approvals  {}", words(&message).replace('\n', "\n              ")));
    }
    let Some((thread, name)) = threads.iter().min_by(|(_, one), (_, other)| one.cmp(other)) else {
        return Ok(());
    };
    let id = name.split(' ').next().unwrap_or_default();
    let why = json!([{"name": "why", "type": 1, "options": [{"name": "id", "type": 3, "value": id}]}]);
    if let Some(answer) = fake.answer(fake.slash(*account, *dev, "board", why)).await {
        say::note(&format!("  {} types /board why {id}, and reads alone: {}", requester.id, answer.text()));
    }
    let written =
        fake.write_with(*account, *thread, "Can it print the currency, too?", true, &[]).to_string();
    let below = |messages: &[Value]| {
        let to = |message: &&Value| {
            message.pointer("/message_reference/message_id").and_then(Value::as_str) == Some(written.as_str())
        };
        let found = messages.iter().find(to)?;
        found.get("content").and_then(Value::as_str).map(str::to_owned)
    };
    if let Some(said) = fake.seen(*thread, below).await {
        say::note(&format!("  {} writes in the thread of {id}, and the bot answers: {said}", requester.id));
    }
    match fake.complaints().as_slice() {
        [] => Ok(()),
        [first, ..] => {
            Err(UserError::failed(format!("the demo's Discord would not have taken this: {first}")))
        }
    }
}
