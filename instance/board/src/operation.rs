//! Long operations: whatever takes time and may fail is a row that people can list, follow, retry or stop. One place to
//! see what is going on. What is wanted of it and what is seen of it are apart: wanting it stopped does not stop it.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use qd_types::{FeatureId, IdError, RunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::FailureClass;

macro_rules! words {
    ($(#[$about:meta])* $name:ident, $kind:literal, { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// The word in rows and on surfaces.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(IdError { kind: $kind, text: text.to_owned(), want: concat!($($word, " "),+) }),
                }
            }
        }
    };
}

words!(
    /// What kind of operation.
    OperationKind, "a kind of operation", {
        /// One attempt at a feature.
        Run = "run",
        /// One check on one commit.
        Check = "check",
        /// Testing and making one merge.
        Merge = "merge",
        /// An agent that turns a goal into features.
        Plan = "plan",
        /// Repacking and pruning a repository.
        Maintenance = "maintenance",
        /// Reading a repository's documents for the search.
        Index = "index",
    }
);

words!(
    /// What is wanted of an operation.
    Desired, "what is wanted of an operation", {
        /// That it comes to its end.
        Done = "done",
        /// That it stops.
        Stopped = "stopped",
    }
);

words!(
    /// What is seen of an operation.
    Observed, "how an operation stands", {
        /// Under way.
        Running = "running",
        /// It did what it should.
        Done = "done",
        /// It failed, and what follows happens by itself.
        Failed = "failed",
        /// It was stopped.
        Stopped = "stopped",
        /// It gave up: a person retries or drops it.
        Dead = "dead",
        /// It had given up, and was retried.
        Retried = "retried",
        /// It had given up, and a person dropped it.
        Dropped = "dropped",
    }
);

/// A long operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// Its number.
    pub id: u64,
    /// What kind.
    pub kind: OperationKind,
    /// What it works on, unique within the kind: `A-1.1`, `A-1.1/test/0`.
    pub subject: String,
    /// The feature that it is for.
    pub feature: Option<FeatureId>,
    /// The run that it belongs to.
    pub run: Option<RunId>,
    /// For people, in a line.
    pub title: String,
    /// What is wanted.
    pub desired: Desired,
    /// What is seen.
    pub observed: Observed,
    /// What kind of failure, once it failed.
    pub class: Option<FailureClass>,
    /// How it stands or ended, in a sentence.
    pub text: String,
    /// How often it was begun.
    pub attempt: u32,
    /// When it was first begun.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it was last heard of.
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
}
