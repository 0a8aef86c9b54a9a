//! What people write, where it goes, and what becomes of it when a guild has a bad day: the adapter through its public face,
//! against the fake Discord.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use qd_core::{
    chat::{About, Button, Channel, Chat, Commands, Given, Message, MessageKey, Remark, ballots},
    text,
};
use qd_discord::{ChannelIds, Config, Discord, Guild as Other, People, Threads};
use qd_testkit::discord::{Drop, FakeDiscord, GUILD, TOKEN};
use qd_types::{ApprovalId, Confirm, FeatureId, InstanceName, Person, Role, Way};
use secrecy::SecretString;
use serde_json::{Value, json};

const KEY: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// What the core would hear and answer.
#[derive(Default)]
struct Heard {
    said: Mutex<Vec<String>>,
    shown_again: Mutex<usize>,
    slow: Mutex<Duration>,
    /// Whether a pull request is open.
    reviewable: Mutex<bool>,
}

#[async_trait]
impl Commands for Heard {
    async fn command(&self, from: &Person, given: &Given, text: &str) -> String {
        let slow = *self.slow.lock().unwrap();
        tokio::time::sleep(slow).await;
        let teams: Vec<&str> =
            ["alpha", "beta"].into_iter().filter(|team| given.scope.has(&team.parse().unwrap())).collect();
        let roles: Vec<&str> = from.roles.iter().map(|role| role.as_str()).collect();
        let line = format!("{} ({}) for {}: {text}", from.id, roles.join(", "), teams.join(", "));
        self.said.lock().unwrap().push(line);
        let id: FeatureId = "A-142".parse().unwrap();
        match text {
            _ if text.starts_with("feature guide") => {
                format!("{} Sent to alpha.", text::taken(&id, Remark::Guidance))
            }
            _ if text.starts_with("feature review") && *self.reviewable.lock().unwrap() => {
                format!("{} Sent to alpha.", text::taken(&id, Remark::Review))
            }
            _ if text.starts_with("feature review") => text::nothing_to_review(&id),
            _ => "Noted.".to_owned(),
        }
    }

    async fn show_again(&self) {
        *self.shown_again.lock().unwrap() += 1;
    }
}

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
    ines: u64,
    omar: u64,
    run: Option<tokio::task::JoinHandle<Result<(), qd_discord::DiscordError>>>,
}

impl Guild {
    async fn new(threads: Threads) -> Self {
        let fake = FakeDiscord::start().await;
        let owner = fake.add_role("owner");
        let (ines, omar) = (fake.add_member("ines", &[owner]), fake.add_member("omar", &[owner]));
        let [dev, alerts, approvals] = ["dev", "alerts", "approvals"].map(|name| fake.add_channel(name));
        let config = Config {
            token: SecretString::from(TOKEN),
            guild: GUILD,
            channels: ChannelIds { dev, alerts, approvals, fallback: None, standup: None },
            roles: BTreeMap::from([(owner, Role::Owner)]),
            address: Some(fake.url()),
            per_minute: 1000,
            threads,
            teams: BTreeMap::new(),
            guilds: Vec::new(),
        };
        let known: Arc<Known> = Arc::new(Known([(ines, "ines"), (omar, "omar")].into()));
        let discord = Discord::new(config.clone(), known.clone());
        Self { fake, config, known, discord, heard: Arc::default(), ines, omar, run: None }
    }

    async fn connected(threads: Threads) -> Self {
        let mut guild = Self::new(threads).await;
        if threads == Threads::All {
            guild.fake.let_read();
        }
        guild.listen().await;
        guild
    }

    async fn listen(&mut self) {
        self.discord = Discord::new(self.config.clone(), self.known.clone());
        let (discord, heard) = (self.discord.clone(), self.heard.clone());
        self.run = Some(tokio::spawn(async move { discord.run(heard).await }));
        assert!(self.fake.connected().await, "{:?}", self.fake.complaints());
        self.until(|guild| !guild.fake.commands().is_empty()).await;
    }

