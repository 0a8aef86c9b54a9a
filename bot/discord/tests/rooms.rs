//! Channels as the tools of teams use them, against the fake Discord.

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
use qd_core::chat::{Commands, Given};
use qd_discord::{ChannelIds, Config, Discord, People, Room, RoomError, Threads, Words};
use qd_testkit::discord::{FakeDiscord, GUILD, TOKEN};
use qd_types::{Person, Role};
use secrecy::SecretString;

/// What the core would hear: nothing of what is said to tools.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

#[async_trait]
impl Commands for Heard {
    async fn command(&self, _: &Person, _: &Given, text: &str) -> String {
        self.0.lock().unwrap().push(text.to_owned());
        "Noted.".to_owned()
    }
}

struct Known(BTreeMap<u64, &'static str>);

#[async_trait]
impl People for Known {
    async fn by_account(&self, account: u64) -> Result<Option<Person>, String> {
        let person = |name: &&str| Person { id: name.parse().unwrap(), roles: vec![Role::Viewer] };
        Ok(self.0.get(&account).map(person))
    }
}

struct Guild {
    fake: FakeDiscord,
    discord: Discord,
    heard: Arc<Heard>,
    ines: u64,
    mallory: u64,
    dev: u64,
    own: u64,
}

impl Guild {
    async fn new() -> Self {
        let fake = FakeDiscord::start().await;
        let (ines, mallory) = (fake.add_member("ines", &[]), fake.add_member("mallory", &[]));
        let [dev, alerts, approvals, own] =
            ["dev", "alerts", "approvals", "alpha-talk"].map(|name| fake.add_channel(name));
        let config = Config {
            token: SecretString::from(TOKEN),
            guild: GUILD,
            channels: ChannelIds { dev, alerts, approvals, fallback: None, standup: None },
            roles: BTreeMap::new(),
            address: Some(fake.url()),
            per_minute: 1000,
            threads: Threads::Off,
            teams: BTreeMap::from([("beta".parse().unwrap(), own)]),
            guilds: Vec::new(),
        };
        let discord = Discord::new(config, Arc::new(Known([(ines, "ines")].into())));
        Self { fake, discord, heard: Arc::default(), ines, mallory, dev, own }
    }

    async fn listen(&self) -> tokio::task::JoinHandle<()> {
        let (discord, heard) = (self.discord.clone(), self.heard.clone());
        let task = tokio::spawn(async move { discord.run(heard).await.unwrap() });
        assert!(self.fake.connected().await, "{:?}", self.fake.complaints());
        while self.fake.commands().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        task
    }

    async fn room(&self, team: &str, name: &str) -> Result<Room, RoomError> {
        self.discord.room(&team.parse().unwrap(), name).await
    }

    fn is_content(&self) {
        assert_eq!(self.fake.complaints(), Vec::<String>::new());
    }
}

fn said(text: &str) -> Words<'_> {
    Words { key: "alpha/1", text, asks: false, choices: &[] }
}

#[tokio::test]
async fn what_is_said_stands_once_and_is_found_again() {
    let guild = Guild::new().await;
    let room = guild.room("alpha", "dev").await.unwrap();
    assert_eq!(room.posted("alpha/1").await.unwrap(), None);
    let id = room.post(said("alpha wrote:\n> Half of it.")).await.unwrap();
    assert_eq!(room.post(said("alpha wrote:\n> Half of it.")).await.unwrap(), id, "tried again");
    assert_eq!(guild.fake.messages(guild.dev).len(), 1);
    guild.fake.write(guild.mallory, guild.dev, "a secret");
    // Another process has no memory of it.
    assert_eq!(guild.room("alpha", "#dev").await.unwrap().posted("alpha/1").await.unwrap(), Some(id));
    let read = room.messages(5).await.unwrap();
    let rows: Vec<_> = read.iter().map(|one| (one.author.as_str(), one.text.as_deref())).collect();
    assert_eq!(rows, [("mallory", None), ("Quarterdeck", Some("alpha wrote:\n> Half of it."))]);
    guild.fake.let_read();
    assert_eq!(room.messages(1).await.unwrap()[0].text.as_deref(), Some("a secret"));
    guild.is_content();
}

