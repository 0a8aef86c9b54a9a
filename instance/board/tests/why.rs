//! Every sentence that a card can show.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use qd_board::{CheckFact, Feature, Run, RunEnd, Situation, StepRow, StepState, Wanted, schedule::Hold};
use qd_types::{CommitId, RunId, Stage, Step};

fn feature(stage: Stage) -> Feature {
    Feature {
        id: "A-2".parse().unwrap(),
        repository: "sample".parse().unwrap(),
        wanted: Wanted { title: "Print totals with the currency: €".into(), ..Wanted::default() },
        touched: vec![],
        stage,
        held: None,
        paused: None,
        not_before: None,
        rung: 0,
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
        model: None,
        assigned_by: "the team".into(),
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
        plan: None,
        plan_accepted: None,
        feedback: None,
        round_from: 0,
        returns: 0,
        spent: None,
        stop: None,
        end: None,
        started_at: Timestamp::UNIX_EPOCH,
        ended_at: None,
    }
}

fn say(feature: &Feature, run: Option<&Run>) -> String {
    say_held(feature, run, None)
}

fn say_held(feature: &Feature, run: Option<&Run>, hold: Option<&Hold>) -> String {
    let now = Timestamp::UNIX_EPOCH + 41.minutes();
    let zone = TimeZone::UTC;
    let situation = Situation { feature, run, hold, zone: &zone, approval: None, repair_rounds: 3, now };
    let why = situation.why();
    format!("{:?}: {}", why.waits, why.sentence)
}

#[test]
fn ready_says_what_it_waits_for() {
    let ready = feature(Stage::Ready);
    let say = |hold: Hold| say_held(&ready, None, Some(&hold));
    let later = Timestamp::UNIX_EPOCH + 7.hours();
    let needs = |ids: &[&str]| Hold::Needs(ids.iter().map(|id| id.parse().unwrap()).collect());
    insta::assert_snapshot!(say_held(&ready, None, None), @"None: Next. Starts now.");
    insta::assert_snapshot!(say(Hold::Slots { limit: 2, by: None }), @"Some(Slot): Next. Starts when a slot is free.");
    let by = Some("mira".parse().unwrap());
    insta::assert_snapshot!(say(Hold::Slots { limit: 1, by: by.clone() }), @"Some(Slot): Next. mira lowered the slots to 1. Starts when one is free.");
    insta::assert_snapshot!(say(needs(&["A-1"])), @"Some(Dependency): Waits for A-1 to be merged.");
    insta::assert_snapshot!(say(needs(&["A-1", "A-9", "A-12"])), @"Some(Dependency): Waits for A-1, A-9 and A-12 to be merged.");
    insta::assert_snapshot!(say(needs(&["A-1@review"])), @"Some(Dependency): Waits for A-1 to be in review.");
    insta::assert_snapshot!(say(Hold::Held("Check test is red after 3 repair rounds".into())), @"Some(Person): Check test is red after 3 repair rounds. Needs a person.");
    insta::assert_snapshot!(say(Hold::Assigned("theo".parse().unwrap())), @"Some(Person): theo does it. No agent starts on it.");
    insta::assert_snapshot!(say(Hold::Paused("mira, wait for the release".into())), @"Some(Paused): Paused: mira, wait for the release.");
    insta::assert_snapshot!(say(Hold::EpicPaused("A-1".parse().unwrap(), "mira".into())), @"Some(Paused): Its epic A-1 is paused: mira.");
    insta::assert_snapshot!(say(Hold::TeamPaused("mira, holidays".into())), @"Some(Paused): The team is paused: mira, holidays.");
    insta::assert_snapshot!(say(Hold::Quiet(later)), @"Some(Time): Quiet hours until Thu 07:00.");
    insta::assert_snapshot!(say(Hold::Until(later)), @"Some(Time): The last run failed. It is tried again at Thu 07:00.");
    insta::assert_snapshot!(say(Hold::Broken("repository sample".into(), later)), @"Some(Time): Repository sample can't be used before Thu 07:00.");
    insta::assert_snapshot!(say(Hold::Budget { minutes: 30, spent: 31 }), @"Some(Budget): Its budget of 30 min is used up, 31 min were worked. Needs a person.");
    insta::assert_snapshot!(say(Hold::Reviews { open: 5, limit: 5, by: None }), @"Some(Slot): 5 features wait in review, 5 may. Starts when one is decided.");
    insta::assert_snapshot!(say(Hold::Reviews { open: 5, limit: 2, by }), @"Some(Slot): 5 features wait in review, 2 may, as mira has it. Starts when one is decided.");
    insta::assert_snapshot!(say(Hold::Overlaps("A-7".parse().unwrap(), "src/a.rs".into())), @"Some(Conflict): A-7 works on src/a.rs too. Starts after it.");
    insta::assert_snapshot!(say(Hold::AgentBusy("claude".into(), 2)), @"Some(Slot): Claude has 2 of 2 runs. Starts when one ends.");
    insta::assert_snapshot!(say(Hold::NoAgent), @"Some(Person): No agent is configured for this team. Needs a person.");
}

#[test]
fn a_run_says_what_it_does() {
    let mut said = String::new();
    for step in Step::ALL {
        said.push_str(&say(&feature(Stage::Running), Some(&run(Some(step)))));
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
    insta::assert_snapshot!(say(&feature(Stage::Running), Some(&repairing)), @"Some(Checks): Check test is red, repair round 1 of 3.");
}

#[test]
fn done_says_how() {
    let mut merged = run(Some(Step::CleanUp));
    merged.end = Some(RunEnd::Merged { commit: commit() });
    merged.approved_by = vec!["ines".into()];
    insta::assert_snapshot!(say(&feature(Stage::Done), Some(&merged)), @"None: Merged as 4f2a91c after 41 min. Approved by ines.");
}

#[test]
fn branches_are_readable_and_safe() {
    insta::assert_snapshot!(feature(Stage::Ready).branch(&"alpha".parse().unwrap()), @"qd/alpha/A-2-print-totals-with-the-currency");
}
