//! The whole bot on Discord: a fleet beside a fake that is stricter than the real one.

use std::time::{Duration, Instant};

use qd_testkit::discord::{Drop, FakeDiscord, GUILD, TOKEN};
use serde_json::{Value, json};

use crate::support::{Project, Up, config};

/// Longest wait for anything; a loaded machine with two cores is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// Permissions as Discord numbers them.
const MANAGE: u64 = 1 << 4 | 1 << 28;
const ADD_REACTIONS: u64 = 1 << 6;
const EMBED_LINKS: u64 = 1 << 14;

/// A guild with three people, and a project whose fleet works in it.
pub struct Guild {
    pub fake: FakeDiscord,
    pub project: Project,
    pub dev: u64,
    pub approvals: u64,
    reviewer: u64,
    pub ines: u64,
    pub omar: u64,
    pub olaf: u64,
}

impl Guild {
    /// Two people merge; whoever files a feature is neither.
    pub async fn new(more: &str) -> Self {
        Self::with("", "echo hello > hello.txt; echo Said hello.", more).await
    }

    /// The same, with more lines about Discord, and another agent.
    pub async fn with(discord: &str, agent: &str, more: &str) -> Self {
        let fake = FakeDiscord::start().await;
        let [owner, reviewer, operator] = ["owner", "reviewer", "operator"].map(|name| fake.add_role(name));
        let [dev, alerts, approvals] = ["dev", "alerts", "approvals"].map(|name| fake.add_channel(name));
        let ines = fake.add_member("ines", &[owner]);
        let omar = fake.add_member("omar", &[reviewer]);
        let olaf = fake.add_member("olaf", &[operator]);
        let project = Project::new(&[("README.md", "# Discord\n")]);
        let fleet = config(agent, Some("ls hello*.txt"));
        let people = "[[people]]\nname = \"omar\"\nroles = [\"reviewer\"]\n\n[[people]]\nname = \"olaf\"\nroles = [\"operator\"]\n";
        let text = format!(
            "{}\n{people}\n[discord]\napi = \"{}\"\nguild = \"{GUILD}\"\ntoken = {{ file = \"token\" }}\n{discord}\n\
             [discord.channels]\ndev = \"{dev}\"\nalerts = \"{alerts}\"\napprovals = \"{approvals}\"\n\n[discord.roles]\nowner = \"{owner}\"\n\
             reviewer = \"{reviewer}\"\noperator = \"{operator}\"\n{more}",
            fleet.replace("solo = true", "merge_quorum = 2"),
            fake.url()
        );
        std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
        std::fs::write(project.folder().join("token"), TOKEN).unwrap();
        Self { fake, project, dev, approvals, reviewer, ines, omar, olaf }
    }

    /// Starts the fleet; the first time, accounts are linked.
    pub async fn up(&self, env: &[(&str, &str)]) -> Up {
        let up = self.project.up(env);
        for (name, account) in [("ines", self.ines), ("omar", self.omar), ("olaf", self.olaf)] {
            self.project.ok(&["person", "link", name, &format!("discord:{account}")]);
        }
        self.heard().await;
        up
    }

