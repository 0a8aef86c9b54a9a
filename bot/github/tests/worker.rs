//! What becomes of deliveries: the worker on an inbox in memory, and on facts that this test says. What the core makes of it is
//! in the tests of `bot/hub`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use qd_core::{
    inbox::{Delivery, Inbox, InboxError, News, Settled, Taken, Waiting},
    outside::{LineComment, Outside},
};
use qd_github::webhook::{FactError, Facts, Hearing, Level, People, Reaction, RedJob, Worker};
use qd_types::{Person, RepositoryName, Role};
use serde_json::{Value, json};

#[derive(Default)]
struct Kept {
    waiting: Mutex<VecDeque<(i64, u32, Delivery)>>,
    settled: Mutex<Vec<(String, Vec<News>)>>,
    notes: Mutex<BTreeMap<String, String>>,
}

#[async_trait]
impl Inbox for Kept {
    async fn take(&self, delivery: Delivery) -> Result<Taken, InboxError> {
        let mut waiting = self.waiting.lock().unwrap();
        let place = i64::try_from(waiting.len()).unwrap();
        waiting.push_back((place, 0, delivery));
        Ok(Taken::New)
    }
    async fn next(&self) -> Result<Waiting, InboxError> {
        loop {
            if let Some((place, attempts, delivery)) = self.waiting.lock().unwrap().front_mut() {
                let waiting = Waiting { place: *place, attempts: *attempts, delivery: delivery.clone() };
                *attempts += 1;
                return Ok(waiting);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    async fn settle(
        &self,
        place: i64,
        kind: Settled,
        became: &str,
        news: Vec<News>,
    ) -> Result<(), InboxError> {
        let done = self.waiting.lock().unwrap().pop_front().unwrap();
        assert_eq!(done.0, place, "in order");
        self.settled.lock().unwrap().push((format!("{kind:?}: {became}"), news));
        Ok(())
    }
    async fn tell(&self, _: Vec<News>) -> Result<(), InboxError> {
        panic!("the worker settles what it tells")
    }
    async fn note(&self, key: &str, value: &str) -> Result<(), InboxError> {
        self.notes.lock().unwrap().insert(key.to_owned(), value.to_owned());
        Ok(())
    }
    async fn noted(&self, key: &str) -> Result<Option<String>, InboxError> {
        Ok(self.notes.lock().unwrap().get(key).cloned())
    }
}

/// What GitHub says: ann may do all, bo may push, cy may read; pull request 7 is from here, 9 from a fork; the head of 7 is
/// `4…`. Every third question is not answered at first.
#[derive(Default)]
struct Said {
    asked: Mutex<u32>,
    forbids_runs: bool,
    acts: Mutex<Vec<String>>,
    down: Mutex<BTreeSet<String>>,
}

impl Said {
    fn answers(&self, what: &str) -> Result<(), FactError> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        if (*asked).is_multiple_of(3) && self.down.lock().unwrap().insert(what.to_owned()) {
            return Err(FactError::Later("GitHub did not answer".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Facts for Said {
    async fn is_own(&self, login: &str, app: Option<u64>) -> Result<bool, FactError> {
        Ok(login == "ship-it[bot]" || app == Some(77))
    }
    async fn name(&self) -> Result<String, FactError> {
        Ok("ship-it".to_owned())
    }
    async fn level(&self, _: &RepositoryName, login: &str) -> Result<Level, FactError> {
        self.answers(&format!("level {login}"))?;
        Ok(match login {
            "ann" => Level::Admin,
            "bo" => Level::Write,
            "cy" => Level::Read,
            _ => return Err(FactError::Gone("nobody".to_owned())),
        })
    }
    async fn is_from_fork(&self, _: &RepositoryName, number: u64) -> Result<bool, FactError> {
        self.answers(&format!("fork {number}"))?;
        Ok(number == 9)
    }
    async fn react(&self, name: &RepositoryName, comment: u64, reaction: Reaction) -> Result<(), FactError> {
        self.answers(&format!("react {comment}"))?;
        self.acts.lock().unwrap().push(format!("{name} {comment}: {}", reaction.as_str()));
        Ok(())
    }
    async fn remarks(&self, _: &RepositoryName, number: u64, _: u64) -> Result<Vec<LineComment>, FactError> {
        self.answers(&format!("remarks {number}"))?;
        let remark = |text: &str| LineComment {
            path: "a.rs".into(),
            line: Some(2),
            text: text.into(),
            thread: Some("T".into()),
        };
        Ok(vec![remark("Name it."), remark("Done. <!-- quarterdeck:x -->")])
    }
    async fn pull_request_of(&self, _: &RepositoryName, sha: &str) -> Result<Option<u64>, FactError> {
        Ok((sha == "4".repeat(40)).then_some(7))
    }
    async fn log(&self, _: &RepositoryName, job: u64) -> Result<String, FactError> {
        Ok(format!(
            "2026-05-08T10:00:01.0000000Z test {job} FAILED\n2026-05-08T10:00:02.0000000Z ##[error]exit 101"
        ))
    }
    async fn red_jobs(&self, _: &RepositoryName, run: u64) -> Result<Vec<RedJob>, FactError> {
        let step = Some("cargo test".to_owned());
        Ok(vec![RedJob { id: run + 100, name: "test".into(), step, url: None }])
    }
    async fn run_again(&self, name: &RepositoryName, job: u64) -> Result<(), FactError> {
        if self.forbids_runs {
            return Err(FactError::Gone("not with these permissions".to_owned()));
        }
        self.acts.lock().unwrap().push(format!("{name}: run {job} again"));
        Ok(())
    }
}

struct Linked;

#[async_trait]
impl People for Linked {
    async fn by_login(&self, login: &str) -> Result<Option<Person>, String> {
        let roles = vec![Role::Owner, Role::Reviewer];
        Ok(matches!(login, "ann" | "bo").then(|| Person { id: login.parse().unwrap(), roles }))
    }
}

fn hearing() -> Hearing {
    let sample: RepositoryName = "sample".parse().unwrap();
    Hearing {
        repositories: BTreeMap::from([(sample.clone(), "acme/widget".parse().unwrap())]),
        teams: BTreeMap::from([(sample, vec!["alpha".parse().unwrap()])]),
        roles: vec![(Level::Admin, Role::Owner)],
        reviews_vote: true,
        ..Hearing::default()
    }
}

/// What became of each delivery, what was told of it, and what was done at GitHub.
async fn becomes(facts: Said, deliveries: &[(&str, Value)]) -> String {
    let (inbox, facts) = (Arc::new(Kept::default()), Arc::new(facts));
    for (kind, body) in deliveries {
        let mut body = body.clone();
        let fields = body.as_object_mut().unwrap();
        fields
            .entry("repository")
            .or_insert(json!({"id": 5, "full_name": "acme/Widget", "default_branch": "main"}));
        let delivery = Delivery { id: "x".into(), kind: (*kind).into(), body: body.to_string().into_bytes() };
        inbox.take(delivery).await.unwrap();
    }
    let worker = Worker::new(hearing(), inbox.clone(), facts.clone(), Arc::new(Linked));
    let running = tokio::spawn(Arc::new(worker).run());
    let all = async {
        while inbox.settled.lock().unwrap().len() < deliveries.len() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    running.abort();
    let mut lines = Vec::new();
    for (became, news) in inbox.settled.lock().unwrap().iter() {
        lines.push(became.clone());
        lines.extend(news.iter().map(|news| format!("  {:?} {}", news.key, told(&news.what))));
    }
    lines.extend(facts.acts.lock().unwrap().iter().cloned());
    lines.join("\n")
}

fn told(what: &Outside) -> String {
    match what {
        Outside::Command(spoken) => format!(
            "{} by {:?}: {:?}{}",
            spoken.at,
            spoken.by.person.as_ref().map(|person| (person.id.to_string(), person.roles.clone())),
            spoken.text,
            if spoken.more { " and more" } else { "" }
        ),
        Outside::Review(review) => {
            let remarks: Vec<&str> = review.comments.iter().map(|remark| remark.text.as_str()).collect();
            format!("{} {:?} {:?} votes {}", review.at, review.verdict, remarks, review.votes)
        }
        Outside::Check(check) => {
            let said = format!("{} {:?}: {} | {}", check.name, check.ended, check.summary, check.excerpt);
            format!("{} {}", check.at, said.trim_end())
        }
        Outside::Issue(news) => format!("{} {:?} {:?}", news.at, news.done, news.by.person.is_some()),
        Outside::Repository { repository, teams, standing } => format!("{repository} {teams:?} {standing:?}"),
        other => format!("{other:?}"),
    }
}

fn comment(id: u64, login: &str, body: &str, number: u64, pull: bool) -> (&'static str, Value) {
    let mut issue = json!({"number": number, "title": "It crashes", "labels": []});
    if pull {
        issue["pull_request"] = json!({});
    }
    let user = json!({"login": login, "type": if login.ends_with("[bot]") { "Bot" } else { "User" }});
    (
        "issue_comment",
        json!({"action": "created", "issue": issue, "comment": {"id": id, "body": body, "user": user}}),
    )
}

#[tokio::test]
async fn comments_command_for_whoever_they_are() {
    let said = becomes(
        Said::default(),
        &[
            comment(1, "ann", "/approve 01ARZ3", 7, true),
            comment(2, "bo", "/approve 01ARZ3", 7, true),
            comment(3, "cy", "/approve 01ARZ3", 7, true),
            comment(11, "cy", "/qd board", 12, false),
            comment(12, "cy", "/qd link ABCDEF-GHJKMN", 12, false),
            comment(4, "ann", "Just words.", 7, true),
            comment(5, "ann", "/qd board", 9, true),
            comment(6, "ship-it[bot]", "/qd board", 7, true),
            comment(7, "other[bot]", "/qd board", 7, true),
            comment(8, "Ann", "@ship-it split", 12, false),
            comment(9, "ann", "/qd board\n/qd status", 12, false),
            comment(10, "ann", "/qd board <!-- quarterdeck:answer/x -->", 12, false),
        ],
    )
    .await;
    insta::assert_snapshot!(said, @r##"
    Done: a command of github:ann
      Some("comment/sample/1") sample#7 by Some(("ann", [Owner, Reviewer])): "approve 01ARZ3"
    Done: a command of github:bo
      Some("comment/sample/2") sample#7 by Some(("bo", [Reviewer])): "approve 01ARZ3"
    Done: a command of github:cy
      Some("comment/sample/3") sample#7 by None: "approve 01ARZ3"
    Done: github:cy is nobody here
    Done: a command of github:cy
      Some("comment/sample/12") sample#12 by None: "link ABCDEF-GHJKMN"
    Done: it is no command
    Done: nothing is commanded from a fork
    Done: the bot wrote it itself
    Done: a program commands nothing here
    Done: a command of github:ann
      Some("comment/sample/8") sample#12 by Some(("ann", [Owner, Reviewer])): "split"
    Done: a command of github:ann
      Some("comment/sample/9") sample#12 by Some(("ann", [Owner, Reviewer])): "board" and more
    Done: the bot wrote it itself
    sample 1: eyes
    sample 2: eyes
    sample 3: confused
    sample 11: confused
    sample 12: eyes
    sample 8: eyes
    sample 9: eyes
    "##);
}

#[tokio::test]
async fn reviews_issues_and_what_becomes_of_repositories() {
    let user = json!({"login": "ann", "type": "User"});
    let review = |state: &str, body: Value| {
        let review =
            json!({"id": 3, "state": state, "body": body, "commit_id": "4".repeat(40), "user": user});
        (
            "pull_request_review",
            json!({"action": "submitted", "review": review, "pull_request": {"number": 7}}),
        )
    };
    let issue = |action: &str, login: &str| {
        let issue =
            json!({"number": 12, "title": "It crashes", "body": null, "updated_at": "2026-05-08T10:00:00Z"});
        let sender = json!({"login": login, "type": "User"});
        (
            "issues",
            json!({"action": action, "issue": issue, "label": {"name": "team:alpha"}, "sender": sender}),
        )
    };
    let elsewhere = json!({"id": 5, "full_name": "acme/gadget"});
    let installation = json!({"account": {"login": "Acme"}});
    let said = becomes(
        Said::default(),
        &[
            review("approved", json!(null)),
            review("CHANGES_REQUESTED", json!("Please.")),
            review("dismissed", json!("")),
            issue("labeled", "ann"),
            issue("labeled", "mallory"),
            issue("labeled", "ship-it[bot]"),
            ("repository", json!({"action": "renamed", "repository": elsewhere, "changes": {"repository": {"name": {"from": "widget"}}}})),
            // By its id it is still known.
            ("repository", json!({"action": "deleted", "repository": elsewhere})),
            ("issues", json!({"action": "closed", "issue": {"number": 1}, "repository": {"id": 6, "full_name": "acme/other"}})),
            ("installation", json!({"action": "suspend", "installation": installation})),
            ("installation", json!({"action": "unsuspend", "installation": installation})),
            ("installation_repositories", json!({"action": "removed", "installation": installation, "repositories_removed": [{"id": 5, "full_name": "acme/widget"}]})),
            ("workflow_run", json!({"action": "completed", "workflow_run": {"name": "CI", "head_branch": "main", "head_sha": "4".repeat(40), "conclusion": "failure"}})),
            ("sponsorship", json!({"action": "created"})),
        ],
    )
    .await;
    insta::assert_snapshot!(said, @r##"
    Done: a review of github:ann
      Some("review/sample/3") sample#7 Approved ["Name it."] votes true
    Done: a review of github:ann
      Some("review/sample/3") sample#7 ChangesRequested ["Name it."] votes true
    Done: it says neither yes nor no
    Done: sample#12: Labelled("team:alpha")
      None sample#12 Labelled("team:alpha") true
    Done: sample#12: Labelled("team:alpha")
      None sample#12 Labelled("team:alpha") false
    Done: the bot did it itself
    Done: sample stands otherwise
      None sample [InstanceName("alpha")] Renamed { to: "acme/gadget" }
    Done: sample stands otherwise
      None sample [InstanceName("alpha")] Deleted
    Done: it is of no repository of this fleet
    Done: 1 of this fleet are reached no more
      None sample [InstanceName("alpha")] Lost { why: "the App is suspended there. Its owner lifts that in the settings of the installation." }
    Done: 1 of this fleet are reached now
      None sample [InstanceName("alpha")] Back
    Done: 1 of this fleet are reached no more
      None sample [InstanceName("alpha")] Lost { why: "it was taken from the App's installation. Its owner adds it there again." }
    Done: CI ran on 4444444
      None Ran { pipeline: Pipeline { repository: RepositoryName("sample"), kind: Workflow, name: "CI" }, commit: CommitId("4444444444444444444444444444444444444444"), passed: false, url: None }
    Ignored: it is not known here
    "##);
}

fn run(id: u64, attempt: u32, conclusion: &str, sha: char) -> (&'static str, Value) {
    let run = json!({"id": id, "name": "CI", "head_sha": sha.to_string().repeat(40), "run_attempt": attempt,
        "head_branch": "qd/alpha/A-1", "conclusion": conclusion});
    ("workflow_run", json!({"action": "completed", "workflow_run": run}))
}

#[tokio::test]
async fn a_red_job_runs_once_more_and_is_then_flaky_or_red() {
    let flaky = [run(1, 1, "failure", '4'), run(1, 2, "success", '4'), run(3, 1, "success", '4')];
    insta::assert_snapshot!(becomes(Said::default(), &flaky).await, @r##"
    Done: 1 run once more
    Done: 1 are flaky
      Some("run/1/test/sample/Flaky") sample#7 test Flaky:  |
    Done: what is green is asked for when it matters
    sample: run 1 again
    "##);
    let red = [run(1, 1, "failure", '4'), run(1, 2, "failure", '4'), run(3, 1, "failure", '5')];
    insta::assert_snapshot!(becomes(Said::default(), &red).await, @r##"
    Done: 1 run once more
    Done: 1 are red on sample#7
      Some("job/101/sample/Red") sample#7 test Red: It failed in: cargo test | test 101 FAILED
    ##[error]exit 101
    Done: it is of no open pull request
    sample: run 1 again
    "##);
    // Where jobs may not be run, it is red at once.
    let forbids = Said { forbids_runs: true, ..Said::default() };
    insta::assert_snapshot!(becomes(forbids, &[run(1, 1, "failure", '4')]).await, @r##"
    Done: 1 are red on sample#7
      Some("job/101/sample/Red") sample#7 test Red: It failed in: cargo test | test 101 FAILED
    ##[error]exit 101
    "##);
    let output = json!({"title": "2 warnings", "summary": "src/lib.rs:3: unused"});
    let check = |app: u64| {
        let run = json!({"id": 8, "name": "lint", "head_sha": "4".repeat(40), "conclusion": "failure", "output": output,
            "app": {"id": app, "slug": "linter"}, "pull_requests": [{"number": 7}]});
        ("check_run", json!({"action": "completed", "check_run": run}))
    };
    let status =
        json!({"id": 4, "sha": "4".repeat(40), "context": "ci/old", "state": "error", "description": "boom"});
    let all = becomes(Said::default(), &[check(3), check(77), ("status", status)]).await;
    insta::assert_snapshot!(all, @r##"
    Done: lint is red on sample#7
      Some("check/8/sample") sample#7 lint Red: 2 warnings | src/lib.rs:3: unused
    Done: it is the bot's own check
    Done: ci/old is red on sample#7
      Some("status/4/sample") sample#7 ci/old Red: boom |
    "##);
}
