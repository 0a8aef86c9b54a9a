//! What people order beside the board: words on a pull request, the hours of stand-ups, machines where there are none.

use insta::assert_snapshot;
use qd_approvals::{Proof, confirm::Way};
use qd_core::chat::{Commands as _, Given, Scope};
use qd_types::{Line, Stage};
use qd_wire::v1::{FeatureReport, Report};

use crate::support::{Fleet, alpha};

/// On Discord, by a message with this id.
fn written(id: &str) -> Given {
    Given {
        surface: "discord".into(),
        account: Some("7".into()),
        proof: Proof::Service(id.into()),
        way: Way::Button,
        scope: Scope::Fleet,
    }
}

fn in_review(pull_request: Option<u64>) -> Report {
    Report::Feature(FeatureReport {
        feature: "A-1".parse().unwrap(),
        title: "Split the importer".into(),
        stage: Stage::Review,
        line: Line::default(),
        sentence: "Asks to merge.".into(),
        agent: Some("claude".into()),
        pull_request,
        merged: None,
        seconds: None,
        needs_person: false,
        spent: None,
        repository: None,
        issue: None,
        run: None,
        question: None,
    })
}

#[tokio::test]
async fn what_is_said_in_a_review_stands_on_the_pull_request_once() {
    let mut fleet = Fleet::new().await;
    fleet.report(in_review(Some(7))).await;
    fleet.ask("A-1.1/ask").await;
    let olaf = fleet.rules.people.iter().find(|person| person.id.as_str() == "olaf").cloned().unwrap();
    let said = "feature review A-1 Name it so, @ines\n*and so*";
    for _ in 0..2 {
        let told = fleet.hub().command(&olaf, &written("12"), said).await;
        assert_eq!(told, "Taken as a review comment on A-1. Sent to alpha.");
    }
    // What is no review is for the team alone.
    fleet.hub().command(&olaf, &written("13"), "feature guide A-1 Use the new error type").await;
    let reviews = |fleet: &Fleet| {
        let all = fleet.forge.0.lock().unwrap().comments.clone();
        all.into_iter().filter(|(_, marker, _)| marker.0.starts_with("review/")).collect::<Vec<_>>()
    };
    fleet.until(|| !reviews(&fleet).is_empty()).await;
    fleet.restart().await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let [(number, marker, body)] = <[_; 1]>::try_from(reviews(&fleet)).unwrap();
    assert_eq!((number, marker.0.as_str()), (7, "review/discord/12"));
    assert_snapshot!(body.replace('\u{200b}', "(nothing)"), @"
    Review by olaf:
    > Name it so, @(nothing)ines
    > *and so*
    ");
}

#[tokio::test]
async fn a_stand_up_comes_when_its_team_wants_it() {
    let mut fleet = Fleet::new().await;
    assert_snapshot!(fleet.says("olaf", "standup schedule").await, @"alpha: at 09:00 UTC, as the configuration says.");
    assert_snapshot!(fleet.says("ines", "standup schedule alpha 09:30 Europe/Berlin mon-fri").await, @"alpha: at 09:30 Europe/Berlin mon-fri.");
    assert_snapshot!(fleet.says("ines", "standup schedule alpha 09:30 Europe/Atlantis").await, @"There is no time zone Europe/Atlantis here. Say one like Europe/Berlin, or leave it out for the fleet's.");
    assert_snapshot!(fleet.says("ines", "standup schedule gamma off").await, @"There is no team gamma. There is alpha.");
    fleet.restart().await;
    assert_snapshot!(fleet.says("olaf", "standup schedule alpha").await, @"alpha: at 09:30 Europe/Berlin mon-fri.");
    assert_snapshot!(fleet.says("ines", "standup schedule alpha off").await, @"alpha: never. standup now says it at once.");
    assert_snapshot!(fleet.says("ines", "standup schedule alpha default").await, @"alpha: at 09:00 UTC, as the configuration says.");
    fleet.restart().await;
    assert_snapshot!(fleet.says("olaf", "standup schedule").await, @"alpha: at 09:00 UTC, as the configuration says.");
}

#[tokio::test]
async fn where_nobody_makes_machines_that_is_said_and_nothing_is_kept() {
    let fleet = Fleet::new().await;
    for said in ["vm list", "vm plan beta", "vm create beta", "vm destroy beta", "vm clusters"] {
        assert_eq!(
            fleet.says("ines", said).await,
            "No host for virtual machines is configured where the bot runs: a person sets PROXMOX_HOST and its like there.",
            "{said}"
        );
    }
    assert_eq!(fleet.sql("SELECT count(*) FROM machines"), "0");
    let only = Given { scope: Scope::Only(vec![alpha()]), ..written("1") };
    let ines = fleet.rules.people.iter().find(|person| person.id.as_str() == "ines").cloned().unwrap();
    let told = fleet.hub().command(&ines, &only, "vm create beta").await;
    assert_snapshot!(told, @"Machines are the whole fleet's: they are ordered where the whole fleet is commanded.");
}
