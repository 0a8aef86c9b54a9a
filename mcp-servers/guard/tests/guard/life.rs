//! A call that people decide on, from asking to its outcome, whatever ends in between.

use std::time::Duration;

use insta::assert_snapshot;
use qd_guard::Limits;
use qd_types::Ballot;
use serde_json::{Value, json};

use crate::world::{World, agent, masked, text};

fn restart() -> Value {
    json!({"service": "billing"})
}

#[tokio::test]
async fn it_waits_for_people_and_is_carried_out_once() {
    let mut world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let result = client.call("restart", restart()).await;
    let id = crate::world::id(&result);
    assert_snapshot!(masked(&text(&result), &id), @"
    Not done yet: people have to agree first about billing (1 operator, not the requester). Nobody has decided yet.
    They decide in chat, on the board, or with
        quarterdeck approvals approve alpha/ID
    You can't decide this yourself. Go on with something else, and ask again with call_outcome and the approval alpha/ID.
    ");
    assert_eq!(
        masked(&result.structured_content.unwrap()["decide"].to_string(), &id),
        r#""quarterdeck approvals approve alpha/ID""#
    );
    // Asked again, in any way, it is the same request.
    assert_eq!(client.pending("restart", restart()).await, id);
    assert_eq!(crate::world::id(&client.outcome(&id).await), id);
    assert_eq!(world.services.restarts("billing"), Some(0));
    // The client, the server: both end.
    drop(client);
    world.restart().await;
    assert_eq!(world.approve(&id, "ines").await, "Your vote counts, and it is granted.");
    assert_eq!(world.services.restarts("billing"), Some(0), "a decision carries nothing out by itself");
    world.restart().await;
    let client = world.client(agent("A-1.1")).await;
    assert_eq!(text(&client.outcome(&id).await), r#"{"said":"billing is restarted by people"}"#);
    assert_eq!(world.services.restarts("billing"), Some(1));
    // Asked again it is told again, and not done again.
    assert_eq!(text(&client.outcome(&id).await), r#"{"said":"billing is restarted by people"}"#);
    drop(client);
    world.restart().await;
    let client = world.client(agent("A-1.1")).await;
    assert_eq!(text(&client.outcome(&id).await), r#"{"said":"billing is restarted by people"}"#);
    assert_eq!(world.services.restarts("billing"), Some(1));
    assert_eq!(*world.services.grants.lock().unwrap(), [id.to_string()]);
    let told = world.trail().await;
    let told: Vec<&String> = told.iter().filter(|row| !row.starts_with("call")).collect();
    let told: Vec<String> = told
        .iter()
        .map(|row| {
            row.replacen(
                &row[row.find("person:").map_or(0, |at| at + 7)..row.find(": ").unwrap()],
                "X",
                usize::from(row.contains("person:")),
            )
        })
        .collect();
    assert_snapshot!(told.join("\n"), @"
    request agent:A-1.1: asked people: Call restart of server fixtures
    vote person:X: voted yes
    decision team:alpha: granted
    execution agent:A-1.1: carries out fixtures.restart
    outcome agent:A-1.1: fixtures.restart: done
    ");
}

#[tokio::test]
async fn many_who_ask_at_once_carry_it_out_once() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let slow = json!({"service": "billing", "takes": 200});
    let id = client.pending("restart", slow).await;
    world.approve(&id, "ines").await;
    let others = [world.client(agent("A-1.1")).await, world.client(agent("A-1.1")).await];
    let (one, other, third) =
        tokio::join!(client.outcome(&id), others[0].outcome(&id), others[1].outcome(&id));
    let said: Vec<String> = [one, other, third].iter().map(|result| masked(&text(result), &id)).collect();
    assert_eq!(said.iter().filter(|text| text.contains("restarted by people")).count(), 1, "{said:?}");
    assert_eq!(world.services.restarts("billing"), Some(1));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(text(&client.outcome(&id).await).contains("restarted by people"));
    assert_eq!(world.services.restarts("billing"), Some(1));
}

#[tokio::test]
async fn a_call_is_held_while_its_client_is_there() {
    let world = World::with(Duration::from_secs(20), Limits::default()).await;
    let client = world.client(agent("A-1.1")).await;
    let asking = client.call("restart", restart());
    let deciding = async {
        let mut open = vec![];
        while open.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            open = client.seen.progress.lock().unwrap().clone();
        }
        let id = open[0]
            .1
            .trim_start_matches("Waiting for people to decide on ")
            .trim_end_matches('.')
            .parse()
            .unwrap();
        assert_eq!(world.approve(&id, "ines").await, "Your vote counts, and it is granted.");
    };
    let (result, ()) = tokio::join!(asking, deciding);
    assert_eq!(text(&result), r#"{"said":"billing is restarted by people"}"#);
}

#[tokio::test]
async fn no_sticks() {
    let mut world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let id = client.pending("restart", restart()).await;
    assert_eq!(world.decide(&id, "ines", Ballot::Deny).await, "Your no is final.");
    assert_snapshot!(text(&client.outcome(&id).await), @"People said no. ines said no. That holds: no other tool, wording or argument changes it. Finish without it, or say what is missing.");
    // The same with other arguments is the same action on the same target.
    assert_snapshot!(client.refused("restart", json!({"service": "billing", "takes": 1})).await, @"A person said no to service.restart on billing in this run, and that holds for the run: no other tool, wording or argument changes it. Do not try again; finish without it, or stop and say what is missing.");
    drop(client);
    world.restart().await;
    let client = world.client(agent("A-1.1")).await;
    client.refused("restart", restart()).await;
    client.pending("restart", json!({"service": "search"})).await;
    assert_eq!(world.services.restarts("billing"), Some(0));
}

#[tokio::test]
async fn what_changed_meanwhile_is_not_what_was_approved() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let id = client.pending("restart", restart()).await;
    world.approve(&id, "ines").await;
    world.services.touch("billing");
    assert_snapshot!(text(&client.outcome(&id).await), @"What was approved is not what would be done: the state of the target (approved: “0 restarts”; now: “100 restarts”). Nothing was done. Call the tool again: people are asked anew.");
    assert_eq!(world.services.restarts("billing"), Some(100));
    let again = client.pending("restart", restart()).await;
    assert_ne!(again, id);
    world.approve(&again, "ines").await;
    assert_eq!(text(&client.outcome(&again).await), r#"{"said":"billing is restarted by people"}"#);
}

#[tokio::test]
async fn what_cannot_be_brought_back_takes_two_owners() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let id = client.pending("remove", restart()).await;
    assert_eq!(world.approve(&id, "theo").await, "theo asked for this, so somebody else has to decide.");
    assert_eq!(world.approve(&id, "ines").await, "Your vote counts: 1 of 2.");
    assert_eq!(crate::world::id(&client.outcome(&id).await), id);
    assert_eq!(world.approve(&id, "ines").await, "Your vote counts: 1 of 2.", "one person counts once");
    assert_eq!(world.approve(&id, "mira").await, "Your vote counts, and it is granted.");
    assert_eq!(text(&client.outcome(&id).await), r#"{"said":"billing is gone"}"#);
    assert_snapshot!(client.refused("remove", restart()).await, @"There is no service billing. List the services, and take one of those.");
}

#[tokio::test]
async fn a_crash_in_the_middle_is_looked_at_and_not_repeated() {
    for (count, said) in [(0, "billing is restarted by people"), (1, "restarted 1 times, as a look says")] {
        let mut world = World::new().await;
        let client = world.client(agent("A-1.1")).await;
        let id = client.pending("restart", restart()).await;
        world.approve(&id, "ines").await;
        // The grant was spent, and the process died before it said how it ended.
        let standing = qd_guard::Approvals::standing(&*world.up().ledger, &id).await.unwrap().unwrap();
        let spent = qd_guard::Approvals::authorise(&*world.up().ledger, &id, standing.subject).await.unwrap();
        assert!(matches!(spent, qd_approvals::Authorised::Go(_)));
        if count > 0 {
            *world.services.restarts.lock().unwrap().get_mut("billing").unwrap() += 1;
        }
        drop(client);
        world.restart().await;
        let client = world.client(agent("A-1.1")).await;
        let told = text(&client.outcome(&id).await);
        assert!(told.contains(said), "{told}");
        assert_eq!(world.services.restarts("billing"), Some(1));
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_never_tried_again() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let stubborn = json!({"service": "billing", "takes": 60000, "stubborn": true});
    let id = client.pending("restart", stubborn).await;
    world.approve(&id, "ines").await;
    assert_snapshot!(text(&client.outcome(&id).await), @"It took longer than 2 s. It can't be told whether it happened. Look at what it was done to before anything is tried again.");
    assert_snapshot!(text(&client.outcome(&id).await), @"It took longer than 2 s. It can't be told whether it happened. Look at what it was done to before anything is tried again. It is not tried again by itself.");
    assert_eq!(world.services.restarts("billing"), Some(0));
}

#[tokio::test]
async fn who_left_spends_no_grant() {
    let world = World::with(Duration::from_secs(20), Limits::default()).await;
    let client = world.client(agent("A-1.1")).await;
    let arguments = restart().as_object().cloned().unwrap();
    let params = rmcp::model::CallToolRequestParams::new("restart").with_arguments(arguments);
    let call = rmcp::model::ClientRequest::CallToolRequest(rmcp::model::CallToolRequest::new(params));
    let options = rmcp::service::PeerRequestOptions::no_options();
    let handle = client.running.send_cancellable_request(call, options).await.unwrap();
    let mut told = vec![];
    while told.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        told = client.seen.progress.lock().unwrap().clone();
    }
    handle.cancel(None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let id = told[0]
        .1
        .trim_start_matches("Waiting for people to decide on ")
        .trim_end_matches('.')
        .parse()
        .unwrap();
    world.approve(&id, "ines").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.services.restarts("billing"), Some(0));
    assert_eq!(text(&client.outcome(&id).await), r#"{"said":"billing is restarted by people"}"#);
}

#[tokio::test]
async fn a_dry_run_of_the_outcome_carries_nothing_out() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let id = client.pending("restart", restart()).await;
    let ask = || client.call("call_outcome", json!({"approval": id, "dry_run": true}));
    assert_eq!(crate::world::id(&ask().await), id);
    world.approve(&id, "ines").await;
    let result = ask().await;
    assert_snapshot!(text(&result), @"
    Nothing was done. On billing, this would happen:
    - Restart billing.
    Nobody would be asked.
    ");
    assert_eq!(result.structured_content.unwrap()["state"], "preview");
    assert_eq!(world.services.restarts("billing"), Some(0));
    // It still stands, and holds.
    assert_eq!(text(&client.outcome(&id).await), r#"{"said":"billing is restarted by people"}"#);
    assert_eq!(text(&ask().await), r#"{"said":"billing is restarted by people"}"#);
    assert_eq!(world.services.restarts("billing"), Some(1));
    for odd in [json!({"approval": id, "dry_run": "yes"}), json!({"approval": id, "force": true})] {
        let said = client.refused("call_outcome", odd).await;
        assert!(said.ends_with("as the answer of the tool said it, and besides dry_run no other."), "{said}");
    }
}

#[tokio::test]
async fn a_long_outcome_is_told_again_as_it_was() {
    let mut world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let tools = client.running.list_all_tools().await.unwrap();
    let schema = |name: &str| {
        let tool = tools.iter().find(|tool| tool.name == name).unwrap();
        jsonschema::validator_for(&Value::Object(tool.output_schema.as_deref().unwrap().clone())).unwrap()
    };
    let (restart, outcome) = (schema("restart"), schema("call_outcome"));
    let fits = |result: &rmcp::model::CallToolResult| {
        let value = result.structured_content.as_ref().unwrap();
        assert!(restart.is_valid(value) && outcome.is_valid(value), "{value}");
    };
    let id = client.pending("restart", json!({"service": "billing", "tells": 60_000})).await;
    let pending = client.outcome(&id).await;
    fits(&pending);
    world.approve(&id, "ines").await;
    let done = client.outcome(&id).await;
    fits(&done);
    let value = done.structured_content.clone().unwrap();
    assert_eq!((&value["state"], &value["result"]["size"]), (&json!("done"), &json!(60_041)));
    let link = done.content.iter().find_map(|block| block.as_resource_link()).unwrap();
    // Asked again it is the same, and the whole is where it was.
    let again = client.outcome(&id).await;
    assert_eq!((&again.content, &again.structured_content), (&done.content, &done.structured_content));
    let whole = rmcp::model::ReadResourceRequestParams::new(link.uri.clone());
    let whole = client.running.read_resource(whole).await.unwrap();
    let [rmcp::model::ResourceContents::TextResourceContents { text, .. }] = &whole.contents[..] else {
        panic!("{whole:?}")
    };
    assert_eq!(text.len(), 60_041);
    drop(client);
    // What is kept whole ends with the process; how it begins, and how long it was, does not.
    world.restart().await;
    let client = world.client(agent("A-1.1")).await;
    let later = client.outcome(&id).await;
    fits(&later);
    let later = later.structured_content.unwrap();
    assert_eq!(later["result"]["begins"], value["result"]["begins"]);
    assert_eq!((&later["result"]["size"], later["result"].get("whole")), (&json!(60_041), None));
    assert_eq!(world.services.restarts("billing"), Some(1));
}
