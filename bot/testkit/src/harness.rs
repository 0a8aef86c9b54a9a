//! What an adapter's tests bring along: a forge, a repository on it, and git access from outside,
//! as an instance has it. Not the forge's own view of git: the contract compares the two.

use std::collections::BTreeMap;

use async_trait::async_trait;
use qd_core::forge::Forge;
use qd_types::{CommitId, RepositoryName};

/// A commit as git shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitView {
    /// First parent first.
    pub parents: Vec<CommitId>,
    /// First line of its message.
    pub title: String,
    /// Content by path.
    pub files: BTreeMap<String, String>,
}

/// One forge with one repository that has a target branch with at least one commit.
#[async_trait]
pub trait ForgeHarness: Send + Sync {
    /// The adapter under test.
    fn forge(&self) -> &dyn Forge;

    /// The repository that the contracts may fill.
    fn repository(&self) -> &RepositoryName;

    /// The branch that pull requests go to.
    fn target(&self) -> &str;

    /// Makes a commit on top of `parent` with these files written (path, content), and pushes it to `branch`,
    /// whatever stood there. Returns the commit.
    async fn push(&self, branch: &str, parent: &CommitId, files: &[(&str, &str)]) -> CommitId;

    /// Makes the merge commit of `first` and `second`, parents in that order, with the files that git's own merge
    /// gives and `files` written on top, and pushes it to `branch`. In a conflict the side of `second` is taken.
    async fn push_merge(
        &self,
        branch: &str,
        first: &CommitId,
        second: &CommitId,
        files: &[(&str, &str)],
    ) -> CommitId;

    /// Pushes a commit that is there to `branch`, whatever stood there.
    async fn point(&self, branch: &str, commit: &CommitId);

    /// Reads a commit that is on some branch of the forge.
    async fn commit(&self, id: &CommitId) -> CommitView;
}
