//! A Forge that has nothing and a Chat that takes everything: for tests and measures that are about something else.

use async_trait::async_trait;
use qd_core::{
    chat::{Chat, ChatError, Delivered, Message},
    forge::{
        Brought, Check, Comment, Forge, ForgeError, Issue, Marker, MergeOrder, Milestone, NewIssue,
        NewPullRequest, PullRequest,
    },
};
use qd_types::{CommitId, RepositoryName, SpentGrant};

/// A Forge without repositories.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

/// A Chat in which nobody reads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

#[async_trait]
impl Chat for Quiet {
    async fn put(&self, message: &Message) -> Result<Delivered, ChatError> {
        Ok(Delivered { id: message.key.0.clone(), at: jiff::Timestamp::now() })
    }
}

fn nothing<T>() -> Result<T, ForgeError> {
    Err(ForgeError::Refused { reason: "There is nothing on this forge.".to_owned() })
}

#[async_trait]
impl Forge for Nowhere {
    async fn open_pull_request(&self, _: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        nothing()
    }

    async fn find_pull_request(
        &self,
        _: &RepositoryName,
        _: &Marker,
    ) -> Result<Option<PullRequest>, ForgeError> {
        nothing()
    }

    async fn pull_request(&self, _: &RepositoryName, _: u64) -> Result<PullRequest, ForgeError> {
        nothing()
    }

    async fn pull_requests(&self, _: &RepositoryName) -> Result<Vec<PullRequest>, ForgeError> {
        nothing()
    }

    async fn close_pull_request(&self, _: &RepositoryName, _: u64) -> Result<(), ForgeError> {
        nothing()
    }

    async fn set_draft(&self, _: &RepositoryName, _: u64, _: bool) -> Result<(), ForgeError> {
        nothing()
    }

    async fn merge(&self, _: &SpentGrant, _: &MergeOrder) -> Result<CommitId, ForgeError> {
        nothing()
    }

    async fn rebuild_merge(
        &self,
        _: &RepositoryName,
        _: u64,
        _: &CommitId,
        _: &CommitId,
        _: &CommitId,
    ) -> Result<Brought, ForgeError> {
        nothing()
    }

    async fn branch_head(&self, _: &RepositoryName, _: &str) -> Result<CommitId, ForgeError> {
        nothing()
    }

    async fn delete_branch(&self, _: &RepositoryName, _: &str, _: &CommitId) -> Result<(), ForgeError> {
        nothing()
    }

    async fn report_checks(&self, _: &RepositoryName, _: &CommitId, _: &[Check]) -> Result<(), ForgeError> {
        nothing()
    }

    async fn checks(&self, _: &RepositoryName, _: &CommitId) -> Result<Vec<Check>, ForgeError> {
        nothing()
    }

    async fn put_comment(
        &self,
        _: &RepositoryName,
        _: u64,
        _: &Marker,
        _: &str,
    ) -> Result<Comment, ForgeError> {
        nothing()
    }

    async fn settle_thread(
        &self,
        _: &RepositoryName,
        _: u64,
        _: &str,
        _: &Marker,
        _: &str,
    ) -> Result<(), ForgeError> {
        nothing()
    }

    async fn comments(&self, _: &RepositoryName, _: u64) -> Result<Vec<Comment>, ForgeError> {
        nothing()
    }

    async fn open_issue(&self, _: &NewIssue) -> Result<Issue, ForgeError> {
        nothing()
    }

    async fn issue(&self, _: &RepositoryName, _: u64) -> Result<Issue, ForgeError> {
        nothing()
    }

    async fn issues(&self, _: &RepositoryName) -> Result<Vec<Issue>, ForgeError> {
        nothing()
    }

    async fn close_issue(&self, _: &RepositoryName, _: u64) -> Result<(), ForgeError> {
        nothing()
    }

    async fn set_labels(&self, _: &RepositoryName, _: u64, _: &[String]) -> Result<(), ForgeError> {
        nothing()
    }

    async fn open_milestone(&self, _: &RepositoryName, _: &str) -> Result<Milestone, ForgeError> {
        nothing()
    }

    async fn milestones(&self, _: &RepositoryName) -> Result<Vec<Milestone>, ForgeError> {
        nothing()
    }
}
