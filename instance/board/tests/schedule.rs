//! The scheduler's choice: who starts, in which order, and what the others wait for.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _, civil::date};
use proptest::prelude::*;
use qd_board::{
    Feature, Rule, Rules, Rung, Size, Wanted,
    project::Capacity,
    schedule::{self, Candidate, Hold, Limits, Open, Surroundings, Verdict},
};
use qd_types::Stage;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn candidate(id: &str, wanted: Wanted) -> Candidate {
    let feature = Feature {
        id: id.parse().unwrap(),
        repository: "sample".parse().unwrap(),
        wanted: Wanted { title: id.into(), ..wanted },
        touched: vec![],
        stage: Stage::Ready,
        held: None,
        paused: None,
        not_before: None,
        rung: 0,
        author: "theo".parse().unwrap(),
        editors: vec![],
        version: 1,
        created_at: now(),
        updated_at: now(),
    };
    Candidate { feature, unmet: vec![], unblocks: 0, paused_epic: None, minutes_spent: 0 }
}

fn plain(id: &str) -> Candidate {
    candidate(id, Wanted::default())
}

fn urgent(id: &str, priority: u8) -> Candidate {
    candidate(id, Wanted { priority, ..Wanted::default() })
}

struct Scene {
    paused: Option<String>,
    quiet_until: Option<Timestamp>,
    broken: BTreeMap<String, Timestamp>,
    open: Vec<Open>,
    rules: Rules,
    limits: Limits,
    projects: BTreeMap<String, Capacity>,
}

fn scene() -> Scene {
    Scene {
        paused: None,
        quiet_until: None,
        broken: BTreeMap::new(),
        open: vec![],
        rules: Rules::new(vec![], vec![], Some("claude".into())).unwrap(),
        limits: Limits { slots: 2, ..Limits::default() },
        projects: BTreeMap::new(),
    }
}

impl Scene {
    fn decide(&self, all: &[Candidate]) -> Vec<schedule::Said> {
        let around = Surroundings {
            now: now(),
            today: date(2026, 11, 21),
            called: &["alpha".parse().unwrap()],
            projects: &self.projects,
            refuses: None,
            paused: self.paused.as_deref(),
            quiet_until: self.quiet_until,
            broken: &self.broken,
            open: &self.open,
            rules: &self.rules,
            limits: &self.limits,
        };
        schedule::decide(all, &around)
    }

    fn starts(&self, all: &[Candidate]) -> Vec<String> {
        let said = self.decide(all).into_iter();
        said.filter(|said| matches!(said.verdict, Verdict::Start(_)))
            .map(|said| said.id.to_string())
            .collect()
    }

    fn hold(&self, all: &[Candidate], id: &str) -> Option<Hold> {
        let said = self.decide(all).into_iter().find(|said| said.id.to_string() == id).unwrap();
        match said.verdict {
            Verdict::Waits(hold) => Some(hold),
            Verdict::Start(_) => None,
        }
    }
}

fn open(id: &str, paths: &[&str], running: bool) -> Open {
    Open {
        id: id.parse().unwrap(),
        repository: "sample".parse().unwrap(),
        agent: "claude".into(),
        project: None,
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        running,
    }
}

#[test]
fn the_urgent_come_first_then_what_unblocks_then_what_is_due_then_the_old() {
    let mut unblocks = plain("A-4");
    unblocks.unblocks = 3;
    let due = candidate("A-5", Wanted { due: Some(date(2026, 12, 24)), ..Wanted::default() });
    let overdue = candidate("A-6", Wanted { due: Some(date(2026, 11, 20)), ..Wanted::default() });
    let all = [plain("A-3"), plain("A-1"), urgent("A-2", 1), unblocks, due, overdue];
    let order: Vec<String> = scene().decide(&all).iter().map(|said| said.id.to_string()).collect();
    assert_eq!(order, ["A-6", "A-2", "A-4", "A-5", "A-1", "A-3"]);
    assert_eq!(scene().starts(&all), ["A-6", "A-2"]);
}

#[test]
fn waiting_makes_urgent_so_that_nothing_starves() {
    let mut old = urgent("A-1", 4);
    old.feature.created_at = now() - (24 * 13).hours();
    assert_eq!(scene().starts(&[urgent("A-2", 1), urgent("A-3", 1), old]), ["A-1", "A-2"]);
}

