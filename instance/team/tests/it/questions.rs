//! Questions of runs, through the front door: asked, answered in the inbox, read by whoever asked.

use qd_types::Role;
use serde_json::{Value, json};

use crate::support::{Answer, Api};

async fn api() -> Api {
    Api::with_run("claude").await
}

fn body(value: Value) -> String {
    value.to_string()
}

fn text<'a>(answer: &'a Answer, field: &str) -> &'a str {
    answer.body[field].as_str().unwrap_or_default()
}

async fn vote(api: &Api, key: &str, ballot: &str, answer: Value) -> Answer {
    let asked = api.json("GET", &format!("/approvals/{key}"), "").await;
    let vote = json!({ "ballot": ballot, "digest": asked.body["digest"], "answer": answer });
    api.json("POST", &format!("/approvals/{key}/vote"), body(vote)).await
}

#[tokio::test]
async fn an_agent_asks_a_person_answers_and_the_agent_reads_it() {
    let api = api().await;
    let agent = api.caller("theo", Role::Owner, Some("claude"));
    let colour = json!({ "run": "A-1.1", "text": "Which colour?", "choices": ["red", "blue"] });
    let asked = agent.json("POST", "/questions", body(colour.clone())).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let key = text(&asked, "key").to_owned();
    assert_eq!(text(&asked, "state"), "requested");
    let again = agent.json("POST", "/questions", body(colour)).await;
    assert_eq!(text(&again, "key"), key, "it stands");

    let rosa = api.caller("rosa", Role::Reviewer, None);
    let inbox = rosa.json("GET", "/approvals", "").await;
    let listed = &inbox.body[0];
    assert_eq!(listed["words"], "Which colour?");
    assert_eq!(listed["refusal"], Value::Null);
    assert_eq!(rosa.json("GET", "/", "").await.body["asks"], 1);
    let feature = rosa.json("GET", "/features/A-1", "").await;
    insta::assert_snapshot!(text(&feature, "sentence"), @"Makes a worktree.");

    let green = vote(&rosa, &key, "approve", json!("green")).await;
    insta::assert_snapshot!(format!("{} {}", green.status, text(&green, "detail")), @r#"422 answer: That is not one of its answers: "green" is not one of "red" or "blue"."#);
    let nothing = vote(&rosa, &key, "approve", Value::Null).await;
    insta::assert_snapshot!(format!("{} {}", nothing.status, text(&nothing, "detail")), @"422 answer: It is a question, and takes an answer.");
    let vera = vote(&api.caller("vera", Role::Viewer, None), &key, "approve", json!("blue")).await;
    assert_eq!(vera.status, 403);
    let blue = vote(&rosa, &key, "approve", json!("blue")).await;
    assert_eq!(blue.status, 200, "{}", blue.body);
    insta::assert_snapshot!(format!("{}: {}", text(&blue, "state"), text(&blue, "ended")), @"executed: rosa answered: “blue”");

    let read = agent.json("GET", &format!("/questions/{key}"), "").await;
    assert_eq!(read.body["answers"], json!([{ "person": "rosa", "value": "blue" }]));
    let late = vote(&rosa, &key, "approve", json!("red")).await;
    insta::assert_snapshot!(format!("{} {}", late.status, text(&late, "detail")), @"409 rosa answered: “blue”");
    assert_eq!(rosa.json("GET", "/", "").await.body["asks"], 0);
    // What was decided is in the log, with who did it.
    let log = rosa.json("GET", "/features/A-1/history", "").await;
    let said: Vec<&str> =
        log.body.as_array().unwrap().iter().filter_map(|entry| entry["text"].as_str()).collect();
    insta::assert_snapshot!(said.join("\n"), @"
    Filed in ready.
    A run started.
    Answer a question: Requested.
    rosa answers.
    Answer a question: Granted.
    Answer a question: Executed.
    ");
}

#[tokio::test]
async fn whoever_refuses_to_answer_ends_the_attempt() {
    let api = api().await;
    let agent = api.caller("theo", Role::Owner, Some("claude"));
    let why = || body(json!({ "run": "A-1.1", "text": "May I have the password?" }));
    let asked = agent.json("POST", "/questions", why()).await;
    let key = text(&asked, "key").to_owned();
    let rosa = api.caller("rosa", Role::Reviewer, None);
    assert_eq!(vote(&rosa, &key, "deny", Value::Null).await.status, 200);
    let again = agent.json("POST", "/questions", why()).await;
    insta::assert_snapshot!(text(&again, "detail"), @"A person said no to question on A-1.1 question accd4606 in this run, and that holds for the run: no other tool, wording or argument changes it. Do not try again; finish without it, or stop and say what is missing.");
    let read = agent.json("GET", &format!("/questions/{key}"), "").await;
    insta::assert_snapshot!(format!("{}: {}", text(&read, "state"), text(&read, "reason")), @"denied: rosa said no.");
}

#[tokio::test]
async fn what_can_not_be_asked_is_refused_in_words() {
    let api = api().await;
    let agent = api.caller("theo", Role::Owner, Some("claude"));
    let ask = async |caller: &Api, question: Value| {
        let answer = caller.json("POST", "/questions", body(question)).await;
        format!("{} {}", answer.status, text(&answer, "detail"))
    };
    insta::assert_snapshot!(ask(&agent, json!({ "run": "A-1.1", "text": " " })).await, @"422 text: a question has 1 to 2000 characters.");
    insta::assert_snapshot!(ask(&agent, json!({ "run": "A-1.2", "text": "Why?" })).await, @"404 There is no run A-1.2.");
    insta::assert_snapshot!(ask(&agent, json!({ "run": "A-1.1", "text": "Why?", "schema": { "type": 7 } })).await, @"409 This can't be asked: Its answers can't be checked: 7 is not valid under any of the schemas listed in the 'anyOf' keyword.");
    insta::assert_snapshot!(ask(&agent, json!({ "run": "A-1.1", "text": "Why?", "roles": ["viewer"] })).await, @"422 roles: of these, the policies let none decide; there are owner, manager, operator, reviewer.");
    let vera = api.caller("vera", Role::Viewer, None);
    insta::assert_snapshot!(ask(&vera, json!({ "run": "A-1.1", "text": "Why?" })).await, @"403 You need the role owner, manager, operator or reviewer for this. You have: viewer.");
    let none = agent.json("GET", "/questions/x", "").await;
    insta::assert_snapshot!(text(&none, "detail"), @"There is no question x.");
    let ines = api.caller("ines", Role::Manager, None);
    let gone = ines.json("POST", "/approvals/x/reopen", "").await;
    insta::assert_snapshot!(text(&gone, "detail"), @"There is no approval x.");
}

#[tokio::test]
async fn a_person_does_not_answer_their_own_question() {
    let api = api().await;
    let ines = api.caller("ines", Role::Manager, None);
    let asked = ines.json("POST", "/questions", body(json!({ "run": "A-1.1", "text": "Why?" }))).await;
    let key = text(&asked, "key").to_owned();
    let own = vote(&ines, &key, "approve", json!("Because.")).await;
    insta::assert_snapshot!(format!("{} {}", own.status, text(&own, "detail")), @"403 ines asked for this, so somebody else has to decide.");
    let open = ines.json("POST", &format!("/approvals/{key}/reopen"), "").await;
    assert_eq!(
        text(&open, "detail"),
        format!("alpha/{key} is requested. Only what expired can be opened again.")
    );
}
