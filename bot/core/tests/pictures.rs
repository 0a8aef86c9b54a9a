//! Pictures through the one function: what they show of what was reported, and when they are said again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use qd_core::{
    Distil, Effect, Event, FleetState, Moment, Rules, Save,
    chat::Message,
    handle,
    picture::{Marks, Picture, Tone},
};
use qd_engine::{Bundle, Facts, Policies};
use qd_types::{Line, Mark, Spent, Stage};
use qd_wire::v1::{Cost, FeatureReport, Report};
use serde_json::json;

struct Fleet {
    state: FleetState,
    now: Timestamp,
    rows: Vec<Save>,
}

impl Fleet {
    /// Team alpha in Berlin, on a Monday at eight.
    fn new() -> Self {
        let facts = Facts { teams: vec!["alpha".parse().unwrap()], ..Facts::default() };
        let rules = Rules {
            teams: facts.teams.clone(),
            people: Vec::new(),
            renamed: BTreeMap::new(),
            policies: Arc::new(Policies::new(Bundle::embedded().unwrap(), &facts, &[]).unwrap()),
            merge_methods: BTreeMap::new(),
            read: BTreeSet::new(),
            protected: BTreeSet::new(),
            unprotected: BTreeSet::new(),
            approvals: qd_approvals::Rules::default(),
            distil: Distil::new(&json!({}), TimeZone::get("Europe/Berlin").unwrap()).unwrap(),
        };
        Self { state: FleetState::new(rules), now: "2026-11-16T07:00:00Z".parse().unwrap(), rows: Vec::new() }
    }

    fn happens(&mut self, event: Event) -> Vec<Message> {
        let moment = Moment { at: self.now, fresh: ulid::Ulid::from_parts(1, 1) };
        let mut said = Vec::new();
        for effect in handle(&mut self.state, event, moment).effects {
            match effect {
                Effect::Put(message) | Effect::Refresh(message) => said.push(message),
                Effect::Save(save) => self.rows.push(save),
                _ => {}
            }
        }
        said
    }

    fn report(&mut self, report: Report) {
        let report = Box::new(report);
        self.happens(Event::Report { instance: "alpha".parse().unwrap(), report });
    }

    fn feature(&mut self, id: &str, stage: Stage, mark: Mark) {
        let mut line = Line::default();
        line.0[1] = mark;
        self.report(Report::Feature(FeatureReport {
            feature: id.parse().unwrap(),
            title: format!("Feature *{id}*"),
            stage,
            line,
            sentence: format!("{id} is {stage}."),
            agent: (stage != Stage::Ready).then(|| "claude".to_owned()),
            pull_request: None,
            merged: None,
            seconds: (stage == Stage::Done).then_some(1_800),
            needs_person: false,
            spent: None,
            repository: None,
            issue: None,
            run: None,
            question: None,
        }));
    }

    fn costs(&mut self, day: &str, micro_dollars: u64) {
        let spent = Spent { calls: 1, tokens: 900, micro_dollars, ..Spent::default() };
        self.report(Report::Cost(Cost { day: day.parse().unwrap(), spent }));
    }

    fn passes(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
    }

    /// The pictures that are said now: the key of their message, and what they show.
    fn pictures(&mut self) -> BTreeMap<String, Picture> {
        let said = self.happens(Event::Tick).into_iter();
        said.filter_map(|message| Some((message.key.0, *message.picture?))).collect()
    }
}

#[test]
fn a_board_shows_what_moves_first_and_what_asks_for_attention_above_the_rest() {
    let mut fleet = Fleet::new();
    for id in 1..=7 {
        fleet.feature(&format!("A-{id}"), Stage::Running, Mark::Now);
    }
    fleet.feature("A-8", Stage::Running, Mark::Failed);
    fleet.feature("A-9", Stage::Running, Mark::Waits);
    fleet.feature("A-10", Stage::Backlog, Mark::Open);
    fleet.feature("A-11", Stage::Done, Mark::Done);
    let pictures = fleet.pictures();
    assert_eq!(pictures.keys().collect::<Vec<_>>(), ["team:alpha"], "a single day makes no charts");
    assert_snapshot!(pictures["team:alpha"].alt(), @"The board of alpha. Running 9: A-9 Feature *A-9* (0 of 9 steps done, agent waits for a person); A-8 Feature *A-8* (0 of 9 steps done, agent failed); A-1 Feature *A-1* (0 of 9 steps done, agent under way); A-2 Feature *A-2* (0 of 9 steps done, agent under way), and 5 more. Review 0. Ready 0. Done 1: A-11 Feature *A-11* (1 of 9 steps done). Backlog 1.");
    let Picture::Board(board) = &pictures["team:alpha"] else { panic!("no board") };
    let tones: Vec<Tone> = board.columns[0].cards.iter().map(|card| card.tone).collect();
    assert_eq!(tones, [Tone::Asks, Tone::Red, Tone::Quiet, Tone::Quiet]);
    assert_eq!(fleet.pictures(), BTreeMap::new(), "nothing changed");
}

#[test]
fn charts_count_days_and_survive_a_start() {
    let mut fleet = Fleet::new();
    for id in 1..=4 {
        fleet.feature(&format!("A-{id}"), Stage::Ready, Mark::Open);
    }
    fleet.costs("2026-11-16", 1_250_000);
    fleet.passes(24);
    fleet.feature("A-1", Stage::Done, Mark::Done);
    fleet.feature("A-1", Stage::Done, Mark::Done);
    fleet.feature("A-4", Stage::Cancelled, Mark::Open);
    fleet.passes(48);
    fleet.feature("A-2", Stage::Done, Mark::Done);
    fleet.costs("2026-11-19", 400_000);
    let charts = fleet.pictures().remove("charts:alpha").unwrap();
    assert_snapshot!(charts.alt(), @"alpha, the last 4 days, from 16 Nov to 19 Nov. Burn-up: 2 of 3 features merged. Cost per day: $1.65 in all, most on 16 Nov with $1.25. Cycle time: 30 min from the first run to the merge (median of 2 features).");
    let Picture::Charts(shown) = &charts else { panic!("no charts") };
    let Marks::BurnUp { wanted, done } = &shown.panels[0].marks else { panic!("no burn-up") };
    assert_eq!((&wanted.1[..], &done.1[..]), (&[4, 3, 3, 3][..], &[0, 1, 1, 2][..]));

    // The process starts again: only what is in rows is left.
    let mut again = Fleet { now: fleet.now, ..Fleet::new() };
    for save in &fleet.rows {
        match save {
            Save::Fact(fact) => {
                let row = serde_json::to_string(fact).unwrap();
                again.state.facts.put(serde_json::from_str(&row).unwrap());
            }
            Save::Feature(team, report) => {
                again.state.features.insert((team.clone(), report.feature.clone()), *report.clone());
            }
            _ => {}
        }
    }
    again.state.facts.stale = again.state.rules.teams.iter().cloned().collect();
    assert_eq!(again.pictures().remove("charts:alpha"), Some(charts));
}

#[test]
fn what_was_known_before_days_were_counted_counts() {
    let mut fleet = Fleet::new();
    for (id, stage) in [("A-1", Stage::Done), ("A-2", Stage::Ready), ("A-3", Stage::Running)] {
        fleet.feature(id, stage, Mark::Open);
    }
    fleet.state.facts.days.clear();
    fleet.feature("A-3", Stage::Done, Mark::Done);
    let counts = fleet.state.facts.days.values().next().unwrap();
    assert_eq!((counts.wanted, counts.merged), (3, 2));
}
