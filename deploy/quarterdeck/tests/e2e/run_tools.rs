//! Tools of the fleet's own runs: an agent calls its board through the shim, people decide on what it may not do alone, and a
//! token is good for its own run, as long as that works.

use std::{path::Path, process::Stdio, time::Duration};

use qd_api::{ApprovalView, CastVote, Client, FeatureView};
use qd_types::Ballot;
use serde_json::Value;

use crate::{
    acp::{Stage, merged, transcript},
    channels::{channels, press},
    door::send,
    support::{Up, open_approval, until},
};

/// Waits until the run's transcript has this.
pub(crate) async fn told(client: &mut Client, what: &str) -> String {
    for _ in 0..200 {
        let text = transcript(client).await;
        if text.contains(what) {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} was not told: {}", transcript(client).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_calls_its_board_and_people_decide_on_what_it_may_not_do_alone() {
    let stage = Stage::new("test -f done.txt");
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add(
        "mcp\ncall board report_progress {\"text\": \"Half of it.\", \"percent\": 50}\n\
         call board add {\"title\": \"Tidy up\"}\noutcome board\nwrite done.txt good",
    );
    until(&mut client, "A-1", |view| view.run.is_some()).await;
    let text = told(&mut client, "\"state\":\"pending\"").await;
    assert!(text.contains("output: servers: board"), "{text}");
    let view: FeatureView = client.get("features/A-1").await.unwrap();
    let comments: Value = client.get("features/A-1/comments").await.unwrap_or(Value::Null);
    let said = format!("{comments} {}", serde_json::to_string(&view).unwrap());
    assert!(said.contains("Progress (50 %): Half of it."), "{said}");

    let id = text.split("\"approval\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(stage.project.ok(&["approvals"]).contains(id.rsplit('/').next().unwrap()));
    assert!(client.get::<FeatureView>("features/A-2").await.is_err(), "nothing is added before");
    // It stands in the inbox and in the channel as well, and is closed there when it is decided in a terminal.
    let inbox = page(&stage, &up, "/teams/alpha/inbox");
    let key = id.rsplit('/').next().unwrap();
    assert!(inbox.contains(key), "{inbox}");
    let button = format!("value=\"approve {key}\"");
    channels(&up, &stage.project, |page| page.contains(&button)).await;
    stage.project.ok(&["approvals", "approve", id]);
    channels(&up, &stage.project, |page| !page.contains(&button)).await;
    let text = told(&mut client, "output: outcome").await;
    assert!(text.contains("Tidy up"), "{text}");
    let added: FeatureView = client.get("features/A-2").await.unwrap();
    assert_eq!(added.feature.wanted.title, "Tidy up");
    merged(&mut client).await;
}

/// A page, as ines sees it.
fn page(stage: &Stage, up: &Up, path: &str) -> String {
    send(&up.address, &format!("GET {path}"), &[&stage.project.token("ines")], "").1
}

/// A run that asks to add a feature, and waits for people; and the key of the request.
async fn asks(check: &str, text: &str) -> (Stage, Up, String) {
    let stage = Stage::new(check);
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add(text);
    until(&mut client, "A-1", |view| view.run.is_some()).await;
    let open = loop {
        match open_approval(&mut client, "A-1").await {
            Some(open) => break open,
            None => tokio::time::sleep(Duration::from_millis(40)).await,
        }
    };
    (stage, up, open.approval.id.key())
}

const ADDS: &str = "call board add {\"title\": \"Tidy up\"}\noutcome board\nwrite done.txt good";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_decided_by_a_button_in_the_channel() {
    let (stage, up, key) = asks("test -f done.txt", ADDS).await;
    let mut client = up.client("alpha", None);
    let said = press(&up, &stage.project, &format!("approve {key}")).await;
    insta::assert_snapshot!(said, @"Approved.");
    let text = told(&mut client, "output: outcome").await;
    assert!(text.contains("Tidy up"), "{text}");
    merged(&mut client).await;
    assert!(!page(&stage, &up, "/teams/alpha/inbox").contains(&format!("{key}/vote")), "closed everywhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_denied_in_the_inbox_ends_and_its_agent_is_told() {
    let (stage, up, key) = asks("test -f done.txt", ADDS).await;
    let mut client = up.client("alpha", None);
    let open = open_approval(&mut client, "A-1").await.unwrap();
    let cast = CastVote::new(Ballot::Deny, &open.approval.digest, Some("Not now.".into()));
    let _: ApprovalView = client.post(&format!("approvals/{key}/vote"), &cast).await.unwrap();
    let text = told(&mut client, "output: outcome").await;
    assert!(text.contains("People said no.") && text.contains("That holds"), "{text}");
    channels(&up, &stage.project, |page| !page.contains(&format!("approve {key}"))).await;
    merged(&mut client).await;
    assert!(client.get::<FeatureView>("features/A-2").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_ends_while_people_decide_goes_on_with_what_they_decided_also_after_a_kill() {
    let (stage, up, key) =
        asks("test -f done.txt", "write done.txt good\ncall board add {\"title\": \"Tidy up\"}").await;
    let mut client = up.client("alpha", None);
    told(&mut client, "It goes on when people have decided.").await;
    // SIGKILL.
    drop((client, up));
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    press(&up, &stage.project, &format!("approve {key}")).await;
    let text = told(&mut client, "People approved your call on").await;
    assert_eq!(text.matches("People approved your call on").count(), 1, "{text}");
    merged(&mut client).await;
    let added: FeatureView = client.get("features/A-2").await.unwrap();
    assert_eq!(added.feature.wanted.title, "Tidy up");
    assert!(client.get::<FeatureView>("features/A-3").await.is_err(), "once");
}

/// What the shim of a server says, started with what an agent was given, and with another token if one is named.
fn shim(stage: &Stage, lent: &Value, token: Option<&str>) -> String {
    let args: Vec<&str> = lent["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let own = lent["env"][0]["value"].as_str().unwrap();
    let mut command = stage.project.command(&args);
    command.env("QUARTERDECK_RUN_TOKEN", token.unwrap_or(own)).stdin(Stdio::null());
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn lent(file: &Path) -> Value {
    loop {
        match std::fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok()) {
            Some(server) => return server,
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_its_own_run_while_that_works() {
    let stage = Stage::new("true");
    let file = stage.project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("agent = \"fake\"", "agent = \"fake\"\nslots = 2")).unwrap();
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    let files = stage.memory.path();
    let (one, other) = (files.join("one"), files.join("other"));
    stage.add(&format!("lend board {}\nhang", one.display()));
    stage.add(&format!("lend board {}\nhang", other.display()));
    let (one, other) = (lent(&one).await, lent(&other).await);
    let others = other["env"][0]["value"].as_str().unwrap();
    assert_ne!(one["env"][0]["value"], other["env"][0]["value"]);
    assert_eq!(shim(&stage, &one, None), "");
    insta::assert_snapshot!(shim(&stage, &one, Some(others)).trim(), @"quarterdeck: the server board refused: This token is not this run's.");
    stage.project.ok(&["run", "stop", "A-1.1"]);
    until(&mut client, "A-1", |view| view.run.as_ref().is_some_and(|run| run.ended_at.is_some())).await;
    let gone = shim(&stage, &one, None);
    assert!(
        gone.contains("the fleet does not answer at") && gone.contains("while the run's agent works"),
        "{gone}"
    );
    // At the other's socket it is nobody's, either.
    let late = shim(&stage, &other, one["env"][0]["value"].as_str());
    assert!(late.contains("This token is not this run's."), "{late}");
}
