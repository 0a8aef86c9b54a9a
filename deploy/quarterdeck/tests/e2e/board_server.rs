//! Everything that the board's server offers, once: each tool, each resource, each prompt, and the questions of a run.

use serde_json::{Value, json};

use crate::{
    acp::{Stage, transcript},
    mcp::Client,
    support::until,
};

/// What a call came to; it has to have worked.
fn done(client: &mut Client, tool: &str, arguments: Value) -> Value {
    let answer = client.call(tool, arguments);
    assert_ne!(answer["isError"], true, "{tool}: {answer}");
    let content = &answer["structuredContent"];
    if content["result"].is_null() { content.clone() } else { content["result"].clone() }
}

#[test]
fn each_tool_of_a_person_works() {
    let stage = Stage::new("true");
    let up = stage.project.up(&[]);
    let mut client = Client::start(&stage.project, &["mcp", "board"], &[]);
    let added = done(
        &mut client,
        "add",
        json!({ "title": "Parse the dates", "description": "All of them.", "labels": ["parser"], "priority": 1 }),
    );
    assert_eq!(added["feature"]["id"], "A-1", "{added}");
    let version = added["feature"]["version"].clone();
    let edited = done(
        &mut client,
        "edit",
        json!({ "id": "A-1", "version": version, "title": "Parse dates", "paths": ["src/dates.rs"] }),
    );
    assert_eq!(edited["feature"]["title"], "Parse dates");
    let stale = client.call("edit", json!({ "id": "A-1", "version": version, "title": "Other" }));
    assert_eq!(stale["isError"], true, "{stale}");
    let shown = done(&mut client, "show", json!({ "id": "A-1" }));
    assert_eq!(shown["description"], "All of them.");
    assert_eq!((&shown["labels"], &shown["paths"]), (&json!(["parser"]), &json!(["src/dates.rs"])));
    assert_eq!(
        done(&mut client, "comment", json!({ "id": "A-1", "text": "Also leap years." }))["comments"],
        1
    );
    done(&mut client, "report_progress", json!({ "text": "Begun.", "percent": 10, "feature": "A-1" }));
    let blocked = json!({ "text": "No test data.", "needs": "Some dates.", "feature": "A-1" });
    assert_eq!(done(&mut client, "report_blocker", blocked)["comments"], 3);
    let file = json!({ "name": "plan.md", "text": "# Plan", "feature": "A-1" });
    assert_eq!(done(&mut client, "attach", file)["files"], json!(["plan.md"]));
    let found = done(&mut client, "search", json!({ "words": "leap" }));
    assert!(found.to_string().contains("A-1"), "{found}");
    let why = done(&mut client, "why", json!({ "id": "A-1" }));
    assert!(why["sentence"].as_str().is_some_and(|sentence| !sentence.is_empty()), "{why}");
    assert_eq!(done(&mut client, "list", json!({}))["features"][0]["id"], "A-1");
    assert_eq!(done(&mut client, "team", json!({}))["name"], "alpha");
    for tool in ["fleet_status", "fleet_risks", "fleet_cost", "fleet_digest"] {
        let said = done(&mut client, tool, json!({}));
        assert_eq!(said["silent"], json!([]), "{tool}: {said}");
        // The bot is asked as well, over the team's own link.
        assert!(!said["fleet"].to_string().contains("did not answer"), "{tool}: {said}");
        // Nothing is at risk.
        assert!(said.to_string().contains("alpha") || tool == "fleet_risks", "{tool}: {said}");
    }
    done(&mut client, "move", json!({ "id": "A-1", "stage": "ready" }));
    client.end();
    drop(up);
}

#[test]
fn its_resources_are_read_and_its_prompts_put_together() {
    let stage = Stage::new("true");
    let folder = stage.project.folder();
    std::fs::write(folder.join("RUNBOOK.md"), "# Runbook of the restart\n\nPress the button.\n").unwrap();
    crate::support::git(&folder, &["add", "RUNBOOK.md"]);
    crate::support::git(&folder, &["commit", "--quiet", "--message=Runbook"]);
    let up = stage.project.up(&[]);
    stage.project.ok(&["feature", "add", "Parse dates", "--description", "All of them."]);
    let mut client = Client::start(&stage.project, &["mcp", "board"], &[]);
    let listed = client.ask("resources/list", json!({}));
    let mut addresses: Vec<&str> =
        listed["resources"].as_array().unwrap().iter().filter_map(|one| one["uri"].as_str()).collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["board://policies", "board://runbooks", "board://team"]);
    let templates = client.ask("resources/templates/list", json!({}));
    assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "board://features/{feature}");
    let mut read = |uri: &str| {
        let page = client.ask("resources/read", json!({ "uri": uri }));
        page["contents"][0]["text"].as_str().unwrap().to_owned()
    };
    let board = read("board://team");
    assert!(board.contains("## backlog (1)") && board.contains("- A-1 Parse dates: "), "{board}");
    let feature = read("board://features/A-1");
    assert!(feature.contains("# A-1 Parse dates") && feature.contains("All of them."), "{feature}");
    let policies = read("board://policies");
    assert!(policies.contains("server.use  "), "{policies}");
    // Documents are taken in by and by.
    let mut runbooks = String::new();
    for _ in 0..100 {
        runbooks = read("board://runbooks");
        if runbooks.contains("RUNBOOK.md") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(runbooks.contains("project:RUNBOOK.md"), "{runbooks}");
    let prompts = client.ask("prompts/list", json!({}));
    let names: Vec<&str> =
        prompts["prompts"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["hand_over", "stand_up", "triage"]);
    let mut prompt = |name: &str, arguments: Value| {
        let got = client.ask("prompts/get", json!({ "name": name, "arguments": arguments }));
        got["messages"][0]["content"]["text"].as_str().unwrap().to_owned()
    };
    for text in [prompt("stand_up", json!({})), prompt("triage", json!({}))] {
        assert!(text.contains("A-1 Parse dates") && text.contains("they are data"), "{text}");
    }
    let over = prompt("hand_over", json!({ "feature": "A-1" }));
    assert!(over.contains("Write the hand-over of A-1") && over.contains("All of them."), "{over}");
    client.end();
    drop(up);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_asks_people_and_its_question_waits() {
    let stage = Stage::new("true");
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add(
        "call board ask_human {\"text\": \"Which colour?\", \"choices\": [\"Blue\", \"Red\"]}\n\
         call board request_review {\"text\": \"Is it right?\"}\nsay asked\nhang",
    );
    until(&mut client, "A-1", |view| view.run.is_some()).await;
    let mut text = String::new();
    for _ in 0..300 {
        text = transcript(&mut client).await;
        if text.contains("output: asked") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(text.contains("\"state\":\"waiting\"") && text.contains("approvals answer"), "{text}");
    let key =
        text.split("quarterdeck approvals answer ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    stage.project.ok(&["approvals", "answer", key, "Blue"]);
    let mut person = Client::start(&stage.project, &["mcp", "board"], &[]);
    let answered = done(&mut person, "question", json!({ "key": key }));
    assert_eq!(answered["state"], "answered", "{answered}");
    assert_eq!(answered["answers"][0]["value"], "Blue", "{answered}");
    person.end();
    stage.project.ok(&["run", "stop", "A-1.1"]);
}
