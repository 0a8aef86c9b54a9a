//! Several processes that share a folder, as the clients of one person have them: one request, one decision, one effect.

use std::time::Duration;

use insta::assert_snapshot;
use qd_guard::{Approvals as _, Limits};
use qd_types::Ballot;
use serde_json::{Value, json};

use crate::world::{World, agent, rows, text};

fn restart() -> Value {
    json!({"service": "billing"})
}

#[tokio::test]
async fn what_one_session_asked_for_another_one_carries_out() {
    let world = World::new().await;
    let other = world.begun().await;
    let [first, second] =
        [world.client(agent("A-1.1")).await, world.client_of(other.guard.clone(), agent("A-1.1")).await];
    let id = first.pending("restart", restart()).await;
    assert_eq!(second.pending("restart", restart()).await, id, "it is the same request");
    assert_eq!(crate::world::id(&second.outcome(&id).await), id);
    world.approve(&id, "ines").await;
    assert_eq!(text(&second.outcome(&id).await), r#"{"said":"billing is restarted by people"}"#);
    assert_eq!(text(&first.outcome(&id).await), r#"{"said":"billing is restarted by people"}"#);
    assert_eq!(world.services.restarts("billing"), Some(1));
    // One chain, of both.
    world.up().ledger.flush().await.unwrap();
    other.ledger.flush().await.unwrap();
    let told = rows(world.folder.path());
    assert_eq!(told.iter().filter(|row| row.starts_with("execution")).count(), 1, "{told:?}");
}

#[tokio::test]
async fn a_no_to_one_session_is_a_no_to_the_others() {
    let world = World::new().await;
    let other = world.begun().await;
    let first = world.client(agent("A-1.1")).await;
    let id = first.pending("restart", restart()).await;
    assert_eq!(world.decide(&id, "ines", Ballot::Deny).await, "Your no is final.");
    let second = world.client_of(other.guard.clone(), agent("A-1.1")).await;
    let said = second.refused("restart", restart()).await;
    assert!(said.starts_with("A person said no to service.restart on billing in this run"), "{said}");
}

#[tokio::test]
async fn all_who_ask_at_once_carry_it_out_once() {
    let world = World::new().await;
    let (one, other) = (world.begun().await, world.begun().await);
    let clients = [
        world.client(agent("A-1.1")).await,
        world.client_of(one.guard.clone(), agent("A-1.1")).await,
        world.client_of(other.guard.clone(), agent("A-1.1")).await,
    ];
    let id = clients[0].pending("restart", json!({"service": "billing", "takes": 200})).await;
    world.approve(&id, "ines").await;
    let [first, second, third] = &clients;
    let said = tokio::join!(first.outcome(&id), second.outcome(&id), third.outcome(&id));
    let said = [text(&said.0), text(&said.1), text(&said.2)];
    assert_eq!(said.iter().filter(|text| text.contains("restarted by people")).count(), 1, "{said:?}");
    for client in &clients {
        assert!(text(&client.outcome(&id).await).contains("restarted by people"));
    }
    assert_eq!(world.services.restarts("billing"), Some(1));
    assert_eq!(*world.services.grants.lock().unwrap(), [id.to_string()]);
}

#[tokio::test]
async fn what_a_session_carries_out_is_not_taken_for_what_a_crash_left() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let id = client.pending("restart", json!({"service": "billing", "takes": 700})).await;
    world.approve(&id, "ines").await;
    let looking = async {
        // It is under way, and another session begins and looks.
        let mut under_way = false;
        while !under_way {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let standing = world.up().ledger.standing(&id).await.unwrap().unwrap();
            under_way = matches!(standing.effect, Some((qd_approvals::EffectState::UnderWay, _)));
        }
        let other = world.begun().await;
        assert_eq!(other.guard.recover().await.unwrap(), 0);
        let second = world.client_of(other.guard.clone(), agent("A-1.1")).await;
        let said = text(&second.outcome(&id).await);
        assert!(said.contains("People agreed, and it is being carried out."), "{said}");
    };
    let (done, ()) = tokio::join!(client.outcome(&id), looking);
    assert_eq!(text(&done), r#"{"said":"billing is restarted by people"}"#);
    assert_eq!(world.services.restarts("billing"), Some(1));
}

#[tokio::test]
async fn what_a_session_left_when_it_died_another_one_looks_at() {
    let world = World::new().await;
    let other = world.begun().await;
    let client = world.client_of(other.guard.clone(), agent("A-1.1")).await;
    let id = client.pending("restart", restart()).await;
    world.approve(&id, "ines").await;
    // A third one spends the grant, and dies.
    let third = world.begun().await;
    let standing = third.ledger.standing(&id).await.unwrap().unwrap();
    let spent = third.ledger.authorise(&id, standing.subject).await.unwrap();
    assert!(matches!(spent, qd_approvals::Authorised::Go(_)));
    assert_eq!(other.guard.recover().await.unwrap(), 0, "it lives");
    drop(third);
    assert_eq!(other.guard.recover().await.unwrap(), 1);
    assert_eq!(world.up().guard.recover().await.unwrap(), 0, "it is told once");
    assert_eq!(text(&client.outcome(&id).await), r#"{"said":"billing is restarted by people"}"#);
    assert_eq!(world.services.restarts("billing"), Some(1));
}

#[tokio::test]
async fn what_people_agreed_to_takes_a_place_as_any_call_does() {
    let limits = Limits { at_once: 1, ..Limits::default() };
    let world = World::with(Duration::ZERO, limits).await;
    let client = world.client(agent("A-1.1")).await;
    let id = client.pending("restart", json!({"service": "billing", "takes": 500})).await;
    world.approve(&id, "ines").await;
    let asking = async {
        let mut said = String::new();
        for _ in 0..40 {
            let result = client.call("status", json!({"service": "billing"})).await;
            if result.is_error == Some(true) {
                said = text(&result);
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        said
    };
    let (done, said) = tokio::join!(client.outcome(&id), asking);
    assert_snapshot!(said, @"1 of your calls run already. Wait for one to end, then call again.");
    assert_eq!(text(&done), r#"{"said":"billing is restarted by people"}"#);
    client.good("status", json!({"service": "billing"})).await;
}
