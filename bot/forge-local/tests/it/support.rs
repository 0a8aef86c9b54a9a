//! A forge in a temporary folder, and git as an instance or a person would use it: the command, from outside.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use async_trait::async_trait;
use qd_core::forge::{
    Check, Conclusion, Forge, ForgeError, Marker, MergeMethod, MergeOrder, NewPullRequest, PullRequest,
};
use qd_forge_local::LocalForge;
use qd_testkit::{CommitView, ForgeHarness, granted};
use qd_types::{CommitId, Merge, RepositoryName};
use tempfile::TempDir;

/// Runs git and gives its answer without the last newline.
#[track_caller]
pub(crate) fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=Ines", "-c", "user.email=ines@example.org", "-c", "init.defaultBranch=main"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
}

/// A commit on top of what is checked out.
pub(crate) fn commit(checkout: &Path, file: &str, content: &str) -> CommitId {
    let path = checkout.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    git(checkout, &["add", "-A"]);
    git(checkout, &["commit", "-qm", &format!("Write {file}")]);
    git(checkout, &["rev-parse", "HEAD"]).parse().unwrap()
}

/// A checkout with one commit on main.
pub(crate) fn checkout(folder: &Path) -> CommitId {
    std::fs::create_dir_all(folder).unwrap();
    git(folder, &["init", "-q"]);
    commit(folder, "README.md", "# Sample\n")
}

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) forge: LocalForge,
    pub(crate) repository: RepositoryName,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        checkout(&folder.path().join("checkout"));
        let repository: RepositoryName = "sample".parse().unwrap();
        let forge = LocalForge::open(&folder.path().join("state")).await.unwrap();
        forge.add_repository(&repository, Some(&folder.path().join("checkout")), "main").await.unwrap();
        git(folder.path(), &["clone", "-q", forge.git_dir(&repository).to_str().unwrap(), "clone"]);
        Self { folder, forge, repository }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// An instance's own clone.
    fn clone(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    pub(crate) fn bare(&self) -> PathBuf {
        self.forge.git_dir(&self.repository)
    }

    pub(crate) async fn main(&self) -> CommitId {
        self.forge.branch_head(&self.repository, "main").await.unwrap()
    }

    /// A pull request with one commit and a passed check.
    pub(crate) async fn green(&self, branch: &str, file: &str) -> PullRequest {
        self.push(branch, &self.main().await, &[(file, "content\n")]).await;
        let new = NewPullRequest {
            repository: self.repository.clone(),
            branch: branch.to_owned(),
            target: "main".to_owned(),
            title: format!("Write {file}"),
            body: String::new(),
            draft: false,
            labels: Vec::new(),
            milestone: None,
            marker: Marker(branch.to_owned()),
        };
        let opened = self.forge.open_pull_request(&new).await.unwrap();
        let checks = [Check::new("test", Conclusion::Success)];
        self.forge.report_checks(&self.repository, &opened.head, &checks).await.unwrap();
        opened
    }

    pub(crate) async fn merge(&self, of: &PullRequest, base: &CommitId) -> Result<CommitId, ForgeError> {
        let spent = granted(Merge {
            repository: self.repository.clone(),
            pull_request: of.number,
            target: of.target.clone(),
            head: of.head.clone(),
            diff: "d".repeat(64),
            paths: None,
        });
        let order = MergeOrder {
            repository: self.repository.clone(),
            number: of.number,
            head: of.head.clone(),
            base: base.clone(),
            method: MergeMethod::Merge,
            title: of.title.clone(),
        };
        self.forge.merge(&spent, &order).await
    }

    pub(crate) async fn reread(&self, of: &PullRequest) -> PullRequest {
        self.forge.pull_request(&self.repository, of.number).await.unwrap()
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
        let clone = self.clone();
        git(&clone, &["fetch", "-q", "origin"]);
        git(&clone, &["checkout", "-q", "--detach", parent.as_str()]);
        for (path, content) in files {
            let path = clone.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        git(&clone, &["add", "-A"]);
        git(&clone, &["commit", "-qm", &format!("Work on {branch}")]);
        let made = git(&clone, &["rev-parse", "HEAD"]).parse().unwrap();
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
        let clone = self.clone();
        git(&clone, &["fetch", "-q", "origin"]);
        git(&clone, &["checkout", "-q", "--detach", first.as_str()]);
        git(&clone, &["merge", "-q", "--no-ff", "--no-commit", "-X", "theirs", second.as_str()]);
        for (path, content) in files {
            std::fs::write(clone.join(path), content).unwrap();
        }
        git(&clone, &["add", "-A"]);
        git(&clone, &["commit", "-qm", &format!("Merge for {branch}")]);
        let made = git(&clone, &["rev-parse", "HEAD"]).parse().unwrap();
        self.point(branch, &made).await;
        made
    }

    async fn point(&self, branch: &str, commit: &CommitId) {
        let clone = self.clone();
        git(&clone, &["fetch", "-q", "origin"]);
        git(&clone, &["push", "-qf", "origin", &format!("{commit}:refs/heads/{branch}")]);
    }

    async fn commit(&self, id: &CommitId) -> CommitView {
        let bare = self.bare();
        let parents = git(&bare, &["log", "-1", "--format=%P", id.as_str()]);
        let mut files = BTreeMap::new();
        for path in git(&bare, &["ls-tree", "-r", "--name-only", id.as_str()]).lines() {
            let content = git(&bare, &["cat-file", "blob", &format!("{id}:{path}")]);
            files.insert(path.to_owned(), if content.is_empty() { content } else { content + "\n" });
        }
        CommitView {
            parents: parents.split_whitespace().map(|parent| parent.parse().unwrap()).collect(),
            title: git(&bare, &["log", "-1", "--format=%s", id.as_str()]),
            files,
        }
    }
}
