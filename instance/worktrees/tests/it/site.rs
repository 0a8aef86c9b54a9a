//! A forge's repository, an instance over it, and the hands of an agent.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use qd_git::{Git, NewCommit, Repo};
use qd_types::{CommitId, RepositoryName, RunId};
use qd_worktrees::{GitWorktrees, Identity, Purpose, RepositorySpec, Stamp, Worktree, Worktrees};
use tempfile::TempDir;

pub(crate) struct Site {
    folder: TempDir,
    pub(crate) forge: Repo,
    pub(crate) spec: RepositorySpec,
    pub(crate) trees: GitWorktrees,
    pub(crate) base: CommitId,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let forge = Git::new().init_bare(&path.join("forge.git"), "main").await.unwrap();
        let spec = RepositorySpec {
            name: "sample".parse().unwrap(),
            remote: path.join("forge.git").display().to_string(),
            target: "main".to_owned(),
        };
        let trees = GitWorktrees::open(Git::new(), &path.join("state")).await.unwrap();
        let site = Self { folder, forge, spec, trees, base: "0".repeat(40).parse().unwrap() };
        site.forge_commit(&[("a", "1\n"), ("b", "1\n"), (".gitignore", "*.log\n")]).await;
        let base = site.trees.refresh(&site.spec).await.unwrap();
        Self { base, ..site }
    }

    pub(crate) fn name(&self) -> &RepositoryName {
        &self.spec.name
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("state")
    }

    pub(crate) fn mirror(&self) -> PathBuf {
        self.trees.layout().mirror(self.name())
    }

    /// Somebody's commit of these files on the forge's main.
    pub(crate) async fn forge_commit(&self, files: &[(&str, &str)]) -> CommitId {
        let source = TempDir::new().unwrap();
        for (path, text) in files {
            put(source.path(), path, text);
        }
        let tree = self.forge.write_tree(source.path(), None).await.unwrap();
        let head = self.forge.resolve("main").await.unwrap();
        let parents: Vec<CommitId> = head.iter().cloned().collect();
        let identity = Identity::new("Theo", "theo@example.org");
        let at = stamp().at;
        let new = NewCommit { tree: &tree, parents: &parents, message: "Theirs", identity: &identity, at };
        let commit = self.forge.commit_tree(&new).await.unwrap();
        let swap = self.forge.update_ref("main", &commit, head.as_ref()).await.unwrap();
        assert_eq!(swap, qd_git::Swap::Done);
        commit
    }

    pub(crate) async fn create(&self, run: &RunId) -> Worktree {
        let branch = format!("qd/{run}");
        self.trees.create(self.name(), run, &branch, &self.base).await.unwrap()
    }

    pub(crate) async fn candidate(&self, run: &RunId) -> Option<CommitId> {
        self.trees.candidate(self.name(), run, "Do it\n", &stamp()).await.unwrap()
    }

    pub(crate) async fn remove(&self, run: &RunId) -> Option<CommitId> {
        self.trees.remove(self.name(), run, &stamp()).await.unwrap()
    }

    pub(crate) async fn repo(&self) -> Repo {
        Git::new().open(&self.mirror()).await.unwrap()
    }

    /// A file's content in a commit of the mirror.
    pub(crate) fn shown(&self, commit: &CommitId, path: &str) -> String {
        git(&self.mirror(), &["show", &format!("{commit}:{path}")])
    }

    /// Nothing of any run is left, and git agrees.
    pub(crate) async fn assert_clean(&self) {
        assert_eq!(self.trees.list().await.unwrap(), []);
        let repo = self.repo().await;
        assert_eq!(repo.worktree_list().await.unwrap().len(), 1);
        assert_eq!(repo.names("refs/heads/").await.unwrap(), Vec::<String>::new());
        assert_eq!(repo.names("refs/quarterdeck/b").await.unwrap(), Vec::<String>::new());
        for name in ["worktrees", "checkouts", "trash"] {
            assert_eq!(fs::read_dir(self.state().join(name)).unwrap().count(), 0, "{name}");
        }
    }
}

pub(crate) fn run(text: &str) -> RunId {
    text.parse().unwrap()
}

pub(crate) fn checks() -> Purpose {
    "checks".parse().unwrap()
}

pub(crate) fn stamp() -> Stamp {
    let at = Timestamp::from_second(1_700_000_000).unwrap();
    Stamp { identity: Identity::new("alpha", "alpha@example.org"), at }
}

pub(crate) fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn read(folder: &Path, path: &str) -> String {
    fs::read_to_string(folder.join(path)).unwrap()
}

/// Git as an agent uses it, with its own idea of everything.
pub(crate) fn git(folder: &Path, args: &[&str]) -> String {
    let identity = ["-c", "user.name=Agent", "-c", "user.email=agent@example.org"];
    let mut command = std::process::Command::new("git");
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env_remove("GIT_DIR");
    let done = command.args(identity).args(args).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{args:?}: {}{}", said(&done.stderr), said(&done.stdout));
    String::from_utf8(done.stdout).unwrap()
}
