//! Why git did not do it: one closed enum for the command and the library. Not for outcomes that a caller
//! plans for (a lost swap, a refused lease, a conflict): those are values, so that nobody reads texts.

use std::{path::PathBuf, time::Duration};

/// Why a call to git gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The command could not be started.
    #[error("{program} could not be started: is git installed, and on PATH?")]
    Start {
        /// What was to be run.
        program: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Git ended with an error.
    #[error("git {args} ended with {}: {stderr}", code.map_or("a signal".to_owned(), |code| code.to_string()))]
    Failed {
        /// What it was asked, without the settings that every call has.
        args: String,
        /// Its exit code; none if a signal ended it.
        code: Option<i32>,
        /// What it said, at most the last 4 KiB.
        stderr: String,
    },
    /// It took too long and was ended.
    #[error("git {args} was ended after {} s without an answer", limit.as_secs_f32())]
    Timeout {
        /// What it was asked.
        args: String,
        /// The limit.
        limit: Duration,
    },
    /// It said more than is read.
    #[error("git {args} gave more than {limit} bytes")]
    TooMuch {
        /// What it was asked.
        args: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// A text is not what it should be: an answer of git, or a name that was given.
    #[error("{text:?} is not {what}")]
    Parse {
        /// What it should have been, with its article.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// The library could not read the repository.
    #[error("{what} in {}", path.display())]
    Libgit {
        /// What was being read: "reading a reference".
        what: &'static str,
        /// The repository's git folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: git2::Error,
    },
    /// A file or folder around the repository.
    #[error("{what} at {}", path.display())]
    Io {
        /// What was being done: "removing a folder".
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl GitError {
    /// For `map_err` on file operations.
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
