//! The typed acts that an instance asks the forge for, and what becomes of them.

use qd_types::{ApprovalId, CommitId, FeatureId, InstanceName, PersonId, RepositoryName, RunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Passage, Sentence};

/// An outward act, asked of the bot. The same id again is the same act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgeRequest {
    /// Unique within the instance: run, step and round.
    pub id: String,
    /// For which feature.
    pub feature: FeatureId,
    /// In which run.
    pub run: RunId,
    /// What is asked.
    pub act: ForgeAct,
}

/// The acts an instance may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum ForgeAct {
    /// Open a pull request for a pushed branch.
    OpenPullRequest {
        /// Where.
        repository: RepositoryName,
        /// The pushed branch.
        branch: String,
        /// The target branch.
        target: String,
        /// The branch's head.
        head: CommitId,
        /// Its title.
        title: String,
        /// Its description, Markdown.
        body: String,
        /// What the checks said about the head.
        checks: Vec<CheckReport>,
        /// The feature's labels.
        #[serde(default)]
        labels: Vec<String>,
        /// Title of the feature's milestone.
        #[serde(default)]
        milestone: Option<String>,
    },
    /// Ask people whether this head may be merged.
    AskMerge {
        /// What would be merged.
        merge: qd_types::Merge,
        /// Who asked for the feature, edited it, or guided the run: none of them decides.
        requesters: Vec<PersonId>,
        /// The agent's words about it, shown quoted.
        words: Option<String>,
        /// What the checks said about the head, and the size of the change: facts for the card.
        facts: String,
        /// What the checks remarked on lines that the change touches.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<Finding>,
    },
    /// Ask people whether a change of paths that hold more than code may be pushed.
    AskPush {
        /// What exactly.
        push: qd_types::Push,
        /// On whose behalf.
        requesters: Vec<PersonId>,
        /// The agent's words, quoted on the card.
        words: Option<String>,
        /// Facts for the card.
        facts: String,
    },
    /// Merge, now: the tested commit is a conflict-free merge of the approved head onto `base`.
    Merge {
        /// Which approval pays for it.
        approval: ApprovalId,
        /// What it is about to do, rebuilt.
        merge: qd_types::Merge,
        /// The commit that was tested and is the branch's head now.
        tested: CommitId,
        /// Where the target branch has to stand.
        base: CommitId,
        /// What the checks said about `tested`.
        checks: Vec<CheckReport>,
    },
    /// Ask another team for something, by an issue with its label.
    OpenIssue {
        /// Where.
        repository: RepositoryName,
        /// Who is asked.
        team: InstanceName,
        /// What is needed, in the agent's words.
        text: Passage,
    },
    /// Close a pull request that is given up.
    ClosePullRequest {
        /// Where.
        repository: RepositoryName,
        /// Its number.
        number: u64,
        /// Why.
        reason: String,
    },
}

/// What a check remarked on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Path in the repository.
    pub path: String,
    /// Line in the head, from 1.
    pub line: u32,
    /// What, in a sentence.
    pub text: Sentence,
}

/// What one check said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckReport {
    /// Its name.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
}

/// What became of a forge request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ForgeOutcome {
    /// The pull request is open.
    Opened {
        /// Its number.
        number: u64,
    },
    /// People are asked; the decision follows as a second outcome.
    Asked {
        /// The approval.
        approval: ApprovalId,
    },
    /// People said yes.
    Approved {
        /// The approval.
        approval: ApprovalId,
        /// Who.
        by: Vec<PersonId>,
    },
    /// People said no, or the approval ended in another way without being used.
    NotApproved {
        /// Why, for people.
        reason: String,
    },
    /// The target branch holds it now.
    Merged {
        /// The commit on the target branch.
        commit: CommitId,
    },
    /// The target moved: test the merge again.
    BaseMoved {
        /// Where the target stands now.
        base: CommitId,
    },
    /// The issue is open.
    IssueOpened {
        /// Its number.
        number: u64,
    },
    /// The pull request is closed.
    Closed,
    /// The forge or the bot refused. Nothing happened.
    Refused {
        /// Why, for people.
        reason: String,
    },
    /// It can't be told whether it happened: a person has to look.
    Unknown {
        /// Why, for people.
        reason: String,
    },
}
