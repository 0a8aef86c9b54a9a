//! A fake GitHub, the adapter on it, and git as an instance would use it: over HTTP, from outside.

use std::{collections::BTreeMap, path::PathBuf};

use async_trait::async_trait;
use qd_core::forge::{Check, Conclusion, Forge, Marker, NewPullRequest, PullRequest};
use qd_github::{App, Config, GitHub, Login};
use qd_testkit::{
    CommitView, ForgeHarness,
    github::{APP, FakeGithub, OWNER, Options},
};
use qd_types::{CommitId, RepositoryName};
use tempfile::TempDir;

/// The repository on the fake.
pub(crate) const PLACE: &str = "acme/app";

/// What the App needs, as people grant it.
pub(crate) fn options() -> Options {
    let mut options = Options::default();
    for (name, level, _) in qd_github::setup::PERMISSIONS {
        options.permissions.insert(name.to_owned(), level.to_owned());
    }
    options
}

pub(crate) struct World {
    pub(crate) fake: FakeGithub,
    pub(crate) forge: GitHub,
    pub(crate) repository: RepositoryName,
    pub(crate) folder: TempDir,
}

impl World {
    /// A repository without protection, which is allowed.
    pub(crate) async fn new() -> Self {
        Self::with(options(), |config| config.allow_unprotected = true).await
    }

    /// The same, as `change` wants it.
    pub(crate) async fn with(options: Options, change: impl FnOnce(&mut Config)) -> Self {
        let fake = FakeGithub::start(options).await;
        let folder = tempfile::tempdir().unwrap();
        let repository: RepositoryName = "sample".parse().unwrap();
        let mut config = Config {
            api: fake.api_url(),
            git: None,
            login: Login::App(App::new(APP, fake.private_key()).unwrap()),
            repositories: BTreeMap::from([(repository.clone(), PLACE.parse().unwrap())]),
            mirrors: folder.path().join("mirrors"),
            allow_unprotected: false,
            // The fake has no hours to wait.
            writes_per_minute: 60_000,
        };
        change(&mut config);
        let forge = GitHub::open(config).unwrap();
        let world = Self { fake, forge, repository, folder };
        let token = world.fake.installation_token();
        let remote = format!("{}/{PLACE}.git", world.fake.api_url());
        let remote = remote.replace("http://", &format!("http://x-access-token:{token}@"));
        world.git(&["clone", "-q", &remote, "clone"], world.folder.path().into()).await;
        world
    }

    fn clone(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    /// Runs git and gives its answer without the last newline.
    async fn git(&self, args: &[&str], folder: PathBuf) -> String {
        let output = tokio::process::Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(["-c", "user.name=Ines", "-c", "user.email=ines@example.org"])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    async fn here(&self, args: &[&str]) -> String {
        self.git(args, self.clone()).await
    }

    pub(crate) async fn main(&self) -> CommitId {
        self.forge.branch_head(&self.repository, "main").await.unwrap()
    }

    /// What a pull request from `branch` says.
    pub(crate) fn proposal(&self, branch: &str) -> NewPullRequest {
        NewPullRequest {
            repository: self.repository.clone(),
            branch: branch.to_owned(),
            target: "main".to_owned(),
            title: format!("Change of {branch}"),
            body: "Why.".to_owned(),
            draft: false,
            labels: Vec::new(),
            milestone: None,
            marker: Marker(branch.to_owned()),
        }
    }

    /// A pull request with one commit and a passed check.
    pub(crate) async fn green(&self, branch: &str) -> PullRequest {
        self.push(branch, &self.main().await, &[(&format!("{branch}.txt"), "content\n")]).await;
        let opened = self.forge.open_pull_request(&self.proposal(branch)).await.unwrap();
        let checks = [Check::new("test", Conclusion::Success)];
        self.forge.report_checks(&self.repository, &opened.head, &checks).await.unwrap();
        opened
    }

    /// Nothing was asked that GitHub would not have understood. What the fake itself answers is for its own tests.
    #[track_caller]
    pub(crate) fn ends_well(&self) {
        let asked = self.fake.violations().into_iter().filter(|text| !text.starts_with("answer to "));
        assert_eq!(asked.collect::<Vec<_>>(), [""; 0]);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.ends_well();
        }
    }
}

#[async_trait]
impl ForgeHarness for World {
    fn forge(&self) -> &dyn Forge {
        &self.forge
    }

    fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    fn target(&self) -> &str {
        "main"
    }

    async fn push(&self, branch: &str, parent: &CommitId, files: &[(&str, &str)]) -> CommitId {
        self.here(&["fetch", "-q", "origin"]).await;
        self.here(&["checkout", "-q", "--detach", parent.as_str()]).await;
        for (path, content) in files {
            let path = self.clone().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.here(&["add", "-A"]).await;
        self.here(&["commit", "-qm", &format!("Work on {branch}")]).await;
        let made = self.here(&["rev-parse", "HEAD"]).await.parse().unwrap();
        self.point(branch, &made).await;
        made
    }

    async fn push_merge(
        &self,
        branch: &str,
        first: &CommitId,
        second: &CommitId,
        files: &[(&str, &str)],
    ) -> CommitId {
        self.here(&["fetch", "-q", "origin"]).await;
        self.here(&["checkout", "-q", "--detach", first.as_str()]).await;
        self.here(&["merge", "-q", "--no-ff", "--no-commit", "-X", "theirs", second.as_str()]).await;
        for (path, content) in files {
            std::fs::write(self.clone().join(path), content).unwrap();
        }
        self.here(&["add", "-A"]).await;
        self.here(&["commit", "-qm", &format!("Merge for {branch}")]).await;
        let made = self.here(&["rev-parse", "HEAD"]).await.parse().unwrap();
        self.point(branch, &made).await;
        made
    }

    async fn point(&self, branch: &str, commit: &CommitId) {
        self.here(&["fetch", "-q", "origin"]).await;
        self.here(&["push", "-qf", "origin", &format!("{commit}:refs/heads/{branch}")]).await;
    }

    async fn commit(&self, id: &CommitId) -> CommitView {
        let bare = self.fake.bare(PLACE);
        let read = async |args: &[&str]| self.git(args, bare.clone()).await;
        let parents = read(&["log", "-1", "--format=%P", id.as_str()]).await;
        let mut files = BTreeMap::new();
        for path in read(&["ls-tree", "-r", "--name-only", id.as_str()]).await.lines() {
            let content = read(&["cat-file", "blob", &format!("{id}:{path}")]).await;
            files.insert(path.to_owned(), if content.is_empty() { content } else { content + "\n" });
        }
        CommitView {
            parents: parents.split_whitespace().map(|parent| parent.parse().unwrap()).collect(),
            title: read(&["log", "-1", "--format=%s", id.as_str()]).await,
            files,
        }
    }
}

/// The owner of everything.
pub(crate) const ACME: &str = OWNER;
