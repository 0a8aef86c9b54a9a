//! Lessons: what earlier work has taught, for agents that work in the same repository.

use qd_types::{RepositoryName, RunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A lesson that somebody proposes. People are asked before any agent is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeLesson {
    /// One line, 1 to 300 characters.
    pub text: String,
    /// For which repository; left out, the run's, or the team's only one.
    #[serde(default)]
    pub repository: Option<RepositoryName>,
    /// Whose agent learned it. An agent names its own run.
    #[serde(default)]
    pub run: Option<RunId>,
}

/// A lesson, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LessonView {
    /// By which it is removed: the same for the same words in the same repository.
    pub key: String,
    /// For agents that work in this one.
    pub repository: RepositoryName,
    /// One line.
    pub text: String,
    /// Where it stands.
    pub state: LessonState,
    /// Why it was not taken, if it was not.
    pub reason: Option<String>,
}

/// Where a lesson stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LessonState {
    /// Agents are told.
    Kept,
    /// People are asked.
    Asked,
    /// People said no to it.
    Denied,
}
