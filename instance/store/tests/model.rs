//! The board and its scheduler against a model of them, on the real SQLite: whatever people and runs do, the rows say
//! the same as the model, no limit is exceeded, and nothing starts before what it waits for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::date};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use qd_board::{
    EditFeature, FailureClass, Happened, NewFeature, Rules, RunEnd, Wanted,
    schedule::{self, Limits, Surroundings, Verdict},
};
use qd_store::{NewRun, Settings, Store, StoreError};
use qd_types::{FeatureId, PersonId, RunId, Stage, Step};

const SLOTS: u32 = 2;

/// A feature, as the model has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Card {
    stage: Stage,
    held: bool,
    paused: bool,
    needs: BTreeSet<u32>,
    runs: u32,
    /// Runs in a row that failed for reasons that are tried again.
    transient: u32,
    /// It waits for the time of its next try, and this test's clock stands still.
    later: bool,
}

#[derive(Debug, Clone, Default)]
struct Model {
    cards: BTreeMap<u32, Card>,
}

#[derive(Debug, Clone)]
enum Act {
    Add { needs: Vec<u32>, ready: bool },
    Wire { feature: u32, needs: Vec<u32> },
    Move { feature: u32, to: Stage },
    Cancel { feature: u32 },
    Pause { feature: u32, on: bool },
    Schedule,
    OpenPullRequest { feature: u32 },
    Merge { feature: u32 },
    Fail { feature: u32, transient: bool },
}

impl Model {
    fn running(&self) -> usize {
        self.cards.values().filter(|card| card.stage == Stage::Running).count()
    }

    fn unmet(&self, card: &Card) -> bool {
        card.needs.iter().any(|need| self.cards[need].stage != Stage::Done)
    }

    fn reaches(&self, from: u32, to: u32) -> bool {
        from == to
            || self.cards.get(&from).is_some_and(|card| card.needs.iter().any(|need| self.reaches(*need, to)))
    }

    /// Who waits for a card, directly or through others, and may still be done.
    fn unblocks(&self, number: u32) -> usize {
        let open = |card: &Card| !matches!(card.stage, Stage::Done | Stage::Cancelled);
        let (mut seen, mut next) = (BTreeSet::new(), vec![number]);
        while let Some(at) = next.pop() {
            let waiting = self.cards.iter().filter(|(_, card)| open(card) && card.needs.contains(&at));
            next.extend(waiting.map(|(number, _)| *number).filter(|number| seen.insert(*number)));
        }
        seen.len()
    }

