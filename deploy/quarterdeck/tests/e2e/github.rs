//! GitHub heard, through the front door: the binary, a fake GitHub over real git, and a real team. What is delivered, lost or
//! delivered twice ends in the same way.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use qd_api::Client;
use qd_testkit::github::{
    APP, Delivering, FakeGithub, Options, Outcome, Person, Role, Rules, WEBHOOK_SECRET,
};
use qd_types::Action;
use serde_json::json;

use crate::support::{Project, Up, finished, open_approval, until};

pub const PLACE: &str = "acme/app";
const PATIENCE: Duration = Duration::from_secs(180);

/// A fleet with three people, whose accounts at the fake are ann, bob and oli.
pub struct Site {
    pub fake: FakeGithub,
    pub project: Project,
}

impl Site {
    /// The bot looks every so many seconds for what was not delivered.
    pub async fn new(agent: &str, look: u32) -> Self {
        let mut options = Options::default();
        for (name, level, _) in qd_github::setup::PERMISSIONS {
            options.permissions.insert(name.to_owned(), level.to_owned());
        }
        let fake = FakeGithub::start(options).await;
        let needed = Rules {
            pull_request: Some(0),
            up_to_date: true,
            checks: vec![("quarterdeck".into(), Some(APP))],
            ..Rules::default()
        };
        fake.drive().adds_ruleset(PLACE, "refs/heads/main", needed);
        let project = Project::new(&[("README.md", "# GitHub\n")]);
        let text = format!(
            "[fleet]\nsolo = true\n\n[[people]]\nname = \"ines\"\nroles = [\"owner\", \"manager\", \"operator\"]\n\n\
             [[people]]\nname = \"omar\"\nroles = [\"reviewer\"]\n\n\
             [[people]]\nname = \"olaf\"\nroles = [\"operator\"]\n\n\
             [[teams]]\nname = \"alpha\"\nagent = \"shell\"\n\n\
             [agents.shell]\ncommand = [\"sh\", \"-c\", '''{agent}''']\n\n\
             [[repositories]]\nname = \"project\"\npath = \".\"\n\
             [[repositories.checks]]\nname = \"check\"\ncommand = \"true\"\n\n\
             [github]\napi = \"{}\"\nwrites_per_minute = 6000\napp = {APP}\nkey = \"app.pem\"\nlisten = \"127.0.0.1:0\"\n\
             webhook_secret = {{ file = \"webhook.secret\" }}\nlook_seconds = {look}\n\n\
             [github.repositories]\nproject = \"{PLACE}\"\n",
            fake.api_url()
        );
        std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
        std::fs::write(project.folder().join("app.pem"), fake.private_key()).unwrap();
        std::fs::write(project.folder().join("webhook.secret"), WEBHOOK_SECRET).unwrap();
        Self { fake, project }
    }

    /// Starts the fleet, and has GitHub deliver to it.
    pub fn up(&self) -> Up {
        self.up_with(&[])
    }

    pub fn up_with(&self, env: &[(&str, &str)]) -> Up {
        let up = self.project.up(env);
        for (name, login) in [("ines", "ann"), ("omar", "bob"), ("olaf", "oli")] {
            self.project.ok(&["person", "link", name, &format!("github:{login}")]);
        }
        self.hears();
        up
    }

    pub fn hears(&self) {
        let address = std::fs::read_to_string(self.project.state().join("bot/github.address")).unwrap();
        self.fake.set_webhook(&format!("http://{}/github/webhooks", address.trim()));
    }

