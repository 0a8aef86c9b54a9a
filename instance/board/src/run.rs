//! A run: one attempt at a feature, as nine steps whose facts are rows. Its line is derived, never stored.

use jiff::Timestamp;
use qd_types::{ApprovalId, CommitId, FeatureId, Line, Mark, RunId, Spent, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::FailureClass;

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Begun; after a crash it is begun again.
    Started,
    /// Its facts are known.
    Done,
    /// It ended the run.
    Failed,
}

impl StepState {
    /// The word in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// One step of a run that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepRow {
    /// Which.
    pub step: Step,
    /// How it stands.
    pub state: StepState,
    /// When it was first begun.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
    /// A short fact for people: "318", "2 of 2 passed".
    pub note: Option<String>,
}

/// What one check said about one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckFact {
    /// Its name.
    pub name: String,
    /// The commit it ran on.
    pub commit: CommitId,
    /// Whether it passed.
    pub passed: bool,
    /// In which repair round, from 0.
    pub round: u32,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Why it did not pass, in a line: "exit code 101", "over the limit of 15 min".
    pub reason: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum RunEnd {
    /// The target branch holds it.
    Merged {
        /// The commit on the target branch.
        commit: CommitId,
    },
    /// It was for a goal: what it proposed was accepted.
    Planned {
        /// How many features it proposed.
        features: u32,
    },
    /// It was for a question: what its agent said is the answer.
    Answered {
        /// What the answer names that there is: features, runs, commits, places in files.
        cites: Vec<String>,
        /// Whether it is an answer at all: an agent may say that it doesn't know.
        known: bool,
    },
    /// It could not go on; a person is needed.
    Failed {
        /// Why, as a sentence.
        reason: String,
        /// What kind of failure.
        #[serde(default)]
        class: FailureClass,
    },
    /// A person stopped it.
    Stopped {
        /// Who and why, as a sentence.
        reason: String,
    },
}

/// Why a run went back to its agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Feedback {
    /// In a few words: "the conflict with main in src/a.rs".
    pub about: String,
    /// What the agent is told.
    pub text: String,
}

/// One attempt at a feature, with every fact it has produced so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// `A-142.2`.
    pub id: RunId,
    /// Whose attempt it is.
    pub feature: FeatureId,
    /// The agent that works, by its name in the configuration.
    pub agent: String,
    /// The model that the agent is told to use.
    #[serde(default)]
    pub model: Option<String>,
    /// What decided on agent and model: "the team", "rule docs".
    #[serde(default)]
    pub assigned_by: String,
    /// Its branch.
    pub branch: String,
    /// The steps reached, in order.
    pub steps: Vec<StepRow>,
    /// All check results, oldest first.
    pub checks: Vec<CheckFact>,
    /// Repair rounds begun.
    pub round: u32,
    /// Where the branch starts.
    pub base: Option<CommitId>,
    /// The commit that the checks passed on and the branch points to.
    pub commit: Option<CommitId>,
    /// Number of the pull request.
    pub pull_request: Option<u64>,
    /// The approval that was asked for.
    pub approval: Option<ApprovalId>,
    /// Who approved.
    pub approved_by: Vec<String>,
    /// The agent's last words, for people; quoted, never trusted.
    pub words: Option<String>,
    /// The plan that the agent wrote before it worked.
    #[serde(default)]
    pub plan: Option<String>,
    /// Who accepted the plan.
    #[serde(default)]
    pub plan_accepted: Option<String>,
    /// Why it went back to its agent after its checks were green: a conflict, a red merge, a review.
    #[serde(default)]
    pub feedback: Option<Feedback>,
    /// The round that it began with when it went back to its agent; rounds after it are repairs.
    #[serde(default)]
    pub round_from: u32,
    /// How often it went back to its agent.
    #[serde(default)]
    pub returns: u32,
    /// What it spent on models, if they are metered.
    #[serde(default)]
    pub spent: Option<Spent>,
    /// A person wants it stopped: who and why.
    pub stop: Option<String>,
    /// How it ended.
    pub end: Option<RunEnd>,
    /// When it was opened.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
}

impl Run {
    /// The row of a step, if it was reached.
    pub fn step(&self, step: Step) -> Option<&StepRow> {
        self.steps.iter().find(|row| row.step == step)
    }

    /// The first step that is not done; `None` when all nine are.
    pub fn next_step(&self) -> Option<Step> {
        Step::ALL.into_iter().find(|step| self.step(*step).is_none_or(|row| row.state != StepState::Done))
    }

    /// The nine marks. `waits` says that the step under way waits for a person.
    pub fn line(&self, waits: bool) -> Line {
        let mut line = Line::default();
        for (step, mark) in Step::ALL.into_iter().zip(line.0.iter_mut()) {
            *mark = match self.step(step).map(|row| row.state) {
                None => Mark::Open,
                Some(StepState::Done) => Mark::Done,
                Some(StepState::Failed) => Mark::Failed,
                Some(StepState::Started) if self.end.is_some() => Mark::Open,
                Some(StepState::Started) if waits => Mark::Waits,
                Some(StepState::Started) => Mark::Now,
            };
        }
        line
    }

    /// Repair rounds since it last went to its agent with a task.
    pub fn repairs(&self) -> u32 {
        self.round.saturating_sub(self.round_from)
    }

    /// The newest result of each check.
    pub fn newest_checks(&self) -> Vec<&CheckFact> {
        let mut newest: Vec<&CheckFact> = Vec::new();
        for check in &self.checks {
            newest.retain(|earlier| earlier.name != check.name);
            newest.push(check);
        }
        newest
    }

    /// Seconds from start to end, or to `now`.
    pub fn seconds(&self, now: Timestamp) -> u64 {
        let end = self.ended_at.unwrap_or(now);
        u64::try_from(end.as_second() - self.started_at.as_second()).unwrap_or(0)
    }
}