    /// Who starts: what unblocks most, then in the order of their numbers, as all else is alike.
    fn starts(&self) -> Vec<u32> {
        let free = (SLOTS as usize).saturating_sub(self.running());
        let can = |card: &Card| {
            card.stage == Stage::Ready && !card.held && !card.paused && !card.later && !self.unmet(card)
        };
        let mut order: Vec<u32> =
            self.cards.iter().filter(|(_, card)| can(card)).map(|(number, _)| *number).collect();
        order.sort_by_key(|number| (std::cmp::Reverse(self.unblocks(*number)), *number));
        order.truncate(free);
        order
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Act;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Act> {
        let count = state.cards.len() as u32;
        let add =
            (prop::collection::vec(1..=count.max(1), 0..3), any::<bool>()).prop_map(move |(needs, ready)| {
                Act::Add { needs: needs.into_iter().filter(|need| *need <= count).collect(), ready }
            });
        if count == 0 {
            return add.boxed();
        }
        let one = 1..=count;
        prop_oneof![
            2 => add,
            2 => (one.clone(), prop::collection::vec(one.clone(), 0..3))
                .prop_map(|(feature, needs)| Act::Wire { feature, needs }),
            2 => (one.clone(), prop::sample::select(Stage::ALL.to_vec()))
                .prop_map(|(feature, to)| Act::Move { feature, to }),
            1 => one.clone().prop_map(|feature| Act::Cancel { feature }),
            1 => (one.clone(), any::<bool>()).prop_map(|(feature, on)| Act::Pause { feature, on }),
            4 => Just(Act::Schedule),
            3 => one.clone().prop_map(|feature| Act::OpenPullRequest { feature }),
            3 => one.clone().prop_map(|feature| Act::Merge { feature }),
            2 => (one, any::<bool>()).prop_map(|(feature, transient)| Act::Fail { feature, transient }),
        ]
        .boxed()
    }

    fn apply(mut state: Self, transition: &Act) -> Self {
        let active = |card: &Card| matches!(card.stage, Stage::Running | Stage::Review);
        match transition {
            Act::Add { needs, ready } => {
                let stage = if *ready { Stage::Ready } else { Stage::Backlog };
                let needs = needs.iter().copied().collect();
                let card =
                    Card { stage, held: false, paused: false, needs, runs: 0, transient: 0, later: false };
                state.cards.insert(state.cards.len() as u32 + 1, card);
            }
            Act::Wire { feature, needs } => {
                let circle = needs.iter().any(|need| state.reaches(*need, *feature));
                let card = state.cards.get_mut(feature).unwrap();
                if !circle && !matches!(card.stage, Stage::Done | Stage::Cancelled) {
                    card.needs = needs.iter().copied().collect();
                }
            }
            Act::Move { feature, to } => {
                let card = state.cards.get_mut(feature).unwrap();
                let allowed = match (card.stage, to) {
                    (Stage::Backlog | Stage::Cancelled, Stage::Ready)
                    | (Stage::Ready | Stage::Cancelled, Stage::Backlog) => true,
                    (Stage::Ready, Stage::Ready) => card.held,
                    _ => false,
                };
                if allowed {
                    (card.stage, card.held, card.transient, card.later) = (*to, false, 0, false);
                }
            }
            Act::Cancel { feature } => {
                let card = state.cards.get_mut(feature).unwrap();
                if matches!(card.stage, Stage::Backlog | Stage::Ready) {
                    (card.stage, card.held, card.transient, card.later) = (Stage::Cancelled, false, 0, false);
                }
            }
            Act::Pause { feature, on } => state.cards.get_mut(feature).unwrap().paused = *on,
            Act::Schedule => {
                for number in state.starts() {
                    let card = state.cards.get_mut(&number).unwrap();
                    card.stage = Stage::Running;
                    card.runs += 1;
                }
            }
            Act::OpenPullRequest { feature } => {
                let card = state.cards.get_mut(feature).unwrap();
                if card.stage == Stage::Running {
                    card.stage = Stage::Review;
                }
            }
            Act::Merge { feature } => {
                let card = state.cards.get_mut(feature).unwrap();
                if active(card) {
                    card.stage = Stage::Done;
                }
            }
            Act::Fail { feature, transient } => {
                let card = state.cards.get_mut(feature).unwrap();
                if active(card) {
                    card.stage = Stage::Ready;
                    let again = *transient && card.transient < 3;
                    (card.held, card.later) = (!again, again);
                    card.transient = if *transient { card.transient + 1 } else { 0 };
                }
            }
        }
        state
    }
}

struct Real {
    store: Store,
    runtime: tokio::runtime::Runtime,
    now: Timestamp,
    _dir: tempfile::TempDir,
}

fn id(number: u32) -> FeatureId {
    FeatureId::new("A", number).unwrap()
}

fn mira() -> PersonId {
    "mira".parse().unwrap()
}

impl Real {
    fn schedule(&self) -> Vec<FeatureId> {
        let scene = self.runtime.block_on(self.store.scene(1000)).unwrap();
        let rules = Rules::new(vec![], vec![], Some("claude".into())).unwrap();
        let limits = Limits { slots: SLOTS, ..Limits::default() };
        let around = Surroundings {
            now: self.now,
            today: date(2026, 11, 21),
            refuses: None,
            paused: None,
            quiet_until: None,
            called: &["alpha".parse().unwrap()],
            projects: &scene.projects,
            broken: &BTreeMap::new(),
            open: &scene.open,
            rules: &rules,
            limits: &limits,
        };
        let said = schedule::decide(&scene.candidates, &around);
        said.into_iter()
            .filter(|said| matches!(said.verdict, Verdict::Start(_)))
            .map(|said| said.id)
            .collect()
    }

    fn run_of(&self, feature: u32, model: &Model) -> RunId {
        RunId::new(id(feature), model.cards[&feature].runs)
    }
}

impl StateMachineTest for Real {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            instance: "alpha".parse().unwrap(),
            prefix: "A".into(),
            slots: SLOTS,
            reviews: None,
            repair_rounds: 3,
            rungs: 0,
            retry_pause: None,
            question: None,
            zone: jiff::tz::TimeZone::UTC,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = runtime.block_on(async { Store::open(&dir.path().join("board.db"), settings) }).unwrap();
        Self { store, runtime, now: "2026-11-21T12:00:00Z".parse().unwrap(), _dir: dir }
    }

