//! The port over git. State is on disk alone: two of these over one folder, one after the other, are as one.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use qd_git::{DiffStat, DiffText, Git, Turns};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{
    Brought, Conflicting, Credentials, Found, Layout, Merged, Purpose, RepositorySpec, Stamp, Worktree,
    WorktreeError, Worktrees,
    error::{git, io},
    pool::Pool,
};

/// Worktrees by git.
#[derive(Debug)]
pub struct GitWorktrees {
    pub(crate) git: Git,
    pub(crate) layout: Layout,
    /// One operation at a time on a folder.
    pub(crate) turns: Turns<PathBuf>,
    /// What the radar found for two commits.
    pub(crate) conflicts: Mutex<HashMap<(CommitId, CommitId), Vec<String>>>,
    pub(crate) pool: Pool,
    /// For repositories on a forge that asks for them.
    pub(crate) credentials: Option<Arc<dyn Credentials>>,
}

impl GitWorktrees {
    /// Over an instance's state folder, which is made if it is not there.
    pub async fn open(git: Git, state: &Path) -> Result<Self, WorktreeError> {
        let make =
            async |path: &Path| tokio::fs::create_dir_all(path).await.map_err(io("making a folder", path));
        make(state).await?;
        // Git writes paths without symbolic links; ours have to be the same.
        let state = tokio::fs::canonicalize(state).await.map_err(io("opening the state folder", state))?;
        let layout = Layout::new(state);
        for folder in [layout.repositories(), layout.worktrees(), layout.checkouts(), layout.trash()] {
            make(&folder).await?;
        }
        for folder in [layout.pool(), layout.records()] {
            make(&folder).await?;
        }
        let (turns, conflicts, pool) = (Turns::default(), Mutex::default(), Pool::default());
        let opened = Self { git, layout, turns, conflicts, pool, credentials: None };
        opened.sweep_pool().await?;
        Ok(opened)
    }

    /// With where credentials are from. They are asked for where a forge is reached over HTTP.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Arc<dyn Credentials>) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Where things are: a sandbox mounts them.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

#[async_trait]
impl Worktrees for GitWorktrees {
    async fn refresh(&self, repository: &RepositorySpec) -> Result<CommitId, WorktreeError> {
        self.refresh_mirror(repository).await
    }

    async fn create(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        branch: &str,
        base: &CommitId,
    ) -> Result<Worktree, WorktreeError> {
        self.create_worktree(repository, run, branch, base).await
    }

    async fn find(
        &self,
        repository: &RepositoryName,
        run: &RunId,
    ) -> Result<Option<Worktree>, WorktreeError> {
        self.find_worktree(repository, run).await
    }

    async fn candidate(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        message: &str,
        stamp: &Stamp,
    ) -> Result<Option<CommitId>, WorktreeError> {
        self.make_candidate(repository, run, message, stamp).await
    }

    async fn commit(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        candidate: &CommitId,
    ) -> Result<(), WorktreeError> {
        self.move_branch(repository, run, candidate).await
    }

    async fn push(
        &self,
        repository: &RepositorySpec,
        branch: &str,
        commit: &CommitId,
        expected: Option<&CommitId>,
    ) -> Result<(), WorktreeError> {
        self.push_commit(repository, branch, commit, expected).await
    }

    async fn checkout(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        purpose: &Purpose,
        commit: &CommitId,
    ) -> Result<PathBuf, WorktreeError> {
        self.make_checkout(repository, run, purpose, commit).await
    }

    async fn drop_checkout(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        purpose: &Purpose,
    ) -> Result<(), WorktreeError> {
        self.remove_checkout(repository, run, purpose).await
    }

    async fn merge_onto(
        &self,
        repository: &RepositoryName,
        head: &CommitId,
        onto: &CommitId,
        message: &str,
        stamp: &Stamp,
    ) -> Result<Merged, WorktreeError> {
        self.merge_commits(repository, head, onto, message, stamp).await
    }

    async fn bring_up(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        head: &CommitId,
        onto: &CommitId,
    ) -> Result<Brought, WorktreeError> {
        self.bring_worktree(repository, run, head, onto).await
    }

    async fn revert(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        commit: &CommitId,
    ) -> Result<Brought, WorktreeError> {
        self.revert_in_worktree(repository, run, commit).await
    }

    async fn diff(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        max: usize,
    ) -> Result<DiffText, WorktreeError> {
        let (mirror, base, now) = self.base_and_now(repository, run).await?;
        mirror.diff_text(&base, &now, max).await.map_err(git("reading a worktree's changes"))
    }

    async fn stat(&self, repository: &RepositoryName, run: &RunId) -> Result<DiffStat, WorktreeError> {
        let (mirror, base, now) = self.base_and_now(repository, run).await?;
        mirror.diff_stat(&base, &now).await.map_err(git("counting a worktree's changes"))
    }

    async fn merge_base(
        &self,
        repository: &RepositoryName,
        one: &CommitId,
        other: &CommitId,
    ) -> Result<Option<CommitId>, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        mirror.merge_base(one, other).await.map_err(git("looking for a merge base"))
    }

    async fn diff_text(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
        max: usize,
    ) -> Result<DiffText, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        mirror.diff_text(base, head, max).await.map_err(git("reading a change"))
    }

    async fn diff_stat(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<DiffStat, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        mirror.diff_stat(base, head).await.map_err(git("counting a change"))
    }

    async fn commit_count(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<u64, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        mirror.commit_count(base, head).await.map_err(git("counting commits"))
    }

    async fn tree_id(&self, repository: &RepositoryName, commit: &CommitId) -> Result<String, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        Ok(self.need_tree(&mirror, repository, commit).await?.to_string())
    }

    async fn file(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        path: &str,
        max: usize,
    ) -> Result<Option<String>, WorktreeError> {
        self.read_file(repository, commit, path, max).await
    }

    async fn with_file(
        &self,
        repository: &RepositoryName,
        parent: &CommitId,
        file: (&str, &str),
        message: &str,
        stamp: &Stamp,
    ) -> Result<CommitId, WorktreeError> {
        self.commit_file(repository, parent, file, message, stamp).await
    }

    async fn branch(
        &self,
        repository: &RepositoryName,
        branch: &str,
    ) -> Result<Option<CommitId>, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let found = mirror.resolve(&format!("{}{branch}", crate::layout::FORGE)).await;
        found.map_err(git("reading a branch of the forge"))
    }

    async fn target(&self, repository: &RepositorySpec) -> Result<Option<CommitId>, WorktreeError> {
        self.known_target(repository).await
    }

    async fn conflicts(
        &self,
        repository: &RepositoryName,
        heads: &[CommitId],
        target: &CommitId,
    ) -> Result<Vec<Conflicting>, WorktreeError> {
        self.find_conflicts(repository, heads, target).await
    }

    async fn texts(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        known: std::collections::BTreeSet<String>,
    ) -> Result<Vec<qd_git::Text>, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        mirror.texts(commit, known).await.map_err(git("reading a repository's documents"))
    }

    async fn diff_digest(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<String, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        mirror.diff_sha256(base, head).await.map_err(git("hashing a change"))
    }

    async fn preserve(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        reason: &str,
        stamp: &Stamp,
    ) -> Result<Option<CommitId>, WorktreeError> {
        self.preserve_run(repository, run, reason, stamp).await
    }

    async fn remove(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        stamp: &Stamp,
    ) -> Result<Option<CommitId>, WorktreeError> {
        self.remove_run(repository, run, stamp).await
    }

    async fn list(&self) -> Result<Vec<Found>, WorktreeError> {
        self.list_all().await
    }
}