#[test]
fn what_waits_says_for_what() {
    let mut needs = plain("A-2");
    needs.unmet = vec!["A-1".parse().unwrap()];
    let assigned = candidate("A-3", Wanted { assignee: Some("mira".parse().unwrap()), ..Wanted::default() });
    let all = [needs, assigned, plain("A-4"), plain("A-5"), plain("A-6")];
    let scene = scene();
    assert_eq!(scene.starts(&all), ["A-4", "A-5"]);
    assert_eq!(scene.hold(&all, "A-2"), Some(Hold::Needs(vec!["A-1".parse().unwrap()])));
    assert_eq!(scene.hold(&all, "A-3"), Some(Hold::Assigned("mira".parse().unwrap())));
    assert_eq!(scene.hold(&all, "A-6"), Some(Hold::Slots { limit: 2, by: None }));
}

#[test]
fn features_on_the_same_paths_do_not_run_side_by_side() {
    let on = |id: &str, path: &str| candidate(id, Wanted { paths: vec![path.into()], ..Wanted::default() });
    let mut scene = scene();
    scene.open = vec![open("A-9", &["src/import/**"], true)];
    scene.limits.slots = 9;
    let all = [
        on("A-1", "src/import/csv.rs"),
        on("A-2", "docs"),
        on("A-3", "docs/a.md"),
        on("A-4", "src/importer.rs"),
    ];
    assert_eq!(scene.starts(&all), ["A-2", "A-4"]);
    assert_eq!(
        scene.hold(&all, "A-1"),
        Some(Hold::Overlaps("A-9".parse().unwrap(), "src/import/csv.rs".into()))
    );
    assert_eq!(scene.hold(&all, "A-3"), Some(Hold::Overlaps("A-2".parse().unwrap(), "docs/a.md".into())));
}

#[test]
fn a_full_review_column_stops_new_starts() {
    let mut scene = scene();
    scene.limits.reviews = Some(1);
    scene.open = vec![open("A-9", &[], false)];
    assert_eq!(scene.hold(&[plain("A-1")], "A-1"), Some(Hold::Reviews { open: 1, limit: 1, by: None }));
}

#[test]
fn agents_and_repositories_have_limits_of_their_own() {
    let mut scene = scene();
    scene.limits.slots = 9;
    scene.limits.per_agent = BTreeMap::from([("claude".into(), 1)]);
    let other = candidate("A-2", Wanted { agent: Some("codex".into()), ..Wanted::default() });
    let all = [plain("A-1"), other, plain("A-3")];
    assert_eq!(scene.starts(&all), ["A-1", "A-2"]);
    assert_eq!(scene.hold(&all, "A-3"), Some(Hold::AgentBusy("claude".into(), 1)));
    scene.limits.per_agent.clear();
    scene.limits.per_repository = BTreeMap::from([("sample".parse().unwrap(), 2)]);
    assert_eq!(scene.hold(&all, "A-3"), Some(Hold::RepositoryBusy("sample".parse().unwrap(), 2)));
}

#[test]
fn pauses_quiet_hours_and_broken_causes_hold_everything_they_concern() {
    let mut scene = scene();
    let later = now() + 5.minutes();
    scene.broken = BTreeMap::from([("agent claude".into(), later)]);
    assert_eq!(scene.hold(&[plain("A-1")], "A-1"), Some(Hold::Broken("agent claude".into(), later)));
    let other = candidate("A-2", Wanted { agent: Some("codex".into()), ..Wanted::default() });
    assert_eq!(scene.starts(std::slice::from_ref(&other)), ["A-2"]);
    scene.quiet_until = Some(later);
    assert_eq!(scene.hold(std::slice::from_ref(&other), "A-2"), Some(Hold::Quiet(later)));
    scene.paused = Some("mira".into());
    assert_eq!(scene.hold(&[other], "A-2"), Some(Hold::TeamPaused("mira".into())));
}

