//! GitHub as the port Forge: its methods, and what they stand on. What each does is in the modules below.

mod checks;
mod here;
mod merging;
mod pull_requests;
mod threads;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use qd_core::forge::{
    Brought, Check, Comment, Forge, ForgeError, Issue, Marker, MergeOrder, Milestone, NewIssue,
    NewPullRequest, PullRequest,
};
use qd_git::Access;
use qd_types::{CommitId, RepositoryName, SpentGrant};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::{
    app::{Minted, Scope, Tokens},
    client::{CallError, Client, ClientError},
    config::{Config, Place},
    mirror::Mirrors,
    protection::Protections,
};

pub(crate) use here::{Here, branch_part as part_of_branch, part};

/// The user of a token, to git (docs.github.com, "Authenticating as a GitHub App installation", "HTTP-based Git access").
pub(crate) const GIT_USER: &str = "x-access-token";

/// GitHub as a Forge. Clones share it.
#[derive(Clone)]
pub struct GitHub {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) tokens: Tokens,
    pub(crate) places: BTreeMap<RepositoryName, Place>,
    pub(crate) mirrors: Mirrors,
    pub(crate) allow_unprotected: bool,
    pub(crate) protections: Protections,
    pub(crate) written: Mutex<threads::Written>,
    reported: Mutex<checks::Reported>,
    opened: Mutex<pull_requests::Opened>,
    defaults: Mutex<pull_requests::Defaults>,
}

/// What an instance pushes with.
#[derive(Clone, Serialize)]
pub struct PushCredential {
    /// Where it counts.
    pub address: String,
    /// Where the repository is pushed to now, which is elsewhere once it was renamed.
    pub remote: String,
    /// The user.
    pub user: String,
    /// The token.
    pub password: String,
    /// When it ends, in seconds since 1970; none if it does not say.
    pub ends: Option<i64>,
}

impl GitHub {
    /// Opens it; asks GitHub nothing yet. Within a tokio runtime.
    pub fn open(config: Config) -> Result<Self, ClientError> {
        let client = Client::new(&config)?;
        let Config { login, repositories, mirrors, allow_unprotected, .. } = config;
        Ok(Self {
            inner: Arc::new(Inner {
                tokens: Tokens::new(client.clone(), login),
                client,
                places: repositories,
                mirrors: Mirrors { folder: mirrors },
                allow_unprotected,
                protections: Protections::default(),
                written: Mutex::default(),
                reported: Mutex::default(),
                opened: Mutex::default(),
                defaults: Mutex::default(),
            }),
        })
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The client, for what is no act of the port.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The tokens, for the same.
    pub fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    /// Every repository of the fleet that is here.
    pub fn places(&self) -> &BTreeMap<RepositoryName, Place> {
        &self.inner.places
    }

    /// Which repository of GitHub's it is.
    pub fn place(&self, repository: &RepositoryName) -> Option<&Place> {
        self.inner.places.get(repository)
    }

    /// Which repository of the fleet it is.
    pub fn repository(&self, place: &Place) -> Option<&RepositoryName> {
        let same = |one: &Place| one.to_string().eq_ignore_ascii_case(&place.to_string());
        self.inner.places.iter().find(|(_, one)| same(one)).map(|(name, _)| name)
    }

    /// Where a repository is cloned from and pushed to.
    pub fn remote(&self, repository: &RepositoryName) -> Option<String> {
        Some(self.inner.client.addresses().remote(self.place(repository)?))
    }

    pub(crate) fn here<'a>(&'a self, repository: &'a RepositoryName) -> Result<Here<'a>, ForgeError> {
        self.inner.here(repository)
    }

    /// What an instance pushes to a repository with: a token that can do that alone.
    pub async fn push_credential(&self, repository: &RepositoryName) -> Result<PushCredential, ForgeError> {
        let here = self.inner.here(repository)?;
        let minted = here.github.tokens.handed_out(here.place, Scope::Push).await;
        let Minted { bearer, ends, called } = minted.map_err(|error| here.said(error, None))?;
        let addresses = here.github.client.addresses();
        Ok(PushCredential {
            address: addresses.git.clone(),
            remote: addresses.remote(&called),
            user: GIT_USER.to_owned(),
            password: bearer.token().expose_secret().to_owned(),
            ends: ends.map(jiff::Timestamp::as_second),
        })
    }
}

impl Inner {
    pub(crate) fn here<'a>(&'a self, repository: &'a RepositoryName) -> Result<Here<'a>, ForgeError> {
        let place = self.places.get(repository).ok_or_else(|| ForgeError::NotFound {
            what: format!("repository {repository} (github.repositories does not name it)"),
        })?;
        Ok(Here { github: self, repository, place, scope: Scope::Work })
    }

