//! A hundred sessions with agents at once in one instance: its own memory stays small, and its end leaves no process.

use std::time::Duration;

use qd_api::{FeatureView, TranscriptPage};
use qd_board::NewFeature;

use crate::{acp::Stage, support::until};

const SESSIONS: usize = 100;

/// Our own memory, in MiB.
const MOST: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sessions_at_once_take_little_memory() {
    let stage = Stage::new("true");
    let path = stage.project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let slots = format!("agent = \"fake\"\nslots = {SESSIONS}\n");
    std::fs::write(path, text.replacen("agent = \"fake\"\n", &slots, 1)).unwrap();
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    for number in 1..=SESSIONS {
        let mut new = NewFeature { ready: true, ..NewFeature::titled(format!("Wait {number}")) };
        new.wanted.description = "say begun\nflood 50\nsay all said\nhang".to_owned();
        let _: FeatureView = client.post("features", &new).await.unwrap();
    }
    for number in 1..=SESSIONS {
        until(&mut client, &format!("A-{number}"), |view| view.run.is_some()).await;
        loop {
            let page: TranscriptPage = client.get(&format!("runs/A-{number}.1/transcript")).await.unwrap();
            if page.entries.iter().any(|entry| entry.text == "all said") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let memory = up.memory_mib();
    eprintln!("{SESSIONS} sessions: {memory} MiB");
    assert!(memory < MOST, "{memory} MiB");
    drop(client);
    up.interrupt();
    assert_eq!(stage.alive(), Vec::<String>::new());
}
