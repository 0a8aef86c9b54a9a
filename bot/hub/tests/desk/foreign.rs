//! Approvals that an instance keeps: shown in the channel, voted on there, counted by the instance alone.

use insta::assert_snapshot;
use jiff::Timestamp;
use qd_approvals::{Proof, Statement};
use qd_core::chat::{Commands as _, Given};
use qd_types::{
    Action, Approval, ApprovalId, ApprovalState, Ballot, Binding, Budget, Confirm, Question, Requirement,
    Role, Subject, Vote, Way,
};
use qd_wire::v1::{Ack, Alert, ApprovalCard, Heard, Order, Report};

use crate::support::{Fleet, person};

const ID: &str = "alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV";
const KEY: &str = "approval:alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn card(action: Action) -> ApprovalCard {
    let subject = Subject {
        action,
        binding: Some(Binding {
            tool: None,
            arguments: serde_json::Value::Null,
            target: "minutes of A-1".into(),
            fingerprint: "1".into(),
            policies: "p".into(),
            askers: vec![],
            reopens: None,
        }),
        instance: "alpha".parse().unwrap(),
        feature: "A-1".parse().unwrap(),
        run: "A-1.1".parse().unwrap(),
        requesters: vec!["theo".parse().unwrap()],
        requirement: Requirement { roles: vec![Role::Owner], count: 1, solo: false },
    };
    ApprovalCard {
        approval: Approval {
            id: ID.parse().unwrap(),
            digest: subject.digest().unwrap(),
            subject,
            state: ApprovalState::Requested,
            votes: vec![],
            requested_at: Timestamp::UNIX_EPOCH,
            decided_at: None,
        },
        facts: "On: minutes of A-1.".into(),
        words: Some("Nearly done. **@everyone**".into()),
        ended: None,
        confirm: Some(Confirm { way: Way::Button, typed: false }),
        decide_until: Some("2026-11-24T12:00:00Z".parse().unwrap()),
    }
}

fn budget() -> ApprovalCard {
    card(Action::Budget(Budget { from: 1, to: 2, unit: "min".into(), of: None }))
}

fn decided(mut card: ApprovalCard, ended: &str) -> ApprovalCard {
    card.approval.state = ApprovalState::Executed;
    card.approval.decided_at = Some(Timestamp::UNIX_EPOCH);
    card.approval.votes = vec![Vote {
        approval: card.approval.id.clone(),
        digest: card.approval.digest.clone(),
        person: person("ines", Role::Owner),
        surface: "console".into(),
        ballot: Ballot::Approve,
        reason: None,
        at: Timestamp::UNIX_EPOCH,
    }];
    card.ended = Some(ended.into());
    card
}

/// The break that can't be seen stands as a dot here.
fn seen(text: &str) -> String {
    text.replace('\u{200B}', "·")
}

async fn shows(fleet: &mut Fleet, card: ApprovalCard) {
    fleet.report(Report::Approval(Box::new(card))).await;
}

/// The votes that went down.
async fn votes(fleet: &mut Fleet) -> Vec<Statement> {
    let orders = fleet.orders().await;
    let signed = orders.iter().filter_map(|order| match order {
        Order::Vote(signed) => Some(serde_json::from_str(&signed.payload).unwrap()),
        _ => None,
    });
    signed.collect()
}

/// The same, once there are some.
async fn voted(fleet: &mut Fleet) -> Vec<Statement> {
    let begun = std::time::Instant::now();
    loop {
        let sent = votes(fleet).await;
        if !sent.is_empty() || begun.elapsed() > std::time::Duration::from_secs(30) {
            return sent;
        }
    }
}

fn heard(counted: bool, text: &str) -> Report {
    let (approval, person): (ApprovalId, _) = (ID.parse().unwrap(), "ines".parse().unwrap());
    Report::Heard(Heard { approval, person, counted, text: text.into() })
}