    async fn until(&self, so: impl Fn(&Self) -> bool) {
        for _ in 0..1500 {
            if so(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?} {:?}", self.fake.complaints(), self.fake.requests());
    }

    fn heard(&self) -> Vec<String> {
        self.heard.said.lock().unwrap().clone()
    }

    async fn hears(&self, count: usize) -> String {
        self.until(|guild| guild.heard().len() >= count).await;
        self.heard().join("\n")
    }

    /// What the bot said below a message: its id, its words, and what its button says.
    async fn below(&self, channel: u64, message: u64) -> (u64, String, Option<String>) {
        let wanted = message.to_string();
        let answer = self.fake.seen(channel, |messages| {
            let found = messages.iter().find(|it| it["message_reference"]["message_id"] == wanted);
            found.map(|it| {
                let label = it["components"][0]["components"][0]["label"].as_str().map(str::to_owned);
                (id(it), it["content"].as_str().unwrap().to_owned(), label)
            })
        });
        answer.await.unwrap()
    }

    async fn thread(&self) -> u64 {
        self.discord.put(&feature("**A-142 Split it** · alpha")).await.unwrap();
        let [(thread, name)] = <[_; 1]>::try_from(self.fake.threads(self.config.channels.dev)).unwrap();
        assert_eq!(name, "A-142 Split it");
        thread
    }

    fn is_content(&self) {
        assert_eq!(self.fake.complaints(), Vec::<String>::new());
    }
}

impl std::ops::Drop for Guild {
    fn drop(&mut self) {
        self.run.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

fn id(message: &Value) -> u64 {
    message["id"].as_str().unwrap().parse().unwrap()
}

fn team(name: &str) -> InstanceName {
    name.parse().unwrap()
}

fn message(channel: Channel, about: About, key: MessageKey, text: &str) -> Message {
    let (buttons, reactions) = (Vec::new(), Vec::new());
    let about = Some(about);
    Message {
        channel,
        about,
        key,
        text: text.into(),
        picture: None,
        buttons,
        reactions,
        mentions: Vec::new(),
    }
}

fn feature(text: &str) -> Message {
    let (alpha, id) = (team("alpha"), "A-142".parse().unwrap());
    message(Channel::Dev, About::feature(&alpha, &id), MessageKey::of_feature(&alpha, &id), text)
}

fn card(of: &str) -> Message {
    let id: ApprovalId = format!("bot/{KEY}").parse().unwrap();
    let (buttons, reactions) = ballots(&id, Confirm { way: Way::Reaction, typed: false });
    let about = About::feature(&team(of), &"A-142".parse().unwrap());
    let card = message(Channel::Approvals, about, MessageKey::of_approval(&id), "**Merge it** (A-142)");
    Message { buttons, reactions, ..card }
}

#[tokio::test]
async fn what_is_written_in_a_thread_goes_to_its_team() {
    let guild = Guild::connected(Threads::All).await;
    let thread = guild.thread().await;
    let written = guild.fake.write(guild.ines, thread, "Use the new error type here too.\n\n    let x = 1;");
    let (answer, said, button) = guild.below(thread, written).await;
    insta::assert_snapshot!(format!("{said} [{}]", button.unwrap()), @"Taken as guidance for A-142. Sent to alpha. [Make it a review comment]");
    assert_eq!(guild.fake.reacted(thread, written, "👀").len(), 1, "it was seen");

    // One button changes what it is; the same line says so. There is nothing to review yet.
    let asked = guild.fake.click(guild.omar, thread, answer, "Make it a review comment");
    insta::assert_snapshot!(guild.fake.answer(asked).await.unwrap().text(), @"Only whoever wrote it says as what it is taken.");
    let asked = guild.fake.click(guild.ines, thread, answer, "Make it a review comment");
    guild.fake.answer(asked).await.unwrap();
    let (same, said, button) = guild.below(thread, written).await;
    insta::assert_snapshot!(format!("{said} [{}]", button.unwrap()), @"
    Taken as guidance for A-142. Sent to alpha.
    A-142 has no pull request yet, so there is nothing to review. Say it as guidance. [Make it a review comment]
    ");
    *guild.heard.reviewable.lock().unwrap() = true;
    let asked = guild.fake.click(guild.ines, thread, answer, "Make it a review comment");
    guild.fake.answer(asked).await.unwrap();
    let (_, said, button) = guild.below(thread, written).await;
    insta::assert_snapshot!(format!("{said} [{}]", button.unwrap()), @"Taken as a review comment on A-142. Sent to alpha. [Make it guidance]");
    assert_eq!(same, answer);

    let review = guild.fake.write(guild.omar, thread, "Review: name it so");
    insta::assert_snapshot!(guild.below(thread, review).await.1, @"Taken as a review comment on A-142. Sent to alpha.");
    insta::assert_snapshot!(guild.hears(4).await, @"
    ines (owner) for alpha, beta: feature guide A-142 Use the new error type here too.

        let x = 1;
    ines (owner) for alpha, beta: feature review A-142 Use the new error type here too.

        let x = 1;
    ines (owner) for alpha, beta: feature review A-142 Use the new error type here too.

        let x = 1;
    omar (owner) for alpha, beta: feature review A-142 name it so
    ");
    guild.is_content();
}

#[tokio::test]
async fn after_a_restart_a_thread_is_still_known() {
    let mut guild = Guild::connected(Threads::All).await;
    let thread = guild.thread().await;
    guild.run.take().unwrap().abort();
    guild.fake.drop_gateway(Drop::Forgotten);
    guild.listen().await;
    let written = guild.fake.write(guild.ines, thread, "Keep it small.");
    guild.below(thread, written).await;
    guild.discord.put(&feature("**A-142 Split it** · alpha\nmerged")).await.unwrap();
    assert_eq!(guild.fake.threads(guild.config.channels.dev).len(), 1, "one thread, however often it starts");
    // A thread that somebody deleted is not missed.
    guild.fake.delete_channel(thread);
    guild.discord.put(&feature("**A-142 Split it** · alpha\nmerged as 4f2a91c")).await.unwrap();
    guild.is_content();
}

#[tokio::test]
async fn what_was_written_in_a_thread_while_the_bot_was_away_is_read_once() {
    for threads in [Threads::All, Threads::Mentions] {
        let mut guild = Guild::connected(threads).await;
        let thread = guild.thread().await;
        let mention = threads == Threads::Mentions;
        let before = guild.fake.write_with(guild.ines, thread, "Keep it small.", mention, &[]);
        guild.below(thread, before).await;
        guild.run.take().unwrap().abort();
        guild.fake.drop_gateway(Drop::Forgotten);
        let first = guild.fake.write_with(guild.ines, thread, "And fast.", mention, &[]);
        guild.fake.write_with(guild.omar, thread, "Ines, lunch?", false, &[]);
        let last = guild.fake.write_with(guild.omar, thread, "And well tested.", mention, &[]);
        for _ in 0..2 {
            guild.listen().await;
            for missed in [first, last] {
                assert!(guild.below(thread, missed).await.1.starts_with("Taken as guidance for A-142."));
            }
            guild.run.take().unwrap().abort();
            guild.fake.drop_gateway(Drop::Forgotten);
        }
        let heard = guild.heard();
        let heard = heard.iter().map(|line| line.rsplit("A-142 ").next().unwrap());
        let heard: Vec<&str> = heard.filter(|line| *line != "Ines, lunch?").collect();
        assert_eq!(heard, ["Keep it small.", "And fast.", "And well tested."], "{threads:?}: in order, once");
        guild.is_content();
    }
}

#[tokio::test]
async fn a_question_stands_in_its_thread_and_a_reply_there_answers_it() {
    let guild = Guild::connected(Threads::Mentions).await;
    let thread = guild.thread().await;
    let id: ApprovalId = format!("alpha/{KEY}").parse().unwrap();
    let mut question = card("alpha");
    question.key = MessageKey::of_approval(&id);
    question.about.as_mut().unwrap().asks = true;
    question.text = "**Which SameSite?** (A-142)".into();
    question.reactions.clear();
    question.buttons = vec![
        Button { label: "Answer".into(), command: format!("answer {KEY}") },
        Button { label: "Deny".into(), command: format!("deny {KEY}") },
    ];
    guild.discord.put(&question).await.unwrap();
    let asked = guild.fake.messages(thread);
    assert_eq!(asked[0]["embeds"][0]["description"], "**Which SameSite?** (A-142)");
    let reply = guild.fake.reply(guild.ines, thread, id_of(&asked), "Lax, please", true);
    insta::assert_snapshot!(guild.below(thread, reply).await.1, @"Taken as an answer. Noted.");
    let note = [("why.txt", "text/plain", b"Strict breaks the login.".as_slice())];
    let reply = guild.fake.reply_with(guild.ines, (thread, id_of(&asked)), "Lax, as:", true, &note);
    insta::assert_snapshot!(guild.below(thread, reply).await.1, @"Taken as an answer. Noted. why.txt went along in full.");
    // Or the button asks for it.
    let pressed = guild.fake.click(guild.omar, thread, id_of(&asked), "Answer");
    assert_eq!(guild.fake.answer(pressed).await.unwrap().callback, 9);
    let typed = guild.fake.submit(pressed, "Lax, please");
    insta::assert_snapshot!(guild.fake.answer(typed).await.unwrap().text(), @"Noted.");
    // Decided, every copy of it is closed.
    question.buttons.clear();
    question.text = "✔ Which SameSite? answered by ines".into();
    guild.discord.put(&question).await.unwrap();
    assert_eq!(guild.fake.messages(thread)[0]["components"], json!([]));

    // Without the intent, people talk to each other, and to the bot by its name.
    guild.fake.write(guild.ines, thread, "What do you think, Omar?");
    let named = guild.fake.write_with(guild.omar, thread, "review: Lax everywhere", true, &[]);
    insta::assert_snapshot!(guild.below(thread, named).await.1, @"A-142 has no pull request yet, so there is nothing to review. Say it as guidance.");
    let empty = guild.fake.write_with(guild.omar, thread, "", true, &[]);
    insta::assert_snapshot!(guild.below(thread, empty).await.1, @"There are no words in it, so nothing was taken.");
    insta::assert_snapshot!(guild.hears(4).await, @"
    ines (owner) for alpha, beta: answer 01ARZ3NDEKTSV4RRFFQ69G5FAV Lax, please
    ines (owner) for alpha, beta: answer 01ARZ3NDEKTSV4RRFFQ69G5FAV Lax, as:

    Attached, why.txt:
    Strict breaks the login.
    omar (owner) for alpha, beta: answer 01ARZ3NDEKTSV4RRFFQ69G5FAV Lax, please
    omar (owner) for alpha, beta: feature review A-142 Lax everywhere
    ");
    guild.is_content();
}

fn id_of(messages: &[Value]) -> u64 {
    id(messages.first().unwrap())
}

#[tokio::test]
async fn attachments_go_along_within_limits() {
    let guild = Guild::connected(Threads::All).await;
    let thread = guild.thread().await;
    let long = "x".repeat(5000);
    let files: [(&str, &str, &[u8]); 6] = [
        ("notes.txt", "text/plain; charset=utf-8", b"first\nsecond\n"),
        ("shot.png", "image/png", b"\x89PNG"),
        ("long.log", "text/plain", long.as_bytes()),
        ("wrong.txt", "text/plain", b"\xff\xfe"),
        ("five.txt", "text/plain", b"5"),
        ("six.txt", "text/plain", b"6"),
    ];
    let written = guild.fake.write_with(guild.ines, thread, "As in these:", false, &files);
    insta::assert_snapshot!(guild.below(thread, written).await.1, @"Taken as guidance for A-142. Sent to alpha. notes.txt went along in full. shot.png went along as a link. long.log went along as a link. wrong.txt went along as a link. Left out: 2 more. At most 4 files go along.");
    let tame = guild.hears(1).await.replace(&guild.fake.url(), "URL");
    let tame = tame.replace(&thread.to_string(), "THREAD").replace(&written.to_string(), "MESSAGE");
    insta::assert_snapshot!(tame, @"
    ines (owner) for alpha, beta: feature guide A-142 As in these:

    Attached, notes.txt:
    first
    second

    Attached: shot.png (image/png, 1 KiB): URL/given/THREAD/MESSAGE/1/shot.png

    Attached: long.log (text/plain, 5 KiB): URL/given/THREAD/MESSAGE/2/long.log

    Attached: wrong.txt (text/plain, 1 KiB): URL/given/THREAD/MESSAGE/3/wrong.txt
    ");
    guild.is_content();
}

#[tokio::test]
async fn without_the_intent_it_says_what_to_switch_on() {
    let mut guild = Guild::new(Threads::All).await;
    let (discord, heard) = (guild.discord.clone(), guild.heard.clone());
    guild.run = Some(tokio::spawn(async move { discord.run(heard).await }));
    let ended = tokio::time::timeout(Duration::from_secs(10), guild.run.as_mut().unwrap()).await;
    insta::assert_snapshot!(ended.unwrap().unwrap().unwrap_err(), @r#"Discord's gateway ended: the application may not read messages: switch on its Message Content Intent at https://discord.com/developers/applications, or write discord.threads = "mentions"; run doctor"#);
}

#[tokio::test]
async fn teams_have_channels_and_guilds_of_their_own() {
    let mut guild = Guild::new(Threads::Off).await;
    let other = guild.fake.add_guild();
    let boss = guild.fake.add_role_in(other, "boss");
    let lena = guild.fake.add_member("lena", &[boss]);
    let own = guild.fake.add_channel("team-alpha");
    let [dev, alerts, approvals] =
        ["dev", "alerts", "approvals"].map(|name| guild.fake.add_channel_in(other, name));
    guild.config.teams.insert(team("alpha"), own);
    guild.config.guilds.push(Other {
        id: other,
        teams: vec![team("beta")],
        channels: ChannelIds { dev, alerts, approvals, fallback: None, standup: None },
        roles: BTreeMap::from([(boss, Role::Owner)]),
    });
    guild.known = Arc::new(Known([(guild.ines, "ines"), (lena, "lena")].into()));
    guild.listen().await;
    guild.discord.put(&feature("**A-142 Split it** · alpha")).await.unwrap();
    assert_eq!(guild.fake.messages(own).len(), 1, "in the channel of its team");
    let here: u64 = guild.discord.put(&card("alpha")).await.unwrap().id.parse().unwrap();
    let there: u64 = guild.discord.put(&card("beta")).await.unwrap().id.parse().unwrap();
    assert_eq!(guild.fake.messages(approvals).len(), 1, "in the guild of its team");
    // Who is an owner there is nobody here, and commands no team of ours.
    let ours = guild.fake.click(lena, guild.config.channels.approvals, here, "Approve");
    let theirs = guild.fake.click(lena, approvals, there, "Approve");
    guild.fake.answer(ours).await.unwrap();
    guild.fake.answer(theirs).await.unwrap();
    guild.fake.react(guild.ines, approvals, there, "✅");
    let mut heard: Vec<String> = guild.hears(3).await.lines().map(str::to_owned).collect();
    heard.sort();
    insta::assert_snapshot!(heard.join("\n"), @"
    ines () for beta: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV
    lena () for alpha: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV
    lena (owner) for beta: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV
    ");
    guild.is_content();
}

#[tokio::test]
async fn a_card_that_is_deleted_is_asked_for_again() {
    let guild = Guild::connected(Threads::Off).await;
    let shown: u64 = guild.discord.put(&card("alpha")).await.unwrap().id.parse().unwrap();
    let again = |count: usize| move |guild: &Guild| *guild.heard.shown_again.lock().unwrap() == count;
    guild.fake.delete_message(guild.config.channels.approvals, shown);
    guild.until(again(1)).await;
    let shown: u64 = guild.discord.put(&card("alpha")).await.unwrap().id.parse().unwrap();
    // And one that was deleted while nobody listened.
    guild.fake.shut_gateway(true);
    guild.fake.drop_gateway(Drop::Forgotten);
    guild.fake.delete_message(guild.config.channels.approvals, shown);
    guild.fake.shut_gateway(false);
    guild.until(again(2)).await;
    guild.discord.put(&card("alpha")).await.unwrap();
    assert_eq!(guild.fake.messages(guild.config.channels.approvals).len(), 1);
    guild.is_content();
}

#[tokio::test]
async fn a_bot_that_was_taken_out_says_so_and_goes_on_when_it_is_back() {
    let guild = Guild::connected(Threads::Off).await;
    guild.fake.invite(false);
    let mut problem = guild.discord.put(&card("alpha")).await.unwrap_err().to_string();
    for _ in 0..100 {
        if problem.contains("not in the guild") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        problem = guild.discord.put(&card("alpha")).await.unwrap_err().to_string();
    }
    insta::assert_snapshot!(problem, @"chat refused the message: #approvals: the bot is not in the guild; quarterdeck bot discord setup prints the link that invites it");
    guild.fake.invite(true);
    guild.until(|guild| *guild.heard.shown_again.lock().unwrap() == 1).await;
    guild.discord.put(&card("alpha")).await.unwrap();
    guild.is_content();
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_given_with_the_next() {
    let guild = Guild::connected(Threads::Off).await;
    *guild.heard.slow.lock().unwrap() = Duration::from_secs(3);
    let asked = guild.fake.slash(guild.ines, guild.config.channels.dev, "help", json!([]));
    // The answer is announced, and then its token expires.
    guild.until(|guild| guild.fake.requests().iter().any(|line| line.contains("/callback 204"))).await;
    guild.fake.advance(Duration::from_secs(16 * 60));
    guild.hears(1).await;
    guild.until(|guild| guild.fake.requests().iter().any(|line| line.ends_with("@original 401"))).await;
    *guild.heard.slow.lock().unwrap() = Duration::ZERO;
    let next = guild.fake.slash(guild.ines, guild.config.channels.dev, "help", json!([]));
    assert_ne!(asked, next);
    insta::assert_snapshot!(guild.fake.answer(next).await.unwrap().text(), @"
    Too late for Discord, so you were not told before: Noted.
    Noted.
    ");
    guild.is_content();
}

#[tokio::test]
async fn a_connection_that_is_dead_is_given_up() {
    let mut guild = Guild::new(Threads::Off).await;
    guild.fake.mute(true, Duration::from_millis(200));
    guild.listen().await;
    let message: u64 = guild.discord.put(&card("alpha")).await.unwrap().id.parse().unwrap();
    guild.fake.react(guild.ines, guild.config.channels.approvals, message, "✅");
    guild.hears(1).await;
    // Nobody answers its heartbeats: it connects anew, and hears on.
    let begun =
        |guild: &Guild| guild.fake.requests().iter().filter(|it| it.ends_with("commands 200")).count();
    guild.until(|guild| begun(guild) >= 3).await;
    guild.fake.mute(false, Duration::from_secs(40));
    guild.fake.react(guild.omar, guild.config.channels.approvals, message, "❌");
    guild.hears(2).await;
    guild.is_content();
}

#[tokio::test]
async fn an_answer_to_an_interaction_that_is_over_is_given_with_the_next() {
    let guild = Guild::connected(Threads::Off).await;
    *guild.heard.slow.lock().unwrap() = Duration::from_millis(500);
    let dev = guild.config.channels.dev;
    guild.fake.slash(guild.ines, dev, "help", json!([]));
    // Three seconds without a word: Discord knows it no more.
    guild.fake.advance(Duration::from_secs(4));
    guild.until(|guild| guild.fake.requests().iter().any(|line| line.contains("/callback 404"))).await;
    let next = guild.fake.slash(guild.ines, dev, "help", json!([]));
    insta::assert_snapshot!(guild.fake.answer(next).await.unwrap().text(), @"
    Too late for Discord, so you were not told before: Noted.
    Noted.
    ");
    guild.is_content();
}

#[tokio::test]
async fn a_message_that_calls_a_role_calls_it_once() {
    let guild = Guild::new(Threads::Off).await;
    let key = MessageKey("escalation:01ARZ3NDEKTSV4RRFFQ69G5FAV".into());
    let late = |text: &str| Message {
        channel: Channel::Approvals,
        about: None,
        key: key.clone(),
        text: text.into(),
        picture: None,
        buttons: Vec::new(),
        reactions: Vec::new(),
        mentions: vec![Role::Owner, Role::Viewer],
    };
    for text in ["half of the time is over", "half of the time is over", "it is decided"] {
        guild.discord.put(&late(text)).await.unwrap();
    }
    assert_eq!(guild.fake.mentions(), 1, "the role that is known there, and an edit calls nobody");
    guild.is_content();
}
