//! Every sentence that a card can show.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use jiff::{Timestamp, ToSpan as _};
use qd_board::{CheckFact, Feature, Run, RunEnd, Situation, StepRow, StepState, schedule};
use qd_types::{CommitId, FeatureId, RunId, Stage, Step};

fn feature(stage: Stage) -> Feature {
    Feature {
        id: "A-2".parse().unwrap(),
        repository: "sample".parse().unwrap(),
        title: "Print totals with the currency: €".into(),
        description: String::new(),
        priority: 2,
        labels: vec![],
        depends_on: vec![],
        stage,
        held: None,
        author: "theo".parse().unwrap(),
        editors: vec!["theo".parse().unwrap(), "mira".parse().unwrap()],
        version: 1,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

fn commit() -> CommitId {
    "4f2a91c000000000000000000000000000000000".parse().unwrap()
}

fn run(reached: Option<Step>) -> Run {
    let steps = Step::ALL
        .into_iter()
        .take(reached.map_or(0, |step| step.index() + 1))
        .map(|step| StepRow {
            step,
            state: if Some(step) == reached { StepState::Started } else { StepState::Done },
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
            note: None,
        })
        .collect();
    Run {
        id: RunId::new("A-2".parse().unwrap(), 1),
        feature: "A-2".parse().unwrap(),
        agent: "claude".into(),
        branch: "qd/alpha/A-2".into(),
        steps,
        checks: vec![],
        round: 0,
        base: None,
        commit: None,
        pull_request: Some(7),
        approval: None,
        approved_by: vec![],
        words: None,
        stop: None,
        end: None,
        started_at: Timestamp::UNIX_EPOCH,
        ended_at: None,
    }
}

fn say(feature: &Feature, run: Option<&Run>, unmet: &[FeatureId]) -> String {
    let now = Timestamp::UNIX_EPOCH + 41.minutes();
    let situation = Situation {
        feature,
        run,
        unmet,
        approval: None,
        slot_free: false,
        has_agent: true,
        repair_rounds: 3,
        now,
    };
    let why = situation.why();
    format!("{:?}: {}", why.waits, why.sentence)
}

#[test]
fn ready_says_what_it_waits_for() {
    let mut ready = feature(Stage::Ready);
    insta::assert_snapshot!(say(&ready, None, &[]), @"Some(Slot): Next. Starts when a slot is free.");
    let unmet: Vec<FeatureId> = ["A-1", "A-9", "A-12"].iter().map(|id| id.parse().unwrap()).collect();
    insta::assert_snapshot!(say(&ready, None, &unmet[..1]), @"Some(Dependency): Waits for A-1 to be merged.");
    insta::assert_snapshot!(say(&ready, None, &unmet), @"Some(Dependency): Waits for A-1, A-9 and A-12 to be merged.");
    ready.held = Some("Check test is red after 3 repair rounds".into());
    insta::assert_snapshot!(say(&ready, None, &[]), @"Some(Person): Check test is red after 3 repair rounds. Needs a person.");
}

#[test]
fn a_run_says_what_it_does() {
    let mut said = String::new();
    for step in Step::ALL {
        said.push_str(&say(&feature(Stage::Running), Some(&run(Some(step))), &[]));
        said.push('\n');
    }
    insta::assert_snapshot!(said, @r"
    None: Makes a worktree.
    None: Claude works.
    Some(Checks): Runs the checks.
    None: Commits.
    Some(Forge): Pushes its branch.
    Some(Forge): Waits for the pull request to be opened.
    Some(Forge): Pull request 7 is open, people are being asked.
    Some(Checks): Approved. Tests the merge with what is on the target branch now.
    None: Merged. Cleans up.
    ");
}

#[test]
fn a_repair_names_the_red_check_and_the_round() {
    let mut repairing = run(Some(Step::Agent));
    repairing.round = 1;
    repairing.checks.push(CheckFact {
        name: "test".into(),
        commit: commit(),
        passed: false,
        round: 0,
        millis: 1500,
        reason: Some("exit code 101".into()),
    });
    insta::assert_snapshot!(say(&feature(Stage::Running), Some(&repairing), &[]), @"Some(Checks): Check test is red, repair round 1 of 3.");
}

#[test]
fn done_says_how() {
    let mut merged = run(Some(Step::CleanUp));
    merged.end = Some(RunEnd::Merged { commit: commit() });
    merged.approved_by = vec!["ines".into()];
    insta::assert_snapshot!(say(&feature(Stage::Done), Some(&merged), &[]), @"None: Merged as 4f2a91c after 41 min. Approved by ines.");
}

#[test]
fn branches_are_readable_and_safe() {
    insta::assert_snapshot!(feature(Stage::Ready).branch(&"alpha".parse().unwrap()), @"qd/alpha/A-2-print-totals-with-the-currency");
}

#[test]
fn the_scheduler_takes_the_urgent_then_the_old_and_nothing_that_waits() {
    let candidate = |id: &str, priority, unmet: &[&str], held: bool| schedule::Candidate {
        feature: Feature {
            id: id.parse().unwrap(),
            priority,
            held: held.then(|| "red".to_owned()),
            ..feature(Stage::Ready)
        },
        unmet: unmet.iter().map(|id| id.parse().unwrap()).collect(),
    };
    let all = [
        candidate("A-3", 2, &[], false),
        candidate("A-1", 2, &[], false),
        candidate("A-4", 0, &[], false),
        candidate("A-5", 0, &["A-1"], false),
        candidate("A-6", 0, &[], true),
    ];
    let chosen: Vec<String> = schedule::choose(&all, 2).iter().map(|f| f.id.to_string()).collect();
    assert_eq!(chosen, ["A-4", "A-1"]);
}