#[tokio::test]
async fn a_card_of_an_instance_is_voted_on_here_and_closed_when_the_instance_says_so() {
    let mut fleet = Fleet::new().await;
    shows(&mut fleet, budget()).await;
    let open = fleet.message(KEY, |_| true).await;
    assert_snapshot!(seen(&open.text), @r#"
    **Change a budget from 1 to 2 min** (A-1, alpha)
    On: minutes of A-1.
    Decide until 2026-11-24 12:00 UTC: 1 owner, not the requester. 0 of 1 so far. By button.
    Digest e872 56c6 73f9
    > "Nearly done. \*\*@·everyone\*\*" (the agent's words)
    "#);
    let buttons: Vec<_> = open.buttons.iter().map(|button| button.command.clone()).collect();
    assert_snapshot!(buttons.join("\n"), @"
    approve 01ARZ3NDEKTSV4RRFFQ69G5FAV
    deny 01ARZ3NDEKTSV4RRFFQ69G5FAV
    ");
    assert_snapshot!(fleet.says("olaf", "approve A-1").await, @"You need the role owner for this. You have: operator.");
    assert_snapshot!(fleet.says("theo", "approve A-1").await, @"theo asked for this, so somebody else has to decide.");
    assert_snapshot!(fleet.says("stranger", "approve A-1").await, @"Nobody here is called stranger.");
    assert_snapshot!(fleet.says_unproven("ines", "approve A-1").await, @"It is not proved that this is you. Sign in, or give your passphrase.");
    assert_snapshot!(fleet.says("ines", "answer A-1 yes").await, @"It is no question. Type: `approve 01ARZ3NDEKTSV4RRFFQ69G5FAV` or `deny 01ARZ3NDEKTSV4RRFFQ69G5FAV`");
    assert_snapshot!(fleet.says("ines", "approvals").await, @"01ARZ3NDEKTSV4RRFFQ69G5FAV Change a budget from 1 to 2 min (A-1, alpha)");
    assert_eq!(votes(&mut fleet).await, [], "nothing of that went down");

    let hub = fleet.hub().clone();
    let press = tokio::spawn(async move {
        let given = Given::on_console(Proof::SignedIn);
        hub.command(&person("ines", Role::Owner), &given, "approve 01ARZ3NDEKTSV4RRFFQ69G5FAV").await
    });
    let deciding = fleet.message(KEY, |card| card.text.contains("Deciding")).await;
    assert_snapshot!(deciding.text.lines().find(|line| line.contains("Deciding")).unwrap(), @"Deciding: what ines said is on its way to alpha.");
    shows(&mut fleet, decided(budget(), "2 min")).await;
    fleet.report(heard(true, "Approved.")).await;
    assert_snapshot!(press.await.unwrap(), @"Approved.");
    let closed = fleet.message(KEY, |card| card.buttons.is_empty()).await;
    assert_snapshot!(closed.text, @"✔ Change a budget from 1 to 2 min (A-1, alpha): approved by ines. 2 min");
    let sent = voted(&mut fleet).await;
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].vote.digest.clone(), sent[0].proof.clone()),
        (budget().approval.digest, Proof::SignedIn)
    );
    assert_snapshot!(fleet.says("ines", "deny A-1").await, @"A-1 was already approved at 00:00 UTC.");
}

