//! A busy day of a hundred teams through the bot's own steps and this adapter: within the budgets of its channels, Discord never
//! has to say that it is too much. The clock is simulated, and the fake's goes with it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use qd_approvals::SurfaceKey;
use qd_core::{Distil, Rules, chat::Chat};
use qd_discord::{ChannelIds, Config, Discord, People, Threads};
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_hub::{
    HubError,
    steps::{MIGRATIONS, Steps},
};
use qd_testkit::discord::{FakeDiscord, GUILD, TOKEN};
use qd_types::{InstanceName, Line, Person, Role, Stage};
use qd_wire::v1::{Alert, Envelope, FeatureReport, Report};
use secrecy::SecretString;
use tokio::runtime::Handle;

const TEAMS: u32 = 100;
/// Features of a team, of which each turns three times.
const FEATURES: u32 = 3;
/// Seconds of the day: from half an hour before the stand-up on.
const DAY: u32 = 4 * 3600;
/// Seconds between two looks at what may be said.
const STEP: u32 = 3;

struct Nobody;

#[async_trait]
impl People for Nobody {
    async fn by_account(&self, _: u64) -> Result<Option<Person>, String> {
        Ok(None)
    }
}

fn team(number: u32) -> InstanceName {
    format!("team-{number}").parse().unwrap()
}

fn rules() -> Rules {
    let teams: Vec<InstanceName> = (0..TEAMS).map(team).collect();
    let ines = Person { id: "ines".parse().unwrap(), roles: vec![Role::Owner] };
    let known = KnownPerson { person: ines.clone(), identities: Vec::new() };
    let facts = Facts { people: vec![known], teams: teams.clone(), ..Facts::default() };
    Rules {
        teams,
        renamed: BTreeMap::new(),
        people: vec![ines],
        policies: Arc::new(Policies::new(Bundle::embedded().unwrap(), &facts, &[]).unwrap()),
        merge_methods: BTreeMap::new(),
        read: BTreeSet::new(),
        protected: BTreeSet::new(),
        unprotected: BTreeSet::new(),
        approvals: qd_approvals::Rules::default(),
        distil: Distil::new(&serde_json::json!({}), jiff::tz::TimeZone::UTC).unwrap(),
    }
}

/// What a team reports in a step, if it does: its features turn, and now and then something is red.
fn reports(team: u32, step: u32) -> Option<Report> {
    let steps = DAY / STEP;
    let (every, turns) = (steps / (FEATURES * 3 + 1), FEATURES * 3);
    let at = (step + team * 7) % steps;
    if !at.is_multiple_of(every) || at / every >= turns {
        let red = (at % every == every / 2 && (team + at / every).is_multiple_of(5)).then_some(());
        return red.map(|()| {
            Report::Alert(Alert {
                key: format!("red-{}", at / every),
                text: "checks are red.".into(),
                over: false,
            })
        });
    }
    let (number, turn) = (at / every / 3 + 1, at / every % 3);
    let stage = [Stage::Running, Stage::Review, Stage::Done][turn as usize];
    Some(Report::Feature(FeatureReport {
        feature: format!("A-{number}").parse().unwrap(),
        title: "Split the importer from the API".into(),
        stage,
        line: Line::default(),
        sentence: format!("It is in its turn {turn}."),
        agent: Some("claude".into()),
        pull_request: (turn > 0).then_some(u64::from(number)),
        merged: None,
        seconds: None,
        needs_person: false,
        spent: None,
        repository: None,
        issue: None,
        run: None,
        question: None,
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_teams_busy_day_meets_no_429() {
    let fake = Arc::new(FakeDiscord::start().await);
    let [dev, alerts, approvals, standup] =
        ["dev", "alerts", "approvals", "standup"].map(|name| fake.add_channel(name));
    // What Discord's headers say of a channel.
    for route in ["POST /channels/{}/messages", "PATCH /channels/{}/messages/{}"] {
        fake.limit(route, 5, Duration::from_secs(5));
    }
    let config = Config {
        token: SecretString::from(TOKEN),
        guild: GUILD,
        channels: ChannelIds { dev, alerts, approvals, fallback: None, standup: Some(standup) },
        roles: BTreeMap::new(),
        address: Some(fake.url()),
        per_minute: 60,
        threads: Threads::Mentions,
        teams: BTreeMap::new(),
        guilds: Vec::new(),
    };
    let discord = Discord::new(config, Arc::new(Nobody));
    let folder = tempfile::tempdir().unwrap();
    let db = qd_sqlite::Db::open(&folder.path().join("bot.db"), MIGRATIONS).unwrap();
    let (handle, world) = (Handle::current(), fake.clone());
    // The day, in one transaction. How many messages were given to Discord.
    let lived = db.write(move |c| {
        let mut now: Timestamp = "2026-11-23T08:30:00Z".parse().unwrap();
        let fresh = Box::new(|at: Timestamp| {
            ulid::Ulid::from_parts(at.as_millisecond().unsigned_abs(), ulid::Ulid::generate().random())
        });
        let mut steps = Steps::start(c, rules(), SurfaceKey::new(&[7; 32]), &[], fresh, now).unwrap();
        let (mut seq, mut said) = (vec![0; TEAMS as usize], 0);
        for step in 0..DAY / STEP {
            for number in 0..TEAMS {
                let Some(body) = reports(number, step) else { continue };
                let seq = &mut seq[number as usize];
                *seq += 1;
                steps
                    .receive(c, &team(number), vec![Envelope { epoch: 1, seq: *seq, at: now, body }], now)
                    .unwrap();
            }
            if (step * STEP).is_multiple_of(60) {
                steps.tick(c, now).unwrap();
            }
            while let Some(due) = steps.message_now(c, now).unwrap() {
                let there = handle.block_on(discord.put(due.message())).unwrap();
                steps.delivered(c, &due, &there, now).unwrap();
                said += 1;
            }
            now += SignedDuration::from_secs(STEP.into());
            world.advance(Duration::from_secs(STEP.into()));
        }
        Ok::<_, HubError>(said)
    });
    let said = lived.await.unwrap();
    let requests = fake.requests();
    let refused: Vec<&String> = requests.iter().filter(|request| request.ends_with("429")).collect();
    assert_eq!(refused, Vec::<&String>::new(), "of {} requests for {said} messages", requests.len());
    let features = fake.messages(dev).len();
    assert_eq!(features, (TEAMS * FEATURES) as usize, "each feature has its message");
    assert_eq!(fake.threads(dev).len(), features, "and its thread");
    assert!(fake.messages(standup).len() > TEAMS as usize, "how each team stands, and its stand-up");
    assert!(fake.messages(alerts).len() > TEAMS as usize, "what is red");
    assert_eq!(fake.complaints(), Vec::<String>::new());
}
