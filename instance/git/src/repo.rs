//! A repository, and its talk with others: clone, fetch, push. Remotes are passed with each call and never
//! written into a configuration, where an agent could read an address with a token in it.

use std::path::{Path, PathBuf};

use qd_types::CommitId;

use crate::{
    Access, Git, GitError, Turns,
    command::Call,
    folder::{is_folder, line_of, real},
    names::full_name,
};

/// What must not happen twice at once in one repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Worktrees,
    Fetch,
}

static TURNS: std::sync::LazyLock<Turns<(PathBuf, Lane)>> = std::sync::LazyLock::new(Turns::default);

/// A repository, bare or not. Cheap to clone; holds no open files.
#[derive(Debug, Clone)]
pub struct Repo {
    pub(crate) git: Git,
    folder: PathBuf,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Push {
    /// The remote has it; it may have had it before.
    Done,
    /// The remote branch is not where the caller believed it to be. Nothing was changed.
    LeaseLost {
        /// Where it is; none if it is not there.
        actual: Option<CommitId>,
    },
}

impl Git {
    /// Opens a bare repository, a working tree's root, or a linked worktree. Parents are not searched.
    pub async fn open(&self, path: &Path) -> Result<Repo, GitError> {
        let path = real(path);
        for folder in [path.clone(), path.join(".git")] {
            if is_git_folder(&folder).await {
                return Ok(Repo { git: self.clone(), folder });
            }
        }
        let linked = line_of(&path.join(".git")).await;
        if let Some(target) = linked.as_deref().and_then(|line| line.strip_prefix("gitdir: ")) {
            let folder = real(&path.join(target));
            if is_git_folder(&folder).await {
                return Ok(Repo { git: self.clone(), folder });
            }
        }
        Err(GitError::Parse { what: "the path of a git repository", text: path.display().to_string() })
    }

    /// Makes an empty bare repository whose `HEAD` names this branch. An existing one is kept as it is.
    pub async fn init_bare(&self, path: &Path, branch: &str) -> Result<Repo, GitError> {
        let head = full_name(branch)?;
        let branch = head.strip_prefix("refs/heads/").unwrap_or(&head).to_owned();
        let path = real(path);
        tokio::fs::create_dir_all(&path).await.map_err(GitError::io("making a folder", &path))?;
        let call = Call::new(["init", "--quiet", "--bare", "--template="]);
        self.ok(call.arg(format!("--initial-branch={branch}")).arg("--").arg(&path)).await?;
        self.open(&path).await
    }

    /// Clones everything under `refs/` that the remote shows, bare, without remembering the remote.
    pub async fn clone_bare(&self, remote: &str, path: &Path) -> Result<Repo, GitError> {
        let path = real(path);
        self.ok(Call::new(["clone", "--quiet", "--bare", "--template=", "--", remote]).arg(&path).patient())
            .await?;
        let repo = self.open(&path).await?;
        repo.git.ok(repo.call(["remote", "remove", "origin"])).await?;
        Ok(repo)
    }
}

async fn is_git_folder(folder: &Path) -> bool {
    let has = async |name: &str| tokio::fs::symlink_metadata(folder.join(name)).await.is_ok();
    // A linked worktree's git folder has no objects of its own, and says where they are.
    is_folder(folder).await && has("HEAD").await && (has("objects").await || has("commondir").await)
}

impl Repo {
    /// The same, with what remotes ask for.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.git = self.git.with_access(access);
        self
    }

    /// The git folder: of a bare repository its path, else the `.git` within.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn call<A: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Call {
        Call::new([Path::new("--git-dir").as_os_str(), self.folder.as_os_str()])
            .within(&self.folder)
            .args(args)
    }

    pub(crate) async fn turn(&self, lane: Lane) -> tokio::sync::OwnedMutexGuard<()> {
        TURNS.take((self.folder.clone(), lane)).await
    }

    /// Reads with the library, on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        what: &'static str,
        read: impl FnOnce(&git2::Repository) -> Result<T, git2::Error> + Send + 'static,
    ) -> Result<T, GitError> {
        let folder = self.folder.clone();
        let reading = tokio::task::spawn_blocking(move || {
            #[allow(clippy::disallowed_methods, reason = "this crate is the one way to git")]
            let repository = git2::Repository::open(folder)?;
            read(&repository)
        });
        let read = reading.await.unwrap_or_else(|lost| Err(git2::Error::from_str(&lost.to_string())));
        read.map_err(|source| GitError::Libgit { what, path: self.folder.clone(), source })
    }

    /// Fetches by these refspecs alone, no tags; with `prune`, what the remote no longer has goes. One fetch
    /// at a time per repository.
    pub async fn fetch(&self, remote: &str, refspecs: &[&str], prune: bool) -> Result<(), GitError> {
        let _turn = self.turn(Lane::Fetch).await;
        let call =
            self.call(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]);
        let call = if prune { call.arg("--prune") } else { call };
        self.git.ok(call.args(["--", remote]).args(refspecs).patient()).await?;
        Ok(())
    }

    /// Puts a commit at a remote's branch if that stands at `expected` (none: is not there), or has the
    /// commit already.
    pub async fn push(
        &self,
        remote: &str,
        commit: &CommitId,
        branch: &str,
        expected: Option<&CommitId>,
    ) -> Result<Push, GitError> {
        let name = full_name(branch)?;
        let lease = format!("--force-with-lease={name}:{}", expected.map_or("", CommitId::as_str));
        let call = self.call(["push", "--porcelain", "--no-verify", "--no-follow-tags"]).arg(lease);
        let done = self.git.run(call.args(["--", remote]).arg(format!("{commit}:{name}")).patient()).await?;
        if done.code == Some(0) {
            return Ok(Push::Done);
        }
        if String::from_utf8_lossy(&done.stdout).contains("[rejected] (stale info)") {
            return Ok(Push::LeaseLost { actual: self.remote_head(remote, branch).await? });
        }
        Err(done.failed())
    }

    /// Where a remote's branch stands now.
    pub async fn remote_head(&self, remote: &str, branch: &str) -> Result<Option<CommitId>, GitError> {
        let name = full_name(branch)?;
        let text = self.git.text(self.call(["ls-remote", "--quiet", "--", remote, &name]).remote()).await?;
        let line = text.lines().find_map(|line| line.split_once('\t').filter(|(_, found)| *found == name));
        line.map(|(id, _)| crate::names::commit_id(id)).transpose()
    }
}
