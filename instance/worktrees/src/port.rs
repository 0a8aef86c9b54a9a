//! The port: what a run needs from version control, in a run's words. Not git's whole vocabulary, and no
//! policy on when to do what: that is the run's saga.

use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;
use qd_git::{Access, DiffStat, DiffText, Identity};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{Care, Conflicting, Purpose, WorktreeError};

/// A repository, as the configuration describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositorySpec {
    /// The name that everything here is kept under.
    pub name: RepositoryName,
    /// Path or address of the forge's repository. Never stored, blanked in errors.
    pub remote: String,
    /// The branch that features go to, `main`.
    pub target: String,
}

/// Where the credentials are from that a forge asks for. Whoever has them keeps them in memory alone.
#[async_trait]
pub trait Credentials: std::fmt::Debug + Send + Sync {
    /// What the forge of a repository asks for now.
    ///
    /// # Errors
    /// Why there is none, for people.
    async fn access(&self, repository: &RepositoryName) -> Result<Reach, String>;
    /// The forge did not let it in, or was not reached: another one is to be had the next time.
    async fn forget(&self, repository: &RepositoryName);
}

/// How a forge's repository is reached.
#[derive(Debug, Clone)]
pub struct Reach {
    /// What it asks for.
    pub access: Access,
    /// Where it is now, on the same host; `None` if it is where it was.
    pub remote: Option<String>,
}

/// By whom and when a commit says it was made. Passed in, so that a step that is repeated makes the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Author and committer.
    pub identity: Identity,
    /// When; counted in whole seconds.
    pub at: Timestamp,
}

/// A run's worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// The folder.
    pub path: PathBuf,
    /// The run's branch.
    pub branch: String,
    /// The commit it started from.
    pub base: CommitId,
}

/// What became of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Merged {
    /// A commit that has both.
    Merged(CommitId),
    /// They can't be merged by themselves.
    Conflict {
        /// Paths, sorted.
        files: Vec<String>,
    },
}

/// A worktree that was brought up to what the target holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Files with conflict markers in them, sorted; none if both changes went together.
    pub files: Vec<String>,
    /// The conflicting parts of the files, for whoever resolves them.
    pub hunks: String,
}

/// A worktree or check-out that is on disk, on record, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose.
    pub run: RunId,
    /// What a check-out is for; none for the run's worktree.
    pub purpose: Option<Purpose>,
    /// Which repository's; none if no mirror knows it.
    pub repository: Option<RepositoryName>,
    /// Where it is or would be.
    pub path: PathBuf,
    /// Whether the folder is there.
    pub on_disk: bool,
}

/// Worktrees for runs. Every operation may be repeated after a crash, by another process too.
#[async_trait]
pub trait Worktrees: Care + Send + Sync {
    /// Fetches the forge's branches and gives the head of the target branch.
    async fn refresh(&self, repository: &RepositorySpec) -> Result<CommitId, WorktreeError>;

    /// The run's worktree, on a branch of its own from `base`. One that exists is repaired where needed and
    /// given back with the branch and base that it was made with.
    async fn create(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        branch: &str,
        base: &CommitId,
    ) -> Result<Worktree, WorktreeError>;

    /// The run's worktree as it is on record; none if it was never finished, or is removed.
    async fn find(&self, repository: &RepositoryName, run: &RunId)
    -> Result<Option<Worktree>, WorktreeError>;

    /// Everything in the worktree that is not ignored, as one commit on top of its base; none if that is
    /// what the base has. No branch is moved.
    async fn candidate(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        message: &str,
        stamp: &Stamp,
    ) -> Result<Option<CommitId>, WorktreeError>;

    /// Moves the run's branch to the candidate, and the worktree with it. Files stay as they are.
    async fn commit(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        candidate: &CommitId,
    ) -> Result<(), WorktreeError>;

    /// Puts a commit at a branch of the forge that stands at `expected` (none: is not there yet). Being
    /// there already is fine.
    async fn push(
        &self,
        repository: &RepositorySpec,
        branch: &str,
        commit: &CommitId,
        expected: Option<&CommitId>,
    ) -> Result<(), WorktreeError>;

    /// A fresh check-out of a commit, for checks. One of the same purpose is replaced.
    async fn checkout(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        purpose: &Purpose,
        commit: &CommitId,
    ) -> Result<PathBuf, WorktreeError>;

