//! Linked worktrees. Registration races with itself in git, so it is done one at a time per repository;
//! files are checked out side by side. Not a policy on when a worktree may go: that is `qd-worktrees`.

use std::path::{Path, PathBuf};

use qd_types::CommitId;

use crate::{
    GitError, Repo,
    exact::{FreshIndex, Restore, Unfit, clear},
    folder::{is_folder, line_of, real, remove_all},
    names::{commit_id, full_name},
    repo::Lane,
};

/// What a worktree is made at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// A branch that exists and that no other worktree has.
    Branch(String),
    /// A commit, on no branch.
    Detached(CommitId),
}

/// What a worktree stands at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The branch's short name; none if detached.
    pub branch: Option<String>,
    /// The commit; none on a branch without one.
    pub commit: Option<CommitId>,
}

/// How a worktree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorktreeState {
    /// Folder and registration know each other, and the files were checked out.
    Sound,
    /// As above, but the check-out was cut short.
    Unfinished,
    /// There is a folder that is not registered, or does not say so.
    Broken,
    /// There is no folder.
    Missing,
}

/// A registered worktree. Its folder may be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreeEntry {
    /// The folder.
    pub path: PathBuf,
    /// What it stands at, if that can be read.
    pub head: Option<CommitId>,
    /// The branch's short name.
    pub branch: Option<String>,
    /// Whether it is the bare repository itself.
    pub bare: bool,
}

/// In one piece or not at all: a worktree with an index counts as checked out.
pub(crate) async fn put_index(admin: &Path, index: &FreshIndex) -> Result<(), GitError> {
    let new = admin.join("index.new");
    tokio::fs::write(&new, index.bytes()).await.map_err(GitError::io("writing an index", &new))?;
    tokio::fs::rename(&new, admin.join("index")).await.map_err(GitError::io("putting an index in place", new))
}

impl Repo {
    /// Makes a worktree and checks its files out. If the check-out fails, nothing is left of it.
    pub async fn worktree_add(&self, folder: &Path, at: &At) -> Result<(), GitError> {
        self.worktree_add_recorded(folder, at, None).await.map(|_| ())
    }

    /// The same, with a record of the files (see [`crate::exact`]). Gives why there is none, if git had to
    /// check the files out.
    pub async fn worktree_add_recorded(
        &self,
        folder: &Path,
        at: &At,
        record: Option<&Path>,
    ) -> Result<Option<Unfit>, GitError> {
        let folder = real(folder);
        let call = self.call(["worktree", "add", "--quiet", "--no-checkout"]);
        let call = match at {
            At::Branch(branch) => {
                full_name(branch)?;
                call.arg("--").arg(&folder).arg(branch)
            }
            At::Detached(commit) => call.args(["--detach", "--"]).arg(&folder).arg(commit.as_str()),
        };
        {
            let _turn = self.turn(Lane::Worktrees).await;
            self.git.ok(call).await?;
        }
        let checked_out = self.check_out(&folder, at, record).await;
        if checked_out.is_err() {
            self.worktree_remove(&folder).await?;
        }
        checked_out
    }

    async fn check_out(
        &self,
        folder: &Path,
        at: &At,
        record: Option<&Path>,
    ) -> Result<Option<Unfit>, GitError> {
        let name = match at {
            At::Branch(branch) => branch.as_str(),
            At::Detached(commit) => commit.as_str(),
        };
        let commit = self.resolve(name).await?;
        let commit = commit.ok_or_else(|| GitError::Parse { what: "a branch", text: name.to_owned() })?;
        let empty = Restore { folder, commit: &commit, record: None, keep: &[], new_record: record };
        match self.restore(&empty).await {
            Ok(index) => {
                let admin = self.admin_of(folder).await?;
                put_index(&admin, &index).await?;
                Ok(None)
            }
            Err(unfit) => {
                clear(folder).await?;
                let reset = ["-c", "checkout.workers=2", "reset", "--hard", "--quiet"];
                self.in_worktree(folder, &reset).await?;
                Ok(Some(unfit))
            }
        }
    }

    pub(crate) async fn in_worktree(&self, folder: &Path, args: &[&str]) -> Result<(), GitError> {
        let admin = self.admin_of(folder).await?;
        let call = crate::command::Call::new(["--git-dir"]).arg(admin).arg("--work-tree").arg(folder);
        self.git.ok(call.within(folder).args(args)).await?;
        Ok(())
    }

    /// Puts a worktree's `HEAD` on a branch and makes its index match a commit. Its files stay as they are.
    /// The index is swapped in whole, past any lock that a killed process left.
    pub async fn worktree_settle(
        &self,
        folder: &Path,
        branch: &str,
        commit: &CommitId,
    ) -> Result<(), GitError> {
        let folder = real(folder);
        let admin = self.admin_of(&folder).await?;
        let head = full_name(branch)?;
        self.in_worktree(&folder, &["symbolic-ref", "HEAD", &head]).await?;
        let scratch = tempfile::Builder::new()
            .prefix("qd-index-")
            .tempdir_in(&admin)
            .map_err(GitError::io("making a folder for an index", &admin))?;
        let index = scratch.path().join("index");
        let call = |args: &[&str]| {
            let call = crate::command::Call::new(["--git-dir"]).arg(&admin).arg("--work-tree").arg(&folder);
            call.env("GIT_INDEX_FILE", &index).within(&folder).args(args)
        };
        self.git.ok(call(&["read-tree", commit.as_str()])).await?;
        let done = self.git.run(call(&["update-index", "-q", "--refresh"])).await?;
        // 1: some files differ from the commit, which is theirs to do.
        if !matches!(done.code, Some(0 | 1)) {
            return Err(done.failed());
        }
        let to = admin.join("index");
        tokio::fs::rename(&index, &to).await.map_err(GitError::io("putting an index in place", to))
    }