    /// Waits until the bot is there, with its commands.
    pub async fn heard(&self) {
        assert!(self.fake.connected().await, "{:?}", self.fake.complaints());
        let deadline = Instant::now() + PATIENCE;
        while self.fake.commands().is_empty() {
            assert!(Instant::now() < deadline, "{:?}", self.fake.requests());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a person is told.
    pub async fn told(&self, interaction: u64) -> String {
        let answer = self.fake.answer(interaction).await.expect("an answer within Discord's time");
        answer.text().to_owned()
    }

    pub async fn types(&self, user: u64, name: &str, options: Value) -> String {
        self.told(self.fake.slash(user, self.dev, name, options)).await
    }

    pub async fn clicks(&self, user: u64, card: u64, label: &str) -> String {
        self.told(self.fake.click(user, self.approvals, card, label)).await
    }

    /// The newest message of a channel that is as wanted: its id and its text.
    pub async fn seen(&self, channel: u64, wanted: impl Fn(&str) -> bool) -> (u64, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let messages = self.fake.messages(channel);
            let texts = messages.iter().rev().map(|message| (id(message), text(message)));
            if let Some(found) = texts.into_iter().find(|(_, text)| wanted(text)) {
                return found;
            }
            assert!(Instant::now() < deadline, "{messages:#?} {:?}", self.fake.complaints());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A feature that waits for its merge: the card.
    pub async fn asked(&self) -> (u64, String) {
        let options = json!([{"name": "add", "type": 1, "options": [
            {"name": "title", "type": 3, "value": "Say hello"}, {"name": "stage", "type": 3, "value": "ready"}]}]);
        assert_eq!(self.types(self.olaf, "feature", options).await, "Sent to alpha.");
        self.seen(self.dev, |text| text.contains("In review")).await;
        self.seen(self.approvals, asks_to_merge).await
    }

    /// Merged once, told in #dev, and the card is closed.
    async fn merged(&self, card: u64) {
        self.seen(self.dev, |text| text.contains("Merged")).await;
        let (closed, text) = self.seen(self.approvals, |text| text.starts_with("✔ Merge")).await;
        assert_eq!(closed, card, "{text}");
        let message = self.fake.messages(self.approvals).into_iter().find(|message| id(message) == card);
        assert_eq!(message.unwrap()["components"], json!([]), "a decided card has no buttons");
        let log = crate::support::git(
            &self.project.forge("project"),
            &["log", "--first-parent", "--format=%s", "main"],
        );
        assert_eq!(log.lines().filter(|line| line.contains("Say hello")).count(), 1, "{log}");
    }

    pub fn is_content(&self) {
        assert_eq!(self.fake.complaints(), Vec::<String>::new());
    }
}

/// The card of a merge; that of the rights that were given before may stand there as well.
pub fn asks_to_merge(text: &str) -> bool {
    text.starts_with("**Merge") && text.contains("Decide until")
}

pub fn id(message: &Value) -> u64 {
    message["id"].as_str().unwrap().parse().unwrap()
}

pub fn text(message: &Value) -> String {
    let embed = message["embeds"][0]["description"].as_str();
    embed.or(message["content"].as_str()).unwrap_or_default().to_owned()
}

/// What every run has anew.
pub fn tame(text: &str) -> String {
    let word = |word: &str| {
        let hex = word.trim_matches(|letter: char| !letter.is_ascii_hexdigit());
        let is_commit = hex.len() == 7 && hex.bytes().any(|byte| byte.is_ascii_digit());
        if is_commit { word.replace(hex, "4f2a91c") } else { word.to_owned() }
    };
    let line = |line: &str| match line.split_once("Digest ") {
        Some((before, _)) => format!("{before}Digest 9be1 40c7 d2aa"),
        None => match (line.find("until "), line.find(": 2 ")) {
            (Some(from), Some(to)) if from < to => format!("{}until WHEN{}", &line[..from], &line[to..]),
            _ if line.contains(", since ") => {
                let (before, after) = line.split_once(", since ").unwrap();
                format!("{before}, since WHEN{}", &after["00:00".len()..])
            }
            _ => line.split(' ').map(word).collect::<Vec<_>>().join(" "),
        },
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_becomes_a_feature_and_two_people_merge_it() {
    let guild = Guild::new("").await;
    let up = guild.up(&[]).await;
    let written = guild.fake.write(guild.olaf, guild.dev, "Say hello\nto everybody");
    // Discord gives what was written to whoever takes a command from its menu, without the intent for it.
    let menu = guild.fake.apply(guild.olaf, guild.dev, written, "Make a feature");
    let form = guild.fake.answer(menu).await.unwrap();
    assert_eq!(form.callback, 9);
    let filed = guild.fake.submit_all(menu, &["Say hello", "It is polite.", "alpha", "yes"]);
    insta::assert_snapshot!(guild.told(filed).await, @"Sent to alpha.");
    let (card, asked) = guild.seen(guild.approvals, asks_to_merge).await;
    let filed: qd_api::FeatureView = up.client("alpha", None).get("features/A-1").await.unwrap();
    assert_eq!(filed.feature.wanted.description, "It is polite.");
    insta::assert_snapshot!(tame(&asked), @r#"
    **Merge 4f2a91c into main** (A-1, alpha)
    1 file, +1 −0. Passed on exactly this commit: check.
    Decide until WHEN: 2 owners or reviewers, not the requester. 0 of 2 so far. By button.
    Digest 9be1 40c7 d2aa
    > "Said hello." (the agent's words)
    "#);

    insta::assert_snapshot!(guild.clicks(guild.olaf, card, "Approve").await, @"You need the role owner or reviewer for this. You have: operator.");
    insta::assert_snapshot!(guild.clicks(guild.ines, card, "Approve").await, @"Noted: 1 of 2.");
    // A role that is taken between the clicks counts no more, whatever the fleet's own list says.
    guild.fake.set_roles(guild.omar, &[]);
    insta::assert_snapshot!(guild.clicks(guild.omar, card, "Approve").await, @"You need the role owner or reviewer for this. You have: none.");
    let details = guild.fake.click(guild.omar, guild.approvals, card, "Details");
    let details = guild.fake.answer(details).await.unwrap();
    assert_eq!(details.data["flags"], 64, "for one person alone");
    let (name, subject) = &details.files[0];
    assert!(name.ends_with(".json"), "{name}");
    assert_eq!(serde_json::from_str::<Value>(subject).unwrap()["instance"], "alpha");
    guild.fake.set_roles(guild.omar, &[guild.reviewer]);
    insta::assert_snapshot!(guild.clicks(guild.omar, card, "Approve").await, @"Approved.");
    guild.merged(card).await;

    let late = guild.types(guild.ines, "approve", json!([{"name": "id", "type": 3, "value": "A-1"}])).await;
    assert!(late.starts_with("A-1 was already approved at "), "{late}");
    guild.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_writes_every_guild() {
    let fake = FakeDiscord::start().await;
    let other = fake.add_guild();
    // What the file lacks is found by its name: it is no reason not to read the file.
    let channels = ["dev", "alerts", "approvals"].map(|name| {
        fake.add_channel(name);
        (fake.add_channel_in(other, name), name)
    });
    for name in ["owner", "manager"] {
        fake.add_role(name);
        fake.add_role_in(other, name);
    }
    let project = Project::new(&[("README.md", "# Two guilds\n")]);
    let text = config("true", None)
        + &format!(
            "\n[discord]\napi = \"{}\"\nguild = \"{GUILD}\"\ntoken = {{ file = \"token\" }}\n\n[[discord.guilds]]\n\
             guild = \"{other}\"\nteams = [\"alpha\"]\n\n[discord.guilds.channels]\n",
            fake.url()
        );
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    std::fs::write(project.folder().join("token"), TOKEN).unwrap();
    let said = project.ok(&["bot", "discord", "setup", "--yes"]);
    assert_eq!(said.matches("All channels and roles are there.").count(), 2, "{said}");
    assert!(said.contains("which has alpha."), "{said}");
    let written = std::fs::read_to_string(project.folder().join("quarterdeck.toml")).unwrap();
    let (_, of_other) = written.split_once("[[discord.guilds]]").unwrap();
    for (channel, name) in channels {
        assert!(of_other.contains(&format!("{name} = \"{channel}\"")), "{name}: {written}");
    }
    assert!(of_other.contains("[discord.guilds.roles]") && of_other.contains("owner = "), "{written}");
    assert_eq!(fake.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_a_click_and_its_effect_it_ends_once() {
    for wait in [0, 20, 80, 300] {
        let guild = Guild::new("").await;
        let up = guild.up(&[]).await;
        let (card, _) = guild.asked().await;
        assert_eq!(guild.clicks(guild.ines, card, "Approve").await, "Noted: 1 of 2.");
        guild.fake.click(guild.omar, guild.approvals, card, "Approve");
        tokio::time::sleep(Duration::from_millis(wait)).await;
        std::mem::drop(up);
        let _up = guild.project.up(&[]);
        guild.heard().await;
        // Where the click was lost with the process, it is given again; where it was not, that is said or the card is closed.
        let again =
            guild.types(guild.omar, "approve", json!([{"name": "id", "type": 3, "value": "A-1"}])).await;
        let counted =
            again == "Approved." || again.contains("already approved") || again.contains("noted before");
        assert!(counted, "{wait} ms: {again}");
        guild.merged(card).await;
        guild.is_content();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_429_and_a_lost_gateway_delay_and_lose_nothing() {
    let guild = Guild::new("").await;
    let _up = guild.up(&[]).await;
    guild.fake.limit("POST /channels/{}/messages", 1, Duration::from_millis(400));
    guild.fake.limit("PATCH /channels/{}/messages/{}", 1, Duration::from_millis(400));
    let (card, _) = guild.asked().await;
    guild.fake.drop_gateway(Drop::Forgotten);
    guild.heard().await;
    assert_eq!(guild.clicks(guild.ines, card, "Approve").await, "Noted: 1 of 2.");
    guild.fake.drop_gateway(Drop::Cut);
    guild.heard().await;
    assert_eq!(guild.clicks(guild.omar, card, "Approve").await, "Approved.");
    guild.merged(card).await;
    let cards = guild.fake.messages(guild.approvals);
    let cards = cards.iter().filter(|message| text(message).contains("Merge"));
    assert_eq!(cards.count(), 1, "one card, however often it was tried");
    guild.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn set_up_says_each_step_and_doctor_names_every_missing_permission() {
    let fake = FakeDiscord::start().await;
    let project = Project::new(&[("README.md", "# Discord\n")]);
    let text = config("true", None)
        + &format!(
            "\n[discord]\napi = \"{}\"\nguild = \"{GUILD}\"\ntoken = {{ file = \"token\" }}\n",
            fake.url()
        );
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    std::fs::write(project.folder().join("token"), "wrong").unwrap();
    let setup = |args: &[&str]| {
        let args: Vec<&str> = ["bot", "discord", "setup"].into_iter().chain(args.iter().copied()).collect();
        let output = project.run(&args);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    insta::assert_snapshot!(setup(&[]).1, @"quarterdeck: Discord: Discord does not know the bot's token; make a new one");
    std::fs::write(project.folder().join("token"), TOKEN).unwrap();
    fake.invite(false);
    insta::assert_snapshot!(setup(&[]).1, @"
    The token is good: it is Quarterdeck, application 1000000000000000001.
    It asks for no privileged intent; it uses GUILDS, GUILD_MESSAGES, GUILD_MESSAGE_REACTIONS.
    It is not in the guild 1000000000000000003 yet. It needs there: View Channels, Send Messages, Embed Links, Attach Files, Read Message History, Add Reactions.
    And while it makes channels and roles: Manage Channels, Manage Roles. Open this link, then run this again:
    https://discord.com/oauth2/authorize?client_id=1000000000000000001&scope=bot%20applications.commands&permissions=268553296&guild_id=1000000000000000003&disable_guild_select=true
    ");
    fake.invite(true);
    let (code, said) = setup(&["--yes"]);
    assert_eq!(code, Some(1), "{said}");
    insta::assert_snapshot!(said, @"
    The token is good: it is Quarterdeck, application 1000000000000000001.
    It asks for no privileged intent; it uses GUILDS, GUILD_MESSAGES, GUILD_MESSAGE_REACTIONS.
    It is in the guild fleet.
    Missing: #dev, #alerts, #approvals, the role owner, the role manager. It may not make them. Open this link, or make them by hand, and run this again:
    https://discord.com/oauth2/authorize?client_id=1000000000000000001&scope=bot%20applications.commands&permissions=268553296&guild_id=1000000000000000003&disable_guild_select=true
    quarterdeck: channels or roles are missing, and nothing was made
    ");
    fake.permit(MANAGE);
    fake.add_channel("dev");
    insta::assert_snapshot!(setup(&[]).1, @"
    The token is good: it is Quarterdeck, application 1000000000000000001.
    It asks for no privileged intent; it uses GUILDS, GUILD_MESSAGES, GUILD_MESSAGE_REACTIONS.
    It is in the guild fleet.
    quarterdeck: Missing: #alerts, #approvals, the role owner, the role manager. Make them? Nobody is there to agree: --yes agrees to all
    ");
    insta::assert_snapshot!(setup(&["--yes"]).1, @"
    The token is good: it is Quarterdeck, application 1000000000000000001.
    It asks for no privileged intent; it uses GUILDS, GUILD_MESSAGES, GUILD_MESSAGE_REACTIONS.
    It is in the guild fleet.
    Made #alerts.
    Made #approvals.
    Made the role owner.
    Made the role manager.
    The ids are in the configuration. It counts from the next start.
    22 commands are registered.
    It said hello in #dev.
    Manage Channels and Manage Roles are needed no more: take them from the bot's role if you like.
    Link each person's account: quarterdeck person link NAME discord:ID. It counts from the next quarterdeck up.
    ");
    let names: Vec<String> = fake.channels().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["dev", "alerts", "approvals"], "what was there is taken");
    let (again, _) = fake.channels()[0].clone();
    assert_eq!(fake.messages(again).len(), 1, "it said hello");
    assert!(setup(&["--yes"]).1.contains("All channels and roles are there."));

    let doctor = || {
        let said = String::from_utf8(project.run(&["doctor"]).stdout).unwrap();
        said.lines().filter(|line| line.contains(" discord ")).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(doctor(), @"✔ discord        Quarterdeck in fleet");
    fake.refuse(again, ADD_REACTIONS | EMBED_LINKS);
    insta::assert_snapshot!(doctor(), @"
    ✖ discord        the bot lacks Embed Links in #dev, because every message is an embed
    ✖ discord        the bot lacks Add Reactions in #dev, to seed ✅ and ❌
    ");
    assert_eq!(fake.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_discord_does_not_show_stands_on_the_local_page() {
    /// <https://docs.discord.com/developers/topics/permissions#permissions-bitwise-permission-flags>
    const SEND_MESSAGES: u64 = 1 << 11;

    let guild = Guild::new("").await;
    let up = guild.up(&[]).await;
    let token = guild.project.token("ines");
    let page = || crate::door::send(&up.address, "GET /console/fragment", &[&token], "").1;
    let stands = async |wanted: &str| {
        let deadline = Instant::now() + PATIENCE;
        while !page().contains(wanted) {
            assert!(Instant::now() < deadline, "{}", page());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let add = |title: &str| {
        json!([{"name": "add", "type": 1, "options": [
            {"name": "title", "type": 3, "value": title}, {"name": "stage", "type": 3, "value": "ready"}]}])
    };
    guild.fake.refuse(guild.dev, SEND_MESSAGES);
    guild.types(guild.olaf, "feature", add("Say hello")).await;
    stands("Not everything is shown or heard on Discord. What stands here is complete.").await;
    stands("UTC: #dev: the bot lacks a permission there; quarterdeck doctor names each that is missing.")
        .await;
    stands("Say hello").await;
    guild.fake.refuse(guild.dev, 0);
    guild.types(guild.olaf, "feature", add("Say goodbye")).await;
    stands("Everything is shown and heard on Discord again.").await;
    guild.seen(guild.dev, |text| text.contains("Say goodbye")).await;
    guild.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_has_a_picture_of_its_board_with_words_for_it() {
    let guild = Guild::new("").await;
    let _up = guild.up(&[]).await;
    guild.asked().await;
    let pictured = |message: &Value| message["attachments"].as_array().is_some_and(|all| !all.is_empty());
    let deadline = Instant::now() + PATIENCE;
    let message = loop {
        if let Some(message) = guild.fake.messages(guild.dev).into_iter().find(pictured) {
            break message;
        }
        assert!(Instant::now() < deadline, "{:#?}", guild.fake.messages(guild.dev));
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let file = &message["attachments"][0];
    let described = file["description"].as_str().unwrap();
    assert!(described.contains("A-1"), "{described}");
    let bytes = guild.fake.file(file["id"].as_str().unwrap().parse().unwrap()).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"), "a picture");
    guild.is_content();
}
