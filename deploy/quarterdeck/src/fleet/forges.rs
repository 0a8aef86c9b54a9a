//! The forges of a fleet as one: each repository is on one of them. And what instances push to GitHub with.

use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use qd_core::forge::{
    Brought, Check, Comment, Forge, ForgeError, Issue, Marker, MergeOrder, Milestone, NewIssue,
    NewPullRequest, PullRequest,
};
use qd_forge_local::LocalForge;
use qd_github::GitHub;
use qd_hub::Credentials;
use qd_types::{CommitId, InstanceName, RepositoryName, SpentGrant};

use super::FleetPlan;

/// The embedded forge, and GitHub for the repositories that are there. Cheap to clone.
#[derive(Clone)]
pub struct Forges {
    /// The embedded one.
    pub local: LocalForge,
    /// GitHub, if it is used.
    pub github: Option<GitHub>,
}

impl Forges {
    fn of(&self, repository: &RepositoryName) -> &dyn Forge {
        match self.github.as_ref().filter(|github| github.place(repository).is_some()) {
            Some(github) => github,
            None => &self.local,
        }
    }
}

/// Tokens for pushes, for teams that work in the repository.
pub(super) struct PushTokens {
    pub(super) forges: Forges,
    pub(super) plan: Arc<RwLock<FleetPlan>>,
}

#[async_trait]
impl Credentials for PushTokens {
    async fn credential(&self, instance: &InstanceName, repository: &str) -> Result<Vec<u8>, String> {
        let name: RepositoryName =
            repository.parse().map_err(|error: qd_types::IdError| error.to_string())?;
        let works = {
            let plan = self.plan.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            plan.teams.iter().any(|team| team.id == *instance && team.repositories.contains(&name))
        };
        if !works {
            return Err(format!("the team {instance} does not work in {name}"));
        }
        let Some(github) = self.forges.github.as_ref().filter(|github| github.place(&name).is_some()) else {
            return Err(format!("{name} is on the embedded forge, which needs no credential"));
        };
        let credential = github.push_credential(&name).await.map_err(|error| error.to_string())?;
        tracing::info!(%instance, repository = %name, "a team has a token to push");
        serde_json::to_vec(&credential).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Forge for Forges {
    async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        self.of(&new.repository).open_pull_request(new).await
    }

    async fn find_pull_request(
        &self,
        repository: &RepositoryName,
        marker: &Marker,
    ) -> Result<Option<PullRequest>, ForgeError> {
        self.of(repository).find_pull_request(repository, marker).await
    }

    async fn pull_request(
        &self,
        repository: &RepositoryName,
        number: u64,
    ) -> Result<PullRequest, ForgeError> {
        self.of(repository).pull_request(repository, number).await
    }

    async fn pull_requests(&self, repository: &RepositoryName) -> Result<Vec<PullRequest>, ForgeError> {
        self.of(repository).pull_requests(repository).await
    }

    async fn close_pull_request(&self, repository: &RepositoryName, number: u64) -> Result<(), ForgeError> {
        self.of(repository).close_pull_request(repository, number).await
    }

    async fn set_draft(
        &self,
        repository: &RepositoryName,
        number: u64,
        draft: bool,
    ) -> Result<(), ForgeError> {
        self.of(repository).set_draft(repository, number, draft).await
    }

    async fn merge(&self, spent: &SpentGrant, order: &MergeOrder) -> Result<CommitId, ForgeError> {
        self.of(&order.repository).merge(spent, order).await
    }

    async fn rebuild_merge(
        &self,
        repository: &RepositoryName,
        number: u64,
        reviewed: &CommitId,
        tested: &CommitId,
        base: &CommitId,
    ) -> Result<Brought, ForgeError> {
        self.of(repository).rebuild_merge(repository, number, reviewed, tested, base).await
    }

    async fn branch_head(&self, repository: &RepositoryName, branch: &str) -> Result<CommitId, ForgeError> {
        self.of(repository).branch_head(repository, branch).await
    }

    async fn delete_branch(
        &self,
        repository: &RepositoryName,
        branch: &str,
        head: &CommitId,
    ) -> Result<(), ForgeError> {
        self.of(repository).delete_branch(repository, branch, head).await
    }

    async fn report_checks(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        checks: &[Check],
    ) -> Result<(), ForgeError> {
        self.of(repository).report_checks(repository, commit, checks).await
    }

    async fn checks(&self, repository: &RepositoryName, commit: &CommitId) -> Result<Vec<Check>, ForgeError> {
        self.of(repository).checks(repository, commit).await
    }

    async fn put_comment(
        &self,
        repository: &RepositoryName,
        number: u64,
        marker: &Marker,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        self.of(repository).put_comment(repository, number, marker, body).await
    }

    async fn settle_thread(
        &self,
        repository: &RepositoryName,
        number: u64,
        thread: &str,
        marker: &Marker,
        body: &str,
    ) -> Result<(), ForgeError> {
        self.of(repository).settle_thread(repository, number, thread, marker, body).await
    }

    async fn comments(&self, repository: &RepositoryName, number: u64) -> Result<Vec<Comment>, ForgeError> {
        self.of(repository).comments(repository, number).await
    }

    async fn open_issue(&self, new: &NewIssue) -> Result<Issue, ForgeError> {
        self.of(&new.repository).open_issue(new).await
    }

    async fn issue(&self, repository: &RepositoryName, number: u64) -> Result<Issue, ForgeError> {
        self.of(repository).issue(repository, number).await
    }

    async fn issues(&self, repository: &RepositoryName) -> Result<Vec<Issue>, ForgeError> {
        self.of(repository).issues(repository).await
    }

    async fn close_issue(&self, repository: &RepositoryName, number: u64) -> Result<(), ForgeError> {
        self.of(repository).close_issue(repository, number).await
    }

    async fn set_labels(
        &self,
        repository: &RepositoryName,
        number: u64,
        labels: &[String],
    ) -> Result<(), ForgeError> {
        self.of(repository).set_labels(repository, number, labels).await
    }

    async fn open_milestone(
        &self,
        repository: &RepositoryName,
        title: &str,
    ) -> Result<Milestone, ForgeError> {
        self.of(repository).open_milestone(repository, title).await
    }

    async fn milestones(&self, repository: &RepositoryName) -> Result<Vec<Milestone>, ForgeError> {
        self.of(repository).milestones(repository).await
    }
}
