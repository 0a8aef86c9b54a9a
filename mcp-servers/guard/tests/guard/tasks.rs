//! Waiting for people with tasks.

use std::time::Duration;

use insta::assert_snapshot;
use qd_types::{ApprovalId, Ballot};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, DetailedTask, GetTaskParams, TaskPayload,
    UpdateTaskParams,
};
use serde_json::json;

use crate::world::{Client, Seen, World, agent, masked};

async fn client(world: &World, run: &str) -> Client {
    world.newest_as(agent(run), Seen { tasks: true, ..Seen::default() }).await
}

async fn begun(client: &Client, takes: u64) -> ApprovalId {
    let arguments = json!({"service": "billing", "takes": takes}).as_object().cloned().unwrap();
    let params = CallToolRequestParams::new("restart").with_arguments(arguments);
    match client.running.call_tool_once(params).await.unwrap() {
        CallToolResponse::Task(task) => {
            let id: ApprovalId = task.task.task_id.parse().unwrap();
            assert_snapshot!(masked(&task.task.status_message.unwrap(), &id), @"Nobody has decided yet. A person runs: quarterdeck approvals approve alpha/ID");
            id
        }
        other => panic!("no task: {other:?}"),
    }
}

async fn got(client: &Client, id: &ApprovalId) -> DetailedTask {
    client.running.get_task(GetTaskParams::new(id.to_string())).await.unwrap().task
}

fn result(task: DetailedTask) -> String {
    match task.payload {
        TaskPayload::Completed { result } => {
            format!("{} {}", result["isError"], result["content"][0]["text"])
        }
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_task_outlives_client_and_server_and_is_carried_out_once() {
    let mut world = World::new().await;
    let first = client(&world, "A-1.1").await;
    let id = begun(&first, 0).await;
    assert_eq!(got(&first, &id).await.payload, TaskPayload::Working);
    drop(first);
    world.restart().await;
    world.approve(&id, "ines").await;
    world.restart().await;
    let second = client(&world, "A-1.1").await;
    assert_snapshot!(result(got(&second, &id).await), @r#"false "{\"said\":\"billing is restarted by people\"}""#);
    assert_snapshot!(result(got(&second, &id).await), @r#"false "{\"said\":\"billing is restarted by people\"}""#);
    assert_eq!(world.services.restarts("billing"), Some(1));
    // The same request, asked for without tasks.
    assert_eq!(
        crate::world::text(&second.outcome(&id).await),
        r#"{"said":"billing is restarted by people"}"#
    );
    let other = client(&world, "A-2.1").await;
    assert!(other.running.get_task(GetTaskParams::new(id.to_string())).await.is_err());
}

#[tokio::test]
async fn a_no_completes_a_task_with_an_error() {
    let world = World::new().await;
    let client = client(&world, "A-1.1").await;
    let id = begun(&client, 0).await;
    world.decide(&id, "ines", Ballot::Deny).await;
    assert!(result(got(&client, &id).await).starts_with("true \"People said no."));
    assert_eq!(world.services.restarts("billing"), Some(0));
}

#[tokio::test]
async fn a_cancelled_task_asks_nobody_any_more() {
    let mut world = World::new().await;
    let first = client(&world, "A-1.1").await;
    let id = begun(&first, 0).await;
    first.running.cancel_task(CancelTaskParams::new(id.to_string())).await.unwrap();
    assert_eq!(got(&first, &id).await.payload, TaskPayload::Cancelled);
    assert_snapshot!(world.approve(&id, "ines").await, @"This is decided already: withdrawn. Whoever asked cancelled the task.");
    drop(first);
    world.restart().await;
    let second = client(&world, "A-1.1").await;
    assert_eq!(got(&second, &id).await.payload, TaskPayload::Cancelled);
    assert_eq!(world.services.restarts("billing"), Some(0));
}

#[tokio::test]
async fn a_long_effect_is_asked_about_and_can_be_stopped() {
    let world = World::new().await;
    let client = client(&world, "A-1.1").await;
    let id = begun(&client, 1_900).await;
    world.approve(&id, "ines").await;
    let under_way = got(&client, &id).await;
    assert_eq!(under_way.payload, TaskPayload::Working);
    assert_snapshot!(under_way.task.status_message.unwrap(), @"People agreed, and it is being carried out.");
    client.running.cancel_task(CancelTaskParams::new(id.to_string())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_snapshot!(result(got(&client, &id).await), @r#"true "It was stopped before it began. Call it again. It did not happen. Call the tool again to ask anew.""#);
    assert_eq!(*world.services.stopped.lock().unwrap(), 1);
    assert_eq!(world.services.restarts("billing"), Some(0));
}

#[tokio::test]
async fn a_client_answers_no_task_itself() {
    let world = World::new().await;
    let client = client(&world, "A-1.1").await;
    let id = begun(&client, 0).await;
    let yes = serde_json::from_value(json!({"approve": {"action": "accept", "content": {"approve": true}}}));
    let update = UpdateTaskParams::new(id.to_string(), yes.unwrap());
    assert_snapshot!(client.running.update_task(update).await.unwrap_err().to_string(), @"Mcp error: -32602: This task asks its client for nothing. People decide, and not through this connection.");
    assert_eq!(got(&client, &id).await.payload, TaskPayload::Working);
    assert_eq!((world.services.restarts("billing"), *client.seen.elicited.lock().unwrap()), (Some(0), 0));
}

#[tokio::test]
async fn a_client_without_tasks_gets_none() {
    let world = World::new().await;
    let plain = world.newest(agent("A-1.1")).await;
    let id = plain.pending("restart", json!({"service": "billing"})).await;
    assert!(plain.running.get_task(GetTaskParams::new(id.to_string())).await.is_err());
}
