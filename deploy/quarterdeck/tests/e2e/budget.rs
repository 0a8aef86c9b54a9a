//! Minutes that are used up: the run asks for as many again, and goes on once, whatever is killed in between.

use std::time::Duration;

use qd_api::{ApprovalView, CastVote, FeatureView, RunSummary};
use qd_types::{ApprovalState, Ballot, Stage};

use crate::support::{Project, Up, approve, config, finished, open_approval, seen, until};

/// Fails until it may work, works long in its first turn and ends its second one at once.
fn agent(project: &Project) -> String {
    let marker = project.folder().join("works");
    let once = "if test -f begun.txt; then echo good > out.txt; else touch begun.txt; exec sleep 60; fi";
    format!("test -f {} || exit 1; {once}", marker.display())
}

/// A fleet whose feature A-1 has used up its one minute, and asks.
pub async fn spent(environment: &[(&str, &str)]) -> (Project, Up) {
    spent_of(environment, "").await
}

/// The same of a team with these settings.
pub async fn spent_of(environment: &[(&str, &str)], team: &str) -> (Project, Up) {
    let project = Project::new(&[("README.md", "# Lines\n")]);
    let text = config(&agent(&project), None) + &seen(&project);
    let text = text.replace("agent = \"shell\"\n", &format!("agent = \"shell\"\n{team}"));
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Long", "--budget-minutes", "1", "--ready"]);
    until(&mut client, "A-1", |view| view.feature.held.is_some()).await;
    drop(client);
    up.interrupt();
    // As if it had worked for almost a minute.
    let settings = qd_store::Settings {
        instance: "alpha".parse().unwrap(),
        prefix: "A".into(),
        slots: 1,
        reviews: None,
        repair_rounds: 0,
        rungs: 0,
        retry_pause: None,
        question: None,
        zone: jiff::tz::TimeZone::UTC,
    };
    let store = qd_store::Store::open(&project.state().join("instances/alpha/board.db"), settings).unwrap();
    let run = "A-1.1".parse().unwrap();
    store.note(&run, vec![qd_store::RunFact::Worked(57_000)]).await.unwrap();
    drop(store);
    std::fs::write(project.folder().join("works"), "").unwrap();
    let up = project.up(environment);
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "move", "A-1", "ready"]);
    until(&mut client, "A-1", |view| view.sentence.contains("Asks for")).await;
    (project, up)
}

async fn says(up: &Up, ballot: Ballot) -> ApprovalView {
    let mut client = up.client("alpha", None);
    let open = open_approval(&mut client, "A-1").await.unwrap();
    let cast = CastVote::new(ballot, &open.approval.digest, None);
    client.post(&format!("approvals/{}/vote", open.approval.id.key()), &cast).await.unwrap()
}

/// The run went on where it was, with the minutes that were granted, and they were granted once.
pub async fn went_on(up: &Up) {
    let mut client = up.client("alpha", None);
    until(&mut client, "A-1", |view| view.sentence.contains("Asks to merge")).await;
    approve(&mut client, "A-1").await;
    let done = until(&mut client, "A-1", finished).await;
    assert_eq!(done.feature.wanted.budget.minutes, Some(2), "raised once");
    let runs: Vec<RunSummary> = client.get("runs").await.unwrap();
    let runs: Vec<String> = runs.iter().map(|run| run.id.to_string()).collect();
    assert_eq!(runs, ["A-1.2", "A-1.1"], "the same run went on");
    let inbox: Vec<ApprovalView> = client.get("approvals").await.unwrap();
    let mut own = inbox.iter().filter(|view| view.approval.id.executor() == "alpha");
    let budget = own.next().unwrap();
    assert!(own.next().is_none(), "asked once");
    assert_eq!(budget.approval.state, ApprovalState::Executed);
    let log = client.get::<Vec<serde_json::Value>>("features/A-1/history").await.unwrap();
    let raised = log.iter().filter(|entry| entry["kind"] == "feature_edited").count();
    assert_eq!(raised, 1, "one entry of the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_minutes_are_used_up_asks_and_a_no_ends_it() {
    let (project, up) = spent(&[]).await;
    let mut client = up.client("alpha", None);
    let asks: FeatureView = client.get("features/A-1").await.unwrap();
    insta::assert_snapshot!(asks.sentence, @"Its budget of 1 min is used up. Asks for 2 min: one more manager.");
    let open = open_approval(&mut client, "A-1").await.unwrap();
    insta::assert_snapshot!(format!("{}. {}", open.title, open.facts), @r#"Change a budget from 1 to 2 min. On: minutes of A-1. Arguments: {"more":1}."#);
    assert_eq!(says(&up, Ballot::Deny).await.approval.state, ApprovalState::Denied);
    let held = until(&mut client, "A-1", |view| view.feature.held.is_some()).await;
    insta::assert_snapshot!(held.sentence, @"Its budget of 1 min is used up. ines said no. Needs a person.");
    project.ok(&["feature", "edit", "A-1", "--budget-minutes", "9"]);
    assert!(!project.ok(&["feature", "why", "A-1"]).contains("used up, "));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_is_raised_and_the_run_goes_on_after_a_restart_as_well() {
    let (project, up) = spent(&[]).await;
    up.interrupt();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    let asks = until(&mut client, "A-1", |view| view.sentence.contains("Asks for")).await;
    assert!(asks.feature.held.is_none());
    says(&up, Ballot::Approve).await;
    went_on(&up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_its_budget_gives_its_slot_to_others() {
    let (project, up) = spent_of(&[], "slots = 1\n").await;
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Short", "--ready"]);
    // The agent works long in its first turn: it has the only slot.
    until(&mut client, "A-2", |view| view.feature.stage == Stage::Running).await;
    says(&up, Ballot::Approve).await;
    until(&mut client, "A-1", |view| view.feature.wanted.budget.minutes == Some(2)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let waits: FeatureView = client.get("features/A-1").await.unwrap();
    insta::assert_snapshot!(waits.sentence, @"Goes on when a slot is free.");
    project.ok(&["run", "stop", "A-2.1"]);
    until(&mut client, "A-1", |view| view.sentence.contains("Asks to merge")).await;
}

#[cfg(feature = "failpoints")]
async fn killed_at(failpoint: &str) {
    use std::os::unix::process::ExitStatusExt as _;

    let (project, mut first) = spent(&[("QUARTERDECK_FAILPOINT", failpoint)]).await;
    says(&first, Ballot::Approve).await;
    let death = tokio::task::block_in_place(|| first.wait_death());
    assert_eq!(death.and_then(|status| status.signal()), Some(9), "{failpoint}");
    drop(first);
    let up = project.up(&[]);
    went_on(&up).await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_spending_and_the_effect() {
    killed_at("budget_spent").await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_effect() {
    killed_at("budget_raised").await;
}
