//! GitHub on bad days: a person pushes meanwhile, GitHub takes no more for a while, answers get lost, and the process is killed at
//! every step of a pull request. However it goes, there is one pull request, merged once, with one comment of each kind.

use qd_testkit::github::{Fault, Role};
use serde_json::{Value, json};

use crate::{
    github::{PLACE, Site},
    support::{Up, finished, git, until},
};

const AGENT: &str = "date +%N > out.txt";
/// How often the bot looks for what was not delivered, in seconds.
const LOOK: u32 = 2;

impl Site {
    /// The whole of it is there, once.
    async fn is_merged_once(&self, issue: u64, what: &str) {
        let pull = issue + 1;
        let drive = self.fake.drive();
        let merged = drive.pull_request(PLACE, pull);
        assert_eq!(merged["merged"], json!(true), "{what}: {merged}");
        assert_eq!(drive.pull_request(PLACE, pull + 1), Value::Null, "{what}: a second pull request");
        let log = git(&self.fake.bare(PLACE), &["log", "--first-parent", "--format=%s", "main"]);
        assert_eq!(log.matches("A-1: Write a file").count(), 1, "{what}: {log}");
        // What it shows follows; the branch goes.
        self.told(pull, "✔ Merge").await;
        self.told(pull, "merged as").await;
        self.told(issue, "merged as").await;
        let branch = merged["head"]["ref"].as_str().unwrap();
        self.until("the branch is gone", |site| site.fake.drive().branch(PLACE, branch).is_none()).await;
        for words in ["✔ Merge", "/qd feature show A-1", "**bob**"] {
            let all = drive.comments(PLACE, pull);
            let own = all.iter().filter(|(_, by, text)| by == "quarterdeck[bot]" && text.contains(words));
            assert_eq!(own.count(), 1, "{what}: {words} in {all:#?}");
        }
        let comments = drive.comments(PLACE, issue);
        let linked = comments.iter().filter(|(_, _, text)| text.contains("A-1** of alpha"));
        assert_eq!(linked.count(), 1, "{what}: {comments:#?}");
        assert_eq!(drive.issue(PLACE, issue)["state"], "closed", "{what}: it closes its issue");
        self.is_content();
    }

    /// Released by ann, approved by bob.
    async fn to_the_merge(&self, up: &Up, issue: u64) {
        let mut client = up.client("alpha", None);
        let key = self.key(&mut client, "A-1").await;
        self.person("bob", Role::Maintain).comments(issue + 1, &format!("/approve {key}"));
        until(&mut client, "A-1", finished).await;
    }

