//! How a chore ends. Not a general error type: there are two ways to fail, and each is an exit code.

use std::fmt;

/// What every chore returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a chore did not end well. The text is the last thing that a person reads.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Exit code 1: the thing that was asked for failed.
    Failed(String),
    /// Exit code 2: it was asked for wrongly, or something is missing that may not be installed unasked.
    Usage(String),
}

impl Failure {
    /// A failed chore, from anything that has words for it.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// The process's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Usage(text) => formatter.write_str(text),
        }
    }
}
