//! The bot on Discord, beside the fake: how soon people are answered while teams work, how soon a reaction is a decision, and what
//! a large guild costs in memory. The binary is started as a person would start it; the fake is in this process, on the same
//! cores.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use qd_api::{Client, FeatureView};
use qd_board::NewFeature;
use qd_testkit::discord::{FakeDiscord, GUILD, TOKEN};
use serde_json::{Value, json};

use crate::{
    Failure,
    engine::config,
    figures::Figures,
    hub,
    site::{Running, Site},
};

/// Interactions, and how long after each other: ten a second are many times what a busy day of 100 teams has.
const INTERACTIONS: usize = 300;
const APART: Duration = Duration::from_millis(100);
/// Teams that report meanwhile, each so much so often: 100 reports a second. The day of `discord_calls_per_1000_reports` has
/// 370,000, which is 4 a second.
const TEAMS: u32 = 100;
const REPORTS: u64 = 10;
const REPORTED: Duration = Duration::from_secs(10);
/// Decisions by reaction.
const REACTIONS: usize = 40;
/// What is asked about with a reaction: a change of the board.
const RULE: &str = "\n[[policies.rules]]\nname = \"quick\"\nactions = [\"feature.add\"]\neffect = \"ask\"\n\
                    way = \"reaction\"\n";
/// Cards come and go as fast as they are decided, which is faster than people decide: the channel's budget is no part of the
/// figure.
const HASTE: &str = "\n[chat.budget]\nper_minute = 60\nburst = 60\n";
/// The large guild.
const CHANNELS: usize = 500;
const MEMBERS: usize = 5_000;
/// How long the bot is there before its memory is read.
const SETTLED: Duration = Duration::from_secs(20);
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Those of the figures that are wanted.
pub async fn measure(
    binary: &Path,
    figures: &mut Figures,
    wanted: &impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    if wanted("interaction_ack_ms_p99") {
        interactions(binary, figures).await?;
    }
    if wanted("reaction_to_decision_ms_p99") {
        reactions(binary, figures).await?;
    }
    if wanted("discord_guild_rss_mib") {
        memory(binary, figures).await?;
    }
    Ok(())
}

/// A guild with the bot and one person in it, and the project whose fleet works there.
struct Guild {
    fake: Arc<FakeDiscord>,
    site: Site,
    running: Running,
    dev: u64,
    approvals: u64,
    person: u64,
}

impl Guild {
    async fn new(binary: &Path, fake: FakeDiscord, verb: &str, settings: &str) -> Result<Self, Failure> {
        let owner = fake.add_role("owner");
        let [dev, alerts, approvals] = ["dev", "alerts", "approvals"].map(|name| fake.add_channel(name));
        let person = fake.add_member("bench", &[owner]);
        let text = format!(
            "{settings}\n[discord]\napi = \"{}\"\nguild = \"{GUILD}\"\ntoken = {{ file = \"token\" }}\ncommands_per_minute = 100000\n\n\
             [discord.channels]\ndev = \"{dev}\"\nalerts = \"{alerts}\"\napprovals = \"{approvals}\"\n\n\
             [discord.roles]\nowner = \"{owner}\"\n",
            fake.url()
        );
        let site = Site::with(&text, &[("README.md", "x\n"), ("token", TOKEN)])?;
        let running = site.start(binary, &[verb]).await?;
        running.says(&["person", "link", "bench", &format!("discord:{person}")])?;
        let guild = Self { fake: Arc::new(fake), site, running, dev, approvals, person };
        guild
            .until("the bot is connected, with its commands", |fake| {
                (fake.is_connected() && !fake.commands().is_empty()).then_some(())
            })
            .await?;
        Ok(guild)
    }

