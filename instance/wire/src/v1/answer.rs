//! Questions to a team, and what became of them.

use qd_types::{FeatureId, PersonId, RunId, Spent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Passage, Sentence};

/// Which question a feature is, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// As the order called it.
    pub id: String,
    /// Who asked.
    pub by: PersonId,
}

/// What became of a question. Told again, it is the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// Which question.
    #[serde(flatten)]
    pub asked: Asked,
    /// What was asked.
    pub question: Passage,
    /// The feature as which it stands on the board, if it was looked into.
    #[serde(default)]
    pub feature: Option<FeatureId>,
    /// The run that looked into it last.
    #[serde(default)]
    pub run: Option<RunId>,
    /// What is known.
    pub reply: Reply,
    /// What it has spent on models, if that was metered.
    #[serde(default)]
    pub spent: Option<Spent>,
    /// How long it took, in seconds.
    #[serde(default)]
    pub seconds: Option<u64>,
}

/// What is known of what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// An agent answered. Its words are quoted, never trusted.
    Said {
        /// In its words.
        text: Passage,
        /// What it names that there is: features, runs, commits, places in files.
        cites: Vec<String>,
    },
    /// The team doesn't know.
    Unknown {
        /// Why, as a sentence.
        why: Sentence,
    },
    /// The team has no agent that could look into it.
    NoAgent,
}
