//! Where cards go that can't be shown where they belong: the fallback channel, the board of their team, and then an alert.

use insta::assert_snapshot;
use qd_core::chat::Channel;
use qd_types::ApprovalId;
use qd_wire::v1::{ForgeOutcome, Report, Shown};

use crate::support::{Fleet, merge, rules};

/// Asks for a merge, and waits for no card.
pub(crate) async fn asked(fleet: &mut Fleet) -> ApprovalId {
    fleet.request("A-1.1/ask", Fleet::ask_merge(merge())).await;
    let ForgeOutcome::Asked { approval } = fleet.first("A-1.1/ask").await else { panic!() };
    approval
}

/// Where its cards are, the first place first.
pub(crate) fn cards(fleet: &Fleet, id: &ApprovalId) -> String {
    fleet.sql(&format!(
        "SELECT group_concat(surface || ' ' || recipient || ' ' || state, ', ')
         FROM (SELECT * FROM approval_cards WHERE approval = '{id}' ORDER BY rank)"
    ))
}

pub(crate) fn clock_runs(fleet: &Fleet, id: &ApprovalId) -> bool {
    let sql = format!("SELECT decide_from IS NOT NULL FROM approval_requests WHERE id = '{id}'");
    fleet.sql(&sql) == "1"
}

#[tokio::test]
async fn a_card_without_its_channel_goes_to_the_fallback_channel_and_both_are_closed() {
    let mut fleet = Fleet::new().await;
    fleet.lacks(&[Channel::Approvals]);
    let id = asked(&mut fleet).await;
    let copy = format!("fallback/approval:{id}");
    let card = fleet.message(&copy, |card| card.buttons.len() == 2).await;
    assert!(card.text.contains("Merge 4444444 into main"), "{}", card.text);
    fleet.until(|| clock_runs(&fleet, &id)).await;
    assert_snapshot!(cards(&fleet, &id), @"console approvals undeliverable, console fallback delivered, board alpha pending");
    assert!(fleet.messages("alert:").is_empty(), "somebody can see it");

    // The channel is back: the card stands in both, and both say how it ends.
    fleet.lacks(&[]);
    fleet.hub().chat_changed().await.unwrap();
    let first = format!("approval:{id}");
    fleet.message(&first, |card| card.buttons.len() == 2).await;
    assert_eq!(fleet.says("ines", "approve A-1").await, "Approved.");
    for key in [&first, &copy] {
        let closed = fleet.message(key, |card| card.buttons.is_empty()).await;
        assert!(closed.text.contains("approved by ines"), "{}", closed.text);
    }
    let over = "console approvals closed, console fallback closed, board alpha pending";
    fleet.until(|| cards(&fleet, &id) == over).await;
}

#[tokio::test]
async fn a_channel_that_is_deleted_takes_its_cards_with_it_and_they_are_shown_elsewhere() {
    let mut fleet = Fleet::new().await;
    fleet.lacks(&[]);
    let id = fleet.ask("A-1.1/ask").await;
    fleet.lacks(&[Channel::Approvals]);
    // It may be deleted while the bot is down as well.
    fleet.restart().await;
    fleet.message(&format!("fallback/approval:{id}"), |card| card.buttons.len() == 2).await;
    assert_eq!(fleet.says("ines", "deny A-1").await, "Denied.");
}

#[tokio::test]
async fn a_card_without_any_channel_is_decided_on_the_board_and_its_clock_begins_there() {
    let mut fleet = Fleet::new().await;
    fleet.lacks(&[Channel::Approvals, Channel::Fallback]);
    let id = asked(&mut fleet).await;
    let waits = "console approvals undeliverable, console fallback undeliverable, board alpha pending";
    fleet.until(|| cards(&fleet, &id) == waits).await;
    assert!(!clock_runs(&fleet, &id), "no person has seen it yet");
    fleet.report(Report::Shown(Shown { approval: id.clone() })).await;
    assert!(clock_runs(&fleet, &id), "the board shows it");
    assert!(fleet.card(&id).await.decide_until.is_some(), "and says until when");
    assert!(fleet.trail().contains("card"), "{}", fleet.trail());
    fleet.votes(None, &id, fleet.rules.people[0].clone()).await;
    assert_eq!(fleet.state(&id), "granted");
}

#[tokio::test]
async fn a_board_that_shows_it_first_is_no_reason_to_leave_out_a_channel() {
    let mut fleet = Fleet::new().await;
    fleet.lacks(&[Channel::Approvals]);
    let id = asked(&mut fleet).await;
    fleet.report(Report::Shown(Shown { approval: id.clone() })).await;
    fleet.message(&format!("fallback/approval:{id}"), |card| card.buttons.len() == 2).await;
    fleet.until(|| clock_runs(&fleet, &id)).await;
    assert_snapshot!(cards(&fleet, &id), @"console approvals undeliverable, console fallback delivered, board alpha pending");
}

#[tokio::test]
async fn what_nobody_can_see_does_not_expire_and_one_alert_lives_until_somebody_can() {
    // Votes of boards do not count here: a board is no place to decide.
    let mut closed = rules();
    closed.approvals.local_votes = false;
    closed.policies = crate::support::policies(&[serde_json::from_str(
        r#"{"name": "afar", "actions": ["merge"], "effect": "ask", "local_votes": false}"#,
    )
    .unwrap()]);
    let mut fleet = Fleet::with(closed).await;
    fleet.lacks(&[Channel::Approvals, Channel::Fallback]);
    let id = asked(&mut fleet).await;
    let begins = format!("alert:alpha:unseen:{}", id.key());
    let alert = fleet.only(&begins, |_| true).await;
    assert_snapshot!(alert.text.replace(&id.key(), "KEY"), @"⚠ alpha: the card of A-1 can't be shown: Merge 4444444 into main. It does not expire meanwhile: approve KEY or deny KEY");
    assert_snapshot!(cards(&fleet, &id), @"console approvals undeliverable, console fallback undeliverable");

    // However long it takes, and however often it is tried: it waits, and says so once.
    fleet.restart_after(24 * 30).await;
    fleet.restart().await;
    assert_eq!((fleet.state(&id).as_str(), clock_runs(&fleet, &id)), ("requested", false));
    assert_eq!(fleet.only(&begins, |_| true).await.text, alert.text);

    fleet.lacks(&[Channel::Fallback]);
    fleet.hub().chat_changed().await.unwrap();
    fleet.message(&format!("approval:{id}"), |card| card.buttons.len() == 2).await;
    let over = fleet.only(&begins, |alert| alert.text.starts_with('✔')).await;
    assert_snapshot!(over.text.replace(&id.key(), "KEY"), @"✔ alpha: over after 0 min: the card of A-1 can't be shown: Merge 4444444 into main. It does not expire meanwhile: approve KEY or deny KEY");
    assert!(clock_runs(&fleet, &id));
}

#[tokio::test]
async fn an_alert_without_its_channel_goes_to_the_fallback_channel() {
    let mut fleet = Fleet::new().await;
    fleet.lacks(&[Channel::Alerts]);
    let alert = qd_wire::v1::Alert { key: "disk".into(), text: "The disk is full.".into(), over: false };
    fleet.report(Report::Alert(alert.clone())).await;
    fleet.only("fallback/alert:alpha:disk", |message| message.text.contains("The disk is full.")).await;
    fleet.report(Report::Alert(qd_wire::v1::Alert { over: true, ..alert })).await;
    fleet.only("fallback/alert:alpha:disk", |message| message.text.starts_with('✔')).await;
}
