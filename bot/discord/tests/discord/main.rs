//! The adapter through its public face, against the fake Discord.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod missed;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use qd_approvals::{
    CardSurface,
    testkit::{Scene, Seen, contract},
};
use qd_core::chat::{
    Channel, Chat, ChatError, Choice, Commands, Completes, Given, Message, MessageKey, ballots,
};
use qd_discord::{
    ChannelIds, Config, Discord, People, Threads,
    setup::{Setup, invite},
};
use qd_testkit::discord::{FakeDiscord, GUILD, TOKEN};
use qd_types::{ApprovalId, Confirm, Person, Role, Way};
use secrecy::SecretString;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

const KEY: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
/// What the core would hear.
#[derive(Default)]
struct Heard {
    said: Mutex<Vec<String>>,
    slow: Mutex<Duration>,
}

#[async_trait]
impl Commands for Heard {
    async fn command(&self, from: &Person, given: &Given, text: &str) -> String {
        let slow = *self.slow.lock().unwrap();
        tokio::time::sleep(slow).await;
        let roles: Vec<&str> = from.roles.iter().map(|role| role.as_str()).collect();
        let line = format!("{} ({}) by {:?}: {text}", from.id, roles.join(", "), given.way);
        self.said.lock().unwrap().push(line);
        match text {
            _ if text.starts_with("approvals subject") => r#"{"action":"merge"}"#.to_owned(),
            _ if from.roles.is_empty() => "You need the role owner to approve merges of alpha.".to_owned(),
            _ => "Noted.".to_owned(),
        }
    }

    async fn choices(&self, from: &Person, _: &Given, what: Completes, typed: &str) -> Vec<Choice> {
        self.said.lock().unwrap().push(format!("{} completes {what:?}: {typed}", from.id));
        let choice = |value: &str| vec![Choice { value: value.into(), name: format!("{value}: as it is") }];
        match what {
            Completes::Approvals => choice(KEY),
            _ => choice("claude"),
        }
    }
}

/// Whose accounts are linked.
struct Known(BTreeMap<u64, &'static str>);

#[async_trait]
impl People for Known {
    async fn by_account(&self, account: u64) -> Result<Option<Person>, String> {
        let person = |name: &&str| Person { id: name.parse().unwrap(), roles: vec![Role::Owner] };
        Ok(self.0.get(&account).map(person))
    }
}

struct Guild {
    fake: FakeDiscord,
    config: Config,
    known: Arc<Known>,
    discord: Discord,
    heard: Arc<Heard>,
    owner: u64,
    ines: u64,
    omar: u64,
    stranger: u64,
    hidden: u64,
    run: Option<tokio::task::JoinHandle<()>>,
    dropped: Dropped,
    _watched: tracing::subscriber::DefaultGuard,
}

/// Events of the gateway that could not be read, as the log has them.
#[derive(Clone, Default)]
struct Dropped(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Dropped {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() == "qd_discord::events" {
            event.record(&mut |_: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                let said = format!("{value:?}");
                if said.ends_with("can't be read") {
                    self.0.lock().unwrap().push(said);
                }
            });
        }
    }
}

impl Guild {
    async fn new() -> Self {
        let fake = FakeDiscord::start().await;
        let owner = fake.add_role("owner");
        let (ines, omar) = (fake.add_member("ines", &[owner]), fake.add_member("omar", &[owner]));
        let stranger = fake.add_member("stranger", &[owner]);
        let [dev, alerts, approvals, ops, hidden] =
            ["dev", "alerts", "approvals", "ops", "hidden"].map(|name| fake.add_channel(name));
        fake.deny(hidden, true);
        let config = Config {
            token: SecretString::from(TOKEN),
            guild: GUILD,
            channels: ChannelIds { dev, alerts, approvals, fallback: Some(ops), standup: None },
            roles: BTreeMap::from([(owner, Role::Owner)]),
            address: Some(fake.url()),
            per_minute: 1000,
            threads: Threads::Off,
            teams: BTreeMap::new(),
            guilds: Vec::new(),
        };
        let known: Arc<Known> = Arc::new(Known([(ines, "ines"), (omar, "omar")].into()));
        let discord = Discord::new(config.clone(), known.clone());
        let heard = Arc::default();
        let dropped = Dropped::default();
        let log = tracing_subscriber::registry().with(dropped.clone());
        // One thread runs all of a test.
        let _watched = tracing::subscriber::set_default(log);
        Self {
            fake,
            config,
            known,
            discord,
            heard,
            owner,
            ines,
            omar,
            stranger,
            hidden,
            run: None,
            dropped,
            _watched,
        }
    }

