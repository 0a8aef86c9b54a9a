//! Secrets that are planted in the environment: they are looked for in the sandbox, the transcript, reports, logs, cards and
//! every file, in every form in which an agent let them out.

use std::path::{Path, PathBuf};

use qd_api::{ApprovalView, FeatureView};
use qd_types::Ballot;

use crate::{
    acp::{Stage, merged, transcript, vote},
    gateway::holding,
    support::{open_approval, until},
};

/// The fleet's own: no agent may see it.
const HIDDEN: &str = "planted-hidden-7c1f0e52a9";
/// One that the configuration lets the agent see.
const LENT: &str = "planted-lent-41b7d0c3e8f6";
/// What base64 makes of it, alone and behind `user:`, without the letters at the ends.
const ENCODED: [&str; 2] = ["cGxhbnRlZC1sZW50LTQxYjdkMGMzZThm", "bGFudGVkLWxlbnQtNDFiN2QwYzNlOGY2"];

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_the_environment_are_nowhere() {
    let stage = Stage::new("test -f done.txt");
    let file = stage.project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[agents.fake]\n", "[agents.fake]\nenv = [\"DEPLOY_TOKEN\"]\n"))
        .unwrap();
    let up = stage.project.up(&[("QD_HIDDEN", HIDDEN), ("DEPLOY_TOKEN", LENT)]);
    let mut client = up.client("alpha", None);
    stage.add(
        "env QD_HIDDEN\nspy QD_HIDDEN\nleak plain DEPLOY_TOKEN\nleak base64 DEPLOY_TOKEN\nleak split DEPLOY_TOKEN\n\
         leak stderr DEPLOY_TOKEN\nleak thought DEPLOY_TOKEN\nleak report DEPLOY_TOKEN\nleak ask DEPLOY_TOKEN\n\
         write done.txt good",
    );
    until(&mut client, "A-1", |view| view.sentence.contains("Asks to")).await;
    let open = open_approval(&mut client, "A-1").await.unwrap();
    insta::assert_snapshot!(open.title, @"Run publish --token '[redacted]'");
    let card = stage.project.ok(&["approvals", "show", &open.approval.id.key()]);
    assert!(card.contains("[redacted]"), "{card}");
    vote(&mut client, Ballot::Deny).await;
    merged(&mut client).await;

    let told = transcript(&mut client).await;
    for said in ["output: QD_HIDDEN is (not set)", "output: it is [redacted].", "output: in two: [redacted]"]
    {
        assert!(told.contains(said), "{said}: {told}");
    }
    if Path::new("/usr/bin/bwrap").exists() {
        assert!(told.contains("output: sees QD_HIDDEN: false"), "{told}");
    }
    let view: FeatureView = client.get("features/A-1").await.unwrap();
    let inbox: Vec<ApprovalView> = client.get("approvals").await.unwrap();
    let mut shown = vec![told, card];
    shown.push(serde_json::to_string(&view).unwrap());
    shown.push(serde_json::to_string(&inbox).unwrap());
    for verb in [
        &["feature", "show", "A-1"][..],
        &["run", "show", "A-1.1"],
        &["run", "transcript", "A-1.1"],
        &["audit", "show"],
        &["doctor"],
    ] {
        let output = stage.project.run(verb);
        shown.push(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned());
    }
    assert!(shown.iter().any(|text| text.contains("I have [redacted].")), "the report itself is there");
    drop(client);
    up.interrupt();
    // The fleet's log and what it sent to chat are among the files.
    let everything = stage.project.folder().parent().unwrap().to_owned();
    for secret in [HIDDEN, LENT, ENCODED[0], ENCODED[1]] {
        assert!(!shown.iter().any(|text| text.contains(secret)), "{secret}: {shown:?}");
        assert_eq!(holding(&everything, secret), Vec::<PathBuf>::new(), "{secret}");
    }
}
