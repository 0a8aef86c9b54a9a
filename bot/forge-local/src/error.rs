//! Why it was not done. One type inside, that keeps causes; the port's closed enum and [`LocalForgeError`] outside.

use std::{error::Error, path::PathBuf};

use qd_core::forge::ForgeError;
use qd_git::GitError;
use qd_sqlite::DbError;
use qd_types::RepositoryName;

/// Why the forge could not be opened, or a repository not be made or brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum LocalForgeError {
    /// The forge's database.
    #[error("the forge's database at {} can't be used", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DbError,
    },
    /// Git refused.
    #[error("git could not {doing} in {}", path.display())]
    Git {
        /// What was tried: "clone the checkout".
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: GitError,
    },
    /// The file system refused.
    #[error("{} can't be made", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The checkout has no such branch.
    #[error(
        "{} has no branch {target}: make a first commit on it, or set the repository's target to a branch that is there",
        path.display()
    )]
    NoTarget {
        /// The checkout.
        path: PathBuf,
        /// The branch.
        target: String,
    },
    /// Never added.
    #[error("the forge has no repository {0}: add it to the configuration")]
    NoRepository(RepositoryName),
}

/// Inside the crate: a refusal of the forge, or a failure below it with its cause.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Forge(#[from] ForgeError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("the work on the merge ended early")]
    Stopped(#[source] tokio::task::JoinError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<Failure> for ForgeError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Forge(error) => error,
            other => Self::Unavailable { reason: chain(&other) },
        }
    }
}

/// The port's error holds text alone: all causes, outermost first, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    text
}

/// What is not there, as [`ForgeError::NotFound`] names it.
pub(crate) mod missing {
    use super::{ForgeError, RepositoryName};

    fn not_found(what: String) -> ForgeError {
        ForgeError::NotFound { what }
    }

    pub(crate) fn repository(name: &RepositoryName) -> ForgeError {
        not_found(format!("repository {name}"))
    }

    pub(crate) fn pull_request(repository: &RepositoryName, number: u64) -> ForgeError {
        not_found(format!("pull request {number} of {repository}"))
    }

    pub(crate) fn issue(repository: &RepositoryName, number: u64) -> ForgeError {
        not_found(format!("issue {number} of {repository}"))
    }

    pub(crate) fn thread(repository: &RepositoryName, number: u64) -> ForgeError {
        not_found(format!("pull request or issue {number} of {repository}"))
    }

    pub(crate) fn review_thread(repository: &RepositoryName, number: u64, thread: &str) -> ForgeError {
        not_found(format!("thread {thread} of pull request {number} of {repository}"))
    }

    pub(crate) fn branch(repository: &RepositoryName, branch: &str) -> ForgeError {
        not_found(format!("branch {branch} of {repository}"))
    }

    pub(crate) fn commit(repository: &RepositoryName, commit: &str) -> ForgeError {
        not_found(format!("commit {commit} of {repository}"))
    }

    pub(crate) fn milestone(repository: &RepositoryName, title: &str) -> ForgeError {
        not_found(format!("milestone {title} of {repository}"))
    }
}
