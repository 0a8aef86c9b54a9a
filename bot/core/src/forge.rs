//! The port Forge: repositories with pull requests, checks, comments, issues, labels and milestones.
//! It speaks git's and the forge's common words; every adapter passes the contract tests of `qd-testkit`.

use async_trait::async_trait;
use jiff::Timestamp;
use qd_types::{CommitId, RepositoryName, SpentGrant};
use serde::{Deserialize, Serialize};

/// A text that an adapter hides in what it makes, so that a probe can find it again after a crash:
/// making the same thing twice with the same marker gives the first one back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marker(pub String);

/// Open, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullRequestState {
    /// Open.
    Open,
    /// Closed without being merged.
    Closed,
    /// Merged.
    Merged,
}

/// A pull request to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPullRequest {
    /// Where.
    pub repository: RepositoryName,
    /// The pushed branch.
    pub branch: String,
    /// The branch it goes to.
    pub target: String,
    /// One line.
    pub title: String,
    /// Markdown. An issue that it names with a closing word (`Closes #7`) is closed when it is merged.
    pub body: String,
    /// Not to be reviewed or merged yet.
    #[serde(default)]
    pub draft: bool,
    /// Label names; made where they don't exist.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Title of a milestone that exists.
    #[serde(default)]
    pub milestone: Option<String>,
    /// Found again by this.
    pub marker: Marker,
}

/// A pull request as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Where.
    pub repository: RepositoryName,
    /// From 1, counted together with issues.
    pub number: u64,
    /// The branch.
    pub branch: String,
    /// The branch it goes to.
    pub target: String,
    /// One line.
    pub title: String,
    /// Markdown, without the marker.
    pub body: String,
    /// Open, or how it ended.
    pub state: PullRequestState,
    /// Not to be reviewed or merged yet.
    pub draft: bool,
    /// The branch's head now; the last one known once it is no longer open.
    pub head: CommitId,
    /// The commit that merging made, once merged.
    pub merged: Option<CommitId>,
    /// Label names, sorted.
    pub labels: Vec<String>,
    /// Title of its milestone.
    pub milestone: Option<String>,
}

/// How the target branch takes the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeMethod {
    /// A merge commit with both parents.
    Merge,
    /// One commit on top of the target.
    Squash,
}

/// A merge to be made, with its guards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeOrder {
    /// Where.
    pub repository: RepositoryName,
    /// Which.
    pub number: u64,
    /// Refused unless the branch's head is this.
    pub head: CommitId,
    /// Refused unless the target branch stands here.
    pub base: CommitId,
    /// How.
    pub method: MergeMethod,
    /// Title of the commit that is made.
    pub title: String,
}

/// How a check ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Not ended.
    Pending,
    /// Passed.
    Success,
    /// Did not pass.
    Failure,
}

/// A check of one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name: the newest of a name counts.
    pub name: String,
    /// How it ended.
    pub conclusion: Conclusion,
    /// What it says beside that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<CheckText>,
}

impl Check {
    /// A check that says no more than how it ended.
    pub fn new(name: impl Into<String>, conclusion: Conclusion) -> Self {
        Self { name: name.into(), conclusion, text: None }
    }
}

/// What a check says to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckText {
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// Remarks on lines of the commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
}

/// A remark on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// Path in the repository.
    pub path: String,
    /// From 1.
    pub line: u32,
    /// What is remarked, as plain text.
    pub message: String,
}

/// A comment on a pull request or an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The forge's id.
    pub id: u64,
    /// Markdown, without the marker.
    pub body: String,
    /// When it was written or last edited.
    pub at: Timestamp,
}

/// An issue to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewIssue {
    /// Where.
    pub repository: RepositoryName,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Label names; made where they don't exist.
    pub labels: Vec<String>,
    /// Title of a milestone that exists.
    pub milestone: Option<String>,
    /// Found again by this.
    pub marker: Marker,
}

/// An issue as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Where.
    pub repository: RepositoryName,
    /// From 1, counted together with pull requests.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Markdown, without the marker.
    pub body: String,
    /// Whether it is open.
    pub open: bool,
    /// Label names, sorted.
    pub labels: Vec<String>,
    /// Title of its milestone.
    pub milestone: Option<String>,
}

/// A milestone and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milestone {
    /// Unique within the repository.
    pub title: String,
    /// Whether it is open.
    pub open: bool,
    /// Issues and pull requests in it that are open.
    pub open_issues: u64,
    /// Issues and pull requests in it that are closed.
    pub closed_issues: u64,
}

/// What a merge would bring, rebuilt from the repository alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// SHA-256 of the diff, as lower-case hex (`qd_git::Repo::diff_sha256`).
    pub diff: String,
    /// All paths that differ; of a moved file both.
    pub paths: Vec<String>,
}

