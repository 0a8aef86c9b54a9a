//! What is shown on pull requests: rows before calls, the newest state alone, and a card there as somebody's first.

use std::time::Duration;

use insta::assert_snapshot;
use qd_core::{chat::Channel, forge::ForgeError};
use qd_types::{Line, Stage};
use qd_wire::v1::{FeatureReport, ForgeOutcome, Report};

use crate::{
    places::{asked, cards, clock_runs},
    support::{Fleet, commit, merge, rules},
};

fn report(sentence: &str) -> Report {
    Report::Feature(FeatureReport {
        feature: "A-1".parse().unwrap(),
        title: "Split the importer".into(),
        stage: Stage::Review,
        line: Line::default(),
        sentence: sentence.into(),
        agent: Some("claude".into()),
        pull_request: Some(7),
        merged: None,
        seconds: None,
        needs_person: false,
        spent: None,
        repository: Some("sample".parse().unwrap()),
        issue: None,
        run: None,
        question: None,
    })
}

/// A fleet whose pull requests people read.
async fn read() -> Fleet {
    let mut rules = rules();
    rules.read.insert("sample".to_owned());
    Fleet::with(rules).await
}

#[tokio::test]
async fn the_check_is_green_on_the_tested_commit_after_the_grant_and_before_the_merge() {
    let mut fleet = Fleet::new().await;
    fleet.forge.0.lock().unwrap().draft = true;
    let id = fleet.ask("A-1.1/ask").await;
    fleet.until(|| !fleet.forge.told("check").is_empty()).await;
    assert_snapshot!(fleet.forge.told("check").join("\n"), @"check quarterdeck of 4444444 Pending");
    assert_eq!(fleet.says("ines", "approve A-1").await, "Approved.");
    fleet.forge.0.lock().unwrap().merged.push_back(Ok(commit('8')));
    fleet.do_merge("A-1.1/merge/1", &id, merge()).await;
    assert_eq!(fleet.first("A-1.1/merge/1").await, ForgeOutcome::Merged { commit: commit('8') });
    // What is only shown takes its time: this is the act itself.
    let script = fleet.forge.0.lock().unwrap().told.clone();
    let act: Vec<&str> = script
        .iter()
        .map(String::as_str)
        .filter(|what| !what.starts_with("comment") && !what.contains("4444444"))
        .collect();
    assert_snapshot!(act.join("\n"), @"
    draft false
    check quarterdeck of 5555555 Success
    merge
    delete qd/alpha/A-1 at 5555555
    ");
}

#[tokio::test]
async fn a_merge_that_was_not_made_takes_the_green_back() {
    let mut fleet = Fleet::new().await;
    let id = fleet.ask("A-1.1/ask").await;
    assert_eq!(fleet.says("ines", "approve A-1").await, "Approved.");
    let moved = ForgeError::BaseMoved { actual: commit('9') };
    fleet.forge.0.lock().unwrap().merged.push_back(Err(moved));
    fleet.do_merge("A-1.1/merge/1", &id, merge()).await;
    let of = || fleet.forge.told("check quarterdeck of 5555555");
    fleet.until(|| of().len() == 2).await;
    assert_snapshot!(of().join("\n"), @"
    check quarterdeck of 5555555 Success
    check quarterdeck of 5555555 Pending
    ");
    assert!(fleet.forge.told("delete").is_empty());
}

#[tokio::test]
async fn of_many_states_the_newest_is_shown_and_the_same_again_is_not() {
    let mut fleet = Fleet::new().await;
    let shown = |fleet: &Fleet| fleet.forge.told("comment #7 page/sample/7").len();
    for number in 0..20 {
        fleet.report(report(&format!("Round {number}."))).await;
        if number == 0 {
            fleet.until(|| shown(&fleet) == 1).await;
        }
    }
    let pending = "SELECT count(*) FROM acts WHERE key = 'page/sample/7' AND state = 'pending'";
    assert_eq!(fleet.sql(pending), "1", "the rest waits, as one");
    assert!(fleet.sql("SELECT call FROM acts WHERE key = 'page/sample/7'").contains("Round 19."));
    fleet.until(|| fleet.sql(pending) == "0").await;
    assert_eq!(shown(&fleet), 2);
    fleet.report(report("Round 19.")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((fleet.sql(pending).as_str(), shown(&fleet)), ("0", 2));
}

#[tokio::test]
async fn while_the_forge_is_away_what_is_shown_waits_and_outlives_the_process() {
    let mut fleet = Fleet::new().await;
    let away = ForgeError::Unavailable { reason: "It is down.".into() };
    fleet.forge.0.lock().unwrap().mute = Some(away);
    fleet.report(report("Waits for people.")).await;
    let waits =
        "SELECT count(*) FROM acts WHERE key = 'page/sample/7' AND state = 'pending' AND attempts > 0";
    fleet.until(|| fleet.sql(waits) == "1").await;
    fleet.forge.0.lock().unwrap().mute = None;
    fleet.restart().await;
    fleet.until(|| fleet.forge.told("comment").len() == 1).await;
}

#[tokio::test]
async fn a_card_that_no_channel_takes_is_seen_on_its_pull_request() {
    let mut fleet = read().await;
    fleet.lacks(&[Channel::Approvals, Channel::Fallback]);
    let id = asked(&mut fleet).await;
    fleet.until(|| clock_runs(&fleet, &id)).await;
    assert_snapshot!(cards(&fleet, &id), @"console approvals undeliverable, console fallback undeliverable, forge sample#7 delivered, board alpha pending");
    assert!(fleet.messages("alert:").is_empty(), "somebody can see it");
    assert!(fleet.trail().contains("card"), "{}", fleet.trail());
}

#[tokio::test]
async fn where_channels_and_pull_request_fail_it_is_the_boards_turn() {
    let mut fleet = read().await;
    fleet.lacks(&[Channel::Approvals, Channel::Fallback]);
    let refuses = ForgeError::Refused { reason: "It is locked.".into() };
    fleet.forge.0.lock().unwrap().mute = Some(refuses);
    let id = asked(&mut fleet).await;
    let waits = "console approvals undeliverable, console fallback undeliverable, forge sample#7 undeliverable, board alpha pending";
    fleet.until(|| cards(&fleet, &id) == waits).await;
    assert!(!clock_runs(&fleet, &id));
    fleet.report(Report::Shown(qd_wire::v1::Shown { approval: id.clone() })).await;
    assert!(clock_runs(&fleet, &id), "the board shows it");
}

#[tokio::test]
async fn a_pull_request_that_nobody_reads_is_no_place_for_a_card() {
    let mut fleet = Fleet::new().await;
    fleet.lacks(&[Channel::Approvals, Channel::Fallback]);
    let id = asked(&mut fleet).await;
    fleet.until(|| !fleet.forge.told("comment #7 card/").is_empty()).await;
    assert!(!clock_runs(&fleet, &id));
    assert!(!cards(&fleet, &id).contains("forge"), "{}", cards(&fleet, &id));
}
