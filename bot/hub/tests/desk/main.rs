//! The desk through the hub's own face: asks, votes, merges and pushes, on the real database.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

mod before;
mod foreign;
mod gate;
mod heads;
mod inbox;
mod ordered;
mod pages;
mod places;
mod scripted;
mod support;
mod voice;

use insta::assert_snapshot;
use qd_approvals::SurfaceKey;
use qd_core::forge::ForgeError;
use qd_types::{Merge, Push, Role};
use qd_wire::v1::{ForgeAct, ForgeOutcome};
use support::{Fleet, brought, commit, merge, person, policies, rules};

fn reason(outcome: ForgeOutcome) -> String {
    match outcome {
        ForgeOutcome::NotApproved { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn private_answers_name_what_is_missing() {
    let mut fleet = Fleet::new().await;
    let id = fleet.ask("A-1.1/ask").await;
    assert_snapshot!(fleet.says("olaf", "approve A-1").await, @"You need the role owner or reviewer for this. You have: operator.");
    assert_snapshot!(fleet.says("theo", "approve A-1").await, @"theo asked for this, so somebody else has to decide.");
    assert_snapshot!(fleet.says("stranger", "approve A-1").await, @"It is not proved who gave this vote: the account local:stranger is not linked to stranger.");
    assert_eq!(fleet.state(&id), "requested");
    assert_snapshot!(fleet.says("ines", "approve A-1").await, @"Approved.");
    let late = fleet.says("ines", "deny A-1 too late").await;
    assert!(late.starts_with("A-1 was already approved at "), "{late}");
    assert_snapshot!(fleet.says("ines", "approve A-9").await, @"Nothing is asked under A-9. What waits: `approvals list`");
    assert_snapshot!(fleet.says("ines", "reopen A-1").await, @"Nothing has expired under A-1.");
    assert_eq!(
        fleet.decision("A-1.1/ask").await,
        ForgeOutcome::Approved { approval: id, by: vec!["ines".parse().unwrap()] }
    );
}

#[tokio::test]
async fn asking_again_for_the_same_gives_the_open_request() {
    let mut fleet = Fleet::new().await;
    let id = fleet.ask("A-1.1/ask").await;
    fleet.request("A-1.1/ask/1", Fleet::ask_merge(merge())).await;
    assert_eq!(fleet.first("A-1.1/ask/1").await, ForgeOutcome::Asked { approval: id.clone() });
    assert_eq!(fleet.sql("SELECT count(*) FROM approval_requests"), "1");
    fleet.says("ines", "approve A-1").await;
    for request in ["A-1.1/ask", "A-1.1/ask/1"] {
        assert!(
            matches!(fleet.decision(request).await, ForgeOutcome::Approved { .. }),
            "whoever waits is told"
        );
        assert_eq!(fleet.outcomes(request).await.len(), 2, "and once");
    }
}

#[tokio::test]
async fn another_change_is_asked_anew_and_the_old_request_is_withdrawn() {
    let mut fleet = Fleet::new().await;
    let old = fleet.ask("A-1.1/ask").await;
    fleet.request("A-1.1/ask/1", Fleet::ask_merge(Merge { head: commit('6'), ..merge() })).await;
    let ForgeOutcome::Asked { approval: new } = fleet.first("A-1.1/ask/1").await else { panic!() };
    assert_eq!((fleet.state(&old), fleet.state(&new)), ("withdrawn".into(), "requested".into()));
    assert_snapshot!(fleet.card(&old).await.ended.unwrap(), @"It was withdrawn: The change is another one now.");
    assert_eq!(fleet.outcomes("A-1.1/ask").await.len(), 1, "the run itself gave it up, and is not told");
}

#[tokio::test]
async fn a_vote_counts_by_its_signature_and_by_the_roles_that_are_known_here() {
    let mut fleet = Fleet::new().await;
    let id = fleet.ask("A-1.1/ask").await;
    fleet.votes(None, &id, person("olaf", Role::Owner)).await;
    assert_eq!(fleet.state(&id), "requested", "the executor knows olaf as an operator");
    fleet.votes(Some(SurfaceKey::new(&[9; 32])), &id, person("ines", Role::Owner)).await;
    assert_eq!(fleet.state(&id), "requested", "nobody enrolled that key");
    fleet.votes(None, &id, person("ines", Role::Owner)).await;
    assert_eq!(fleet.state(&id), "granted");
    let ForgeOutcome::Approved { by, .. } = fleet.decision("A-1.1/ask").await else { panic!() };
    assert_eq!(by, ["ines".parse().unwrap()]);
}

#[tokio::test]
async fn votes_of_an_instance_count_only_where_the_rules_say_so() {
    let mut strict = rules();
    strict.approvals.local_votes = false;
    let mut fleet = Fleet::with(strict).await;
    let id = fleet.ask("A-1.1/ask").await;
    fleet.votes(None, &id, person("ines", Role::Owner)).await;
    assert_eq!(fleet.state(&id), "requested");
    fleet.says("ines", "approve A-1").await;
    assert_eq!(fleet.state(&id), "granted", "the bot's own console counts");
}

#[tokio::test]
async fn one_no_is_final_says_why_and_holds_for_the_run() {
    let mut fleet = Fleet::new().await;
    let id = fleet.ask("A-1.1/ask").await;
    assert_snapshot!(fleet.says("ines", "deny A-1 use a migration").await, @"Denied.");
    assert_snapshot!(reason(fleet.decision("A-1.1/ask").await), @"Merge denied by ines. Reason: use a migration");
    let card = fleet.message(&format!("approval:{id}"), |card| card.buttons.is_empty()).await;
    assert_snapshot!(card.text, @"✘ Merge 4444444 into main (A-1, alpha): Merge denied by ines. Reason: use a migration");
    fleet.request("A-1.1/ask/1", Fleet::ask_merge(Merge { head: commit('6'), ..merge() })).await;
    assert_snapshot!(reason(fleet.first("A-1.1/ask/1").await), @"A person said no to merge on sample main #7 in this run, and that holds for the run: no other tool, wording or argument changes it. Do not try again; finish without it, or stop and say what is missing.");
}

#[tokio::test]
async fn what_is_approved_is_what_is_executed_once_and_all_of_it_is_in_the_trail() {
    let mut fleet = Fleet::new().await;
    let id = fleet.ask("A-1.1/ask").await;
    fleet.do_merge("A-1.1/merge/0", &id, merge()).await;
    assert_snapshot!(reason(fleet.first("A-1.1/merge/0").await), @"Nobody decided yet.");
    fleet.says("ines", "approve A-1").await;
    fleet.forge.0.lock().unwrap().merged =
        [Err(ForgeError::BaseMoved { actual: commit('8') }), Ok(commit('9'))].into();

    fleet.do_merge("A-1.1/merge/1", &id, merge()).await;
    assert_eq!(fleet.first("A-1.1/merge/1").await, ForgeOutcome::BaseMoved { base: commit('8') });
    assert_eq!(fleet.state(&id), "executing", "the same row is taken up again");
    fleet.restart().await;
    fleet.do_merge("A-1.1/merge/2", &id, merge()).await;
    assert_eq!(fleet.first("A-1.1/merge/2").await, ForgeOutcome::Merged { commit: commit('9') });
    assert_eq!(fleet.state(&id), "executed");
    assert_eq!(fleet.forge.0.lock().unwrap().merges, 2);
    let card = fleet.message(&format!("approval:{id}"), |card| card.text.contains("merged as")).await;
    assert_snapshot!(card.text, @"✔ Merge 4444444 into main (A-1, alpha): approved by ines, merged as 9999999.");

    fleet.do_merge("A-1.1/merge/3", &id, merge()).await;
    let ForgeOutcome::Refused { reason } = fleet.first("A-1.1/merge/3").await else { panic!() };
    assert_snapshot!(reason, @"That approval is used up: what it was for has been done.");
    assert_snapshot!(fleet.trail(), @"
    request agent:A-1.1: Merge 4444444 into main
    card bot: shown on the console
    vote a person: yes, on the console
    decision bot: granted
    execution bot: Merge 4444444 into main
    outcome bot: executed: 9999999999999999999999999999999999999999
    ");
}

#[tokio::test]
async fn a_change_that_is_not_the_approved_one_lapses_the_approval() {
    for (say, merge) in [
        (Some(Ok(brought('e', "src/lib.rs"))), merge()),
        (Some(Ok(brought('d', "docs/README.md"))), merge()),
        (Some(Err(ForgeError::HeadMoved { actual: commit('7') })), merge()),
        (None, Merge { head: commit('6'), ..merge() }),
    ] {
        let mut fleet = Fleet::new().await;
        let id = fleet.ask("A-1.1/ask").await;
        fleet.says("ines", "approve A-1").await;
        fleet.forge.0.lock().unwrap().rebuilt.extend(say);
        fleet.do_merge("A-1.1/merge/1", &id, merge).await;
        let reason = reason(fleet.first("A-1.1/merge/1").await);
        assert!(reason.starts_with("The approval lapsed: "), "{reason}");
        assert_eq!(fleet.state(&id), "lapsed");
        assert_eq!(fleet.forge.0.lock().unwrap().merges, 0, "nothing is executed");
    }
}

#[tokio::test]
async fn what_the_forge_refuses_before_it_is_begun_fails_at_once() {
    let mut fleet = Fleet::new().await;
    let id = fleet.ask("A-1.1/ask").await;
    fleet.says("ines", "approve A-1").await;
    fleet.forge.0.lock().unwrap().elsewhere = true;
    fleet.do_merge("A-1.1/merge/1", &id, merge()).await;
    let ForgeOutcome::Refused { reason } = fleet.first("A-1.1/merge/1").await else { panic!() };
    assert_snapshot!(reason, @"The head of the branch is 6666666666666666666666666666666666666666.");
    assert_eq!((fleet.state(&id).as_str(), fleet.forge.0.lock().unwrap().merges), ("failed", 0));
}

#[tokio::test]
async fn a_grant_that_was_not_used_in_time_pays_for_nothing() {
    let mut fleet = Fleet::new().await;
    let id = fleet.ask("A-1.1/ask").await;
    fleet.says("ines", "approve A-1").await;
    // A day is what the policy for merges gives.
    fleet.restart_after(23).await;
    assert_eq!(fleet.state(&id), "granted");
    fleet.restart_after(1).await;
    fleet.do_merge("A-1.1/merge/1", &id, merge()).await;
    assert_snapshot!(reason(fleet.first("A-1.1/merge/1").await), @"The approval lapsed: It was not carried out in time.");
    assert_eq!((fleet.state(&id).as_str(), fleet.forge.0.lock().unwrap().merges), ("lapsed", 0));
}

#[tokio::test]
async fn what_was_granted_before_a_restore_does_not_hold_after_it() {
    let mut fleet = Fleet::new().await;
    let id = fleet.ask("A-1.1/ask").await;
    fleet.says("ines", "approve A-1").await;
    let copy = fleet.backup();
    fleet.forge.0.lock().unwrap().merged = [Ok(commit('9'))].into();
    fleet.do_merge("A-1.1/merge/1", &id, merge()).await;
    assert_eq!(fleet.first("A-1.1/merge/1").await, ForgeOutcome::Merged { commit: commit('9') });
    fleet.restore(&copy).await;
    assert_eq!(fleet.state(&id), "granted", "it knows no better");

    fleet.do_merge("A-1.1/merge/2", &id, merge()).await;
    assert_snapshot!(reason(fleet.first("A-1.1/merge/2").await), @"The approval lapsed: Since it was given, the bot or the team was restored from a backup: it may be used up.");
    assert_eq!((fleet.state(&id).as_str(), fleet.forge.0.lock().unwrap().merges), ("lapsed", 1));
    assert_ne!(fleet.ask("A-1.1/ask/2").await, id, "people decide anew");
}

#[tokio::test]
async fn rules_that_changed_lapse_what_was_approved_under_the_old_ones() {
    let mut fleet = Fleet::new().await;
    let id = fleet.ask("A-1.1/ask").await;
    fleet.says("ines", "approve A-1").await;
    let mut stricter = rules();
    let two = r#"{"name": "two", "actions": ["merge"], "effect": "ask", "quorum": 2}"#;
    stricter.policies = policies(&[serde_json::from_str(two).unwrap()]);
    fleet.hub().set_rules(stricter).await.unwrap();
    fleet.do_merge("A-1.1/merge/1", &id, merge()).await;
    assert_snapshot!(reason(fleet.first("A-1.1/merge/1").await), @"The approval lapsed: What was approved is not what would be done: the policies (approved: 847958fa83ac; now: ab4c984f5aa5), the number of people who decide (approved: 1; now: 2).");
}

#[tokio::test]
async fn an_approved_push_is_used_up_when_its_run_goes_on() {
    let mut fleet = Fleet::new().await;
    let push = Push {
        repository: "sample".parse().unwrap(),
        branch: "qd/alpha/A-1".into(),
        head: commit('4'),
        diff: "d".repeat(64),
        paths: vec![".github/workflows/ci.yml".into()],
    };
    let requesters = vec!["theo".parse().unwrap()];
    fleet
        .request(
            "A-1.1/ask_push",
            ForgeAct::AskPush { push, requesters, words: None, facts: "1 file.".into() },
        )
        .await;
    let ForgeOutcome::Asked { approval } = fleet.first("A-1.1/ask_push").await else { panic!() };
    fleet.delivered(&approval).await;
    fleet.says("ines", "approve A-1").await;
    let _merge = fleet.ask("A-1.1/ask").await;
    fleet.until(|| fleet.state(&approval) == "executed").await;
    assert_snapshot!(fleet.card(&approval).await.ended.unwrap_or_default(), @"Approved by ines. Pushed.");
}

#[tokio::test]
async fn nobody_decided_in_time_and_a_person_opens_it_again() {
    let mut fleet = Fleet::new().await;
    let id = fleet.ask("A-1.1/ask").await;
    fleet.restart_after(37).await;
    assert_eq!(fleet.state(&id), "requested");
    let escalation = fleet.message(&format!("escalation:{}", id.key()), |_| true).await;
    assert_snapshot!(escalation.text.replace(&id.key(), "KEY"), @"⏳ owner, reviewer: half of the time to decide is over. **Merge 4444444 into main** (A-1, alpha): `approve KEY` or `deny KEY`");
    fleet.restart_after(36).await;
    assert_eq!(fleet.state(&id), "expired");
    let card = fleet.message(&format!("approval:{id}"), |card| card.buttons.is_empty()).await;
    assert!(card.text.contains("A person can ask again: `reopen"), "{}", card.text);
    let call = fleet.message(&format!("escalation:{}", id.key()), |call| call.text == card.text).await;
    assert!(call.mentions.is_empty(), "the call is closed with the card, and calls nobody");
    assert_eq!(fleet.outcomes("A-1.1/ask").await.len(), 1, "the run waits as it is: nothing is thrown away");
    fleet.request("A-1.1/ask/1", Fleet::ask_merge(merge())).await;
    let said = reason(fleet.first("A-1.1/ask/1").await);
    assert_snapshot!(said.replace(&id.key(), "KEY"), @"Nobody decided in time on what this run asked for, and the attempt is over. A person can ask again: reopen KEY");

    assert_snapshot!(fleet.says("olaf", "reopen A-1").await, @"You need the role owner or reviewer for this. You have: operator.");
    let said = fleet.says("ines", "reopen A-1").await;
    let new = said.trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
    assert_snapshot!(said.replace(&new, "KEY"), @"It is asked again, as KEY.");
    let card = fleet.message(&format!("approval:bot/{new}"), |card| card.buttons.len() == 2).await;
    assert!(card.text.contains("12 files, +214 −380."), "{}", card.text);
    fleet.delivered(&format!("bot/{new}").parse().unwrap()).await;
    assert_eq!(fleet.says("ines", "approve A-1").await, "Approved.");
    let outcomes = fleet.outcomes("A-1.1/ask").await;
    assert!(
        matches!(outcomes.last(), Some(ForgeOutcome::Approved { .. })),
        "whoever waited is told: {outcomes:?}"
    );
    assert_snapshot!(fleet.trail(), @"
    request agent:A-1.1: Merge 4444444 into main
    card bot: shown on the console
    decision bot: expired
    request a person: Merge 4444444 into main
    card bot: shown on the console
    vote a person: yes, on the console
    decision bot: granted
    ");
}

/// Two people decide on every merge.
fn two_decide() -> qd_core::Rules {
    let two = r#"{"name": "two", "actions": ["merge"], "effect": "ask", "quorum": 2}"#;
    let mut people = rules().people;
    people.push(person("mira", Role::Owner));
    qd_core::Rules { people, policies: policies(&[serde_json::from_str(two).unwrap()]), ..rules() }
}

#[tokio::test]
async fn whoever_is_shut_out_has_no_open_votes_left_also_after_a_crash() {
    let mut fleet = Fleet::with(two_decide()).await;
    let id = fleet.ask("A-1.1/ask").await;
    assert_snapshot!(fleet.says("ines", "approve A-1").await, @"Noted: 1 of 2.");
    let ines = "ines".parse().unwrap();
    let votes = fleet.hub().votes_of(&ines).await.unwrap();
    assert_eq!(votes, [format!("Merge 4444444 into main ({})", id.key())]);
    fleet.hub().drop_votes(&ines).await.unwrap();
    assert_eq!(fleet.hub().votes_of(&ines).await.unwrap(), Vec::<String>::new());
    let card = fleet.message(&format!("approval:{id}"), |card| card.text.contains("0 of 2 so far")).await;
    assert_eq!(card.buttons.len(), 2);
    assert_snapshot!(fleet.says("mira", "approve A-1").await, @"Noted: 1 of 2.");

    // The process ended between the change of people and the end of the votes.
    fleet.rules.people.retain(|person| person.id.as_str() != "mira");
    fleet.restart().await;
    let dropped = "SELECT count(*) FROM approval_votes WHERE person = 'mira' AND dropped_at IS NOT NULL";
    assert_eq!(fleet.sql(dropped), "1");
    // Let in again, she decides anew: what was ended stays ended.
    fleet.rules = two_decide();
    fleet.restart().await;
    assert_snapshot!(fleet.says("ines", "approve A-1").await, @"Noted: 1 of 2.");
    assert_eq!(fleet.state(&id), "requested");
}

#[tokio::test]
async fn a_key_that_another_took_the_place_of_signs_no_more() {
    let mut fleet = Fleet::with(two_decide()).await;
    let id = fleet.ask("A-1.1/ask").await;
    fleet.votes(None, &id, person("ines", Role::Owner)).await;
    let tally = async |fleet: &mut Fleet| fleet.card(&id).await.approval.tally().approved.len();
    assert_eq!(tally(&mut fleet).await, 1);
    let (old, new) = (SurfaceKey::new(&[7; 32]), SurfaceKey::new(&[8; 32]));
    fleet.hub().enrol(&"alpha".parse().unwrap(), new.public()).await.unwrap();
    assert_eq!(tally(&mut fleet).await, 0, "what the old key signed counts no more");
    fleet.votes(Some(old), &id, person("mira", Role::Owner)).await;
    assert_eq!(tally(&mut fleet).await, 0);
    fleet.votes(Some(new), &id, person("ines", Role::Owner)).await;
    assert_eq!(tally(&mut fleet).await, 1);
    let back = fleet.hub().enrol(&"alpha".parse().unwrap(), SurfaceKey::new(&[7; 32]).public()).await;
    assert_snapshot!(back.unwrap_err().to_string(), @"the key of the team alpha was withdrawn, or is another team's: remove surface.key from the team's state folder, and a new one is made when it starts");
}

#[tokio::test]
async fn a_yes_in_chat_is_given_as_the_policy_asks_and_by_whoever_proved_who_they_are() {
    let typed =
        r#"{"name": "typed", "actions": ["merge"], "effect": "ask", "way": "typed", "decide_minutes": 90}"#;
    let rules = qd_core::Rules { policies: policies(&[serde_json::from_str(typed).unwrap()]), ..rules() };
    let mut fleet = Fleet::with(rules).await;
    let id = fleet.ask("A-1.1/ask").await;
    let card = fleet.message(&format!("approval:{id}"), |card| card.text.contains("until")).await;
    let lines: Vec<&str> = card.text.lines().collect();
    assert!(lines[2].starts_with("Decide until 2"), "{}", card.text);
    assert_snapshot!(lines[4].replace(&id.key(), "KEY"), @r"On: sample main \#7. Type: `approve KEY sample main #7`");
    assert_eq!(card.buttons.len(), 1, "a button alone says nothing");
    assert_snapshot!(fleet.says("ines", "approve A-1").await, @"A yes to this takes the name of what it is done to, typed out.");
    assert_snapshot!(fleet.says("ines", "approve A-1 sample main #8").await, @"What was typed is not the name of what this is done to: sample main #7.");
    assert_snapshot!(fleet.says_unproven("ines", "approve A-1 sample main #7").await, @"It is not proved who gave this vote: a socket's user is not enough, as an agent may be the same one. Give your passphrase.");
    assert_snapshot!(fleet.says("ines", "approve A-1 sample main #7").await, @"Approved.");
    let limits = fleet.sql("SELECT decide_ms || ' ' || execute_ms || ' ' || way FROM approval_requests");
    assert_snapshot!(limits, @"5400000 86400000 typed");
}

#[tokio::test]
async fn the_bots_key_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let fleet = Fleet::new().await;
    let key = std::fs::metadata(fleet.dir.path().join("surface.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}