    /// Waits until something is so at the fake.
    async fn until<T>(&self, what: &str, so: impl Fn(&FakeDiscord) -> Option<T>) -> Result<T, Failure> {
        let begun = Instant::now();
        loop {
            if let Some(found) = so(&self.fake) {
                return Ok(found);
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{what}: not within {PATIENCE:?}; {:?}", self.fake.complaints()).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What Discord would not have understood makes every figure worthless.
    fn end(self) -> Result<(), Failure> {
        let complaints = self.fake.complaints();
        drop(self.running);
        drop(self.site);
        if complaints.is_empty() { Ok(()) } else { Err(format!("the fake complains: {complaints:?}").into()) }
    }
}

fn settings(slots: u32) -> String {
    config("echo hello > $QUARTERDECK_FEATURE.txt", slots, "")
}

async fn file(client: &mut Client, number: usize) -> Result<(), Failure> {
    let new = NewFeature { ready: true, ..NewFeature::titled(format!("Bench {number}")) };
    let _: FeatureView = client.post("features", &new).await?;
    Ok(())
}

fn sorted(mut taken: Vec<f64>) -> Result<(f64, f64), Failure> {
    taken.sort_by(f64::total_cmp);
    let at = |hundredth: usize| taken.get(taken.len() * hundredth / 100).copied();
    Ok((at(99).ok_or("no samples")?, at(50).unwrap_or_default()))
}

/// `interaction_ack_ms_p99`: from the gateway's event to the answer that the person sees.
async fn interactions(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let guild = Guild::new(binary, FakeDiscord::start().await, "bot", &hub::configuration(TEAMS)?).await?;
    let mut crowd = hub::crowd(&guild.running, TEAMS).await?;
    let work = tokio::spawn(async move {
        let mut clock = tokio::time::interval(REPORTED / TEAMS);
        for number in (0..crowd.len()).cycle() {
            clock.tick().await;
            let remote = crowd.get_mut(number).ok_or("no team")?;
            let batch = remote.batch(REPORTS)?;
            remote.connected().await?;
            remote.ship(batch).await?;
        }
        Ok::<_, Failure>(())
    });
    let mut asked = Vec::with_capacity(INTERACTIONS);
    for number in 0..INTERACTIONS {
        let (name, options) = match number % 3 {
            0 => ("board", json!([{"name": "show", "type": 1, "options": []}])),
            1 => ("fleet", json!([{"name": "status", "type": 1, "options": []}])),
            _ => ("approvals", json!([{"name": "list", "type": 1, "options": []}])),
        };
        let (fake, person, dev) = (Arc::clone(&guild.fake), guild.person, guild.dev);
        asked.push(tokio::spawn(async move {
            let begun = Instant::now();
            let answer = fake.answer(fake.slash(person, dev, name, options)).await;
            answer.map(|_| begun.elapsed().as_secs_f64() * 1e3)
        }));
        tokio::time::sleep(APART).await;
    }
    let mut taken = Vec::with_capacity(INTERACTIONS);
    for each in asked {
        taken.push(each.await?.ok_or("a person was not answered")?);
    }
    if work.is_finished() {
        work.await??;
        return Err("the teams went silent".into());
    }
    work.abort();
    let (p99, median) = sorted(taken)?;
    let note = format!(
        "answered in full while {TEAMS} teams report {:.0} times a second; median {median:.1}; at most 100",
        f64::from(TEAMS) * REPORTS as f64 / REPORTED.as_secs_f64()
    );
    figures.add("interaction_ack_ms_p99", p99, "ms", INTERACTIONS, note);
    guild.end()
}

fn has_mark(message: &Value) -> bool {
    let list = |name: &str| message.get(name).and_then(Value::as_array);
    list("reactions").is_some_and(|marks| {
        marks.iter().any(|mark| mark.pointer("/emoji/name").is_some_and(|name| name == "✅"))
    }) && list("components").is_some_and(|rows| !rows.is_empty())
}

/// `reaction_to_decision_ms_p99`: from a ✅ under a card to what it decides, done on the team's board.
async fn reactions(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let guild =
        Guild::new(binary, FakeDiscord::start().await, "up", &format!("{}{RULE}{HASTE}", settings(2)))
            .await?;
    let (mut client, mut taken) = (guild.running.client()?, Vec::with_capacity(REACTIONS));
    for number in 0..REACTIONS {
        // It is asked about, and not filed yet.
        drop(file(&mut client, number).await);
        let approvals = guild.approvals;
        let card = guild
            .until("a card with its reactions", |fake| {
                let open = fake.messages(approvals).into_iter().find(has_mark)?;
                open.get("id")?.as_str()?.parse::<u64>().ok()
            })
            .await?;
        let begun = Instant::now();
        guild.fake.react(guild.person, approvals, card, "✅");
        while features(&mut client).await? <= number {
            if begun.elapsed() > PATIENCE {
                return Err("a reaction decided nothing".into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
        guild
            .until("the card is closed", |fake| {
                (!fake.messages(approvals).iter().any(has_mark)).then_some(())
            })
            .await?;
    }
    let (p99, median) = sorted(taken)?;
    let note = format!("until it is done on the team's board; median {median:.1}; at most 200");
    figures.add("reaction_to_decision_ms_p99", p99, "ms", REACTIONS, note);
    guild.end()
}

async fn features(client: &mut Client) -> Result<usize, Failure> {
    let all: Vec<FeatureView> = client.get("features").await?;
    Ok(all.len())
}

/// `discord_guild_rss_mib`: `up` in a guild of 500 channels and 5,000 people.
async fn memory(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let fake = FakeDiscord::start().await;
    let roles: Vec<u64> = (0..50).map(|number| fake.add_role(&format!("role-{number}"))).collect();
    for number in 0..CHANNELS {
        fake.add_channel(&format!("channel-{number}"));
    }
    for number in 0..MEMBERS {
        fake.add_member(&format!("member-{number}"), &roles);
    }
    let guild = Guild::new(binary, fake, "up", &settings(1)).await?;
    let mut client = guild.running.client()?;
    file(&mut client, 0).await?;
    let dev = guild.dev;
    guild
        .until("the team's picture", |fake| {
            let pictured =
                |message: &Value| message["attachments"].as_array().is_some_and(|all| !all.is_empty());
            fake.messages(dev).iter().any(pictured).then_some(())
        })
        .await?;
    tokio::time::sleep(SETTLED).await;
    let note = format!("up, {CHANNELS} channels, {MEMBERS} people, a picture was drawn; at most 80");
    figures.add("discord_guild_rss_mib", guild.running.rss_mib()?, "MiB", 1, note);
    guild.end()
}
