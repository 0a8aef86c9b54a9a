//! The line: nine steps of a run, the same on the card, the run page, the fleet page and in chat.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::IdError;

/// The nine steps of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A checkout of its own on a branch of its own.
    Worktree,
    /// The coding agent works.
    Agent,
    /// The checks run on a candidate commit, in a checkout that no agent can write.
    Checks,
    /// The branch moves to the checked commit.
    Commit,
    /// The branch goes to the forge.
    Push,
    /// The pull request is opened.
    PullRequest,
    /// People decide.
    Review,
    /// Exactly the approved change goes to the target branch.
    Merge,
    /// Worktree and processes go; nothing is lost.
    CleanUp,
}

impl Step {
    /// All nine, in order.
    pub const ALL: [Self; 9] = [
        Self::Worktree,
        Self::Agent,
        Self::Checks,
        Self::Commit,
        Self::Push,
        Self::PullRequest,
        Self::Review,
        Self::Merge,
        Self::CleanUp,
    ];

    /// Its place in the line, from 0.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name in rows and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worktree => "worktree",
            Self::Agent => "agent",
            Self::Checks => "checks",
            Self::Commit => "commit",
            Self::Push => "push",
            Self::PullRequest => "pull_request",
            Self::Review => "review",
            Self::Merge => "merge",
            Self::CleanUp => "clean_up",
        }
    }

    /// The name that people read.
    pub fn title(self) -> &'static str {
        match self {
            Self::Worktree => "Worktree",
            Self::Agent => "Agent",
            Self::Checks => "Checks",
            Self::Commit => "Commit",
            Self::Push => "Push",
            Self::PullRequest => "Pull request",
            Self::Review => "Review",
            Self::Merge => "Merge",
            Self::CleanUp => "Clean up",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Step {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|step| step.as_str() == text).ok_or(IdError {
            kind: "a step of a run",
            text: text.to_owned(),
            want: "worktree, agent, checks, commit, push, pull_request, review, merge or clean_up",
        })
    }
}

/// How one step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Not reached.
    #[default]
    Open,
    /// Under way.
    Now,
    /// Waits for a person.
    Waits,
    /// Done.
    Done,
    /// Failed.
    Failed,
}

/// The nine marks of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Line(pub [Mark; 9]);

impl Line {
    /// The line in characters, `▰▰▰▱▱▱▱▱▱`: reached or not.
    pub fn bars(&self) -> String {
        self.0.iter().map(|mark| if *mark == Mark::Open { '▱' } else { '▰' }).collect()
    }

    /// The text alternative: "6 of 9 steps done, review waits".
    pub fn describe(&self) -> String {
        let done = self.0.iter().filter(|mark| **mark == Mark::Done).count();
        let mut text = format!("{done} of 9 steps done");
        for (step, mark) in Step::ALL.into_iter().zip(self.0) {
            let word = match mark {
                Mark::Now => "under way",
                Mark::Waits => "waits for a person",
                Mark::Failed => "failed",
                Mark::Open | Mark::Done => continue,
            };
            text.push_str(&format!(", {} {word}", step.title().to_lowercase()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_reads_aloud() {
        let mut line = Line::default();
        for mark in line.0.iter_mut().take(6) {
            *mark = Mark::Done;
        }
        line.0[6] = Mark::Waits;
        insta::assert_snapshot!(line.bars(), @"▰▰▰▰▰▰▰▱▱");
        insta::assert_snapshot!(line.describe(), @"6 of 9 steps done, review waits for a person");
    }

    #[test]
    fn every_step_parses_back() {
        for (index, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step.as_str().parse::<Step>().unwrap(), step);
            assert_eq!(step.index(), index);
        }
    }
}
