//! What was asked for and what was written down, read through tools.

use insta::assert_snapshot;
use qd_guard::{Caller, Guard, Settings};
use qd_types::ApprovalId;
use serde_json::{Value, json};

use crate::{
    fixtures::server,
    world::{Client, World, agent, facts, masked, of_person, service, text},
};

/// The world's server with the two tools, behind a guard of its own over the same ledger.
fn guard(world: &World) -> Guard {
    let server = server(&world.services).records().unwrap();
    let mut known = facts();
    known.tools = server.known_tools();
    let up = world.up();
    up.engine.set_facts(&known).unwrap();
    up.law.changed();
    let law = std::sync::Arc::new(up.law.clone());
    Guard::new(
        server,
        law,
        up.ledger.clone(),
        up.ledger.clone(),
        Settings { hold: std::time::Duration::ZERO, ..Settings::default() },
    )
}

async fn client(world: &World, guard: &Guard, caller: Caller) -> Client {
    world.client_of(guard.clone(), caller).await
}

async fn read(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let result = client.call(tool, arguments).await;
    assert_ne!(result.is_error, Some(true), "{}", text(&result));
    result.structured_content.unwrap()
}

async fn plan(client: &Client, id: &ApprovalId) -> Value {
    read(client, "plan_show", json!({ "approval": id })).await
}

/// Kinds and sentences, newest first.
async fn tail(client: &Client, arguments: Value) -> Vec<String> {
    let told = read(client, "audit_tail", arguments).await;
    let rows = told["rows"].as_array().unwrap().iter();
    rows.map(|row| format!("{} {}", row["kind"].as_str().unwrap(), row["text"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_plan_is_shown_as_it_stands() {
    let world = World::new().await;
    let guard = guard(&world);
    let asks = client(&world, &guard, agent("A-1.1")).await;
    let id = asks.pending("restart", json!({"service": "billing"})).await;
    let mut shown = plan(&asks, &id).await;
    let digest = shown["digest"].take();
    assert_eq!(digest.as_str().unwrap().len(), 64);
    assert_snapshot!(masked(&serde_json::to_string_pretty(&shown).unwrap(), &id), @r#"
    {
      "approval": "alpha/ID",
      "tool": "fixtures.restart",
      "tier": "operate",
      "target": "billing",
      "arguments": {
        "service": "billing"
      },
      "digest": null,
      "people": "1 operator, not the requester",
      "state": "requested",
      "queued": false,
      "steps": [
        "Restart billing."
      ]
    }
    "#);
    // The world goes on, and so does the request.
    world.services.touch("billing");
    assert_snapshot!(plan(&asks, &id).await["careful"], @r#""The target is not as it was when people were asked: this would not be carried out.""#);
    world.approve(&id, "ines").await;
    let granted = plan(&asks, &id).await;
    assert_eq!(granted["state"], "granted");
    assert_eq!(granted["digest"], digest);
    assert!(granted["left"].as_u64().unwrap() > 0, "{granted}");
    assert_eq!(world.services.restarts("billing"), Some(100), "to show it carries nothing out");
    asks.outcome(&id).await;
    let lapsed = plan(&asks, &id).await;
    assert_eq!((&lapsed["state"], &lapsed["steps"]), (&json!("lapsed"), &json!([])));
}

#[tokio::test]
async fn a_plan_of_another_is_not_there() {
    let world = World::new().await;
    let guard = guard(&world);
    let asks = client(&world, &guard, agent("A-1.1")).await;
    let id = asks.pending("restart", json!({"service": "billing"})).await;
    let none: ApprovalId = "alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    for caller in [agent("A-1.2"), service()] {
        let other = client(&world, &guard, caller).await;
        let said = other.refused("plan_show", json!({ "approval": id })).await;
        assert_eq!(
            masked(&said, &id),
            "You asked for no approval alpha/ID here. Call the tool itself; the answer says what to ask again with."
        );
        let unknown = other.refused("plan_show", json!({ "approval": none })).await;
        assert_eq!(masked(&unknown, &none), masked(&said, &id), "nothing tells them apart");
    }
    let person = client(&world, &guard, of_person("mira")).await;
    assert_eq!(plan(&person, &id).await["target"], "billing");
    let said = asks.refused("plan_show", json!({"approval": "../guard.db"})).await;
    assert!(said.contains("\"../guard.db\" is not an approval id: executor/ULID"), "{said}");
}

#[tokio::test]
async fn the_trail_is_told_to_whom_it_concerns() {
    let world = World::new().await;
    let guard = guard(&world);
    let one = client(&world, &guard, agent("A-1.1")).await;
    let other = client(&world, &guard, agent("A-1.2")).await;
    let ci = client(&world, &guard, service()).await;
    let id = one.pending("restart", json!({"service": "billing"})).await;
    // Rows of calls are written in groups: this one before the votes.
    world.up().ledger.flush().await.unwrap();
    world.approve(&id, "ines").await;
    one.outcome(&id).await;
    other.good("status", json!({"service": "search"})).await;
    ci.good("status", json!({"service": "billing"})).await;
    assert_snapshot!(tail(&one, json!({})).await.join("\n"), @"
    outcome fixtures.restart: done
    execution carries out fixtures.restart
    decision granted
    vote voted yes
    call waits to call fixtures.restart
    request asked people: Call restart of server fixtures
    ");
    assert_snapshot!(tail(&other, json!({})).await.join("\n"), @"call called fixtures.status");
    assert_snapshot!(tail(&ci, json!({})).await.join("\n"), @"call called fixtures.status");
    let person = client(&world, &guard, of_person("mira")).await;
    assert_snapshot!(tail(&person, json!({"tool": "restart"})).await.join("\n"), @"
    outcome fixtures.restart: done
    execution carries out fixtures.restart
    decision granted
    vote voted yes
    call waits to call fixtures.restart
    request asked people: Call restart of server fixtures
    ");
    assert_eq!(tail(&person, json!({"tool": "restart", "limit": 1})).await.len(), 1);
    assert_eq!(tail(&person, json!({"tool": "status"})).await.len(), 2);
    assert!(tail(&person, json!({"tool": "nothing"})).await.is_empty());
    // People stand in it under pseudonyms, and arguments not at all.
    let whole = read(&person, "audit_tail", json!({"limit": 200})).await.to_string();
    for name in ["ines", "mira", "theo", "billing"] {
        assert!(!whole.contains(name), "{name}: {whole}");
    }
    for limit in [0, 201] {
        person.refused("audit_tail", json!({ "limit": limit })).await;
    }
}