    fn apply(real: Self, model: &Model, transition: Act) -> Self {
        let (store, now) = (real.store.clone(), real.now);
        let expect = |done: bool, result: Result<(), StoreError>| match (done, result) {
            (true, Err(error)) => panic!("{transition:?} should have been done: {error}"),
            (false, Ok(())) => panic!("{transition:?} should have been refused"),
            _ => {}
        };
        // What the model has now is the state after the transition.
        let rt = &real.runtime;
        match &transition {
            Act::Add { needs, ready } => {
                let depends_on = needs.iter().map(|need| qd_board::Dependency::done(id(*need))).collect();
                let wanted = Wanted { title: "Card".into(), depends_on, ..Wanted::default() };
                let new = NewFeature { wanted, ready: *ready, ..NewFeature::default() };
                rt.block_on(store.add(&mira(), new, "sample".parse().unwrap(), now)).unwrap();
            }
            Act::Wire { feature, needs } => {
                let needs: Vec<String> = needs.iter().map(|need| id(*need).to_string()).collect();
                let edit = EditFeature::of(None).set("depends_on", needs);
                let edited = rt.block_on(store.edit(&mira(), &id(*feature), edit, None, now));
                if let Err(StoreError::Field(error)) = &edited {
                    assert!(error.problem.contains("circle") || error.problem.contains("itself"), "{error}");
                }
            }
            Act::Move { feature, to } => {
                drop(rt.block_on(store.happen(
                    &mira(),
                    &id(*feature),
                    Happened::Moved(*to),
                    None,
                    None,
                    now,
                )));
            }
            Act::Cancel { feature } => {
                drop(rt.block_on(store.happen(&mira(), &id(*feature), Happened::Cancelled, None, None, now)));
            }
            Act::Pause { feature, on } => {
                drop(rt.block_on(store.pause(&mira(), &id(*feature), on.then(|| "mira".into()), now)));
            }
            Act::Schedule => {
                for feature in real.schedule() {
                    let new = NewRun {
                        branch: format!("qd/alpha/{feature}"),
                        feature,
                        agent: "claude".into(),
                        model: None,
                        assigned_by: "the team".into(),
                    };
                    rt.block_on(store.open_run(new, now)).unwrap();
                }
                assert!(rt.block_on(store.running()).unwrap() <= SLOTS);
            }
            Act::OpenPullRequest { feature } => {
                let card = &model.cards[feature];
                let run = real.run_of(*feature, model);
                if card.runs > 0 {
                    let opened = store.end_step(&run, Step::PullRequest, None, vec![], now);
                    expect(card.stage == Stage::Review, rt.block_on(opened));
                }
            }
            Act::Merge { feature } | Act::Fail { feature, .. } => {
                let commit = "4f2a91c000000000000000000000000000000000".parse().unwrap();
                let end = match &transition {
                    Act::Merge { .. } => RunEnd::Merged { commit },
                    Act::Fail { transient: true, .. } => {
                        RunEnd::Failed { reason: "the network".into(), class: FailureClass::Transient }
                    }
                    _ => RunEnd::Failed { reason: "red".into(), class: FailureClass::CheckFailed },
                };
                if model.cards[feature].runs > 0 {
                    // One that has ended stays as it ended.
                    rt.block_on(store.end_run(&real.run_of(*feature, model), None, end, now)).unwrap();
                }
            }
        }
        real
    }

    fn check_invariants(real: &Self, model: &Model) {
        for (number, card) in &model.cards {
            let snapshot = real.runtime.block_on(real.store.snapshot(&id(*number), real.now)).unwrap();
            let feature = &snapshot.feature;
            let needs: BTreeSet<u32> =
                feature.wanted.depends_on.iter().map(|need| need.feature.number()).collect();
            assert_eq!(feature.stage, card.stage, "{}", feature.id);
            assert_eq!(feature.held.is_some(), card.held, "{}", feature.id);
            assert_eq!(feature.paused.is_some(), card.paused, "{}", feature.id);
            assert_eq!(feature.not_before.is_some(), card.later, "{}", feature.id);
            assert_eq!(needs, card.needs, "{}", feature.id);
            assert!(!snapshot.why.sentence.is_empty());
        }
        let starts: Vec<u32> = real.schedule().iter().map(FeatureId::number).collect();
        assert_eq!(starts, model.starts(), "who starts next");
        let counts = real.runtime.block_on(real.store.counts()).unwrap();
        assert_eq!(counts.iter().map(|(_, count)| *count).sum::<u64>(), model.cards.len() as u64);
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_rows_say_what_the_model_says(sequential 1..40 => Real);
}
