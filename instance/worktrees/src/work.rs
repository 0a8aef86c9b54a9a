//! What a run makes of its worktree: the candidate, the branch's move, merges. Not the push: see `mirror`.

use qd_git::{Merge, NewCommit, Repo, TreeId};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{
    GitWorktrees, Merged, Stamp, Worktree, WorktreeError,
    care::lfs::refuse_content,
    error::git,
    mirror::{record, swap},
};

/// The tree of a worktree's files as they are. Files that the worktree's own head has count even if ignored.
pub(crate) async fn tree_now(
    mirror: &Repo,
    folder: &std::path::Path,
    otherwise: Option<&CommitId>,
) -> Result<TreeId, WorktreeError> {
    let head = mirror.worktree_head(folder).await.map_err(git("reading a worktree's head"))?;
    let seed = head.and_then(|head| head.commit);
    mirror
        .write_tree(folder, seed.as_ref().or(otherwise))
        .await
        .map_err(git("taking down a worktree's files"))
}

pub(crate) async fn tree_of(mirror: &Repo, commit: &CommitId) -> Result<Option<TreeId>, WorktreeError> {
    Ok(mirror.commit(commit).await.map_err(git("reading a commit"))?.map(|commit| commit.tree))
}

impl GitWorktrees {
    pub(crate) async fn find_worktree(
        &self,
        repository: &RepositoryName,
        run: &RunId,
    ) -> Result<Option<Worktree>, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let known = record(&mirror, run).await?;
        let path = self.layout.worktree(run);
        Ok(known.branch.zip(known.base).map(|(branch, base)| Worktree { path, branch, base }))
    }

    pub(crate) async fn need_worktree(
        &self,
        repository: &RepositoryName,
        run: &RunId,
    ) -> Result<Worktree, WorktreeError> {
        let missing = || WorktreeError::NoWorktree { repository: repository.clone(), run: run.clone() };
        let found = self.find_worktree(repository, run).await?.ok_or_else(missing)?;
        if tokio::fs::symlink_metadata(&found.path).await.is_ok() { Ok(found) } else { Err(missing()) }
    }

    pub(crate) async fn base_and_now(
        &self,
        repository: &RepositoryName,
        run: &RunId,
    ) -> Result<(Repo, CommitId, TreeId), WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let worktree = self.need_worktree(repository, run).await?;
        let now = tree_now(&mirror, &worktree.path, Some(&worktree.base)).await?;
        Ok((mirror, worktree.base, now))
    }

    pub(crate) async fn make_candidate(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        message: &str,
        stamp: &Stamp,
    ) -> Result<Option<CommitId>, WorktreeError> {
        let (mirror, base, now) = self.base_and_now(repository, run).await?;
        if tree_of(&mirror, &base).await?.as_ref() == Some(&now) {
            return Ok(None);
        }
        refuse_content(&mirror, &self.layout.worktree(run), &base, &now).await?;
        let parents = [base];
        let new =
            NewCommit { tree: &now, parents: &parents, message, identity: &stamp.identity, at: stamp.at };
        mirror.commit_tree(&new).await.map(Some).map_err(git("making a candidate"))
    }

    pub(crate) async fn move_branch(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        candidate: &CommitId,
    ) -> Result<(), WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let worktree = self.need_worktree(repository, run).await?;
        self.need_commit(&mirror, repository, candidate).await?;
        let _turn = self.turns.take(worktree.path.clone()).await;
        let _work = self.note_work(run).await?;
        self.repair(&mirror, run, &worktree).await?;
        let branch = format!("refs/heads/{}", worktree.branch);
        let at = mirror.resolve(&branch).await.map_err(git("reading the run's branch"))?;
        swap(&mirror, &branch, candidate, at.as_ref()).await?;
        let settled = mirror.worktree_settle(&worktree.path, &worktree.branch, candidate).await;
        settled.map_err(git("settling a worktree on its branch"))
    }

    pub(crate) async fn merge_commits(
        &self,
        repository: &RepositoryName,
        head: &CommitId,
        onto: &CommitId,
        message: &str,
        stamp: &Stamp,
    ) -> Result<Merged, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        for commit in [head, onto] {
            self.need_commit(&mirror, repository, commit).await?;
        }
        for (base, whole) in [(onto, head), (head, onto)] {
            if mirror.is_ancestor(base, whole).await.map_err(git("comparing commits"))? {
                return Ok(Merged::Merged(whole.clone()));
            }
        }
        let tree = match mirror.merge_tree(onto, head).await.map_err(git("merging two commits"))? {
            Merge::Clean(tree) => tree,
            Merge::Conflict { files, .. } => return Ok(Merged::Conflict { files }),
        };
        let parents = [onto.clone(), head.clone()];
        let new =
            NewCommit { tree: &tree, parents: &parents, message, identity: &stamp.identity, at: stamp.at };
        mirror.commit_tree(&new).await.map(Merged::Merged).map_err(git("making a merge"))
    }
}
