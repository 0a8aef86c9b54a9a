//! Who is heard, through the one function: the words, the alert, and what people are answered.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use qd_core::{
    Effect, Event, FleetState, Handled, Moment, Rules, Save,
    chat::{Given, Proof},
    handle, presence,
};
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_types::{Person, Role, Stage};
use qd_wire::v1::{
    BoardDigest, FleetAnswer, FleetAsk, FleetQuery, Heartbeat, Order, Presence, Refusal, Report, StageCount,
};

fn ines() -> Person {
    Person { id: "ines".parse().unwrap(), roles: vec![Role::Owner, Role::Manager] }
}

/// Two teams of which nothing is known. The policies take long to make.
fn fresh() -> FleetState {
    let known = KnownPerson { person: ines(), identities: Vec::new() };
    let teams = vec!["alpha".parse().unwrap(), "delta".parse().unwrap()];
    let facts = Facts { people: vec![known], teams: teams.clone(), ..Facts::default() };
    let rules = Rules {
        teams,
        people: vec![ines()],
        renamed: BTreeMap::new(),
        policies: Arc::new(Policies::new(Bundle::embedded().unwrap(), &facts, &[]).unwrap()),
        merge_methods: BTreeMap::new(),
        read: BTreeSet::new(),
        protected: BTreeSet::new(),
        unprotected: BTreeSet::new(),
        approvals: qd_approvals::Rules::default(),
        distil: qd_core::Distil::new(&serde_json::json!({}), jiff::tz::TimeZone::UTC).unwrap(),
    };
    FleetState::new(rules)
}

struct Fleet {
    state: FleetState,
    at: Timestamp,
}

impl Fleet {
    fn new() -> Self {
        static FRESH: LazyLock<FleetState> = LazyLock::new(fresh);
        let mut state = FRESH.clone();
        let at = "2026-11-21T08:14:00Z".parse().unwrap();
        state.listens = presence::Listens::from(at);
        Self { state, at }
    }

    fn happens(&mut self, event: Event) -> Handled {
        handle(&mut self.state, event, Moment { at: self.at, fresh: ulid::Ulid::from_parts(1, 1) })
    }

    fn beat(&mut self, team: &str, runs: u32) -> Vec<Effect> {
        let stages = vec![StageCount { stage: Stage::Ready, features: 3 }];
        let board = BoardDigest { stages, held: 1, ..BoardDigest::default() };
        let beat = Heartbeat { at: self.at, beat_seconds: 15, runs, board };
        let report = Box::new(Report::Heartbeat(Box::new(beat)));
        self.happens(Event::Report { instance: team.parse().unwrap(), report }).effects
    }

    /// So many seconds pass, in which the bot looks every two.
    fn pass(&mut self, seconds: i64) -> Vec<Effect> {
        let mut effects = Vec::new();
        for _ in 0..seconds / 2 {
            self.at += SignedDuration::from_secs(2);
            if presence::due(&self.state, self.at) {
                effects.extend(self.happens(Event::Look).effects);
            }
            presence::looked(&mut self.state, self.at);
        }
        effects
    }

    fn says(&mut self, text: &str) -> String {
        let given = Given::on_console(Proof::SignedIn);
        let said = Event::Command { person: ines(), given, text: text.into() };
        self.happens(said).reply.unwrap()
    }
}

/// What people read of it.
fn shown(effects: &[Effect]) -> Vec<&str> {
    let text = |effect| match effect {
        &&Effect::Put(ref message) | &&Effect::Refresh(ref message) => Some(message.text.as_str()),
        _ => None,
    };
    effects.iter().collect::<Vec<_>>().iter().filter_map(text).collect()
}

