//! What happened, in facts: features, runs, milestones, money. Digests are built from these, never from prose.

use jiff::{Timestamp, civil::Date};
use qd_types::{CommitId, FeatureId, Line, RepositoryName, RunId, Spent, Stage, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Asked, Sentence};

/// One feature, distilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeatureReport {
    /// Which.
    pub feature: FeatureId,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub stage: Stage,
    /// The nine steps of its newest run.
    pub line: Line,
    /// What is true now and what it waits for: the sentence on its card.
    pub sentence: String,
    /// The agent that works on it, if a run was started.
    pub agent: Option<String>,
    /// Number of its pull request.
    pub pull_request: Option<u64>,
    /// The commit on the target branch, once merged.
    pub merged: Option<CommitId>,
    /// Seconds from the start of the first run to the end of the last; `None` before.
    pub seconds: Option<u64>,
    /// Whether it stands still until a person does something.
    pub needs_person: bool,
    /// What its runs have spent on models, if they were metered.
    #[serde(default)]
    pub spent: Option<Spent>,
    /// Where its work is done. Not said by teams of before.
    #[serde(default)]
    pub repository: Option<RepositoryName>,
    /// The issue that it comes from: `sample#12`.
    #[serde(default)]
    pub issue: Option<String>,
    /// The run that works on it, if one does. Not said by teams of before.
    #[serde(default)]
    pub run: Option<RunId>,
    /// The question that it is, if it is one.
    #[serde(default)]
    pub question: Option<Asked>,
}

/// One cause, one alert. The same key again updates it; `over` closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// The cause, never a text with a time in it.
    pub key: String,
    /// What people read.
    pub text: String,
    /// The cause is gone.
    pub over: bool,
}

/// A run has ended: a fact, reported once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFinished {
    /// Which.
    pub run: RunId,
    /// Title of its feature.
    pub title: Sentence,
    /// Where it worked.
    pub repository: RepositoryName,
    /// The agent that worked.
    pub agent: String,
    /// The model that it was told to use.
    pub model: Option<String>,
    /// How it ended.
    pub end: RunEnding,
    /// The steps that it reached, in order.
    pub steps: Vec<StepFact>,
    /// What the checks said last, each once.
    pub checks: Vec<CheckResult>,
    /// Repair rounds that it took.
    pub rounds: u32,
    /// Number of its pull request.
    pub pull_request: Option<u64>,
    /// How much it changed, if it came so far as to be pushed.
    pub change: Option<ChangeSize>,
    /// What it spent on models, if that was metered.
    pub spent: Option<Spent>,
    /// Seconds from its start to its end.
    pub seconds: u64,
    /// Seconds that the agent worked.
    pub worked_seconds: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum RunEnding {
    /// The target branch holds it.
    Merged {
        /// The commit there.
        commit: CommitId,
    },
    /// It was for a goal, and its plan was accepted.
    Planned {
        /// How many features were filed.
        features: u32,
    },
    /// It was for a question.
    Answered {
        /// Whether its agent knew an answer.
        known: bool,
    },
    /// It could not go on.
    Failed {
        /// Why.
        reason: Sentence,
        /// What kind of failure, as the board calls it: `check_failed`.
        class: String,
    },
    /// A person stopped it.
    Stopped {
        /// Who and why.
        reason: Sentence,
    },
}

/// One step that a run reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepFact {
    /// Which.
    pub step: Step,
    /// Whether it was done; else it ended the run, or was cut short by its end.
    pub done: bool,
    /// Seconds from its beginning to its end.
    pub seconds: u64,
}

/// What a check said in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// Its name.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// How long it took, milliseconds.
    pub millis: u64,
}

/// How much a change is, against where its branch starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeSize {
    /// Commits.
    pub commits: u64,
    /// Files.
    pub files: u64,
    /// Lines that came.
    pub insertions: u64,
    /// Lines that went.
    pub deletions: u64,
}

/// A feature stands still until a person does something, or no longer does: a living state per feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocked {
    /// Which feature.
    pub feature: FeatureId,
    /// Its newest run, if it had any.
    pub run: Option<RunId>,
    /// Why it stands still; `None` when it moves again.
    pub why: Option<Sentence>,
    /// Since when it stands still, or moves again.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// How far a milestone is: a living state per milestone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MilestoneProgress {
    /// Of which project.
    pub project: Sentence,
    /// Which.
    pub milestone: Sentence,
    /// Features that are merged.
    pub done: u32,
    /// Features in all.
    pub features: u32,
    /// Merged points in a hundred.
    pub percent: u32,
    /// The day it is due.
    #[schemars(with = "Option<String>")]
    pub due: Option<Date>,
    /// The day it would be done at the present pace.
    #[schemars(with = "Option<String>")]
    pub forecast: Option<Date>,
    /// Where most of its features are worked on, if it has any.
    #[serde(default)]
    pub repository: Option<RepositoryName>,
    /// Its features that stand still until a person does something.
    #[serde(default)]
    pub blocked: Vec<FeatureId>,
    /// What endangers its project, the worst first.
    #[serde(default)]
    pub risks: Vec<Sentence>,
}

/// What a day has cost a team so far: a living state per day. What has no price is beside the money, never in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// The day, in the fleet's time zone.
    #[schemars(with = "String")]
    pub day: Date,
    /// Money, tokens, and tokens whose price is unknown.
    pub spent: Spent,
}

/// All that the instance says holds now, by name. What the bot knows of it beside this does not hold any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Features that are not done.
    pub features: Vec<FeatureId>,
    /// Causes of alerts that are not over.
    pub alerts: Vec<String>,
    /// Unique parts of the ids of its own approvals that are open.
    pub approvals: Vec<String>,
}