#[test]
fn a_rule_names_agent_model_and_size_and_the_ladder_goes_past_it() {
    let rules = vec![
        Rule {
            name: "docs are small".into(),
            paths: vec!["docs/**".into()],
            size: Some(Size::S),
            ..Rule::default()
        },
        Rule {
            name: "small ones".into(),
            sizes: vec![Size::S],
            agent: Some("haiku".into()),
            ..Rule::default()
        },
    ];
    let ladder = vec![Rung { agent: "claude".into(), model: Some("opus".into()) }];
    let rules = Rules::new(rules, ladder, Some("claude".into())).unwrap();
    let mut docs = candidate("A-1", Wanted { paths: vec!["docs/a.md".into()], ..Wanted::default() }).feature;
    let said = |feature: &Feature| {
        let assignment = rules.assign(feature).unwrap();
        format!("{} {:?} by {}", assignment.agent, assignment.model, assignment.by)
    };
    insta::assert_snapshot!(said(&docs), @"haiku None by rule small ones");
    insta::assert_snapshot!(rules.size(&docs).unwrap().1, @"rule docs are small");
    docs.rung = 1;
    insta::assert_snapshot!(said(&docs), @r#"claude Some("opus") by rung 1 of the ladder"#);
    insta::assert_snapshot!(said(&plain("A-2").feature), @"claude None by the team");
}

proptest! {
    #[test]
    fn no_limit_is_ever_exceeded(
        features in prop::collection::vec((0_u8..5, 0_usize..3, 0_usize..2), 0..40),
        slots in 0_u32..6, per_agent in 0_u32..4,
    ) {
        let paths = ["src/a", "src/b", "docs"];
        let agents = ["claude", "codex"];
        let mut scene = scene();
        scene.limits.slots = slots;
        scene.limits.per_agent = BTreeMap::from([("codex".into(), per_agent)]);
        let all: Vec<Candidate> = features.iter().enumerate().map(|(index, (priority, path, agent))| {
            candidate(&format!("A-{}", index + 1), Wanted {
                priority: *priority, paths: vec![paths[*path].into()], agent: Some(agents[*agent].into()), ..Wanted::default()
            })
        }).collect();
        let said = scene.decide(&all);
        prop_assert_eq!(said.len(), all.len());
        let started: Vec<&Candidate> = said.iter().filter(|said| matches!(said.verdict, Verdict::Start(_)))
            .map(|said| all.iter().find(|one| one.feature.id == said.id).unwrap()).collect();
        prop_assert!(started.len() <= slots as usize);
        prop_assert!(started.iter().filter(|one| one.feature.wanted.agent.as_deref() == Some("codex")).count() <= per_agent as usize);
        for (index, one) in started.iter().enumerate() {
            for other in &started[..index] {
                prop_assert!(!schedule::overlap(&one.feature.wanted.paths[0], &other.feature.wanted.paths[0]));
            }
        }
        // A slot stays free only if nothing that could take it is left.
        if started.len() < slots as usize {
            for said in &said {
                let for_a_slot = matches!(said.verdict, Verdict::Waits(Hold::Slots { .. }));
                prop_assert!(!for_a_slot);
            }
        }
    }

    #[test]
    fn overlap_is_symmetric_and_reflexive(one in "[a-c/*]{1,6}", other in "[a-c/*]{1,6}") {
        prop_assert!(schedule::overlap(&one, &one));
        prop_assert_eq!(schedule::overlap(&one, &other), schedule::overlap(&other, &one));
    }
}

#[test]
fn a_project_limits_its_runs_its_teams_and_its_minutes() {
    let named = |id| candidate(id, Wanted { project: Some("billing".into()), ..Wanted::default() });
    let all = [named("A-1"), named("A-2"), plain("A-3")];
    let mut scene = scene();
    let capacity = Capacity { slots: Some(1), minutes: Some(60), minutes_spent: 59, ..Capacity::default() };
    scene.projects.insert("billing".into(), capacity.clone());
    assert_eq!(scene.starts(&all), ["A-1", "A-3"]);
    let say = |scene: &Scene| scene.hold(&all, "A-2").unwrap().sentence(&jiff::tz::TimeZone::UTC);
    insta::assert_snapshot!(say(&scene), @"billing has 1 of 1 runs. Starts when one ends.");
    scene.projects.insert("billing".into(), Capacity { minutes_spent: 60, ..capacity.clone() });
    insta::assert_snapshot!(say(&scene), @"billing has 60 min, 60 min were worked. Needs a person.");
    scene.projects.insert("billing".into(), Capacity { teams: vec!["beta".parse().unwrap()], ..capacity });
    insta::assert_snapshot!(say(&scene), @"billing is for beta. Needs a person.");
    assert_eq!(scene.starts(&all), ["A-3"]);
}
