//! Nobody decided in time: the attempt stops as it is, and goes on from there when a person has it asked again. The agent
//! can't.

use std::time::Duration;

use qd_api::{ApprovalView, FeatureView};
use qd_types::{ApprovalState, Ballot, RunId};

use crate::{
    acp::{Stage, merged, own, transcript, vote},
    support::{Project, Up, config, finished, open_approval, until},
};

/// A minute to decide on these actions.
fn quick(actions: &str) -> String {
    format!(
        "\n[[policies.rules]]\nname = \"quick\"\nactions = [\"{actions}\"]\neffect = \"ask\"\ndecide_minutes = 1\n"
    )
}

/// What is asked for A-1, once it is.
async fn asked(up: &Up) -> ApprovalView {
    loop {
        match open_approval(&mut up.client("alpha", None), "A-1").await {
            Some(open) => return open,
            None => tokio::time::sleep(Duration::from_millis(40)).await,
        }
    }
}

/// The run of A-1 waits as it is, because nobody decided on this.
async fn waits(up: &Up, expired: &ApprovalView) -> RunId {
    let mut client = up.client("alpha", None);
    let waits = until(&mut client, "A-1", |view| view.feature.paused.is_some()).await;
    let key = expired.approval.id.key();
    let run = waits.run.unwrap();
    assert!(run.ended_at.is_none() && waits.feature.held.is_none(), "nothing is thrown away");
    assert!(waits.sentence.starts_with("Nobody decided in time: "), "{}", waits.sentence);
    assert!(waits.sentence.contains(&format!("quarterdeck approvals reopen {key}")), "{}", waits.sentence);
    let view: ApprovalView = client.get(&format!("approvals/{key}")).await.unwrap();
    assert_eq!(view.approval.state, ApprovalState::Expired);
    run.id
}

/// A person has it asked again, with an id, a digest and a clock of its own.
async fn reopened(project: &Project, up: &Up, expired: &ApprovalView) -> ApprovalView {
    let key = expired.approval.id.key();
    // Whoever is nobody's person opens nothing again, as an agent would try to.
    let mut nobody = up.socket("alpha", None);
    assert!(nobody.post::<_, ApprovalView>(&format!("approvals/{key}/reopen"), &()).await.is_err());
    let before = up.client("alpha", None).get::<FeatureView>("features/A-1").await.unwrap();
    assert!(before.feature.paused.is_some(), "it waits still");
    project.ok(&["approvals", "reopen", &key]);
    let again = asked(up).await;
    assert_ne!((again.approval.id.key(), &again.approval.digest), (key, &expired.approval.digest));
    until(&mut up.client("alpha", None), "A-1", |view| view.feature.paused.is_none()).await;
    again
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_may_do_is_opened_again_and_its_session_goes_on() {
    let stage = Stage::with("test -f allowed.txt -a -f done.txt", &quick("tool.operate"));
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add("remember\nrun a touch allowed.txt\nwrite done.txt good");
    let expired = asked(&up).await;
    let run = waits(&up, &expired).await;
    reopened(&stage.project, &up, &expired).await;
    vote(&mut client, Ballot::Approve).await;
    merged(&mut client).await;
    let told = transcript(&mut client).await;
    assert!(told.contains("You may do this, once: touch allowed.txt."), "{told}");
    assert!(told.contains("output: prompt 2 of"), "the same session: {told}");
    let view: FeatureView = client.get("features/A-1").await.unwrap();
    assert_eq!(view.run.unwrap().id, run, "the same attempt");
    assert_eq!(own(&mut client).await, [ApprovalState::Expired, ApprovalState::Executed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_let_go_on_without_it_is_not_asked_about_it_again() {
    let stage = Stage::with("test -f done.txt -a ! -f allowed.txt", &quick("tool.operate"));
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add("run a touch allowed.txt\nwrite done.txt good");
    let expired = asked(&up).await;
    waits(&up, &expired).await;
    stage.project.ok(&["feature", "resume", "A-1"]);
    merged(&mut client).await;
    let told = transcript(&mut client).await;
    assert!(told.contains("nobody decided in time") && told.contains("output: told stop"), "{told}");
    assert_eq!(own(&mut client).await, [ApprovalState::Expired], "the agent can't ask again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_tool_is_opened_again_and_carried_out_once() {
    let stage = Stage::with("test -f done.txt", &quick("tool.operate"));
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    stage.add("call board add {\"title\": \"Tidy up\"}\noutcome board\nwrite done.txt good");
    let expired = asked(&up).await;
    waits(&up, &expired).await;
    reopened(&stage.project, &up, &expired).await;
    vote(&mut client, Ballot::Approve).await;
    merged(&mut client).await;
    let told = transcript(&mut client).await;
    assert!(told.contains("People approved your call on"), "{told}");
    let added: FeatureView = client.get("features/A-2").await.unwrap();
    assert_eq!(added.feature.wanted.title, "Tidy up");
    assert!(client.get::<FeatureView>("features/A-3").await.is_err(), "once");
    assert_eq!(own(&mut client).await, [ApprovalState::Expired, ApprovalState::Executed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_opened_again_and_its_run_goes_on_from_there() {
    let project = Project::new(&[("README.md", "# Lines\n")]);
    let text = config("echo done > done.txt", None) + &quick("merge");
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    let up = project.up(&[]);
    project.ok(&["feature", "add", "Lines", "--ready"]);
    let expired = asked(&up).await;
    let run = waits(&up, &expired).await;
    reopened(&project, &up, &expired).await;
    project.ok(&["approve", "A-1"]);
    let done = until(&mut up.client("alpha", None), "A-1", finished).await;
    assert_eq!(done.run.unwrap().id, run, "the same attempt");
}