    /// Makes a worktree's files and index those of a tree. What is tracked and differs is overwritten, what the tree
    /// has not goes; files that are not tracked stay. `HEAD` stays where it is.
    pub async fn worktree_show(&self, folder: &Path, tree: &crate::TreeId) -> Result<(), GitError> {
        self.in_worktree(&real(folder), &["read-tree", "--reset", "-u", &tree.to_string()]).await
    }

    /// How a worktree is.
    pub async fn worktree_state(&self, folder: &Path) -> Result<WorktreeState, GitError> {
        let folder = real(folder);
        if !is_folder(&folder).await {
            return Ok(WorktreeState::Missing);
        }
        let Some(admin) = self.worktree_admin(&folder).await? else { return Ok(WorktreeState::Broken) };
        let linked = line_of(&folder.join(".git")).await == Some(format!("gitdir: {}", admin.display()));
        if !linked || line_of(&admin.join("HEAD")).await.is_none() {
            return Ok(WorktreeState::Broken);
        }
        // A check-out writes its index at its end.
        let indexed = tokio::fs::symlink_metadata(admin.join("index")).await.is_ok();
        Ok(if indexed { WorktreeState::Sound } else { WorktreeState::Unfinished })
    }

    /// What a worktree stands at; none if it is not registered or its `HEAD` makes no sense.
    pub async fn worktree_head(&self, folder: &Path) -> Result<Option<Head>, GitError> {
        let Some(admin) = self.worktree_admin(folder).await? else { return Ok(None) };
        let Some(line) = line_of(&admin.join("HEAD")).await else { return Ok(None) };
        if let Some(name) = line.strip_prefix("ref: ") {
            let Ok(name) = full_name(name) else { return Ok(None) };
            let commit = self.resolve(&name).await?;
            return Ok(Some(Head { branch: name.strip_prefix("refs/heads/").map(str::to_owned), commit }));
        }
        let Ok(id) = commit_id(&line) else { return Ok(None) };
        Ok(Some(Head { branch: None, commit: self.resolve(id.as_str()).await? }))
    }

    /// The registration's folder, found by what it says rather than by its name, which git makes unique.
    pub async fn worktree_admin(&self, folder: &Path) -> Result<Option<PathBuf>, GitError> {
        let link = real(folder).join(".git").display().to_string();
        let all = self.folder().join("worktrees");
        let mut entries = match tokio::fs::read_dir(&all).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(GitError::io("listing worktrees", all)(error)),
        };
        while let Some(entry) = entries.next_entry().await.map_err(GitError::io("listing worktrees", &all))? {
            if line_of(&entry.path().join("gitdir")).await.is_some_and(|line| line == link) {
                return Ok(Some(entry.path()));
            }
        }
        Ok(None)
    }

    pub(crate) async fn admin_of(&self, folder: &Path) -> Result<PathBuf, GitError> {
        let admin = self.worktree_admin(folder).await?;
        admin.ok_or_else(|| GitError::Parse {
            what: "a worktree's folder",
            text: folder.display().to_string(),
        })
    }

    /// Removes a worktree's folder with all that is in it, and its registration. Either may be gone already.
    pub async fn worktree_remove(&self, folder: &Path) -> Result<(), GitError> {
        remove_all(folder).await?;
        let _turn = self.turn(Lane::Worktrees).await;
        if let Some(admin) = self.worktree_admin(folder).await? {
            remove_all(&admin).await?;
        }
        Ok(())
    }

    /// Forgets registrations whose folder is gone.
    pub async fn worktree_prune(&self) -> Result<(), GitError> {
        let _turn = self.turn(Lane::Worktrees).await;
        self.git.ok(self.call(["worktree", "prune", "--expire=now"])).await?;
        Ok(())
    }

    /// All registered worktrees, in git's order; the first is the repository itself.
    pub async fn worktree_list(&self) -> Result<Vec<WorktreeEntry>, GitError> {
        let text = self.git.text(self.call(["worktree", "list", "--porcelain", "-z"])).await?;
        let mut found: Vec<WorktreeEntry> = Vec::new();
        for line in text.split('\0') {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match (key, found.last_mut()) {
                ("worktree", _) => {
                    found.push(WorktreeEntry { path: value.into(), head: None, branch: None, bare: false });
                }
                // All zeros: a HEAD that can't be resolved.
                ("HEAD", Some(entry)) => {
                    entry.head = value.parse().ok().filter(|_| value.contains(|c| c != '0'));
                }
                ("branch", Some(entry)) => {
                    entry.branch = value.strip_prefix("refs/heads/").map(str::to_owned);
                }
                ("bare", Some(entry)) => entry.bare = true,
                _ => {}
            }
        }
        Ok(found)
    }
}