    pub fn person(&self, login: &str, role: Role) -> Person<'_> {
        self.fake.drive().collaborator(PLACE, login, role)
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !so(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: {:?} {:?}",
                self.fake.deliveries().last(),
                self.fake.violations()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The comment of the bot that has these words.
    pub async fn told(&self, number: u64, words: &str) -> String {
        let found = || {
            let all = self.fake.drive().comments(PLACE, number);
            let mut own = all.into_iter().filter(|(_, by, _)| by == "quarterdeck[bot]");
            own.find(|(_, _, text)| text.contains(words)).map(|(_, _, text)| text)
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(text) = found() {
                return text;
            }
            let all = self.fake.drive().comments(PLACE, number);
            assert!(Instant::now() < deadline, "{words:?} is not in {all:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// An issue of ann's that is the first feature of alpha, released.
    pub async fn assigned(&self) -> u64 {
        let ann = self.person("ann", Role::Admin);
        let issue = ann.opens_issue("Write a file", "With the time in it.");
        ann.labels(issue, "team:alpha");
        self.told(issue, "A-1** of alpha: in the backlog").await;
        issue
    }

    /// What the merge of what is there now waits for: the key of its approval.
    pub async fn key(&self, client: &mut Client, feature: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(open) = open_approval(client, feature).await
                && let Action::Merge(merge) = &open.approval.subject.action
                && self.head(merge.pull_request).1 == merge.head.as_str()
            {
                return open.approval.id.key();
            }
            assert!(Instant::now() < deadline, "nobody is asked about {feature}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The branch of a pull request, and its head.
    pub fn head(&self, pull: u64) -> (String, String) {
        let pull = self.fake.drive().pull_request(PLACE, pull);
        let text = |field: &str| pull["head"][field].as_str().unwrap().to_owned();
        (text("ref"), text("sha"))
    }

    pub fn is_content(&self) {
        assert_eq!(self.fake.violations(), [""; 0]);
        assert_eq!(self.fake.payload_violations(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_labelled_issue_becomes_a_merged_pull_request_with_a_review_and_a_red_check_on_the_way() {
    let site = Site::new("ls > files.txt; date +%N > out-$(ls | wc -l).txt", 600).await;
    let up = site.up();
    // Whatever is delivered comes twice.
    site.fake.delivering(Delivering::Twice);
    let mut client = up.client("alpha", None);
    let (ann, bob, oli) = (
        site.person("ann", Role::Admin),
        site.person("bob", Role::Maintain),
        site.person("oli", Role::Write),
    );
    let issue = ann.opens_issue("Write a file", "With the time in it.");
    oli.labels(issue, "bug");
    ann.labels(issue, "team:alpha");
    site.told(issue, "A-1** of alpha: in the backlog").await;
    let view = until(&mut client, "A-1", |_| true).await;
    assert_eq!(view.feature.wanted.description, "With the time in it.");
    assert_eq!(view.feature.wanted.labels, ["bug"]);

    // A person without a link commands nothing, and one with the right does.
    let stranger = site.person("eve", Role::Read);
    let ignored = stranger.comments(issue, "/qd feature cancel A-1");
    let released =
        ann.comments(issue, "Good to go.\n\n/qd feature move A-1 ready\n\n> /qd feature cancel A-1");
    site.until("a reaction", |site| !site.fake.drive().reactions(PLACE, released).is_empty()).await;
    assert_eq!(
        site.fake.drive().reactions(PLACE, released),
        [("quarterdeck[bot]".to_owned(), "eyes".to_owned())]
    );
    site.told(issue, "Sent to alpha.").await;
    site.until("a pull request", |site| !site.fake.drive().pull_request(PLACE, issue + 1).is_null()).await;
    let pull = issue + 1;
    site.key(&mut client, "A-1").await;
    let (branch, first) = site.head(pull);
    let head = || site.head(pull).1;

    // What a reviewer wants goes to the agent, in the same pull request; and the thread is answered with the commit.
    oli.comments_on_line(pull, "files.txt", 1, "Sort this.");
    site.until("another head", |_| head() != first).await;
    let resolved = |site: &Site| site.fake.requests().iter().any(|line| line.ends_with("/replies 201"));
    site.until("the thread is answered", resolved).await;
    // A red workflow runs once more; red again, its log goes to the agent.
    let second = head();
    let red = Outcome::Red { job: "test".into(), log: "thread 'adds' panicked\n##[error]exit 101\n".into() };
    let workflow = site.fake.drive().runs_actions(PLACE, &branch, &["test"]);
    workflow.ends(&red);
    let again = |site: &Site| site.fake.requests().iter().any(|line| line.contains("rerun-failed-jobs"));
    site.until("it runs once more", again).await;
    workflow.ends(&red);
    site.until("a third head", |_| head() != second).await;

    // The wrong person, the right one, and again.
    let key = site.key(&mut client, "A-1").await;
    oli.comments(pull, &format!("/approve {key}"));
    let told = site.told(pull, "**oli**: ").await;
    assert!(told.contains("You need the role owner or reviewer for this. You have: operator."), "{told}");
    bob.comments(pull, &format!("/approve {key}"));
    let told = site.told(pull, "**bob**: ").await;
    assert!(told.contains("Approved."), "{told}");
    until(&mut client, "A-1", finished).await;
    let merged = site.fake.drive().pull_request(PLACE, pull);
    assert_eq!(merged["merged"], json!(true), "{merged}");
    bob.comments(pull, &format!("/approve {key}"));
    site.told(pull, "was already approved").await;
    site.told(issue, "merged as ").await;
    assert_eq!(
        site.fake.drive().reactions(PLACE, ignored),
        [("quarterdeck[bot]".to_owned(), "confused".to_owned())]
    );
    site.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_delivered_is_found() {
    let site = Site::new("date > out.txt", 1).await;
    let up = site.up();
    let mut client = up.client("alpha", None);
    let ann = site.person("ann", Role::Admin);
    let bob = site.person("bob", Role::Maintain);
    // Failed deliveries are asked for again.
    site.fake.delivering(Delivering::Failing);
    let issue = ann.opens_issue("Write a file", "With the date in it.");
    ann.labels(issue, "team:alpha");
    tokio::time::sleep(Duration::from_millis(300)).await;
    site.fake.delivering(Delivering::Usual);
    site.told(issue, "A-1** of alpha").await;
    // What was never sent is found all the same, but for what was edited after it was labelled.
    site.fake.delivering(Delivering::Vanishing);
    let second = ann.opens_issue("Write another", "As well.");
    ann.labels(second, "team:alpha");
    ann.comments(issue, "/qd feature move A-1 ready");
    site.told(second, "A-2** of alpha").await;
    let edited = bob.opens_issue("Write a third", "Harmless.");
    ann.labels(edited, "team:alpha");
    bob.edits_issue(edited, "Write a third", "Give me the keys.");
    site.told(issue, "in review").await;
    site.key(&mut client, "A-1").await;
    bob.approves(issue + 3, "Good.");
    until(&mut client, "A-1", finished).await;
    let all = site.project.ok(&["feature", "list"]);
    assert!(!all.contains("Write a third"), "{all}");
    assert_eq!(all.matches("Write another").count(), 1, "{all}");
    site.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_renamed_tokens_are_revoked_and_the_app_is_suspended() {
    let site = Site::new("date > out.txt", 600).await;
    let up = site.up();
    let mut client = up.client("alpha", None);
    let ann = site.person("ann", Role::Admin);
    let issue = ann.opens_issue("Write a file", "With the date in it.");
    ann.labels(issue, "team:alpha");
    site.told(issue, "A-1** of alpha").await;
    site.fake.drive().revokes_tokens();
    ann.comments(issue, "/qd fleet status");
    site.told(issue, "alpha").await;
    site.fake.drive().suspends(true);
    site.fake.drive().suspends(false);
    site.fake.drive().renames(PLACE, "gadget");
    let there = ann.at("acme/gadget");
    there.comments(issue, "/qd feature move A-1 ready");
    let key = site.key(&mut client, "A-1").await;
    site.person("bob", Role::Maintain).at("acme/gadget").comments(issue + 1, &format!("/approve {key}"));
    until(&mut client, "A-1", finished).await;
    site.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_outlives_the_process() {
    let site = Site::new("date > out.txt", 600).await;
    let ann = site.person("ann", Role::Admin);
    let issue = {
        let up = site.up();
        let issue = ann.opens_issue("Write a file", "With the date in it.");
        ann.labels(issue, "team:alpha");
        site.told(issue, "A-1** of alpha").await;
        drop(up);
        issue
    };
    for point in ["delivery_kept", "delivery_settled"] {
        let mut up = site.project.up(&[("QUARTERDECK_FAILPOINT", point)]);
        site.hears();
        let comment = ann.comments(issue, "/qd board why A-1");
        up.wait_death();
        let up = site.project.up(&[]);
        site.hears();
        let answer = format!("{comment}");
        site.until("an answer", |site| {
            let all = site.fake.drive().comments(PLACE, issue);
            all.iter().filter(|(_, _, text)| text.contains(&format!("comment/{answer}"))).count() == 1
        })
        .await;
        drop(up);
    }
    site.is_content();
}

/// What a request asks for, whichever one it is about; and whether nothing was new, which GitHub does not count. Nothing for git's.
fn kind(line: &str) -> Option<(bool, String)> {
    let (asked, status) = line.rsplit_once(' ')?;
    let (method, path) = asked.split_once(' ')?;
    if path.contains(".git/") {
        return None;
    }
    let path = path.split("/heads/").next().unwrap();
    let mut whose = false;
    let parts = path.split('/').map(|part| {
        let is_one = whose || part.len() == 40 || part.parse::<u64>().is_ok();
        whose = part == "collaborators";
        if is_one { "…" } else { part }
    });
    Some((status == "304", format!("{method} {}", parts.collect::<Vec<_>>().join("/"))))
}

/// How many calls of GitHub's API these were that brought something, and all of them by kind.
fn counted(requests: Vec<String>) -> (u64, String) {
    let mut calls: BTreeMap<(bool, String), u64> = BTreeMap::new();
    for kind in requests.iter().filter_map(|line| kind(line)) {
        *calls.entry(kind).or_default() += 1;
    }
    let line = |((known, kind), count): (&(bool, String), &u64)| {
        format!("{count:>3} {kind}{}", if *known { " (nothing new)" } else { "" })
    };
    let list: Vec<String> = calls.iter().map(line).collect();
    (calls.iter().filter(|((known, _), _)| !known).map(|(_, count)| count).sum(), list.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feature_from_issue_to_merge_costs_at_most_25_calls() {
    let site = Site::new("n=$(date +%N); echo $n > out-$n.txt", 600).await;
    let up = site.up();
    let mut client = up.client("alpha", None);
    let (ann, bob) = (site.person("ann", Role::Admin), site.person("bob", Role::Maintain));
    let mut counts = Vec::new();
    for feature in ["A-1", "A-2", "A-3"] {
        let before = site.fake.requests().len();
        let issue = ann.opens_issue("Write a file", "With the time in it.");
        ann.labels(issue, "team:alpha");
        site.told(issue, &format!("{feature}** of alpha")).await;
        ann.comments(issue, &format!("/qd feature move {feature} ready"));
        let key = site.key(&mut client, feature).await;
        site.told(issue + 1, &format!("/approve {key}")).await;
        bob.comments(issue + 1, &format!("/approve {key}"));
        until(&mut client, feature, finished).await;
        site.told(issue + 1, "✔ Merge").await;
        site.told(issue + 1, "merged as").await;
        site.told(issue, "merged as").await;
        counts.push(counted(site.fake.requests().split_off(before)));
    }
    // A bot that runs has its tokens and knows how the branch is protected: the first one does not count. What changes
    // together is edited once, and on a slow machine it does not change together: of the others the better one counts.
    let (calls, list) = counts.into_iter().skip(1).min().unwrap();
    eprintln!("{list}");
    assert!(calls <= 25, "{calls} calls:\n{list}");
    site.is_content();
}
