//! A forge that says what it is told to say, and keeps what it was told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_core::forge::{
    Brought, Check, Comment, Forge, ForgeError, Issue, Marker, MergeOrder, Milestone, NewIssue,
    NewPullRequest, PullRequest, PullRequestState,
};
use qd_types::{CommitId, RepositoryName, SpentGrant};

use crate::support::{brought, commit};

/// What the forge says, in turn.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) rebuilt: VecDeque<Result<Brought, ForgeError>>,
    pub(crate) merged: VecDeque<Result<CommitId, ForgeError>>,
    pub(crate) merges: u32,
    /// Somebody merged another head, by hand.
    pub(crate) elsewhere: bool,
    /// It takes no comments: refuses them, or does not answer.
    pub(crate) mute: Option<ForgeError>,
    pub(crate) draft: bool,
    /// What it was told, in order.
    pub(crate) told: Vec<String>,
    /// Comments, each with the pull request that it stands on and the marker that it is known by.
    pub(crate) comments: Vec<(u64, Marker, String)>,
}

impl Scripted {
    fn tell(&self, what: String) {
        self.0.lock().unwrap().told.push(what);
    }

    /// What it was told that begins so.
    pub(crate) fn told(&self, begins: &str) -> Vec<String> {
        self.0.lock().unwrap().told.iter().filter(|what| what.starts_with(begins)).cloned().collect()
    }
}

#[derive(Clone, Default)]
pub(crate) struct Scripted(pub(crate) Arc<Mutex<Script>>);

fn nowhere<T>() -> Result<T, ForgeError> {
    Err(ForgeError::Refused { reason: "This forge can't do that.".into() })
}

#[async_trait]
impl Forge for Scripted {
    async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        self.pull_request(&new.repository, 7).await
    }
    async fn find_pull_request(
        &self,
        _: &RepositoryName,
        _: &Marker,
    ) -> Result<Option<PullRequest>, ForgeError> {
        nowhere()
    }
    async fn pull_request(
        &self,
        repository: &RepositoryName,
        number: u64,
    ) -> Result<PullRequest, ForgeError> {
        let elsewhere = self.0.lock().unwrap().elsewhere;
        Ok(PullRequest {
            repository: repository.clone(),
            number,
            branch: "qd/alpha/A-1".into(),
            target: "main".into(),
            title: String::new(),
            body: String::new(),
            state: if elsewhere { PullRequestState::Merged } else { PullRequestState::Open },
            draft: self.0.lock().unwrap().draft,
            head: commit(if elsewhere { '6' } else { '5' }),
            merged: elsewhere.then(|| commit('8')),
            labels: Vec::new(),
            milestone: None,
        })
    }
    async fn pull_requests(&self, _: &RepositoryName) -> Result<Vec<PullRequest>, ForgeError> {
        nowhere()
    }
    async fn close_pull_request(&self, _: &RepositoryName, _: u64) -> Result<(), ForgeError> {
        Ok(())
    }
    async fn set_draft(&self, _: &RepositoryName, _: u64, draft: bool) -> Result<(), ForgeError> {
        self.0.lock().unwrap().draft = draft;
        self.tell(format!("draft {draft}"));
        Ok(())
    }
    async fn merge(&self, spent: &SpentGrant, _: &MergeOrder) -> Result<CommitId, ForgeError> {
        let _paid = spent.grant();
        let mut script = self.0.lock().unwrap();
        script.merges += 1;
        assert!(!script.draft, "a draft is not merged");
        script.told.push("merge".to_owned());
        script.merged.pop_front().unwrap()
    }
    async fn rebuild_merge(
        &self,
        _: &RepositoryName,
        _: u64,
        _: &CommitId,
        _: &CommitId,
        _: &CommitId,
    ) -> Result<Brought, ForgeError> {
        self.0.lock().unwrap().rebuilt.pop_front().unwrap_or_else(|| Ok(brought('d', "src/lib.rs")))
    }
    async fn branch_head(&self, _: &RepositoryName, _: &str) -> Result<CommitId, ForgeError> {
        nowhere()
    }
    async fn delete_branch(
        &self,
        _: &RepositoryName,
        branch: &str,
        head: &CommitId,
    ) -> Result<(), ForgeError> {
        self.tell(format!("delete {branch} at {}", head.short()));
        Ok(())
    }
    async fn report_checks(
        &self,
        _: &RepositoryName,
        commit: &CommitId,
        checks: &[Check],
    ) -> Result<(), ForgeError> {
        for check in checks {
            self.tell(format!("check {} of {} {:?}", check.name, commit.short(), check.conclusion));
        }
        Ok(())
    }
    async fn checks(&self, _: &RepositoryName, _: &CommitId) -> Result<Vec<Check>, ForgeError> {
        nowhere()
    }
    async fn put_comment(
        &self,
        _: &RepositoryName,
        number: u64,
        marker: &Marker,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        if let Some(error) = self.0.lock().unwrap().mute.clone() {
            return Err(error);
        }
        self.tell(format!("comment #{number} {}: {}", marker.0, body.lines().next().unwrap_or_default()));
        let mut forge = self.0.lock().unwrap();
        forge.comments.retain(|(on, with, _)| (*on, with) != (number, marker));
        forge.comments.push((number, marker.clone(), body.to_owned()));
        Ok(Comment { id: 1, body: body.to_owned(), at: Timestamp::UNIX_EPOCH })
    }
    async fn settle_thread(
        &self,
        _: &RepositoryName,
        _: u64,
        _: &str,
        _: &Marker,
        _: &str,
    ) -> Result<(), ForgeError> {
        nowhere()
    }
    async fn comments(&self, _: &RepositoryName, _: u64) -> Result<Vec<Comment>, ForgeError> {
        nowhere()
    }
    async fn open_issue(&self, _: &NewIssue) -> Result<Issue, ForgeError> {
        nowhere()
    }
    async fn issue(&self, _: &RepositoryName, _: u64) -> Result<Issue, ForgeError> {
        nowhere()
    }
    async fn issues(&self, _: &RepositoryName) -> Result<Vec<Issue>, ForgeError> {
        nowhere()
    }
    async fn close_issue(&self, _: &RepositoryName, _: u64) -> Result<(), ForgeError> {
        nowhere()
    }
    async fn set_labels(&self, _: &RepositoryName, _: u64, _: &[String]) -> Result<(), ForgeError> {
        nowhere()
    }
    async fn open_milestone(&self, _: &RepositoryName, _: &str) -> Result<Milestone, ForgeError> {
        nowhere()
    }
    async fn milestones(&self, _: &RepositoryName) -> Result<Vec<Milestone>, ForgeError> {
        nowhere()
    }
}