#[tokio::test]
async fn a_word_survives_a_restart_is_sent_once_and_its_refusal_is_told_to_its_giver_alone() {
    let mut fleet = Fleet::new().await;
    shows(&mut fleet, budget()).await;
    assert_snapshot!(fleet.says("ines", "approve A-1").await, @"What you said is on its way to alpha, which counts it. The card will say so.");
    fleet.restart().await;
    fleet.message(KEY, |card| card.text.contains("Deciding")).await;
    let again = fleet.says("ines", "approve A-1").await;
    assert_eq!((again.contains("on its way"), votes(&mut fleet).await.len()), (true, 1), "sent once");
    fleet.report(heard(false, "You need the role manager for this.")).await;
    fleet.message(KEY, |card| !card.text.contains("Deciding")).await;
    assert_snapshot!(fleet.says("theo", "approvals").await, @"01ARZ3NDEKTSV4RRFFQ69G5FAV Change a budget from 1 to 2 min (A-1, alpha)");
    assert_snapshot!(fleet.says("ines", "approvals").await, @"
    What you said before on Change a budget from 1 to 2 min (A-1): You need the role manager for this.
    01ARZ3NDEKTSV4RRFFQ69G5FAV Change a budget from 1 to 2 min (A-1, alpha)
    ");
    assert_eq!(fleet.says("ines", "approvals").await.lines().count(), 1, "told once");
}

#[tokio::test]
async fn a_question_is_answered_by_a_choice_and_half_its_time_is_said_beside_it() {
    let mut fleet = Fleet::new().await;
    let answer = Some(serde_json::json!({ "enum": ["Blue", "Dark green"] }));
    let action = Action::Question(Question { text: "Which?".into(), answer });
    shows(&mut fleet, card(action.clone())).await;
    let open = fleet.message(KEY, |_| true).await;
    assert_snapshot!(seen(&open.text), @r#"
    **Answer a question** (A-1, alpha)
    On: minutes of A-1.
    Decide until 2026-11-24 12:00 UTC: 1 owner, not the requester. 0 of 1 so far. Its answer is the yes.
    Digest eaf1 a7cc 8734
    Type: `answer 01ARZ3NDEKTSV4RRFFQ69G5FAV TEXT`, with one of: Blue, Dark green
    > "Nearly done. \*\*@·everyone\*\*" (the agent's words)
    "#);
    let buttons: Vec<_> = open.buttons.iter().map(|b| format!("{}: {}", b.label, b.command)).collect();
    assert_snapshot!(buttons.join("\n"), @"
    Blue: answer 01ARZ3NDEKTSV4RRFFQ69G5FAV Blue
    Dark green: answer 01ARZ3NDEKTSV4RRFFQ69G5FAV Dark green
    Deny: deny 01ARZ3NDEKTSV4RRFFQ69G5FAV
    ");
    assert_snapshot!(fleet.says("ines", "approve A-1").await, @"It is a question. Type: `answer 01ARZ3NDEKTSV4RRFFQ69G5FAV TEXT`");
    assert_snapshot!(fleet.says("ines", "answer A-1 Red").await, @r#"That is not one of its answers: "Red" is not one of "Blue" or "Dark green"."#);
    fleet.says("ines", "answer A-1 Dark green").await;
    assert_eq!(votes(&mut fleet).await[0].answer, Some("Dark green".into()));
    let alert = Alert { key: KEY.into(), text: "half".into(), over: false };
    fleet.report(Report::Alert(alert)).await;
    let said = fleet.message("escalation:01ARZ3NDEKTSV4RRFFQ69G5FAV", |_| true).await;
    assert_snapshot!(said.text, @"⏳ owner: half of the time to decide is over. **Answer a question** (A-1, alpha): `answer 01ARZ3NDEKTSV4RRFFQ69G5FAV TEXT` or `deny 01ARZ3NDEKTSV4RRFFQ69G5FAV`");
    let mut denied = card(action);
    denied.approval.state = ApprovalState::Withdrawn;
    denied.ended = Some("Its run has ended.".into());
    shows(&mut fleet, denied).await;
    let over = fleet.message("escalation:01ARZ3NDEKTSV4RRFFQ69G5FAV", |said| said.mentions.is_empty()).await;
    assert_snapshot!(over.text, @"✘ Answer a question (A-1, alpha): Its run has ended.");
}

#[tokio::test]
async fn what_an_instance_does_not_keep_or_what_its_digest_does_not_bind_is_not_shown() {
    let mut fleet = Fleet::new().await;
    let mut other = budget();
    other.approval.subject.action = Action::Budget(Budget { from: 1, to: 900, unit: "min".into(), of: None });
    shows(&mut fleet, other).await;
    let mut bots = budget();
    bots.approval.id = "bot/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    shows(&mut fleet, bots).await;
    assert_eq!(fleet.messages("approval:"), [] as [&str; 0]);
    assert_snapshot!(fleet.messages("alert:").join("\n"), @"⚠ alpha shows the approval bot/01ARZ3NDEKTSV4RRFFQ69G5FAV, which is not its own. (2 times)");
    assert_snapshot!(fleet.says("ines", "approve A-1").await, @"Nothing is asked under A-1. What waits: `approvals list`");
}

#[tokio::test]
async fn what_expired_there_is_asked_again_by_an_order() {
    let mut fleet = Fleet::new().await;
    let mut expired = budget();
    expired.approval.state = ApprovalState::Expired;
    expired.ended = Some("Expired. Nobody decided in time.".into());
    shows(&mut fleet, expired).await;
    assert_snapshot!(fleet.message(KEY, |_| true).await.text, @"✘ Change a budget from 1 to 2 min (A-1, alpha): Expired. Nobody decided in time. A person can ask again: `reopen 01ARZ3NDEKTSV4RRFFQ69G5FAV`");
    fleet.says("ines", "reopen A-1").await;
    let is_it = |order: &Order| matches!(order, Order::Reopen { approval, person } if approval.to_string() == ID && person.id.as_str() == "ines");
    let down = async { while !fleet.orders().await.iter().any(is_it) {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), down).await.unwrap();
}

#[tokio::test]
async fn a_card_of_an_instance_that_chat_refuses_is_an_alert_and_can_be_decided_all_the_same() {
    let mut fleet = Fleet::new().await;
    let mut unspeakable = card(Action::Question(Question { text: "Which?".into(), answer: None }));
    unspeakable.words = Some("unspeakable".into());
    shows(&mut fleet, unspeakable).await;
    let alert = fleet.only("alert:alpha:unseen:01ARZ3NDEKTSV4RRFFQ69G5FAV", |_| true).await;
    assert_snapshot!(alert.text, @"⚠ alpha: the card of A-1 can't be shown: Answer a question. It waits on the team's board, or here: answer 01ARZ3NDEKTSV4RRFFQ69G5FAV TEXT or deny 01ARZ3NDEKTSV4RRFFQ69G5FAV");
    fleet.says("ines", "answer A-1 Blue").await;
    let mut tries = 0;
    while votes(&mut fleet).await.is_empty() && tries < 100 {
        tries += 1;
    }
    assert_eq!(votes(&mut fleet).await[0].answer, Some("Blue".into()));
}

#[tokio::test]
async fn orders_reach_an_instance_that_knows_of_more_than_the_bot_does() {
    let mut fleet = Fleet::new().await;
    shows(&mut fleet, budget()).await;
    fleet.says("ines", "approve A-1").await;
    // The bot that sent these is gone with its database.
    fleet.knows(Ack { epoch: 1, seq: 7 });
    assert_eq!(voted(&mut fleet).await.len(), 1);
    assert!(fleet.has().epoch > 1, "a new epoch begins: {:?}", fleet.has());
}
