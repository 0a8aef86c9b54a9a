//! Resources and prompts: listed to whom policy lets, read through the pipeline.

use std::time::Duration;

use insta::assert_snapshot;
use qd_guard::Caller;
use rmcp::model::{GetPromptRequestParams, ReadResourceRequestParams, ResourceContents};
use serde_json::json;

use crate::world::{Client, World, agent, facts};

async fn read(client: &Client, uri: &str) -> Result<String, String> {
    let read = client.running.read_resource(ReadResourceRequestParams::new(uri)).await;
    let read = read.map_err(|error| error.to_string())?;
    match read.contents.first() {
        Some(ResourceContents::TextResourceContents { text, mime_type, .. }) => {
            Ok(format!("{}: {text}", mime_type.clone().unwrap_or_default()))
        }
        other => Err(format!("{other:?}")),
    }
}

fn asked(name: &str, arguments: serde_json::Value) -> GetPromptRequestParams {
    GetPromptRequestParams::new(name).with_arguments(arguments.as_object().cloned().unwrap())
}

#[tokio::test]
async fn a_resource_is_read_through_the_pipeline() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let listed = client.running.list_all_resources().await.unwrap();
    assert_eq!(listed.iter().map(|one| one.uri.as_str()).collect::<Vec<_>>(), ["services://all"]);
    let templates = client.running.list_all_resource_templates().await.unwrap();
    assert_eq!(templates[0].uri_template, "services://runbooks/{service}");
    assert_snapshot!(read(&client, "services://all").await.unwrap(), @r"
    text/plain: billing
    search
    ");
    // Longer than an answer may be: whole, and without secrets; nothing of it is kept.
    let runbook = read(&client, "services://runbooks/billing").await.unwrap();
    assert!(runbook.len() > 100_000 && !runbook.contains("correct-horse"), "{}", &runbook[..80]);
    assert_eq!(client.running.list_all_resources().await.unwrap().len(), 1);
    assert_snapshot!(read(&client, "services://runbooks/none").await.unwrap_err(), @"Mcp error: -32602: There is no service none. List the services, and take one of those.");
    assert_snapshot!(read(&client, "services://runbooks/..%2f..%2fetc").await.unwrap_err(), @"Mcp error: -32602: There is no service ..%2f..%2fetc. List the services, and take one of those.");
    assert_snapshot!(read(&client, "services://runbooks/../../etc").await.unwrap_err(), @r#"Mcp error: -32002: There is no such resource for you here. Long results are kept for a while only: call the tool again.({"uri":"services://runbooks/../../etc"})"#);
    assert_snapshot!(read(&client, "file:///etc/passwd").await.unwrap_err(), @r#"Mcp error: -32002: There is no such resource for you here. Long results are kept for a while only: call the tool again.({"uri":"file:///etc/passwd"})"#);
    // What is offered as a resource is no tool.
    assert_eq!(client.tools().await, ["handbook", "odd", "remove", "restart", "status", "call_outcome"]);
    assert_snapshot!(client.refused("all", json!({})).await, @"There is no tool all for you here. List the tools, and take one of those.");
    assert_snapshot!(world.trail().await.join("\n"), @"
    call agent:A-1.1: called fixtures.all
    call agent:A-1.1: called fixtures.runbook
    call agent:A-1.1: was refused fixtures.runbook (effect)
    call agent:A-1.1: was refused fixtures.runbook (effect)
    call agent:A-1.1: was refused all (scope)
    ");
}

#[tokio::test]
async fn a_prompt_is_put_together() {
    let world = World::new().await;
    let client = world.newest(agent("A-1.1")).await;
    let prompts = client.running.list_all_prompts().await.unwrap();
    assert_snapshot!(serde_json::to_string(&prompts).unwrap(), @r#"[{"name":"triage","title":"Triage","description":"Finds out what a service has.","arguments":[{"name":"service","description":"The service.","required":true}]}]"#);
    let got = client.running.get_prompt(asked("triage", json!({"service": "billing"}))).await.unwrap();
    assert_snapshot!(serde_json::to_string(&got.messages).unwrap(), @r#"[{"role":"user","content":{"type":"text","text":"Find out what is wrong with billing."}}]"#);
    let refused = |arguments| async {
        client.running.get_prompt(asked("triage", arguments)).await.unwrap_err().to_string()
    };
    assert_snapshot!(refused(json!({})).await, @r#"Mcp error: -32602: The arguments are refused: "service" is a required property. Look at the tool's schema, and call it anew."#);
    assert_snapshot!(refused(json!({"service": "a", "system": "b"})).await, @"Mcp error: -32602: The arguments are refused: Additional properties are not allowed ('system' was unexpected). Look at the tool's schema, and call it anew.");
    assert!(client.running.get_prompt(asked("status", json!({"service": "billing"}))).await.is_err());
}

#[tokio::test]
async fn what_policy_takes_away_is_gone_from_its_list_and_said() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    // The session has begun once it answers.
    assert_eq!(client.tools().await.len(), 6);
    let mut known = facts();
    known.tools.retain(|tool| tool.name != "all" && tool.name != "triage");
    world.up().engine.set_facts(&known).unwrap();
    world.up().law.changed();
    for _ in 0..100 {
        if *client.seen.others.lock().unwrap() == (1, 1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*client.seen.others.lock().unwrap(), (1, 1));
    assert_eq!(*client.seen.lists.lock().unwrap(), 0, "the tools are the same");
    assert!(client.running.list_all_resources().await.unwrap().is_empty());
    assert!(client.running.list_all_prompts().await.unwrap().is_empty());
    assert!(read(&client, "services://all").await.is_err());
}

#[tokio::test]
async fn a_token_for_some_tools_reads_no_other_resource() {
    let world = World::new().await;
    let mut caller: Caller = agent("A-1.1");
    caller.scope.tools = Some(vec!["fixtures.status".to_owned()]);
    let client = world.client(caller).await;
    assert!(client.running.list_all_resources().await.unwrap().is_empty());
    assert!(read(&client, "services://all").await.is_err());
}
