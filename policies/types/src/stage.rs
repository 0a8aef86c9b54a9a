//! Where a feature stands on the board. What it waits for is not a stage: that is derived.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::IdError;

/// The columns of the board, in order, and `cancelled` beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Wanted, not yet released to the team.
    Backlog,
    /// Released: the scheduler may start it.
    Ready,
    /// A run works on it.
    Running,
    /// Its pull request is open.
    Review,
    /// Merged.
    Done,
    /// Given up by a person.
    Cancelled,
}

impl Stage {
    /// Every stage, in the board's order.
    pub const ALL: [Self; 6] =
        [Self::Backlog, Self::Ready, Self::Running, Self::Review, Self::Done, Self::Cancelled];

    /// The word for it on every surface and in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Review => "review",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text).ok_or(IdError {
            kind: "a stage",
            text: text.to_owned(),
            want: "backlog, ready, running, review, done or cancelled",
        })
    }
}
