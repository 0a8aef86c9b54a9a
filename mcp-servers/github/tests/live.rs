//! The tools' port on GitHub itself: a fake one, which is stricter than the real one, over real git.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::collections::BTreeMap;

use qd_github::{App, Config, Login};
use qd_mcp_github::{GitHub as _, GitHubError, NewPull, OnGitHub};
use qd_testkit::github::{APP, FakeGithub, Options, Outcome, Role};
use tempfile::TempDir;

const PLACE: &str = "acme/app";
const HERE: &str = "sample";

struct World {
    fake: FakeGithub,
    github: OnGitHub,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let fake = FakeGithub::start(Options::default()).await;
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            api: fake.api_url(),
            git: None,
            login: Login::App(App::new(APP, fake.private_key()).unwrap()),
            repositories: BTreeMap::from([(HERE.parse().unwrap(), PLACE.parse().unwrap())]),
            mirrors: folder.path().join("mirrors"),
            allow_unprotected: true,
            writes_per_minute: 60_000,
        };
        let github = OnGitHub(qd_github::GitHub::open(config).unwrap());
        Self { fake, github, _folder: folder }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.fake.violations(), [""; 0], "nothing that GitHub would not have understood");
        }
    }
}

#[tokio::test]
async fn issues_are_read_commented_on_and_labelled() {
    let world = World::new().await;
    let ann = world.fake.drive().collaborator(PLACE, "ann", Role::Write).at(PLACE);
    let first = ann.opens_issue("It crashes", "On start.");
    let second = ann.opens_issue("It is slow", "");
    ann.labels(first, "bug");
    let issues = world.github.issues(HERE, 10).await.unwrap();
    let seen: Vec<(u64, &str, &str)> =
        issues.iter().map(|issue| (issue.number, issue.title.as_str(), issue.author.as_str())).collect();
    assert_eq!(seen, [(second, "It is slow", "ann"), (first, "It crashes", "ann")], "newest first");
    assert_eq!(world.github.issues(HERE, 1).await.unwrap().len(), 1);

    let said = world.github.comment(HERE, first, "Looked at.").await.unwrap();
    for number in 0..5 {
        ann.comments(first, &format!("And {number}"));
    }
    let all = world.github.comments(HERE, first, 50).await.unwrap();
    assert_eq!((all.len(), all.last().unwrap().id), (6, said), "newest first");
    let newest = world.github.comments(HERE, first, 2).await.unwrap();
    let bodies: Vec<&str> = newest.iter().map(|comment| comment.body.as_str()).collect();
    assert_eq!(bodies, ["And 4", "And 3"]);

    let (on, off) = (["done".to_owned()], ["bug".to_owned(), "never was".to_owned()]);
    world.github.label(HERE, first, &on, &off).await.unwrap();
    assert_eq!(world.github.issue(HERE, first).await.unwrap().labels, ["done"]);

    let absent = world.github.issue(HERE, 4_000).await.unwrap_err();
    assert_eq!(absent, GitHubError::Absent("issue 4000".into()));
    let elsewhere = world.github.issues("other", 1).await.unwrap_err();
    assert_eq!(elsewhere, GitHubError::Absent("repository other on GitHub".into()));
}

#[tokio::test]
async fn pull_requests_are_opened_and_their_reviews_and_checks_read() {
    let world = World::new().await;
    let ann = world.fake.drive().collaborator(PLACE, "ann", Role::Write).at(PLACE);
    let head = ann.pushes("quarterdeck/one", "Add one", &[("one.txt", "one\n")]);
    assert_eq!(world.github.branch(HERE, "quarterdeck/one").await.unwrap(), head);
    let gone = world.github.branch(HERE, "quarterdeck/two").await.unwrap_err();
    assert_eq!(gone, GitHubError::Absent("branch quarterdeck/two".into()));

    assert_eq!(world.github.pull_from(HERE, "quarterdeck/one").await.unwrap(), None);
    let new = NewPull {
        title: "Add one".into(),
        body: "Why.".into(),
        head: "quarterdeck/one".into(),
        base: "main".into(),
    };
    let number = world.github.open(HERE, &new).await.unwrap();
    let pull = world.github.pull_from(HERE, "quarterdeck/one").await.unwrap().unwrap();
    let said = (pull.issue.number, pull.head_sha.as_str(), pull.base.as_str());
    assert_eq!(said, (number, head.as_str(), "main"));
    assert_eq!(world.github.pull(HERE, number).await.unwrap(), pull);
    assert_eq!(world.github.pulls(HERE, 5).await.unwrap(), [pull]);
    let again = world.github.open(HERE, &new).await.unwrap_err();
    assert!(matches!(again, GitHubError::Refused(_)), "{again}");
    assert!(world.github.issues(HERE, 5).await.unwrap().is_empty(), "a pull request is no issue here");

    ann.requests_changes(number, "Smaller, please.");
    let reviews = world.github.reviews(HERE, number, 5).await.unwrap();
    assert_eq!((reviews[0].state.as_str(), reviews[0].author.as_str()), ("changes_requested", "ann"));
    assert_eq!(reviews[0].sha, head);

    let workflow = world.fake.drive().runs_actions(PLACE, "quarterdeck/one", &["test"]);
    workflow.ends(&Outcome::Red { job: "test".into(), log: "thread 'main' panicked\n".into() });
    let checks = world.github.checks(HERE, &head, 5).await.unwrap();
    assert_eq!((checks[0].name.as_str(), checks[0].state.as_str()), ("test", "failed"));
    let check = world.github.check(HERE, checks[0].id).await.unwrap();
    assert_eq!((check.state.as_str(), check.attempt), ("failed", 1));
    let log = world.github.check_log(HERE, check.id, 24).await.unwrap();
    assert!(log.contains("panicked") && log.len() <= 24, "{log}");
}

#[tokio::test]
async fn a_search_says_what_stands_where() {
    let world = World::new().await;
    let ann = world.fake.drive().collaborator(PLACE, "ann", Role::Write).at(PLACE);
    let code =
        "fn one() {}\n\n/// Adds tax.\nfn price_with_tax() -> u32 {\n    price() + tax()\n}\n\nfn two() {}\n";
    ann.pushes("main", "Prices", &[("src/price.rs", code)]);
    let found = world.github.search(HERE, "price_with_tax", 5).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "src/price.rs");
    assert_eq!(found[0].text, "/// Adds tax.\nfn price_with_tax() -> u32 {\n    price() + tax()");
    assert!(world.github.search(HERE, "nowhere_at_all", 5).await.unwrap().is_empty());
    let leaves = world.github.search(HERE, "price repo:other/app", 5).await.unwrap_err();
    assert!(matches!(leaves, GitHubError::Refused(_)), "{leaves}");
}