    async fn connected() -> Self {
        let mut guild = Self::new().await;
        guild.listen().await;
        guild
    }

    async fn listen(&mut self) {
        let (discord, heard) = (self.discord.clone(), self.heard.clone());
        self.run = Some(tokio::spawn(async move { discord.run(heard).await.unwrap() }));
        assert!(self.fake.connected().await, "{:?}", self.fake.complaints());
        for _ in 0..100 {
            if !self.fake.commands().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no commands were registered: {:?} {:?}", self.fake.complaints(), self.fake.requests());
    }

    fn approvals(&self) -> u64 {
        self.config.channels.approvals
    }

    fn heard(&self) -> Vec<String> {
        self.heard.said.lock().unwrap().clone()
    }

    async fn hears(&self, count: usize) -> Vec<String> {
        for _ in 0..500 {
            if self.heard().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.heard()
    }

    async fn card(&self, way: Way) -> u64 {
        self.discord.put(&card(way)).await.unwrap().id.parse().unwrap()
    }

    fn dropped(&self) -> Vec<String> {
        self.dropped.0.lock().unwrap().clone()
    }

    fn is_content(&self) {
        assert_eq!(self.fake.complaints(), Vec::<String>::new());
        assert_eq!(self.dropped(), Vec::<String>::new());
    }
}

impl std::ops::Drop for Guild {
    fn drop(&mut self) {
        self.run.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

fn card(way: Way) -> Message {
    let id: ApprovalId = format!("bot/{KEY}").parse().unwrap();
    let (buttons, reactions) = ballots(&id, Confirm { way, typed: way == Way::Typed });
    let text = "**Delete the snapshot** (A-142, alpha)\nOn: vm-117/pre-upgrade. Type: approve it".to_owned();
    Message {
        channel: Channel::Approvals,
        about: None,
        key: MessageKey::of_approval(&id),
        text,
        picture: None,
        buttons,
        reactions,
        mentions: Vec::new(),
    }
}

fn feature(text: &str) -> Message {
    let key = MessageKey("feature:alpha:A-142".into());
    Message {
        channel: Channel::Dev,
        about: None,
        key,
        text: text.into(),
        picture: None,
        buttons: Vec::new(),
        reactions: Vec::new(),
        mentions: Vec::new(),
    }
}

fn text(message: &Value) -> &str {
    message["embeds"][0]["description"].as_str().unwrap()
}

#[async_trait]
impl Scene for Guild {
    fn surface(&self) -> &dyn CardSurface {
        &self.discord
    }

    fn recipient(&self) -> &str {
        "approvals"
    }

    fn elsewhere(&self) -> &str {
        "fallback"
    }

    fn forbidden(&self) -> &str {
        Box::leak(self.hidden.to_string().into_boxed_str())
    }

    async fn seen(&self, recipient: &str) -> Vec<Seen> {
        let channel = match recipient {
            "approvals" => self.approvals(),
            "fallback" => self.config.channels.fallback.unwrap(),
            id => id.parse().unwrap(),
        };
        let seen = |message: &Value| Seen {
            receipt: message["id"].as_str().unwrap().to_owned(),
            text: text(message).to_owned(),
            buttons: message["components"].as_array().is_some_and(|rows| !rows.is_empty()),
        };
        self.fake.messages(channel).iter().map(seen).collect()
    }

    async fn mentions(&self) -> usize {
        self.fake.mentions()
    }

    async fn restart(&mut self) {
        self.discord = Discord::new(self.config.clone(), self.known.clone());
    }

    async fn delete(&mut self, recipient: &str) {
        assert_eq!(recipient, "approvals");
        self.fake.delete_channel(self.approvals());
    }
}

#[tokio::test]
async fn it_keeps_the_contract_of_cards() {
    let mut guild = Guild::new().await;
    contract(&mut guild).await;
    guild.is_content();
}

#[tokio::test]
async fn a_message_lives_and_is_edited() {
    let guild = Guild::new().await;
    let first = guild.discord.put(&feature("one")).await.unwrap();
    let again = guild.discord.put(&feature("two")).await.unwrap();
    let before = guild.fake.requests().len();
    guild.discord.put(&feature("two")).await.unwrap();
    assert_eq!(
        (first.id.clone(), before),
        (again.id, guild.fake.requests().len()),
        "the same again is no edit"
    );
    let restarted = Discord::new(guild.config.clone(), guild.known.clone());
    assert_eq!(restarted.put(&feature("three")).await.unwrap().id, first.id, "found by its marker");
    let [shown] = <[Value; 1]>::try_from(guild.fake.messages(guild.config.channels.dev)).unwrap();
    insta::assert_snapshot!(serde_json::to_string(&shown["embeds"]).unwrap(), @r#"[{"description":"three","color":6449782,"footer":{"text":"feature:alpha:A-142"},"type":"rich"}]"#);

    guild.fake.delete_message(guild.config.channels.dev, first.id.parse().unwrap());
    let anew = guild.discord.put(&feature("four")).await.unwrap();
    assert_ne!(anew.id, first.id, "a deleted message is created again");
    guild.is_content();
}

#[tokio::test]
async fn what_discord_refuses_is_said_with_a_way_out() {
    let guild = Guild::new().await;
    guild.fake.deny(guild.config.channels.dev, true);
    let denied = guild.discord.put(&feature("one")).await.unwrap_err();
    insta::assert_snapshot!(denied, @"chat refused the message: #dev: the bot may not see the channel; give it View Channel there");
    guild.fake.deny(guild.config.channels.dev, false);
    guild.fake.fail(502, 2);
    guild.discord.put(&feature("one")).await.unwrap();
    guild.fake.fail(503, 5);
    let down = guild.discord.put(&feature("two")).await.unwrap_err();
    insta::assert_snapshot!(down, @"chat is not reachable: Discord answers 503");
    assert!(matches!(down, ChatError::Unavailable(_)));
    guild.fake.delete_channel(guild.config.channels.dev);
    insta::assert_snapshot!(guild.discord.put(&feature("two")).await.unwrap_err(), @"chat refused the message: #dev: the channel is deleted; name another one in [discord.channels]");
    guild.is_content();
}

#[tokio::test]
async fn a_role_taken_between_two_clicks_counts_no_more() {
    let guild = Guild::connected().await;
    let message = guild.card(Way::Button).await;
    let first = guild.fake.click(guild.ines, guild.approvals(), message, "Approve");
    assert_eq!(guild.fake.answer(first).await.unwrap().text(), "Noted.");
    guild.fake.set_roles(guild.omar, &[]);
    let second = guild.fake.click(guild.omar, guild.approvals(), message, "Approve");
    let answer = guild.fake.answer(second).await.unwrap();
    assert_eq!(answer.data["flags"], 64, "answered to that person alone");
    assert_eq!(answer.text(), "You need the role owner to approve merges of alpha.");
    guild.fake.set_roles(guild.omar, &[guild.owner]);
    guild.fake.fail(403, 1);
    let third = guild.fake.click(guild.omar, guild.approvals(), message, "Approve");
    insta::assert_snapshot!(guild.fake.answer(third).await.unwrap().text(), @"Discord did not say which roles you hold, so nothing was done. Try again.");
    let fourth = guild.fake.click(guild.stranger, guild.approvals(), message, "Approve");
    let told = guild.fake.answer(fourth).await.unwrap().text().replace(&guild.stranger.to_string(), "ID");
    insta::assert_snapshot!(told, @"I don't know who you are here. If you are known at a terminal or on GitHub, say there: link discord. You get a code; type it here with `/link code`. Else an owner links your account with: quarterdeck person link NAME discord:ID");
    insta::assert_snapshot!(guild.heard().join("\n"), @"
    ines (owner) by Button: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV
    omar () by Button: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV
    ");
    guild.is_content();
}

#[tokio::test]
async fn a_name_is_typed_in_a_modal_and_details_are_private() {
    let guild = Guild::connected().await;
    let message = guild.card(Way::Typed).await;
    let pressed = guild.fake.click(guild.ines, guild.approvals(), message, "Approve");
    let modal = guild.fake.answer(pressed).await.unwrap();
    assert_eq!(modal.callback, 9);
    assert_eq!(modal.data["components"][0]["components"][0]["placeholder"], "vm-117/pre-upgrade");
    let submitted = guild.fake.submit(pressed, "vm-117/pre-upgrade");
    guild.fake.answer(submitted).await.unwrap();
    let details = guild.fake.click(guild.ines, guild.approvals(), message, "Details");
    let answer = guild.fake.answer(details).await.unwrap();
    let subject = r#"{"action":"merge"}"#.to_owned();
    assert_eq!(answer.files, [(format!("approval-{KEY}.json"), subject)]);
    assert_eq!(answer.data["flags"], 64);
    insta::assert_snapshot!(guild.heard().join("\n"), @"
    ines (owner) by Button: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV vm-117/pre-upgrade
    ines (owner) by Button: approvals subject 01ARZ3NDEKTSV4RRFFQ69G5FAV
    ");
    guild.is_content();
}

#[tokio::test]
async fn slash_commands_are_completed_and_answered_in_time() {
    let guild = Guild::connected().await;
    let options = json!([{"name": "id", "type": 3, "value": "merge", "focused": true}]);
    let typing = guild.fake.complete(guild.ines, guild.approvals(), "approve", options);
    insta::assert_snapshot!(guild.fake.answer(typing).await.unwrap().data, @r#"{"choices":[{"name":"01ARZ3NDEKTSV4RRFFQ69G5FAV: as it is","value":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}]}"#);
    let options = json!([{"name": "add", "type": 1, "options": [
        {"name": "title", "type": 3, "value": "Split it"}, {"name": "team", "type": 3, "value": "alpha"}]}]);
    let added = guild.fake.slash(guild.ines, guild.approvals(), "feature", options);
    assert_eq!(guild.fake.answer(added).await.unwrap().callback, 4);
    *guild.heard.slow.lock().unwrap() = Duration::from_secs(2);
    let slow = guild.fake.slash(guild.ines, guild.approvals(), "help", json!([]));
    let answer = guild.fake.answer(slow).await.unwrap();
    assert_eq!((answer.callback, answer.text()), (5, "Noted."), "announced, then said");
    insta::assert_snapshot!(guild.heard().join("\n"), @"
    ines completes Approvals: merge
    ines (owner) by Button: feature add --team alpha -- Split it
    ines (owner) by Button: help
    ");
    guild.is_content();
}

#[tokio::test]
async fn a_form_files_a_feature_from_a_command_or_a_message() {
    let guild = Guild::connected().await;
    let options =
        json!([{"name": "add", "type": 1, "options": [{"name": "team", "type": 3, "value": "alpha"}]}]);
    let asked = guild.fake.slash(guild.ines, guild.approvals(), "feature", options);
    let form = guild.fake.answer(asked).await.unwrap();
    assert_eq!((form.callback, &form.data["components"][2]["components"][0]["value"]), (9, &json!("alpha")));
    let filed = guild.fake.submit_all(asked, &["Split it", "", "alpha", "Yes"]);
    guild.fake.answer(filed).await.unwrap();
    let written = guild.fake.write(guild.omar, guild.config.channels.dev, "The importer is slow\nvery");
    let menu = guild.fake.apply(guild.ines, guild.config.channels.dev, written, "Make a feature");
    let form = guild.fake.answer(menu).await.unwrap();
    assert_eq!(form.data["components"][0]["components"][0]["value"], "The importer is slow");
    let filed = guild.fake.submit_all(menu, &[]);
    guild.fake.answer(filed).await.unwrap();
    let link = format!("https://discord.com/channels/{GUILD}/{}/{written}", guild.config.channels.dev);
    insta::assert_snapshot!(guild.heard().join("\n").replace(&link, "LINK"), @"
    ines (owner) by Button: feature add --team alpha --ready -- Split it
    ines (owner) by Button: feature add -- The importer is slow

    very

    LINK
    ");
    guild.is_content();
}

#[tokio::test]
async fn an_option_is_completed_by_what_it_takes() {
    let guild = Guild::connected().await;
    let value = |name: &str, value: &str| json!({"name": name, "type": 3, "value": value});
    let typed = |name: &str, value: &str| json!({"name": name, "type": 3, "value": value, "focused": true});
    let below = |name: &str, options: Value| json!([{"name": name, "type": 1, "options": options}]);
    let edits =
        |field: &str| below("edit", json!([value("id", "A-1"), value("field", field), typed("value", "c")]));
    for (name, options) in [
        ("standup", below("now", json!([typed("team", "al")]))),
        ("policy", below("explain", json!([typed("action", "policy.c")]))),
        ("person", json!([typed("name", "mi")])),
        ("reopen", json!([typed("id", "")])),
        ("feature", edits("agent")),
        ("feature", edits("title")),
    ] {
        let typing = guild.fake.complete(guild.ines, guild.approvals(), name, options);
        guild.fake.answer(typing).await.unwrap();
    }
    insta::assert_snapshot!(guild.heard().join("\n"), @"
    ines completes Teams: al
    ines completes Actions: policy.c
    ines completes People: mi
    ines completes Expired: 
    ines completes Agents: c
    ");
    let typing = guild.fake.complete(guild.ines, guild.approvals(), "feature", edits("agent"));
    insta::assert_snapshot!(guild.fake.answer(typing).await.unwrap().data, @r#"{"choices":[{"name":"claude: as it is","value":"claude"}]}"#);
    let typing = guild.fake.complete(guild.stranger, guild.approvals(), "feature", edits("agent"));
    assert_eq!(guild.fake.answer(typing).await.unwrap().data["choices"], json!([]), "nobody is known");
    guild.is_content();
}

#[tokio::test]
async fn a_guild_is_looked_at_and_brought_into_shape() {
    let guild = Guild::new().await;
    let [(_, setup)] = <[_; 1]>::try_from(Setup::of(&guild.config)).ok().unwrap();
    guild.fake.refuse(guild.config.channels.dev, 1 << 6);
    let seen = setup.look().await.unwrap();
    let shown = seen.guild.unwrap();
    insta::assert_snapshot!(format!("{:?}", shown.channels[&guild.config.channels.dev]), @r#"SeenChannel { name: "dev", lacks: [("Add Reactions", "to seed ✅ and ❌")] }"#);
    assert!(shown.channels[&guild.config.channels.alerts].lacks.is_empty());
    assert!(!shown.may_make);
    insta::assert_snapshot!(setup.make_channel("team-alpha", "It").await.unwrap_err(), @"the bot lacks a permission there; quarterdeck doctor names each that is missing");
    guild.fake.permit(1 << 4 | 1 << 28);
    let made = setup.make_channel("team-alpha", "It").await.unwrap();
    let role = setup.make_role("operator").await.unwrap();
    let shown = setup.look().await.unwrap().guild.unwrap();
    assert_eq!((shown.channel("team-alpha"), shown.role("operator")), (Some(made), Some(role)));
    assert!(shown.roles[&role].mentionable && shown.may_make);
    guild.fake.invite(false);
    assert!(setup.look().await.unwrap().guild.is_none());
    assert!(invite(seen.application, GUILD, Threads::Off, false).contains("permissions=117824"));
    guild.is_content();
}

#[tokio::test]
async fn a_reply_to_a_card_is_an_answer() {
    let guild = Guild::connected().await;
    let card = guild.card(Way::Button).await;
    let below = |number: usize| {
        move |messages: &[Value]| {
            let said: Vec<&str> = messages.iter().filter_map(|message| message["content"].as_str()).collect();
            said.iter().filter(|said| said.contains("nswer")).nth(number).map(|said| (*said).to_owned())
        }
    };
    guild.fake.reply(guild.ines, guild.approvals(), card, "SameSite=Lax,  please", true);
    insta::assert_snapshot!(guild.fake.seen(guild.approvals(), below(0)).await.unwrap(), @"Taken as an answer. Noted.");
    guild.fake.reply(guild.ines, guild.approvals(), card, "unheard", false);
    insta::assert_snapshot!(guild.fake.seen(guild.approvals(), below(1)).await.unwrap(), @"I am told what a reply says only if it mentions me: leave the @ of the reply on, or type /answer.");
    let written = guild.fake.write(guild.omar, guild.approvals(), "Hello");
    guild.fake.reply(guild.ines, guild.approvals(), written, "Hello yourself", true);
    insta::assert_snapshot!(guild.heard().join("\n"), @"ines (owner) by Button: answer 01ARZ3NDEKTSV4RRFFQ69G5FAV SameSite=Lax, please");
    guild.is_content();
}

/// A board of alpha whose only card says this.
fn board(sentence: &str) -> Message {
    let data = json!({"shows": "board", "team": "alpha", "backlog": "", "caution": null, "columns": [{
        "title": "Running", "count": 1, "more": null, "cards": [{"feature": "A-1", "title": "Split the importer",
        "line": null, "agent": "claude", "sentence": sentence, "tone": "quiet"}]}]});
    let key = MessageKey("team:alpha".to_owned());
    Message { key, picture: Some(serde_json::from_value(data).unwrap()), ..feature("**alpha** Running 1") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_goes_up_with_its_message_and_again_only_when_it_is_another_one() {
    let guild = Guild::new().await;
    let dev = guild.config.channels.dev;
    let shown = || {
        let message = guild.fake.messages(dev).pop().unwrap();
        assert_eq!(message["attachments"].as_array().unwrap().len(), 1, "{message}");
        let file = &message["attachments"][0];
        let id = file["id"].as_str().unwrap().parse().unwrap();
        (
            id,
            file["description"].as_str().unwrap().to_owned(),
            message["embeds"][0]["description"].to_string(),
        )
    };
    guild.discord.put(&board("The agent works.")).await.unwrap();
    let (first, alt, _) = shown();
    insta::assert_snapshot!(alt, @"The board of alpha. Running 1: A-1 Split the importer.");
    assert!(guild.fake.file(first).unwrap().starts_with(b"\x89PNG"));
    let url = guild.fake.messages(dev)[0]["attachments"][0]["url"].as_str().unwrap().to_owned();
    assert!(url.ends_with(&format!("/attachments/{first}/board.png")), "{url}");

    let before = guild.fake.requests().len();
    guild.discord.put(&board("The agent works.")).await.unwrap();
    assert_eq!(guild.fake.requests().len(), before, "the same again is no call");
    let words = Message { text: "**alpha** Running 1 · Asks 1".into(), ..board("The agent works.") };
    guild.discord.put(&words).await.unwrap();
    let (id, _, text) = shown();
    assert_eq!(id, first, "other words leave the picture where it is");
    assert!(text.contains("Asks 1"), "{text}");
    guild.discord.put(&board("The checks run.")).await.unwrap();
    let (second, ..) = shown();
    assert_ne!(second, first);

    // After a start it is not known what hangs there: it goes up again, in place of the other one.
    let again = Discord::new(guild.config.clone(), guild.known.clone());
    again.put(&board("The checks run.")).await.unwrap();
    assert_ne!(shown().0, second);
    assert_eq!(guild.fake.messages(dev).len(), 1);
    again.put(&Message { picture: None, ..board("") }).await.unwrap();
    assert_eq!(guild.fake.messages(dev)[0]["attachments"], json!([]));
    guild.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_files_may_be_attached_the_words_go_alone() {
    const ATTACH_FILES: u64 = 1 << 15;
    let guild = Guild::new().await;
    let dev = guild.config.channels.dev;
    guild.fake.refuse(dev, ATTACH_FILES);
    guild.discord.put(&board("The agent works.")).await.unwrap();
    assert_eq!(guild.fake.messages(dev)[0]["attachments"], json!([]));
    guild.fake.refuse(dev, 0);
    guild.discord.put(&board("The agent works.")).await.unwrap();
    assert_eq!(guild.fake.messages(dev)[0]["attachments"].as_array().unwrap().len(), 1);
    guild.is_content();
}

#[tokio::test]
async fn a_person_gives_so_many_commands_in_a_minute_and_no_more() {
    let mut guild = Guild::new().await;
    guild.config.per_minute = 2;
    guild.discord = Discord::new(guild.config.clone(), guild.known.clone());
    guild.listen().await;
    for told in ["Noted.", "Noted.", "That is more than 2 in a minute, so nothing was done. Wait a little."] {
        let asked = guild.fake.slash(guild.ines, guild.approvals(), "help", json!([]));
        assert_eq!(guild.fake.answer(asked).await.unwrap().text(), told);
    }
    let other = guild.fake.slash(guild.omar, guild.approvals(), "help", json!([]));
    assert_eq!(guild.fake.answer(other).await.unwrap().text(), "Noted.", "another has their own minute");
    guild.is_content();
}