    /// From where git fetches, and with what.
    pub(crate) async fn access(&self, place: &Place) -> Result<(String, Access), CallError> {
        let Minted { bearer, called, .. } = self.tokens.of(place, Scope::Read).await?;
        let addresses = self.client.addresses();
        Ok((addresses.remote(&called), Access::basic(&addresses.git, GIT_USER, &bearer.token())))
    }
}

#[async_trait]
impl Forge for GitHub {
    async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        self.inner.here(&new.repository)?.open_pull_request(new).await
    }

    async fn find_pull_request(
        &self,
        repository: &RepositoryName,
        marker: &Marker,
    ) -> Result<Option<PullRequest>, ForgeError> {
        self.inner.here(repository)?.find_pull_request(marker).await
    }

    async fn pull_request(
        &self,
        repository: &RepositoryName,
        number: u64,
    ) -> Result<PullRequest, ForgeError> {
        self.inner.here(repository)?.pull_request(number).await
    }

    async fn pull_requests(&self, repository: &RepositoryName) -> Result<Vec<PullRequest>, ForgeError> {
        self.inner.here(repository)?.pull_requests().await
    }

    async fn close_pull_request(&self, repository: &RepositoryName, number: u64) -> Result<(), ForgeError> {
        self.inner.here(repository)?.close_pull_request(number).await
    }

    async fn set_draft(
        &self,
        repository: &RepositoryName,
        number: u64,
        draft: bool,
    ) -> Result<(), ForgeError> {
        self.inner.here(repository)?.set_draft(number, draft).await
    }

    async fn merge(&self, spent: &SpentGrant, order: &MergeOrder) -> Result<CommitId, ForgeError> {
        self.inner.here(&order.repository)?.merge(spent.grant().approval(), order).await
    }

    async fn rebuild_merge(
        &self,
        repository: &RepositoryName,
        number: u64,
        reviewed: &CommitId,
        tested: &CommitId,
        base: &CommitId,
    ) -> Result<Brought, ForgeError> {
        self.inner.here(repository)?.rebuild_merge(number, (reviewed, tested, base)).await
    }

    async fn branch_head(&self, repository: &RepositoryName, branch: &str) -> Result<CommitId, ForgeError> {
        self.inner.here(repository)?.branch_head(branch).await
    }

    async fn delete_branch(
        &self,
        repository: &RepositoryName,
        branch: &str,
        head: &CommitId,
    ) -> Result<(), ForgeError> {
        self.inner.here(repository)?.delete_branch(branch, head).await
    }

    async fn report_checks(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        checks: &[Check],
    ) -> Result<(), ForgeError> {
        self.inner.here(repository)?.report_checks(commit, checks).await
    }

    async fn checks(&self, repository: &RepositoryName, commit: &CommitId) -> Result<Vec<Check>, ForgeError> {
        self.inner.here(repository)?.checks(commit).await
    }

    async fn put_comment(
        &self,
        repository: &RepositoryName,
        number: u64,
        marker: &Marker,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        self.inner.here(repository)?.put_comment(number, marker, body).await
    }

    async fn settle_thread(
        &self,
        repository: &RepositoryName,
        number: u64,
        thread: &str,
        marker: &Marker,
        body: &str,
    ) -> Result<(), ForgeError> {
        self.inner.here(repository)?.settle_thread(number, thread, marker, body).await
    }

    async fn comments(&self, repository: &RepositoryName, number: u64) -> Result<Vec<Comment>, ForgeError> {
        self.inner.here(repository)?.comments(number).await
    }

    async fn open_issue(&self, new: &NewIssue) -> Result<Issue, ForgeError> {
        self.inner.here(&new.repository)?.open_issue(new).await
    }

    async fn issue(&self, repository: &RepositoryName, number: u64) -> Result<Issue, ForgeError> {
        self.inner.here(repository)?.issue(number).await
    }

    async fn issues(&self, repository: &RepositoryName) -> Result<Vec<Issue>, ForgeError> {
        self.inner.here(repository)?.issues().await
    }

    async fn close_issue(&self, repository: &RepositoryName, number: u64) -> Result<(), ForgeError> {
        self.inner.here(repository)?.close_issue(number).await
    }

    async fn set_labels(
        &self,
        repository: &RepositoryName,
        number: u64,
        labels: &[String],
    ) -> Result<(), ForgeError> {
        self.inner.here(repository)?.set_labels(number, labels).await
    }

    async fn open_milestone(
        &self,
        repository: &RepositoryName,
        title: &str,
    ) -> Result<Milestone, ForgeError> {
        self.inner.here(repository)?.open_milestone(title).await
    }

    async fn milestones(&self, repository: &RepositoryName) -> Result<Vec<Milestone>, ForgeError> {
        self.inner.here(repository)?.milestones().await
    }
}