#[test]
fn heard_late_and_silent_are_three_words_and_none_of_them_is_idle() {
    let mut fleet = Fleet::new();
    insta::assert_snapshot!(fleet.says("fleet status"), @"
    alpha was not heard yet.
    delta was not heard yet.
    ");
    fleet.beat("alpha", 0);
    fleet.beat("delta", 2);
    insta::assert_snapshot!(fleet.says("fleet status"), @"
    alpha is heard: no run · blocked 1 · ready 3.
    delta is heard: 2 runs · blocked 1 · ready 3.
    ");
    insta::assert_snapshot!(fleet.says("feature add --team delta Say hello"), @"Sent to delta.");
    assert_eq!(shown(&fleet.pass(44)), Vec::<&str>::new());
    fleet.beat("alpha", 0);
    assert_eq!(shown(&fleet.pass(4)), Vec::<&str>::new(), "who is late is no alert");
    insta::assert_snapshot!(fleet.says("fleet status"), @"
    alpha is heard: no run · blocked 1 · ready 3.
    delta is late: last heard at 08:14 with 2 runs.
    ");
    insta::assert_snapshot!(fleet.says("feature add --team delta Say hello"), @"delta is late: last heard at 08:14. The order is kept and goes out when it is heard again.");
    let mut told: Vec<String> = Vec::new();
    for _ in 0..6 {
        fleet.beat("alpha", 0);
        told.extend(shown(&fleet.pass(20)).into_iter().map(str::to_owned));
    }
    insta::assert_snapshot!(told.join("\n"), @"⚠ delta is silent since 08:14 (last heard with 2 runs). Its work is safe on its machine; orders wait.");
    insta::assert_snapshot!(fleet.says("fleet status"), @"
    alpha is heard: no run · blocked 1 · ready 3.
    delta is silent since 08:14 (last heard with 2 runs). Its work is safe on its machine; orders wait.
    ");
    insta::assert_snapshot!(fleet.says("feature add --team delta Say hello"), @"delta is silent since 08:14. The order is kept and goes out when it is heard again.");
    insta::assert_snapshot!(fleet.says("board"), @"
    delta is silent since 08:14: this is how it stood then.
    No runs yet.
    ");
    insta::assert_snapshot!(fleet.says("fleet risks"), @"⚠ delta is silent since 08:14 (last heard with 2 runs). Its work is safe on its machine; orders wait.");
    let back = fleet.beat("delta", 2);
    insta::assert_snapshot!(shown(&back).join("\n"), @"✔ over after 0 min: delta is silent since 08:14 (last heard with 2 runs). Its work is safe on its machine; orders wait.");
    insta::assert_snapshot!(fleet.says("fleet status delta"), @"delta is heard: 2 runs · blocked 1 · ready 3.");
}

#[test]
fn a_bot_that_was_away_itself_missed_nobody() {
    let mut fleet = Fleet::new();
    fleet.beat("delta", 1);
    fleet.pass(10);
    fleet.at += SignedDuration::from_hours(8);
    let woken = fleet.happens(Event::Tick);
    assert!(shown(&woken.effects).iter().all(|text| !text.contains("silent")));
    assert_eq!(presence::of(&fleet.state, &"delta".parse().unwrap(), fleet.at), Presence::Heard);
    let told = fleet.pass(200);
    assert_eq!(shown(&told).iter().filter(|text| text.contains("silent")).count(), 1);
}

#[test]
fn who_is_silent_stays_so_over_a_restart_until_it_is_heard() {
    let mut fleet = Fleet::new();
    fleet.beat("delta", 1);
    let effects = fleet.pass(200);
    let seen = effects.iter().rev().find_map(|effect| match effect {
        Effect::Save(Save::Presence(_, seen)) => Some(seen.as_ref().clone()),
        _ => None,
    });
    let mut later = Fleet::new();
    later.at = fleet.at;
    later.state.listens = presence::Listens::from(later.at);
    later.state.presence.insert("delta".parse().unwrap(), seen.unwrap());
    assert_eq!(presence::of(&later.state, &"delta".parse().unwrap(), later.at), Presence::Silent);
}

#[test]
fn a_team_asks_who_is_heard() {
    let mut fleet = Fleet::new();
    fleet.beat("delta", 2);
    let query = FleetQuery { id: "1".into(), ask: FleetAsk::Status };
    let report = Box::new(Report::FleetQuery(query));
    let effects = fleet.happens(Event::Report { instance: "alpha".parse().unwrap(), report }).effects;
    let answer = effects.into_iter().find_map(|effect| match effect {
        Effect::Tell { order, .. } => Some(*order),
        _ => None,
    });
    let Some(Order::FleetAnswer { answer: FleetAnswer::Status { teams }, .. }) = answer else {
        unreachable!("it is answered")
    };
    let said: Vec<&str> = teams.iter().map(|team| team.sentence.as_str()).collect();
    insta::assert_snapshot!(said.join("\n"), @"
    alpha is heard: no run.
    delta is heard: 2 runs · blocked 1 · ready 3.
    ");
}

#[test]
fn who_ordered_what_was_refused_is_told_once() {
    let mut fleet = Fleet::new();
    let refusal = Refusal {
        epoch: 1,
        seq: 4,
        kind: "command".into(),
        person: Some(ines().id),
        reason: "The team is not paused.".into(),
    };
    let report = Box::new(Report::Refused(refusal));
    fleet.happens(Event::Report { instance: "alpha".parse().unwrap(), report });
    let collect = || Event::Collect { person: ines().id, of: None };
    insta::assert_snapshot!(fleet.happens(collect()).reply.unwrap(), @"alpha did not carry out the order that you gave: The team is not paused.");
    assert_eq!(fleet.happens(collect()).reply, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Time alone never makes it better, hearing alone makes it heard, and silence is told once for each time.
    #[test]
    fn words_change_as_they_may(steps in prop::collection::vec((any::<bool>(), 1_i64..120), 1..40)) {
        let mut fleet = Fleet::new();
        let team = "delta".parse().unwrap();
        fleet.beat("delta", 1);
        let (mut alerts, mut silences) = (0, 0);
        for (beats, seconds) in steps {
            if beats {
                fleet.beat("delta", 1);
                prop_assert_eq!(presence::of(&fleet.state, &team, fleet.at), Presence::Heard);
            }
            let before = presence::of(&fleet.state, &team, fleet.at);
            let effects = fleet.pass(seconds);
            let after = presence::of(&fleet.state, &team, fleet.at);
            prop_assert!(after >= before);
            silences += usize::from(before < Presence::Silent && after == Presence::Silent);
            let told = |effect: &&Effect| matches!(effect, Effect::Save(Save::Alert(_, cause, state)) if cause == "silent" && !state.over);
            alerts += effects.iter().filter(told).count();
        }
        prop_assert_eq!(alerts, silences);
    }
}

#[test]
fn a_pause_goes_to_one_team_or_to_all_of_them() {
    let mut fleet = Fleet::new();
    fleet.beat("alpha", 0);
    fleet.beat("delta", 0);
    let mut orders = |text: &str| {
        let given = Given::on_console(Proof::SignedIn);
        let done = fleet.happens(Event::Command { person: ines(), given, text: text.into() });
        let tells = done.effects.iter().filter_map(|effect| match effect {
            Effect::Tell { to, order, .. } => Some((to, order)),
            _ => None,
        });
        let told = tells.map(|(to, order)| match &**order {
            Order::Command { command, .. } => format!("{to}: {}", command.verb()),
            Order::Reload { by } => format!("{to}: reload, by {}", by.person.id),
            other => format!("{to}: {other:?}"),
        });
        format!("{}\n{}", told.collect::<Vec<_>>().join(", "), done.reply.unwrap())
    };
    insta::assert_snapshot!(orders("team pause alpha lunch"), @"
    alpha: team.pause
    Sent to alpha.
    ");
    insta::assert_snapshot!(orders("fleet pause"), @"
    alpha: team.pause, delta: team.pause
    Sent to alpha.
    Sent to delta.
    ");
    insta::assert_snapshot!(orders("fleet resume"), @"
    alpha: team.resume, delta: team.resume
    Sent to alpha.
    Sent to delta.
    ");
    insta::assert_snapshot!(orders("fleet reload"), @"
    alpha: reload, by ines, delta: reload, by ines
    Sent to alpha.
    Sent to delta.
    ");
    insta::assert_snapshot!(orders("team reload gamma"), @"

    There is no team gamma. There is alpha, delta.
    ");
    insta::assert_snapshot!(orders("team pause gamma"), @"There is no team gamma. There is alpha, delta.");
    insta::assert_snapshot!(orders("team pause"), @"

    team pause needs a team. For all of them: fleet pause
    ");
}

#[test]
fn who_asks_from_another_service_reads_moments_in_full() {
    let mut fleet = Fleet::new();
    fleet.beat("alpha", 1);
    fleet.pass(60);
    let elsewhere = Given { account: Some("7".into()), ..Given::on_console(Proof::SignedIn) };
    let said = Event::Command { person: ines(), given: elsewhere, text: "fleet status".into() };
    let told = fleet.happens(said).reply.unwrap();
    insta::assert_snapshot!(told.lines().next().unwrap(), @"alpha is late: last heard at 2026-11-21 08:14 UTC with 1 run.");
    let here = fleet.says("fleet status");
    insta::assert_snapshot!(here.lines().next().unwrap(), @"alpha is late: last heard at 08:14 with 1 run.");
}
