//! What is needed of GitHub and of the merge train, in this crate's words. There is no way to merge in [`GitHub`].

use async_trait::async_trait;

/// Why GitHub did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitHubError {
    /// There is no adapter, or no credentials.
    #[error("GitHub is not configured here")]
    NotConfigured,
    /// The team runs apart from its bot, which alone has the way to the forge.
    #[error("This team runs apart from its bot, and only the bot reaches GitHub")]
    Apart,
    /// Nobody takes a merge that is asked for here.
    #[error("The merge train takes merges of runs alone")]
    RunsOnly,
    /// There is no such thing, or it may not be seen.
    #[error("There is no {0}")]
    Absent(String),
    /// It said no. Its words are cut by the adapter, and hold no credentials.
    #[error("GitHub refused: {0}")]
    Refused(String),
    /// Too many calls.
    #[error("GitHub takes no more calls for {0} s")]
    Limited(u64),
    /// No answer: whether it happened can't be told.
    #[error("GitHub can't be reached: {0}")]
    Unreachable(String),
}

impl GitHubError {
    /// What the caller can do, as a sentence.
    pub fn way_out(&self) -> &'static str {
        match self {
            Self::NotConfigured => {
                "A person has to connect GitHub to this fleet; until then, say in your report what you wanted to do."
            }
            Self::Apart => {
                "Say it in your report: a run's own pull request and merge reach the bot from here."
            }
            Self::RunsOnly => {
                "Nobody was asked. A run asks for its own merge when its checks have passed: finish its work, or a person files a feature for it."
            }
            Self::Absent(_) => "List what there is, and take one of those.",
            Self::Refused(_) => "Look at what it says; call again when that has changed.",
            Self::Limited(_) | Self::Unreachable(_) => "Wait, then call again.",
        }
    }
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its number; issues and pull requests count together.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Who wrote it.
    pub author: String,
    /// Whether it is open.
    pub open: bool,
    /// Its labels, sorted.
    pub labels: Vec<String>,
}

/// A comment on an issue or pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: u64,
    /// Who wrote it.
    pub author: String,
    /// Its text.
    pub body: String,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// What it shares with issues.
    pub issue: Issue,
    /// Its branch.
    pub head: String,
    /// The commit of its branch, 40 digits.
    pub head_sha: String,
    /// The branch that it asks to be merged into.
    pub base: String,
}

/// A review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Who.
    pub author: String,
    /// `approved`, `changes_requested`, `commented`.
    pub state: String,
    /// The commit that was reviewed.
    pub sha: String,
    /// Its text.
    pub body: String,
}

/// A check of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `queued`, `running`, `passed`, `failed`, …
    pub state: String,
    /// How often it ran.
    pub attempt: u64,
}

/// A place in the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: String,
    /// What stands there, with some of what is around it; of several spots, one after the other.
    pub text: String,
}

/// A pull request to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPull {
    /// Its title.
    pub title: String,
    /// Its text, with its mark.
    pub body: String,
    /// Its branch.
    pub head: String,
    /// The branch that it asks to be merged into.
    pub base: String,
}