    /// Removes a check-out. Not being there is fine.
    async fn drop_checkout(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        purpose: &Purpose,
    ) -> Result<(), WorktreeError>;

    /// A commit that has both: `head` if it contains `onto`, `onto` if it contains `head`, else a merge with
    /// the parents `onto` and `head`. No branch is moved.
    async fn merge_onto(
        &self,
        repository: &RepositoryName,
        head: &CommitId,
        onto: &CommitId,
        message: &str,
        stamp: &Stamp,
    ) -> Result<Merged, WorktreeError>;

    /// Puts the run's work, as it is in `head`, on top of `onto`: the worktree then starts from there and holds both,
    /// with conflict markers where they don't go together. The branch on the forge stays as it is.
    async fn bring_up(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        head: &CommitId,
        onto: &CommitId,
    ) -> Result<Brought, WorktreeError>;

    /// Takes back in the worktree what a commit brought to its first parent, with conflict markers where later work
    /// builds on it. What the worktree held is overwritten.
    async fn revert(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        commit: &CommitId,
    ) -> Result<Brought, WorktreeError>;

    /// What the worktree has changed since its base, committed or not, at most `max` bytes of it.
    async fn diff(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        max: usize,
    ) -> Result<DiffText, WorktreeError>;

    /// The same in figures.
    async fn stat(&self, repository: &RepositoryName, run: &RunId) -> Result<DiffStat, WorktreeError>;

    /// The newest commit that both contain; none for unrelated histories.
    async fn merge_base(
        &self,
        repository: &RepositoryName,
        one: &CommitId,
        other: &CommitId,
    ) -> Result<Option<CommitId>, WorktreeError>;

    /// The change between two commits, at most `max` bytes of it.
    async fn diff_text(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
        max: usize,
    ) -> Result<DiffText, WorktreeError>;

    /// The change between two commits in figures.
    async fn diff_stat(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<DiffStat, WorktreeError>;

    /// How many commits a branch holds beyond where it starts.
    async fn commit_count(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<u64, WorktreeError>;

    /// The id of a commit's tree, in hex: the same files, the same id.
    async fn tree_id(&self, repository: &RepositoryName, commit: &CommitId) -> Result<String, WorktreeError>;

    /// A file of a commit as text, at most `max` bytes of it; none if there is none, or it is no text of that length.
    async fn file(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        path: &str,
        max: usize,
    ) -> Result<Option<String>, WorktreeError>;

    /// A commit on top of `parent` that differs in one file, given as its path and its text. No branch is moved.
    async fn with_file(
        &self,
        repository: &RepositoryName,
        parent: &CommitId,
        file: (&str, &str),
        message: &str,
        stamp: &Stamp,
    ) -> Result<CommitId, WorktreeError>;

    /// The head of a branch on the forge as of the last refresh or push; none if it is not there.
    async fn branch(
        &self,
        repository: &RepositoryName,
        branch: &str,
    ) -> Result<Option<CommitId>, WorktreeError>;

    /// The head of the target branch as of the last refresh; none before the first.
    async fn target(&self, repository: &RepositorySpec) -> Result<Option<CommitId>, WorktreeError>;

    /// Which of these heads can't be merged with each other, or with the target: trial merges in memory.
    async fn conflicts(
        &self,
        repository: &RepositoryName,
        heads: &[CommitId],
        target: &CommitId,
    ) -> Result<Vec<Conflicting>, WorktreeError>;

    /// The texts that people read in a commit, by path; those whose content is known come without it.
    async fn texts(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        known: std::collections::BTreeSet<String>,
    ) -> Result<Vec<qd_git::Text>, WorktreeError>;

    /// SHA-256 of the change between two commits, as lower-case hex: what an approval binds.
    async fn diff_digest(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<String, WorktreeError>;

    /// Puts uncommitted, untracked and unpushed work under `refs/quarterdeck/preserved/<run>`. None if the
    /// forge has it all, as far as the last fetch and push tell.
    async fn preserve(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        reason: &str,
        stamp: &Stamp,
    ) -> Result<Option<CommitId>, WorktreeError>;

    /// Preserves, then removes the run's worktree, check-outs and branch. Refused while a process is in one
    /// of the folders. Gives what is preserved of the run, now or from before.
    async fn remove(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        stamp: &Stamp,
    ) -> Result<Option<CommitId>, WorktreeError>;

    /// All worktrees and check-outs there are, by path.
    async fn list(&self) -> Result<Vec<Found>, WorktreeError>;
}
