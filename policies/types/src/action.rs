//! What may be approved, typed: an approval never binds free text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CommitId, RepositoryName, Tier};

/// An action that needs people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Merge a reviewed head into a target branch.
    Merge(Merge),
    /// Push a change of paths that hold more than code: workflows, rules, policies.
    Push(Push),
}

/// A merge binds the reviewed head and its diff, not the target's commit: a merge of somebody else's
/// work into the target does not undo it, a new push to the branch does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Merge {
    /// Where.
    pub repository: RepositoryName,
    /// Number of the pull request on the forge.
    pub pull_request: u64,
    /// Target branch, `main`.
    pub target: String,
    /// The reviewed head.
    pub head: CommitId,
    /// SHA-256 of the diff between merge base and head, hex.
    pub diff: String,
}

/// A push that a person has to see before it leaves the team: what it changes runs with rights of its own, or decides who
/// may do what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Push {
    /// Where.
    pub repository: RepositoryName,
    /// The branch that it goes to.
    pub branch: String,
    /// Exactly this commit.
    pub head: CommitId,
    /// SHA-256 of the change against the branch's base, as lower-case hex.
    pub diff: String,
    /// The paths that are the reason, sorted.
    pub paths: Vec<String>,
}

impl Action {
    /// The tier it is decided in.
    pub fn tier(&self) -> Tier {
        match self {
            Self::Merge(_) | Self::Push(_) => Tier::Merge,
        }
    }

    /// What happens, built from the typed action alone: "Merge 4f2a91c into main".
    pub fn title(&self) -> String {
        match self {
            Self::Merge(merge) => format!("Merge {} into {}", merge.head.short(), merge.target),
            Self::Push(push) => match push.paths.as_slice() {
                [one] => format!("Push {}, which changes {one}", push.head.short()),
                [first, rest @ ..] => {
                    format!("Push {}, which changes {first} and {} more", push.head.short(), rest.len())
                }
                [] => format!("Push {}", push.head.short()),
            },
        }
    }
}
