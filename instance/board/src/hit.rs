//! What a search finds.

use std::{fmt, str::FromStr};

use qd_types::IdError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HitKind {
    /// A feature.
    Feature,
    /// A run: its agent's words, its plan, how it ended.
    Run,
    /// An approval, or a vote on one.
    Decision,
    /// A comment on a feature.
    Comment,
    /// A document of a repository.
    Document,
}

impl HitKind {
    /// All.
    pub const ALL: [Self; 5] = [Self::Feature, Self::Run, Self::Decision, Self::Comment, Self::Document];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::Run => "run",
            Self::Decision => "decision",
            Self::Comment => "comment",
            Self::Document => "document",
        }
    }
}

impl fmt::Display for HitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HitKind {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        let want = "feature, run, decision, comment or document";
        found.ok_or(IdError { kind: "a kind of thing to search", text: text.to_owned(), want })
    }
}

/// One thing that a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// What it is.
    pub kind: HitKind,
    /// Where: a feature's or a run's id, or `repository:path`.
    pub place: String,
    /// Its title.
    pub title: String,
    /// The part of it that has the words.
    pub snippet: String,
}
