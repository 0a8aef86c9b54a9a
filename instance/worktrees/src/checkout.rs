//! Check-outs for checks: fresh, detached, and nothing of value in them.

use std::path::PathBuf;

use qd_git::At;
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{GitWorktrees, Purpose, WorktreeError, error::git};

impl GitWorktrees {
    pub(crate) async fn make_checkout(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        purpose: &Purpose,
        commit: &CommitId,
    ) -> Result<PathBuf, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        self.need_commit(&mirror, repository, commit).await?;
        self.remove_checkout(repository, run, purpose).await?;
        let path = self.layout.checkout(run, purpose);
        let _work = self.note_work(run).await?;
        let _turn = self.turns.take(path.clone()).await;
        let added = mirror.worktree_add(&path, &At::Detached(commit.clone())).await;
        added.map_err(git("checking a commit out"))?;
        Ok(path)
    }

    pub(crate) async fn remove_checkout(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        purpose: &Purpose,
    ) -> Result<(), WorktreeError> {
        let path = self.layout.checkout(run, purpose);
        let _work = self.note_work(run).await?;
        let _turn = self.turns.take(path.clone()).await;
        self.refuse_occupied(std::slice::from_ref(&path)).await?;
        self.discard(&path).await?;
        // Last: while it is registered, it is listed.
        let mirror = self.mirror(repository).await?;
        mirror.worktree_remove(&path).await.map_err(git("removing a check-out"))
    }
}
