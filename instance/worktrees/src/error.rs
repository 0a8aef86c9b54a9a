//! Why a worktree operation was not done. Nothing is lost in any of these cases, and all may be tried again.

use std::path::PathBuf;

use qd_git::GitError;
use qd_types::{CommitId, RepositoryName, RunId};

use crate::care::room::{Size, Usage};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum WorktreeError {
    /// Git did not do it.
    #[error("{what}")]
    Git {
        /// What was being done.
        what: &'static str,
        /// Why not.
        #[source]
        source: GitError,
    },
    /// A file or folder stood in the way.
    #[error("{what} at {}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The repository was never fetched here.
    #[error("the repository {repository} has no mirror at {}: refresh it first", path.display())]
    NoMirror {
        /// Which.
        repository: RepositoryName,
        /// Where it would be.
        path: PathBuf,
    },
    /// The forge asks for a credential, and there is none.
    #[error("there is no credential for the repository {repository}: {reason}")]
    NoCredential {
        /// Which.
        repository: RepositoryName,
        /// Why.
        reason: String,
    },
    /// The forge's repository has no such branch.
    #[error(
        "the repository {repository} has no branch {target} on the forge: push one, or name another target branch"
    )]
    NoTarget {
        /// Which.
        repository: RepositoryName,
        /// The branch that features go to.
        target: String,
    },
    /// The mirror has no such commit.
    #[error("the mirror of {repository} has no commit {commit}: refresh it first")]
    NoCommit {
        /// Which.
        repository: RepositoryName,
        /// The commit.
        commit: CommitId,
    },
    /// The run has no worktree, or none that was ever finished.
    #[error("the run {run} has no worktree of {repository}: create it first")]
    NoWorktree {
        /// Which.
        repository: RepositoryName,
        /// Whose.
        run: RunId,
    },
    /// The branch has work that is not this run's.
    #[error(
        "the branch {branch} exists at {} with work that nobody else has: take another name, or remove the run it belongs to",
        at.short()
    )]
    BranchTaken {
        /// The branch.
        branch: String,
        /// Where it stands.
        at: CommitId,
    },
    /// Somebody moved a reference in the mirror at this very moment.
    #[error("{reference} was moved meanwhile: try again")]
    Raced {
        /// Which.
        reference: String,
    },
    /// The branch on the forge is not where it was left.
    #[error(
        "{branch} on the forge stands at {}, not at {}: somebody else pushed, or it was deleted",
        short(actual.as_ref()), short(expected.as_ref())
    )]
    RemoteMoved {
        /// The branch.
        branch: String,
        /// Where it was believed to be.
        expected: Option<CommitId>,
        /// Where it is.
        actual: Option<CommitId>,
    },
    /// A process still uses the folder.
    #[error("process {pid} ({command}) is still in {}: end it first", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// The process.
        pid: i32,
        /// Its name.
        command: String,
    },
    /// Nothing of the run is preserved.
    #[error("nothing of the run {run} is preserved in {repository}: `preserved list` names what is")]
    NothingPreserved {
        /// Which.
        repository: RepositoryName,
        /// Whose.
        run: RunId,
    },
    /// What was before the run's agent is not known.
    #[error("the run {run} has no guard: what was before its agent is not known, so nothing can be compared")]
    NoGuard {
        /// Whose.
        run: RunId,
    },
    /// The ignored files to be copied are too large.
    #[error(
        "the ignored files that {patterns:?} names have {bytes} bytes, and {most} are copied at most: \
         name fewer, or share a folder in place of copying it"
    )]
    TooMuchToCopy {
        /// What they have together.
        bytes: u64,
        /// The limit.
        most: u64,
        /// What names them.
        patterns: String,
    },
    /// Content where git LFS wants a pointer.
    #[error(
        "{path} belongs to git LFS and is no pointer: its content can't be stored from here, so take the change \
         back, or have a person commit it with git-lfs"
    )]
    NoPointer {
        /// From the root.
        path: String,
    },
    /// Nothing more can go, and it is still too much.
    #[error(
        "{} are used of {} (mirrors {}, worktrees {}, check-outs {}, shared folders {}), and nothing more can go: \
         raise the quota, stop or finish a run, empty a shared folder, or maintain the mirrors",
        Size(usage.total()), Size(*quota), Size(usage.repositories), Size(usage.worktrees), Size(usage.checkouts),
        Size(usage.caches)
    )]
    OverQuota {
        /// As it is now.
        usage: Usage,
        /// The limit in bytes.
        quota: u64,
        /// How much went all the same, in folders.
        gone: usize,
    },
    /// Something is where a new folder was to be.
    #[error("{} exists already: name a folder that does not", path.display())]
    FolderTaken {
        /// Where.
        path: PathBuf,
    },
    /// A text is no branch's name, or no purpose.
    #[error("{text:?} is not {what}")]
    Name {
        /// What it should have been, with its article.
        what: &'static str,
        /// The text.
        text: String,
    },
}

fn short(commit: Option<&CommitId>) -> &str {
    commit.map_or("nothing", CommitId::short)
}

/// For `map_err` on git.
pub(crate) fn git(what: &'static str) -> impl FnOnce(GitError) -> WorktreeError {
    move |source| WorktreeError::Git { what, source }
}

/// For `map_err` on files.
pub(crate) fn io(
    what: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(std::io::Error) -> WorktreeError {
    let path = path.into();
    move |source| WorktreeError::Io { what, path, source }
}