    fn releases(&self, issue: u64) {
        self.person("ann", Role::Admin).comments(issue, "/qd feature move A-1 ready");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_pushed_meanwhile_is_neither_merged_unseen_nor_pushed_over() {
    let site = Site::new(AGENT, 600).await;
    let up = site.up();
    let (bob, oli) = (site.person("bob", Role::Maintain), site.person("oli", Role::Write));
    let issue = site.assigned().await;
    site.releases(issue);
    let mut client = up.client("alpha", None);
    let key = site.key(&mut client, "A-1").await;
    let (branch, asked) = site.head(issue + 1);
    let theirs = oli.pushes(&branch, "By hand", &[("mine.txt", "mine\n")]);
    // Whoever approves what they see now approves something else than was asked about.
    bob.approves(issue + 1, "Good.");
    let told = site.told(issue + 1, "**bob**").await;
    assert!(told.contains(&theirs[..7]) && told.contains(&asked[..7]), "{told}");
    // And a yes to what was asked about does not bring what nobody was asked about.
    bob.comments(issue + 1, &format!("/approve {key}"));
    let held = until(&mut client, "A-1", |view| view.feature.held.is_some()).await;
    assert!(held.sentence.contains(&theirs[..7]), "{}", held.sentence);
    assert_eq!(site.head(issue + 1).1, theirs, "their commit stays");
    assert_eq!(site.fake.drive().pull_request(PLACE, issue + 1)["merged"], json!(false));
    site.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_on_does_not_push_over_a_persons_commit() {
    let site = Site::new(AGENT, 600).await;
    let up = site.up();
    let oli = site.person("oli", Role::Write);
    let issue = site.assigned().await;
    site.releases(issue);
    let mut client = up.client("alpha", None);
    site.key(&mut client, "A-1").await;
    let (branch, _) = site.head(issue + 1);
    let theirs = oli.pushes(&branch, "By hand", &[("mine.txt", "mine\n")]);
    oli.comments_on_line(issue + 1, "out.txt", 1, "With the date, please.");
    let held = until(&mut client, "A-1", |view| view.feature.held.is_some()).await;
    assert!(held.sentence.contains("somebody else pushed"), "{}", held.sentence);
    assert_eq!(site.head(issue + 1).1, theirs, "their commit stays");
    site.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_limit_is_waited_for_and_nothing_is_done_twice() {
    let site = Site::new(AGENT, LOOK).await;
    let up = site.up();
    let issue = site.assigned().await;
    let comments = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";
    // One that is sat out, and some that are told and waited for.
    for (route, seconds) in [
        ("POST /repos/{owner}/{repo}/check-runs", 1),
        ("POST /repos/{owner}/{repo}/pulls", 7),
        (comments, 7),
        ("PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge", 7),
    ] {
        site.fake.fault(route, Fault::Secondary(seconds));
    }
    site.releases(issue);
    site.to_the_merge(&up, issue).await;
    site.is_merged_once(issue, "limits").await;
    let refused = site.fake.requests().iter().filter(|line| line.ends_with(" 403")).count();
    assert_eq!(refused, 4, "nobody knocks while GitHub takes no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_looked_for() {
    let site = Site::new(AGENT, LOOK).await;
    let up = site.up();
    let issue = site.assigned().await;
    let comments = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";
    for route in [
        "POST /repos/{owner}/{repo}/pulls",
        comments,
        comments,
        comments,
        "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}",
        "POST /repos/{owner}/{repo}/check-runs",
        "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}",
        "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge",
        "DELETE /repos/{owner}/{repo}/git/refs/{ref}",
        "POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
    ] {
        site.fake.fault(route, Fault::AnswerLost);
    }
    site.releases(issue);
    site.to_the_merge(&up, issue).await;
    site.is_merged_once(issue, "lost answers").await;
}

/// The process is killed at each step of a pull request's life, and started again.
#[cfg(feature = "failpoints")]
mod killed {
    use std::os::unix::process::ExitStatusExt as _;

    use super::{AGENT, LOOK, Role, Site};

    /// From when on it may die.
    #[derive(Clone, Copy, PartialEq)]
    enum Moment {
        /// When the feature is released: until people are asked.
        Released,
        /// When the merge is approved: until it is made.
        Approved,
    }
    use Moment::{Approved, Released};

    async fn dies(points: &[&str], from: Moment) {
        for &point in points {
            let site = Site::new(AGENT, LOOK).await;
            let armed = site.project.folder().with_file_name("armed");
            let mut up = site.up_with(&[
                ("QUARTERDECK_FAILPOINT", point),
                ("QUARTERDECK_FAILPOINT_FROM", armed.to_str().unwrap()),
            ]);
            let issue = site.assigned().await;
            if from == Released {
                std::fs::write(&armed, "").unwrap();
            }
            site.releases(issue);
            if from == Approved {
                let key = site.key(&mut up.client("alpha", None), "A-1").await;
                std::fs::write(&armed, "").unwrap();
                site.person("bob", Role::Maintain).comments(issue + 1, &format!("/approve {key}"));
            }
            let death = tokio::task::block_in_place(|| up.wait_death());
            assert_eq!(death.and_then(|status| status.signal()), Some(9), "{point}: it should have died");
            drop(up);
            let up = site.project.up(&[]);
            site.hears();
            if from == Released {
                site.to_the_merge(&up, issue).await;
            } else {
                super::until(&mut up.client("alpha", None), "A-1", super::finished).await;
            }
            site.is_merged_once(issue, point).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_change_is_pushed() {
        dies(&["delivery_kept", "push", "pushed"], Released).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_pull_request_is_opened() {
        dies(&["pull_request", "act_begun", "opened"], Released).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_it_is_shown() {
        dies(&["act_noted", "showing", "shown"], Released).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_merge_is_decided() {
        dies(&["delivery_settled", "review", "rebuilt"], Approved).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_merge_is_made() {
        dies(&["authorised", "green", "in_main"], Approved).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_run_ends() {
        dies(&["merged", "merge", "clean_up"], Approved).await;
    }
}