#[tokio::test]
async fn a_channel_is_the_teams_own_or_one_of_its_guild_by_name() {
    let guild = Guild::new().await;
    guild.room("beta", "dev").await.unwrap().post(said("Here.")).await.unwrap();
    assert_eq!((guild.fake.messages(guild.own).len(), guild.fake.messages(guild.dev).len()), (1, 0));
    guild.room("alpha", "alpha-talk").await.unwrap().post(said("There.")).await.unwrap();
    assert_eq!(guild.fake.messages(guild.own).len(), 1, "one key is one message of a channel");
    let error = guild.room("alpha", "nowhere").await.err().unwrap();
    insta::assert_snapshot!(error, @"there is no channel nowhere in the guild of alpha");
    guild.fake.add_channel("alpha-talk");
    let error = guild.room("alpha", "alpha-talk").await.err().unwrap();
    insta::assert_snapshot!(error, @"several channels are called alpha-talk; rename one, or name another one");
    guild.fake.deny(guild.dev, true);
    let error = guild.room("alpha", "dev").await.unwrap().messages(1).await.unwrap_err();
    insta::assert_snapshot!(error, @"the bot may not see the channel; give it View Channel there");
    guild.fake.deny(guild.dev, false);
    guild.fake.fail(503, 5);
    let error = guild.room("alpha", "dev").await.unwrap().messages(1).await.unwrap_err();
    assert!(matches!(error, RoomError::Unreachable(_)), "{error}");
    guild.is_content();
}

#[tokio::test]
async fn a_question_is_answered_by_button_by_reply_and_in_its_thread_by_people_of_the_fleet() {
    let guild = Guild::new().await;
    let task = guild.listen().await;
    let room = guild.room("alpha", "dev").await.unwrap();
    let choices = ["Blue".to_owned(), "Red".to_owned()];
    let asked = Words { asks: true, choices: &choices, ..said("alpha wrote:\n> Which?") };
    let question = room.post(asked).await.unwrap();
    let shown = guild.fake.messages(guild.dev)[0]["embeds"][0]["description"].clone();
    insta::assert_snapshot!(shown.as_str().unwrap(), @"
    alpha wrote:
    > Which?
    Press what you choose, or reply to this message and leave the @ of the reply on.
    ");
    assert_eq!(room.answers(question, 10).await.unwrap(), []);

    let press = |user, label| guild.fake.click(user, guild.dev, question, label);
    let told = async |interaction| guild.fake.answer(interaction).await.unwrap().text().to_owned();
    insta::assert_snapshot!(told(press(guild.ines, "Red")).await, @"Noted: Red");
    let stranger = told(press(guild.mallory, "Blue")).await;
    assert!(stranger.starts_with("I don't know who you are here."), "{stranger}");
    guild.fake.reply(guild.ines, guild.dev, question, "Or rather both.", true);
    guild.fake.reply(guild.mallory, guild.dev, question, "Do as I say.", true);
    guild.fake.reply(guild.ines, guild.dev, question, "Not told without a mention.", false);
    let thread = room.thread(question, "Colours").await.unwrap();
    assert_eq!((thread, room.thread(question, "Colours").await.unwrap()), (question, question));
    assert_eq!(guild.fake.threads(guild.dev), [(question, "Colours".to_owned())]);
    guild.fake.write_with(guild.ines, thread, "Green is out.", true, &[]);

    let answers = room.answers(question, 10).await.unwrap();
    let rows: Vec<_> = answers.iter().map(|one| format!("{}: {}", one.by, one.text)).collect();
    assert_eq!(rows, ["ines: Green is out.", "ines: Or rather both.", "ines: Red"], "newest first");
    assert_eq!(room.answers(question, 1).await.unwrap().len(), 1);
    let absent = room.answers(7, 1).await.unwrap_err();
    insta::assert_snapshot!(absent, @"there is no message 7 in #dev");
    let elsewhere = guild.room("alpha", "alerts").await.unwrap().thread(question, "x").await.unwrap_err();
    assert!(matches!(elsewhere, RoomError::Absent(_)), "a message of another channel: {elsewhere}");
    assert_eq!(*guild.heard.0.lock().unwrap(), [""; 0], "nothing of it is a command");
    assert_eq!(guild.fake.mentions(), 0);
    task.abort();
    guild.is_content();
}

#[tokio::test]
async fn answers_are_found_behind_a_hundred_messages() {
    let guild = Guild::new().await;
    let room = guild.room("alpha", "dev").await.unwrap();
    let question = room.post(Words { asks: true, ..said("Which?") }).await.unwrap();
    for number in 0..130 {
        guild.fake.write(guild.mallory, guild.dev, &format!("noise {number}"));
    }
    guild.fake.reply(guild.ines, guild.dev, question, "Late.", true);
    let answers = room.answers(question, 10).await.unwrap();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].text, "Late.");
    assert_eq!(room.posted("alpha/1").await.unwrap(), Some(question));
    guild.is_content();
}
