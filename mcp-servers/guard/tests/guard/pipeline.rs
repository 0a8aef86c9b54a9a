//! What each stage does, seen by a client.

use std::time::Duration;

use insta::assert_snapshot;
use qd_guard::{Limits, Scope};
use qd_types::Tier;
use rmcp::model::{ReadResourceRequestParams, ResourceContents};
use serde_json::json;

use crate::{
    fixtures::SECRET,
    world::{World, agent, facts, of_person, service, text},
};

#[tokio::test]
async fn a_reader_reads_and_it_is_written_down() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let result = client.call("status", json!({"service": "billing"})).await;
    assert_eq!(result.structured_content, Some(json!({"said": "billing was restarted 0 times"})));
    assert_snapshot!(text(&result), @r#"{"said":"billing was restarted 0 times"}"#);
    assert_snapshot!(client.refused("status", json!({"service": "bling"})).await, @"There is no service bling. List the services, and take one of those.");
    assert_snapshot!(client.refused("status", json!({"service": "../billing"})).await, @"A service's name is no path. Name the service.");
    assert_snapshot!(world.trail().await.join("\n"), @"
    call agent:A-1.1: called fixtures.status
    call agent:A-1.1: was refused fixtures.status (effect)
    call agent:A-1.1: was refused status (scope)
    ");
}

#[tokio::test]
async fn the_newest_protocol_works_as_well() {
    let world = World::new().await;
    let client = world.newest(agent("A-1.1")).await;
    assert_eq!(
        client.good("status", json!({"service": "billing"})).await,
        r#"{"said":"billing was restarted 0 times"}"#
    );
    assert_eq!(client.tools().await, ["handbook", "odd", "remove", "restart", "status", "call_outcome"]);
    client.pending("restart", json!({"service": "billing"})).await;
}

#[tokio::test]
async fn what_policy_never_allows_is_not_listed() {
    let world = World::new().await;
    assert_eq!(
        world.client(agent("A-1.1")).await.tools().await,
        ["handbook", "odd", "remove", "restart", "status", "call_outcome"]
    );
    let viewer = world.client(of_person("olaf")).await;
    assert_eq!(viewer.tools().await, ["handbook", "odd", "status"]);
    assert_snapshot!(viewer.refused("restart", json!({"service": "billing"})).await, @"The policy none-permits says no: You need the role owner, manager or operator for this. You have: viewer. No other tool and no other wording changes that. Finish without it, or say what is missing.");
    let mut narrow = agent("A-1.1");
    narrow.scope =
        Scope { most: Tier::Operate, tools: Some(vec!["fixtures.restart".into(), "fixtures.remove".into()]) };
    let narrow = world.client(narrow).await;
    assert_eq!(narrow.tools().await, ["restart", "call_outcome"]);
    assert_snapshot!(narrow.refused("remove", json!({"service": "billing"})).await, @"There is no tool remove for you here. List the tools, and take one of those.");
    assert_snapshot!(narrow.refused("fly", json!({})).await, @"There is no tool fly for you here. List the tools, and take one of those.");
    let service = world.client(service()).await;
    assert_snapshot!(service.refused("remove", json!({"service": "billing"})).await, @"Billing is not a service account's business. Ask a person.");
}

#[tokio::test]
async fn a_change_of_policy_is_told() {
    let world = World::new().await;
    let client = world.client(of_person("olaf")).await;
    let newest = world.newest(of_person("olaf")).await;
    let mut facts = facts();
    facts
        .people
        .iter_mut()
        .find(|known| known.person.id.as_str() == "olaf")
        .unwrap()
        .person
        .roles
        .push(qd_types::Role::Operator);
    assert_eq!(client.tools().await, ["handbook", "odd", "status"]);
    world.up().engine.set_facts(&facts).unwrap();
    world.up().law.changed();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // olaf's token asserts no more than it did: nothing changed for it.
    assert_eq!(*client.seen.lists.lock().unwrap(), 0);
    facts.tools.retain(|tool| tool.name != "odd");
    world.up().engine.set_facts(&facts).unwrap();
    world.up().law.changed();
    for _ in 0..100 {
        if *client.seen.lists.lock().unwrap() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*client.seen.lists.lock().unwrap(), 1);
    assert_eq!(client.tools().await, ["handbook", "status"]);
    assert_eq!(newest.tools().await, ["handbook", "status"]);
}

#[tokio::test]
async fn tools_say_what_their_tier_says() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let tools = client.running.list_all_tools().await.unwrap();
    let said: Vec<String> = tools
        .iter()
        .map(|tool| {
            let hints = tool.annotations.clone().unwrap();
            let fields: Vec<&String> = tool.input_schema["properties"].as_object().unwrap().keys().collect();
            format!(
                "{}: reads {:?}, destroys {:?}, takes {fields:?}",
                tool.name, hints.read_only_hint, hints.destructive_hint
            )
        })
        .collect();
    assert_snapshot!(said.join("\n"), @r#"
    handbook: reads Some(true), destroys Some(false), takes ["path"]
    odd: reads Some(true), destroys Some(false), takes ["mischief"]
    remove: reads Some(false), destroys Some(true), takes ["service", "dry_run"]
    restart: reads Some(false), destroys Some(false), takes ["service", "takes", "stubborn", "tells", "dry_run"]
    status: reads Some(true), destroys Some(false), takes ["service"]
    call_outcome: reads Some(false), destroys Some(true), takes ["approval", "dry_run"]
    "#);
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let result = client.call("restart", json!({"service": "billing", "dry_run": true})).await;
    assert_snapshot!(text(&result), @"
    Nothing was done. On billing, this would happen:
    - Restart billing.
    People would have to agree first (1 operator, not the requester).
    ");
    assert_eq!(result.structured_content.unwrap()["state"], "preview");
    let person = world.client(of_person("theo")).await;
    assert_snapshot!(person.good("restart", json!({"service": "billing", "dry_run": true})).await, @"
    Nothing was done. On billing, this would happen:
    - Restart billing.
    Nobody would be asked.
    ");
    assert_eq!(world.services.restarts("billing"), Some(0));
    assert_snapshot!(client.refused("status", json!({"service": "billing", "dry_run": true})).await, @"The arguments are refused: Additional properties are not allowed ('dry_run' was unexpected). Look at the tool's schema, and call it anew.");
}

#[tokio::test]
async fn what_policy_allows_is_done_at_once() {
    let world = World::new().await;
    let person = world.client(of_person("theo")).await;
    let result = person.call("restart", json!({"service": "billing"})).await;
    assert_eq!(
        result.structured_content,
        Some(json!({"state": "done", "result": {"said": "billing is restarted by policy"}}))
    );
    assert_eq!(world.services.restarts("billing"), Some(1));
    let trail = world.trail().await.join("\n");
    let actor = trail.split(' ').nth(1).unwrap().trim_end_matches(':').to_owned();
    assert_snapshot!(trail.replace(&actor, "person:X"), @"
    call person:X: calls fixtures.restart
    outcome person:X: called fixtures.restart
    ");
}

#[tokio::test]
async fn a_long_result_is_cut_and_kept_whole_for_its_caller() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let result = client.call("odd", json!({"mischief": "long"})).await;
    let value = result.structured_content.clone().unwrap();
    assert_eq!(value["size"], 1_000_011);
    assert!(serde_json::to_string(&result).unwrap().len() < 80_000);
    let link = result.content.iter().find_map(|block| block.as_resource_link()).unwrap();
    let read = client.running.read_resource(ReadResourceRequestParams::new(link.uri.clone())).await.unwrap();
    let [ResourceContents::TextResourceContents { text, .. }] = &read.contents[..] else { panic!() };
    assert_eq!(text.len(), 1_000_011);
    let other = world.client(agent("A-2.1")).await;
    assert!(other.running.read_resource(ReadResourceRequestParams::new(link.uri.clone())).await.is_err());
    assert_eq!(other.running.list_all_resources().await.unwrap().len(), 1, "the server's own");
    assert_eq!(client.running.list_all_resources().await.unwrap().len(), 2);
    assert_snapshot!(world.trail().await.join("\n"), @"
    call agent:A-1.1: called fixtures.odd
    call agent:A-1.1: read the whole of a result of fixtures.odd
    ");
}

#[tokio::test]
async fn the_rest_of_a_long_result_is_counted_as_a_call_is() {
    let limits = Limits { per_minute: 1, burst: 2, ..Limits::default() };
    let world = World::with(Duration::ZERO, limits).await;
    let client = world.client(agent("A-1.1")).await;
    let result = client.call("odd", json!({"mischief": "long"})).await;
    let link = result.content.iter().find_map(|block| block.as_resource_link()).unwrap();
    let read = || client.running.read_resource(ReadResourceRequestParams::new(link.uri.clone()));
    read().await.unwrap();
    let refused = read().await.unwrap_err().to_string();
    assert!(refused.contains("You called more than 1 times a minute. Wait "), "{refused}");
}

#[tokio::test]
async fn secrets_stay() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    assert_snapshot!(client.refused("odd", json!({"mischief": "leak"})).await, @"login with [redacted] failed, as did [redacted] Check the token.");
    assert_snapshot!(client.good("odd", json!({"mischief": "tell"})).await, @r#"{"said":"the password is [redacted]"}"#);
    client.good("odd", json!({"mischief": "work"})).await;
    assert_eq!(
        *client.seen.progress.lock().unwrap(),
        [
            (1.0, "step 1 with [redacted]".to_owned()),
            (2.0, "step 2 with [redacted]".into()),
            (3.0, "step 3 with [redacted]".into())
        ]
    );
    let bytes = std::fs::read(world.folder.path().join("guard.db-wal")).unwrap_or_default();
    assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
}

#[tokio::test]
async fn what_takes_too_long_ends() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    assert_snapshot!(client.refused("odd", json!({"mischief": "hang"})).await, @"It took longer than 0.7 s. Nothing was changed.");
    let person = world.client(of_person("theo")).await;
    assert_snapshot!(person.refused("restart", json!({"service": "billing", "takes": 60000})).await, @"It was stopped before it began. Call it again.");
    assert_eq!(*world.services.stopped.lock().unwrap(), 1);
    assert_snapshot!(person.refused("restart", json!({"service": "billing", "takes": 60000, "stubborn": true})).await, @"It took longer than 2 s. It can't be told whether it happened. Look at what it was done to before anything is tried again.");
}

#[tokio::test]
async fn a_call_can_be_cancelled() {
    let world = World::new().await;
    let person = world.client(of_person("theo")).await;
    let arguments = json!({"service": "billing", "takes": 1500}).as_object().cloned().unwrap();
    let call = rmcp::model::CallToolRequest::new(
        rmcp::model::CallToolRequestParams::new("restart").with_arguments(arguments),
    );
    let options = rmcp::service::PeerRequestOptions::no_options();
    let request = rmcp::model::ClientRequest::CallToolRequest(call);
    let handle = person.running.send_cancellable_request(request, options).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    handle.cancel(None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(*world.services.stopped.lock().unwrap(), 1);
    assert_eq!(world.services.restarts("billing"), Some(0));
    assert_snapshot!(world.trail().await.last().unwrap().split(": ").nth(1).unwrap(), @"was refused fixtures.restart (effect)");
}

#[tokio::test]
async fn a_tool_that_breaks_breaks_alone() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    assert_snapshot!(client.refused("odd", json!({"mischief": "break"})).await, @"The tool broke. Nothing was changed.");
    client.good("status", json!({"service": "billing"})).await;
}

#[tokio::test]
async fn so_many_calls_and_no_more() {
    let limits = Limits { per_minute: 1, burst: 2, at_once: 1, waiting: 1 };
    let world = World::with(Duration::ZERO, limits).await;
    let client = world.client(agent("A-1.1")).await;
    client.good("status", json!({"service": "billing"})).await;
    client.refused("status", json!({"service": 7})).await;
    let refused = client.refused("status", json!({"service": "billing"})).await;
    assert!(refused.starts_with("You called more than 1 times a minute. Wait "), "{refused}");
    world.client(agent("A-2.1")).await.good("status", json!({"service": "billing"})).await;
    // Whoever floods does not flood the trail: a row of the first, and one of the others.
    for _ in 0..5 {
        client.refused("status", json!({"service": "billing"})).await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let mut told = world.trail().await;
    while told.len() < 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        told = world.trail().await;
    }
    assert_snapshot!(told.join("\n"), @"
    call agent:A-1.1: called fixtures.status
    call agent:A-1.1: was refused status (parse)
    call agent:A-1.1: was refused status (limits)
    call agent:A-2.1: called fixtures.status
    call agent:A-1.1: was refused 5 more calls within a minute (limits)
    ");
}