/// Why the forge did not do it. Except for `Unavailable`, nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// No such thing.
    #[error("{what} is not there")]
    NotFound {
        /// "pull request 7 of sample".
        what: String,
    },
    /// The target branch stands elsewhere.
    #[error("the target branch stands at {actual}")]
    BaseMoved {
        /// Where.
        actual: CommitId,
    },
    /// The branch's head is another.
    #[error("the head of the branch is {actual}")]
    HeadMoved {
        /// Which.
        actual: CommitId,
    },
    /// It can't be merged without conflicts.
    #[error("conflicts in {}", files.join(", "))]
    Conflict {
        /// In these files.
        files: Vec<String>,
    },
    /// The state of the thing forbids it; says why and what would help.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// It takes nothing now, or has it in its own queue: the same comes again later, without anybody.
    #[error("the forge has to be waited for: {reason}")]
    NotNow {
        /// Why.
        reason: String,
    },
    /// It can't be told whether it happened: probe before trying again.
    #[error("the forge did not answer: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// Repositories with pull requests.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Opens a pull request, or gives back the one that carries the marker; its labels and its milestone are seen to. Who
    /// owns the changed files is asked for a review by the forge itself, where it knows them, as soon as it is no draft
    /// (docs.github.com, "About code owners").
    async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError>;
    /// The probe of [`Forge::open_pull_request`].
    async fn find_pull_request(
        &self,
        repository: &RepositoryName,
        marker: &Marker,
    ) -> Result<Option<PullRequest>, ForgeError>;
    /// One pull request. Also the probe of [`Forge::merge`].
    async fn pull_request(&self, repository: &RepositoryName, number: u64)
    -> Result<PullRequest, ForgeError>;
    /// All of one repository, newest first.
    async fn pull_requests(&self, repository: &RepositoryName) -> Result<Vec<PullRequest>, ForgeError>;
    /// Closes without merging. Closing what is closed is fine; what is merged refuses.
    async fn close_pull_request(&self, repository: &RepositoryName, number: u64) -> Result<(), ForgeError>;
    /// Makes an open pull request a draft, or ready for review; what stands so already is left alone.
    async fn set_draft(
        &self,
        repository: &RepositoryName,
        number: u64,
        draft: bool,
    ) -> Result<(), ForgeError>;
    /// Merges with the guards of the order, and closes the issues that the body says it closes. Refuses a draft, and a head whose checks have not all passed, or has none.
    async fn merge(&self, spent: &SpentGrant, order: &MergeOrder) -> Result<CommitId, ForgeError>;
    /// Rebuilds, from the repository alone, what a merge of `tested` would bring: refused unless the pull request's
    /// head is `tested`, the target stands at `base`, and `tested` is either `reviewed` itself with `base` among its
    /// ancestors, or the merge commit of exactly `base` and `reviewed` (in that order) with the tree that git's own
    /// conflict-free merge of the two gives. Answers with what differs between the merge base of
    /// `base` and `reviewed`, and `reviewed`.
    async fn rebuild_merge(
        &self,
        repository: &RepositoryName,
        number: u64,
        reviewed: &CommitId,
        tested: &CommitId,
        base: &CommitId,
    ) -> Result<Brought, ForgeError>;
    /// Where a branch stands.
    async fn branch_head(&self, repository: &RepositoryName, branch: &str) -> Result<CommitId, ForgeError>;
    /// Removes a branch that stands at `head`; one that is gone is fine. The target of the repository, and what an open
    /// pull request comes from or goes to, refuses.
    async fn delete_branch(
        &self,
        repository: &RepositoryName,
        branch: &str,
        head: &CommitId,
    ) -> Result<(), ForgeError>;

    /// Says how checks of a commit stand; the newest of a name counts.
    async fn report_checks(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        checks: &[Check],
    ) -> Result<(), ForgeError>;
    /// The checks of a commit, by name.
    async fn checks(&self, repository: &RepositoryName, commit: &CommitId) -> Result<Vec<Check>, ForgeError>;

    /// Writes the comment that carries the marker, on a pull request or an issue, or edits it.
    async fn put_comment(
        &self,
        repository: &RepositoryName,
        number: u64,
        marker: &Marker,
        body: &str,
    ) -> Result<Comment, ForgeError>;
    /// Answers in a thread of a review, once per marker, and resolves the thread. It is named as the forge names it.
    async fn settle_thread(
        &self,
        repository: &RepositoryName,
        number: u64,
        thread: &str,
        marker: &Marker,
        body: &str,
    ) -> Result<(), ForgeError>;
    /// All comments of a pull request or an issue, oldest first.
    async fn comments(&self, repository: &RepositoryName, number: u64) -> Result<Vec<Comment>, ForgeError>;

    /// Opens an issue, or gives back the one that carries the marker.
    async fn open_issue(&self, new: &NewIssue) -> Result<Issue, ForgeError>;
    /// One issue.
    async fn issue(&self, repository: &RepositoryName, number: u64) -> Result<Issue, ForgeError>;
    /// All of one repository, newest first.
    async fn issues(&self, repository: &RepositoryName) -> Result<Vec<Issue>, ForgeError>;
    /// Closes an issue; closing what is closed is fine.
    async fn close_issue(&self, repository: &RepositoryName, number: u64) -> Result<(), ForgeError>;
    /// Replaces the labels of an issue or a pull request; makes those that don't exist.
    async fn set_labels(
        &self,
        repository: &RepositoryName,
        number: u64,
        labels: &[String],
    ) -> Result<(), ForgeError>;
    /// Makes a milestone, or gives back the one with that title.
    async fn open_milestone(&self, repository: &RepositoryName, title: &str)
    -> Result<Milestone, ForgeError>;
    /// All of one repository, by title.
    async fn milestones(&self, repository: &RepositoryName) -> Result<Vec<Milestone>, ForgeError>;
}
