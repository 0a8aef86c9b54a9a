//! Single files of commits: reading one, and a commit that differs in one. No worktree is involved, so that nothing that an
//! agent left in one is read or written.

use qd_git::NewCommit;
use qd_types::{CommitId, RepositoryName};

use crate::{GitWorktrees, Stamp, WorktreeError, error::git};

impl GitWorktrees {
    pub(crate) async fn read_file(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        path: &str,
        max: usize,
    ) -> Result<Option<String>, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let tree = self.need_tree(&mirror, repository, commit).await?;
        let bytes = mirror.blob_at(&tree, path).await.map_err(git("reading a file of a commit"))?;
        Ok(bytes.filter(|bytes| bytes.len() <= max).and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    pub(crate) async fn commit_file(
        &self,
        repository: &RepositoryName,
        parent: &CommitId,
        (path, text): (&str, &str),
        message: &str,
        stamp: &Stamp,
    ) -> Result<CommitId, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        self.need_commit(&mirror, repository, parent).await?;
        let tree = mirror.tree_with(parent, path, text).await.map_err(git("putting a file into a tree"))?;
        let parents = [parent.clone()];
        let new =
            NewCommit { tree: &tree, parents: &parents, message, identity: &stamp.identity, at: stamp.at };
        mirror.commit_tree(&new).await.map_err(git("committing a file"))
    }
}
