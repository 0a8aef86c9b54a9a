//! What stands on a pull request, as people see it on its page: one sticky comment, the card, the check that waits for the grant;
//! and that it is so after the process was killed while it was put there.

use std::{os::unix::process::ExitStatusExt as _, time::Duration};

use qd_api::NeedView;
use serde_json::json;

use crate::{
    door::send,
    support::{Project, Up, add, approve, config, finished, open_approval, session, until},
};

/// A page of the forge, as ines sees it.
fn page(up: &Up, path: &str) -> String {
    let (port, token) = (up.address.rsplit(':').next().unwrap(), session(&up.address, "ines").unwrap());
    let cookie = format!("Cookie: quarterdeck_{port}={token}");
    let (status, answer) = send(&up.address, &format!("GET {path}"), &[&cookie, "Accept: text/html"], "");
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The page once it says all of this.
async fn says(up: &Up, path: &str, all: &[&str]) -> String {
    for _ in 0..150 {
        let page = page(up, path);
        if all.iter().all(|text| page.contains(text)) {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{path} never said {all:?}: {}", page(up, path));
}

fn project(agent: &str) -> Project {
    let project = Project::new(&[("README.md", "# Pulls\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config(agent, Some("true"))).unwrap();
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_says_how_it_stands_from_the_question_to_the_merge() {
    let project = project("echo good > out.txt");
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    add(&mut client, "Write out.txt").await;
    let asked = loop {
        if let Some(asked) = open_approval(&mut client, "A-1").await {
            break asked;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let key = asked.approval.id.key();
    let answer = format!("/approve {key}");
    let one = "/pulls/project/1";
    let page = says(&up, one, &["/qd feature show A-1", &answer, "quarterdeck</strong> waits"]).await;
    assert_eq!(page.matches("data-comment=").count(), 2, "the sticky comment and the card: {page}");

    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    let over = ["merged as", "quarterdeck</strong> passed", "approved by ines"];
    let page = says(&up, one, &over).await;
    assert_eq!(page.matches("data-comment=").count(), 2, "edited, not written again: {page}");
    assert!(!says(&up, one, &["✔ Merge"]).await.contains(&answer), "nothing is to be answered any more");
    assert!(page_list(&up).contains("A-1: Write out.txt"));
}

fn page_list(up: &Up) -> String {
    page(up, "/pulls/project")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_team_has_to_do_becomes_an_issue_once() {
    // It works until somebody says so.
    let project = project("while [ ! -e $HOME/go ]; do sleep 0.1; done; echo good > out.txt");
    let two = config("sleep 60", Some("true"))
        .replace("[agents.shell]", "[[teams]]\nname = \"beta\"\nagent = \"shell\"\n\n[agents.shell]");
    std::fs::write(project.folder().join("quarterdeck.toml"), two).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    add(&mut client, "Write out.txt").await;
    until(&mut client, "A-1", |view| view.run.is_some()).await;
    let need = async |client: &mut qd_api::Client, team: &str| -> NeedView {
        let need = json!({"run": "A-1.1", "team": team, "text": "A schema for totals."});
        for _ in 0..150 {
            let view: NeedView = client.post("needs", &need).await.unwrap();
            if view.issue.is_some() || view.refused.is_some() {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nothing came of it");
    };
    assert_eq!(need(&mut client, "beta").await.issue, Some(1));
    assert_eq!(need(&mut client, "beta").await.issue, Some(1), "the same again is the same issue");
    let refused = need(&mut client, "gamma").await.refused.unwrap();
    assert!(refused.contains("There is no team gamma"), "{refused}");
}

#[cfg(feature = "failpoints")]
async fn dies(failpoint: &str) {
    let project = project("echo good > out.txt");
    let mut first = project.up(&[("QUARTERDECK_FAILPOINT", failpoint)]);
    add(&mut first.client("alpha", None), "Write out.txt").await;
    let death = tokio::task::block_in_place(|| first.wait_death());
    assert_eq!(death.and_then(|status| status.signal()), Some(9), "{failpoint}");
    drop(first);
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    let over = ["merged as", "quarterdeck</strong> passed", "✔ Merge", "/qd feature show A-1"];
    let page = says(&up, "/pulls/project/1", &over).await;
    assert_eq!(page.matches("data-comment=").count(), 2, "{failpoint}: {page}");
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_before_something_is_shown_it_is_shown_once() {
    dies("showing").await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_after_something_is_shown_it_is_shown_once() {
    dies("shown").await;
}
