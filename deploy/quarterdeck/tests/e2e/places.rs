//! Where the bot's own cards go that find no channel: a merge is shown and decided in the fallback channel, or on its team's
//! board.

use qd_api::ApprovalView;
use qd_types::Stage;

use crate::{
    channels::{channels, press},
    support::{Project, Up, config, finished, open_approval, until},
};

/// A fleet with these channels, whose first feature asks to be merged.
async fn asks(chat: &str) -> (Project, Up) {
    let project = Project::new(&[("README.md", "# Lines\n")]);
    write(&project, chat);
    let up = project.up(&[]);
    project.ok(&["feature", "add", "Lines", "--ready"]);
    let mut client = up.client("alpha", None);
    let asks = until(&mut client, "A-1", |view| {
        view.sentence.contains("Asks to merge") || view.feature.held.is_some()
    })
    .await;
    assert!(asks.feature.held.is_none(), "{}", asks.sentence);
    (project, up)
}

fn write(project: &Project, chat: &str) {
    let text = config("echo done > done.txt", None) + "\n[chat]\n" + chat;
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
}

async fn open(up: &Up) -> ApprovalView {
    loop {
        let open = open_approval(&mut up.client("alpha", None), "A-1").await;
        match open.filter(|open| open.decide_until.is_some()) {
            Some(open) => return open,
            None => tokio::time::sleep(std::time::Duration::from_millis(40)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_without_its_channel_is_decided_in_the_fallback_channel() {
    let (project, up) = asks("channels = [\"dev\", \"alerts\"]\nfallback = \"ops\"\n").await;
    let key = open(&up).await.approval.id.key();
    let page = channels(&up, &project, |page| page.contains(&format!("value=\"approve {key}\""))).await;
    assert!(page.contains("#ops") && !page.contains("#approvals"), "{page}");
    assert_eq!(press(&up, &project, &format!("approve {key}")).await, "Approved.");
    until(&mut up.client("alpha", None), "A-1", finished).await;
    let page = channels(&up, &project, |page| !page.contains(&format!("approve {key}"))).await;
    assert!(page.contains("approved by ines"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_without_any_channel_is_shown_and_decided_on_the_board() {
    let (project, up) = asks("channels = []\n").await;
    // Its time begins when the board shows it.
    let view = open(&up).await;
    assert!(view.refusal.is_none() && view.confirm.is_some());
    let page = channels(&up, &project, |_| true).await;
    assert!(!page.contains(&view.approval.id.key()), "{page}");
    let said = project.ok(&["approve", "A-1"]);
    assert!(said.contains("Merge "), "{said}");
    let done = until(&mut up.client("alpha", None), "A-1", finished).await;
    assert_eq!(done.feature.stage, Stage::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_taken_away_leaves_its_cards_to_the_fallback_channel() {
    let (project, up) = asks("fallback = \"ops\"\n").await;
    let key = open(&up).await.approval.id.key();
    let button = format!("value=\"approve {key}\"");
    let page = channels(&up, &project, |page| page.contains(&button)).await;
    let places = |page: &str| (page.contains("#approvals"), page.matches(&button).count());
    assert_eq!(places(&page), (true, 1));
    write(&project, "channels = [\"dev\", \"alerts\"]\nfallback = \"ops\"\n");
    insta::assert_snapshot!(project.ok(&["config", "reload"]), @"chat.channels: in force now");
    channels(&up, &project, |page| places(page) == (false, 1)).await;
    // It is back: the card stands in both, and one yes closes both.
    write(&project, "fallback = \"ops\"\n");
    project.ok(&["config", "reload"]);
    channels(&up, &project, |page| places(page) == (true, 2)).await;
    press(&up, &project, &format!("approve {key}")).await;
    channels(&up, &project, |page| places(page) == (true, 0)).await;
    until(&mut up.client("alpha", None), "A-1", finished).await;
}
