//! The tools against a Discord in memory: what they promise holds whatever stands behind the port.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use qd_approvals::Probe;
use qd_guard::{Call, Caller, Change, Fault, Look, Permit, Who};
use qd_types::PolicyHash;
use serde_json::{Value, json};

use crate::{
    Answer, Config, Desk, Discord, DiscordError, Message, Place, Post, Team, budget::Budget, read, write,
};

/// Channels with what was posted there.
#[derive(Default)]
struct Memory(Mutex<Vec<(String, Post)>>);

#[async_trait]
impl Discord for Memory {
    async fn messages(&self, place: Place<'_>, most: usize) -> Result<Vec<Message>, DiscordError> {
        let posts = self.0.lock().unwrap();
        let here = posts.iter().enumerate().filter(|(_, (at, _))| at == place.channel);
        let message = |(id, (_, post)): (usize, &(String, Post))| Message {
            id: id as u64,
            author: "mallory".to_owned(),
            text: Some(post.text.clone()),
        };
        Ok(here.rev().take(most).map(message).collect())
    }
    async fn post(&self, place: Place<'_>, post: &Post) -> Result<u64, DiscordError> {
        let mut posts = self.0.lock().unwrap();
        posts.push((place.channel.to_owned(), post.clone()));
        Ok(posts.len() as u64 - 1)
    }
    async fn posted(&self, place: Place<'_>, key: &str) -> Result<Option<u64>, DiscordError> {
        let posts = self.0.lock().unwrap();
        let found = posts.iter().position(|(at, post)| at == place.channel && post.key == key);
        Ok(found.map(|id| id as u64))
    }
    async fn thread(&self, _: Place<'_>, message: u64, _: &str) -> Result<u64, DiscordError> {
        Ok(message + 100)
    }
    async fn answers(&self, _: Place<'_>, _: u64, _: usize) -> Result<Vec<Answer>, DiscordError> {
        Ok(vec![Answer { author: "ines".to_owned(), text: "Blue".to_owned() }])
    }
}

fn world(posts_per_minute: u32) -> (Arc<Memory>, Arc<Desk>) {
    let memory = Arc::new(Memory::default());
    let reads = vec!["incidents".to_owned()];
    let team = Team { id: "alpha".parse().unwrap(), channel: "alpha".to_owned(), reads };
    let config = Config { posts_per_minute, teams: [("alpha".to_owned(), team)].into() };
    let budget = Budget::new(posts_per_minute);
    (memory.clone(), Arc::new(Desk { config, discord: memory, budget }))
}

fn call(team: &str) -> Call {
    let who = Who::Service { team: team.parse().unwrap(), name: "ci".to_owned(), on_behalf: vec![] };
    let (cancel, progress) = Default::default();
    Call { id: "C-1".to_owned(), caller: Caller::new(who), cancel, progress }
}

fn input<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

async fn read<T: Look>(tool: &T, team: &str, value: Value) -> Result<String, Fault> {
    tool.within(&call(team).caller, &input(value.clone()))?;
    let output = tool.look(&call(team), input(value)).await?;
    Ok(serde_json::to_string(&output).unwrap())
}

/// Plans, and does it.
async fn change<T: Change>(tool: &T, value: Value) -> Result<Value, Fault> {
    tool.plan(&call("alpha"), &input(value.clone())).await?;
    let permit = Permit::Policy(PolicyHash::of(b"test"));
    let done = tool.change(&call("alpha"), input(value), permit).await?;
    Ok(serde_json::to_value(done).unwrap())
}

#[tokio::test]
async fn a_channel_that_is_not_the_teams_is_not_there() {
    let (_, desk) = world(10);
    let listed = read(&read::Channels(desk.clone()), "alpha", json!({})).await.unwrap();
    insta::assert_snapshot!(listed, @r#"{"own":"alpha","reads":["alpha","incidents"]}"#);
    let messages = read::Messages(desk);
    assert!(read(&messages, "alpha", json!({ "channel": "incidents" })).await.is_ok());
    let fault = read(&messages, "alpha", json!({ "channel": "board" })).await.unwrap_err();
    insta::assert_snapshot!(fault.problem, @"There is no such channel for this team.");
    let fault = read(&messages, "beta", json!({ "channel": "alpha" })).await.unwrap_err();
    insta::assert_snapshot!(format!("{} {}", fault.problem, fault.way_out), @"The team beta has no channel. A person names one in [mcp.discord.teams].");
}

#[test]
fn policy_is_asked_about_the_channel() {
    let (_, desk) = world(10);
    let caller = call("alpha").caller;
    let of = |value| input(value);
    let read = read::Messages(desk.clone()).resource(&caller, Some(&of(json!({ "channel": "incidents" }))));
    insta::assert_snapshot!(read.unwrap(), @"tool read_messages of discord in #incidents");
    let post = qd_guard::Mutation::resource(&write::Posting(desk), &caller, None);
    insta::assert_snapshot!(post.unwrap(), @"tool post of discord in #alpha");
}

#[tokio::test]
async fn a_post_goes_to_the_own_channel_wakes_nobody_and_is_found_again() {
    let (memory, desk) = world(10);
    let post = write::Posting(desk.clone());
    let done = change(&post, json!({ "text": "@everyone <#1> half of it" })).await.unwrap();
    assert_eq!(done["channel"], "alpha");
    let text = memory.0.lock().unwrap()[0].1.text.clone();
    assert!(!text.contains("@everyone") && !text.contains("<#1>"), "{text}");
    let asked = input(json!({ "text": "x" }));
    assert!(matches!(qd_guard::Mutation::probe(&post, "C-1", &asked).await, Probe::Happened(_)));
    assert_eq!(qd_guard::Mutation::probe(&post, "C-2", &asked).await, Probe::DidNot);
    let seen = read(&read::Messages(desk), "alpha", json!({ "channel": "alpha" })).await.unwrap();
    assert!(seen.contains("\"text\":{\"untrusted\":"), "{seen}");
}

#[tokio::test]
async fn a_question_does_not_wait_and_its_answer_is_data() {
    let (memory, desk) = world(10);
    let wanted = json!({ "question": "Which colour?", "choices": ["Blue", "Red"] });
    let asked = change(&write::Ask(desk.clone()), wanted).await.unwrap();
    let post = memory.0.lock().unwrap()[0].1.clone();
    assert!(post.question && post.choices == ["Blue", "Red"]);
    let answered =
        read(&read::Answered(desk.clone()), "alpha", json!({ "message": asked["id"] })).await.unwrap();
    assert!(answered.contains(r#""text":{"untrusted":"Blue"}"#), "{answered}");
    let thread = json!({ "message": asked["id"], "title": "Colours" });
    assert_eq!(change(&write::Thread(desk), thread).await.unwrap()["id"], "100");
}

#[tokio::test]
async fn a_team_has_so_many_posts_a_minute() {
    let (memory, desk) = world(2);
    let post = write::Posting(desk);
    for _ in 0..2 {
        change(&post, json!({ "text": "x" })).await.unwrap();
    }
    let fault = change(&post, json!({ "text": "x" })).await.unwrap_err();
    assert!(!fault.unsure, "{}", fault.problem);
    assert_eq!(memory.0.lock().unwrap().len(), 2);
}

#[test]
fn every_schema_is_one() {
    let (memory, desk) = world(1);
    crate::server(desk.config.clone(), memory).unwrap().verify().unwrap();
}