/// GitHub, for one repository at a time. Lists are newest first and not longer than `most`.
#[async_trait]
pub trait GitHub: Send + Sync {
    /// Open issues.
    async fn issues(&self, repository: &str, most: usize) -> Result<Vec<Issue>, GitHubError>;
    /// An issue or a pull request.
    async fn issue(&self, repository: &str, number: u64) -> Result<Issue, GitHubError>;
    /// The comments on an issue or a pull request.
    async fn comments(&self, repository: &str, number: u64, most: usize)
    -> Result<Vec<Comment>, GitHubError>;
    /// Open pull requests.
    async fn pulls(&self, repository: &str, most: usize) -> Result<Vec<Pull>, GitHubError>;
    /// A pull request.
    async fn pull(&self, repository: &str, number: u64) -> Result<Pull, GitHubError>;
    /// The open pull request from a branch, if there is one.
    async fn pull_from(&self, repository: &str, head: &str) -> Result<Option<Pull>, GitHubError>;
    /// The reviews of a pull request.
    async fn reviews(&self, repository: &str, number: u64, most: usize) -> Result<Vec<Review>, GitHubError>;
    /// The commit of a branch.
    async fn branch(&self, repository: &str, name: &str) -> Result<String, GitHubError>;
    /// The checks of a commit.
    async fn checks(&self, repository: &str, sha: &str, most: usize) -> Result<Vec<Check>, GitHubError>;
    /// A check.
    async fn check(&self, repository: &str, id: u64) -> Result<Check, GitHubError>;
    /// The end of a check's log, at most so many bytes.
    async fn check_log(&self, repository: &str, id: u64, most: usize) -> Result<String, GitHubError>;
    /// Places in the repository's code. The adapter has to keep the query from naming another repository.
    async fn search(&self, repository: &str, query: &str, most: usize) -> Result<Vec<Place>, GitHubError>;
    /// Comments; the comment's id.
    async fn comment(&self, repository: &str, number: u64, body: &str) -> Result<u64, GitHubError>;
    /// Puts labels on, and takes labels off.
    async fn label(
        &self,
        repository: &str,
        number: u64,
        on: &[String],
        off: &[String],
    ) -> Result<(), GitHubError>;
    /// Opens a pull request; its number.
    async fn open(&self, repository: &str, new: &NewPull) -> Result<u64, GitHubError>;
    /// Runs a check again.
    async fn rerun(&self, repository: &str, id: u64) -> Result<(), GitHubError>;
}

/// A merge that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merging {
    /// The repository.
    pub repository: String,
    /// The pull request.
    pub number: u64,
    /// The reviewed head. The train merges this, or nothing.
    pub head_sha: String,
    /// The approval that it was granted by: the train's key, so that asking twice is asking once.
    pub approval: String,
}

/// The merge train. It alone merges: it tests the merge, and merges what it tested.
#[async_trait]
pub trait Train: Send + Sync {
    /// Puts a pull request into the train; how it stands, as a sentence.
    async fn ask(&self, merging: &Merging) -> Result<String, GitHubError>;
    /// How a merge stands that was asked for; `None` if it was not.
    async fn standing(&self, repository: &str, approval: &str) -> Result<Option<String>, GitHubError>;
}

/// No GitHub: every call says why.
#[derive(Debug, Clone)]
pub struct Nowhere(pub GitHubError);

macro_rules! nowhere {
    ($($name:ident($($argument:ty),*) -> $out:ty;)*) => {
        #[async_trait]
        impl GitHub for Nowhere {
            $(async fn $name(&self, $(_: $argument),*) -> Result<$out, GitHubError> {
                Err(self.0.clone())
            })*
        }
    };
}

nowhere! {
    issues(&str, usize) -> Vec<Issue>;
    issue(&str, u64) -> Issue;
    comments(&str, u64, usize) -> Vec<Comment>;
    pulls(&str, usize) -> Vec<Pull>;
    pull(&str, u64) -> Pull;
    pull_from(&str, &str) -> Option<Pull>;
    reviews(&str, u64, usize) -> Vec<Review>;
    branch(&str, &str) -> String;
    checks(&str, &str, usize) -> Vec<Check>;
    check(&str, u64) -> Check;
    check_log(&str, u64, usize) -> String;
    search(&str, &str, usize) -> Vec<Place>;
    comment(&str, u64, &str) -> u64;
    label(&str, u64, &[String], &[String]) -> ();
    open(&str, &NewPull) -> u64;
    rerun(&str, u64) -> ();
}

#[async_trait]
impl Train for Nowhere {
    async fn ask(&self, _: &Merging) -> Result<String, GitHubError> {
        Err(self.0.clone())
    }

    async fn standing(&self, _: &str, _: &str) -> Result<Option<String>, GitHubError> {
        Err(self.0.clone())
    }
}
