//! Steps that many contracts share: a branch, a pull request, green checks, a merge.
//! Not a contract by itself: a step that fails is a panic of the contract that took it.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;
use qd_core::forge::{
    Check, Conclusion, Forge, ForgeError, Marker, MergeMethod, MergeOrder, NewIssue, NewPullRequest,
    PullRequest, PullRequestState,
};
use qd_types::{CommitId, Merge, RepositoryName};

use crate::{ForgeHarness, granted};

/// A text that no other step, and no earlier run against the same service, has used.
pub(crate) fn unique(word: &str) -> String {
    static STARTED: OnceLock<i64> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let started = STARTED.get_or_init(|| Timestamp::now().as_millisecond());
    format!("{word}-{started:x}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One check that says `conclusion`.
pub(crate) fn check(name: &str, conclusion: Conclusion) -> Check {
    Check::new(name, conclusion)
}

/// The text of a refusal; anything else fails the contract.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, ForgeError>) -> String {
    match result {
        Err(ForgeError::Refused { reason }) => {
            assert!(!reason.is_empty(), "a refusal says why");
            reason
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// What is said not to be there; anything else fails the contract.
#[track_caller]
pub(crate) fn missing<T: std::fmt::Debug>(result: Result<T, ForgeError>) -> String {
    match result {
        Err(ForgeError::NotFound { what }) => what,
        other => panic!("expected that it is not found, got {other:?}"),
    }
}

pub(crate) struct Scene<'a>(pub(crate) &'a dyn ForgeHarness);

impl Scene<'_> {
    pub(crate) fn forge(&self) -> &dyn Forge {
        self.0.forge()
    }

    pub(crate) fn repository(&self) -> &RepositoryName {
        self.0.repository()
    }

    /// Where the target branch stands.
    pub(crate) async fn base(&self) -> CommitId {
        self.forge().branch_head(self.repository(), self.0.target()).await.unwrap()
    }

    /// A branch of one commit on top of the target.
    pub(crate) async fn branch(&self, files: &[(&str, &str)]) -> (String, CommitId) {
        let (name, base) = (unique("qd/branch"), self.base().await);
        let head = self.0.push(&name, &base, files).await;
        (name, head)
    }

    /// What a pull request from `branch` to the target says, with a marker of its own.
    pub(crate) fn proposal(&self, branch: &str) -> NewPullRequest {
        NewPullRequest {
            repository: self.repository().clone(),
            branch: branch.to_owned(),
            target: self.0.target().to_owned(),
            title: format!("Change of {branch}"),
            body: "Why it is wanted.\n\n- and how".to_owned(),
            draft: false,
            labels: Vec::new(),
            milestone: None,
            marker: Marker(unique("marker")),
        }
    }

    /// An open pull request with one commit that adds a file of its own.
    pub(crate) async fn pull_request(&self) -> PullRequest {
        let file = unique("file.txt");
        self.pull_request_with(&[(&file, "one\n")]).await
    }

    pub(crate) async fn pull_request_with(&self, files: &[(&str, &str)]) -> PullRequest {
        let (branch, _) = self.branch(files).await;
        self.forge().open_pull_request(&self.proposal(&branch)).await.unwrap()
    }

    /// Reports one passed check for the head.
    pub(crate) async fn green(&self, of: &PullRequest) {
        let checks = [check("test", Conclusion::Success)];
        self.forge().report_checks(self.repository(), &of.head, &checks).await.unwrap();
    }

    /// The order to merge it as it stands, onto the target as it stands.
    pub(crate) async fn order(&self, of: &PullRequest, method: MergeMethod) -> MergeOrder {
        MergeOrder {
            repository: self.repository().clone(),
            number: of.number,
            head: of.head.clone(),
            base: self.base().await,
            method,
            title: format!("{} (#{})", of.title, of.number),
        }
    }

    /// Merges with a grant for exactly this order.
    pub(crate) async fn merge(&self, order: &MergeOrder) -> Result<CommitId, ForgeError> {
        let spent = granted(Merge {
            repository: order.repository.clone(),
            pull_request: order.number,
            target: self.0.target().to_owned(),
            head: order.head.clone(),
            diff: "d".repeat(64),
            paths: None,
        });
        self.forge().merge(&spent, order).await
    }

    /// Opens, passes and merges a pull request of these files.
    pub(crate) async fn land(&self, files: &[(&str, &str)]) -> (PullRequest, CommitId) {
        let opened = self.pull_request_with(files).await;
        self.green(&opened).await;
        let order = self.order(&opened, MergeMethod::Merge).await;
        let merged = self.merge(&order).await.unwrap();
        (self.reread(&opened).await, merged)
    }

    pub(crate) async fn reread(&self, of: &PullRequest) -> PullRequest {
        self.forge().pull_request(self.repository(), of.number).await.unwrap()
    }

    /// After a refusal: the pull request is open, nothing was merged, the target stands where it stood.
    pub(crate) async fn nothing_happened(&self, of: &PullRequest, base: &CommitId) {
        let now = self.reread(of).await;
        assert_eq!((now.state, now.merged), (PullRequestState::Open, None), "a refusal changes nothing");
        assert_eq!(self.base().await, *base, "a refusal leaves the target branch alone");
    }

    /// What an issue says, with a marker of its own.
    pub(crate) fn issue(&self, labels: &[&str], milestone: Option<&str>) -> NewIssue {
        NewIssue {
            repository: self.repository().clone(),
            title: unique("Issue"),
            body: "What is wrong.".to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            milestone: milestone.map(str::to_owned),
            marker: Marker(unique("marker")),
        }
    }
}
