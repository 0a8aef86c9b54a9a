//! What a repository holds: issues, pull requests, comments, reviews, checks, milestones, deployments, and its rules.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::git::Bare;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Actor {
    /// A person, by login.
    Person(String),
    /// An App, by id; it is shown as `slug[bot]`.
    App(u64),
}

/// What a collaborator may.
/// <https://docs.github.com/en/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads, opens issues, comments.
    Read,
    /// Labels, assigns, closes.
    Triage,
    /// Pushes, merges.
    Write,
    /// And some settings.
    Maintain,
    /// Everything.
    Admin,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The old four words: triage is told as read, maintain as write.
    /// <https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user>
    pub(super) fn legacy(self) -> &'static str {
        match self {
            Self::Read | Self::Triage => "read",
            Self::Write | Self::Maintain => "write",
            Self::Admin => "admin",
        }
    }
}

/// A repository.
#[derive(Debug)]
pub(super) struct Repo {
    pub(super) id: u64,
    pub(super) owner: String,
    pub(super) name: String,
    /// The repository that it is a fork of.
    pub(super) parent: Option<u64>,
    pub(super) private: bool,
    pub(super) archived: bool,
    pub(super) default_branch: String,
    pub(super) delete_branch_on_merge: bool,
    pub(super) created: Timestamp,
    pub(super) pushed: Timestamp,
    pub(super) git: Bare,
    /// The branches and tags as they were last told of.
    pub(super) refs: BTreeMap<String, String>,
    /// By login.
    pub(super) collaborators: BTreeMap<String, Role>,
    /// Issues and pull requests.
    pub(super) issues: BTreeMap<u64, Issue>,
    pub(super) pulls: BTreeMap<u64, Pull>,
    pub(super) comments: BTreeMap<u64, Comment>,
    pub(super) reviews: BTreeMap<u64, Review>,
    pub(super) remarks: BTreeMap<u64, Remark>,
    pub(super) labels: Vec<Label>,
    pub(super) milestones: BTreeMap<u64, Milestone>,
    pub(super) suites: BTreeMap<u64, Suite>,
    pub(super) checks: BTreeMap<u64, CheckRun>,
    pub(super) statuses: Vec<Status>,
    pub(super) runs: BTreeMap<u64, WorkflowRun>,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) deployments: BTreeMap<u64, Deployment>,
    /// Classic protection, by branch.
    pub(super) protected: BTreeMap<String, Rules>,
    pub(super) rulesets: BTreeMap<u64, Ruleset>,
    /// What was done to issues, oldest first.
    pub(super) events: Vec<IssueEvent>,
}

/// Something that was done to an issue.
#[derive(Debug, Clone)]
pub(super) struct IssueEvent {
    pub(super) id: u64,
    pub(super) number: u64,
    /// `labeled`.
    pub(super) event: String,
    pub(super) by: Actor,
    pub(super) label: Option<Value>,
    pub(super) milestone: Option<String>,
    pub(super) at: Timestamp,
}

/// An issue; also what a pull request has in common with one.
#[derive(Debug, Clone)]
pub(super) struct Issue {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) author: Actor,
    pub(super) open: bool,
    pub(super) reason: Option<String>,
    pub(super) locked: bool,
    pub(super) labels: BTreeSet<String>,
    pub(super) assignees: BTreeSet<String>,
    pub(super) milestone: Option<u64>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) closed: Option<Timestamp>,
    pub(super) closed_by: Option<Actor>,
    pub(super) reactions: Vec<Reaction>,
    /// When its title or its text was changed last.
    pub(super) edited: Option<Timestamp>,
    /// Asked for, it is gone: 410.
    pub(super) deleted: bool,
}

/// A pull request, beside its issue.
#[derive(Debug, Clone)]
pub(super) struct Pull {
    pub(super) id: u64,
    /// Where the head is: the repository itself, or a fork of it.
    pub(super) from: u64,
    pub(super) head: String,
    pub(super) base: String,
    /// The last head while it was open.
    pub(super) head_sha: String,
    pub(super) base_sha: String,
    pub(super) draft: bool,
    pub(super) merged: Option<Merged>,
    pub(super) reviewers: BTreeSet<String>,
    /// Whether the test merge was made for this head and base.
    pub(super) tested: Option<(String, String)>,
    /// In the merge queue: the commit that is tested.
    pub(super) queued: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Merged {
    pub(super) sha: String,
    pub(super) at: Timestamp,
    pub(super) by: Actor,
}

#[derive(Debug, Clone)]
pub(super) struct Reaction {
    pub(super) id: u64,
    pub(super) content: String,
    pub(super) by: Actor,
    pub(super) at: Timestamp,
}

/// A comment on an issue or a pull request.
#[derive(Debug, Clone)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) body: String,
    pub(super) author: Actor,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) reactions: Vec<Reaction>,
}

#[derive(Debug, Clone)]
pub(super) struct Review {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) body: String,
    pub(super) author: Actor,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`, `DISMISSED`, `PENDING`.
    pub(super) state: String,
    pub(super) commit: String,
    pub(super) at: Timestamp,
}

/// A comment on a line, or an answer to one.
#[derive(Debug, Clone)]
pub(super) struct Remark {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) review: Option<u64>,
    pub(super) body: String,
    pub(super) author: Actor,
    pub(super) path: String,
    pub(super) line: Option<u64>,
    pub(super) commit: String,
    pub(super) answers: Option<u64>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    /// Of the first of a thread.
    pub(super) resolved_by: Option<Actor>,
    pub(super) reactions: Vec<Reaction>,
}

#[derive(Debug, Clone)]
pub(super) struct Label {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) color: String,
    pub(super) description: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Milestone {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) due: Option<String>,
    pub(super) open: bool,
    pub(super) creator: Actor,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) closed: Option<Timestamp>,
}

/// All checks of one App on one commit.
#[derive(Debug, Clone)]
pub(super) struct Suite {
    pub(super) id: u64,
    pub(super) app: u64,
    pub(super) head: String,
    pub(super) branch: Option<String>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct CheckRun {
    pub(super) id: u64,
    pub(super) suite: u64,
    pub(super) app: u64,
    pub(super) name: String,
    pub(super) head: String,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    pub(super) details: Option<String>,
    pub(super) external: Option<String>,
    pub(super) started: Option<String>,
    pub(super) completed: Option<String>,
    pub(super) title: Option<String>,
    pub(super) summary: Option<String>,
    pub(super) text: Option<String>,
    pub(super) annotations: Vec<Value>,
}

#[derive(Debug, Clone)]
pub(super) struct Status {
    pub(super) id: u64,
    pub(super) sha: String,
    pub(super) context: String,
    pub(super) state: String,
    pub(super) description: Option<String>,
    pub(super) target: Option<String>,
    pub(super) creator: Actor,
    pub(super) at: Timestamp,
}

/// A run of GitHub Actions.
#[derive(Debug, Clone)]
pub(super) struct WorkflowRun {
    pub(super) id: u64,
    pub(super) workflow: u64,
    pub(super) name: String,
    pub(super) number: u64,
    pub(super) attempt: u64,
    pub(super) suite: u64,
    pub(super) head: String,
    pub(super) branch: String,
    pub(super) actor: Actor,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) run: u64,
    pub(super) attempt: u64,
    pub(super) name: String,
    pub(super) check: u64,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    pub(super) log: String,
    pub(super) started: Timestamp,
    pub(super) completed: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(super) struct Deployment {
    pub(super) id: u64,
    pub(super) reference: String,
    pub(super) sha: String,
    pub(super) environment: String,
    pub(super) task: String,
    pub(super) description: Option<String>,
    pub(super) creator: Actor,
    pub(super) at: Timestamp,
    /// State, description, and when.
    pub(super) statuses: Vec<(u64, String, String, Timestamp)>,
}

/// What must hold before a branch moves. Classic protection and rulesets say the same in two ways.
/// <https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/available-rules-for-rulesets>
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Changes come by pull request alone; with so many approvals.
    pub pull_request: Option<u32>,
    /// An approval is dismissed when new commits are pushed.
    pub dismiss_stale_reviews: bool,
    /// These checks must have passed; from this App, where one is named.
    pub checks: Vec<(String, Option<u64>)>,
    /// The branch must have its base's head among its ancestors.
    pub up_to_date: bool,
    /// All threads are resolved.
    pub resolved_threads: bool,
    /// Logins, and slugs of Apps, that nothing of this holds for.
    pub bypass: Vec<String>,
    /// The branch has a merge queue: nothing is merged past it.
    pub merge_queue: bool,
}

/// Rules under a name.
#[derive(Debug, Clone)]
pub(super) struct Ruleset {
    pub(super) name: String,
    /// `active`, `evaluate` or `disabled`.
    pub(super) enforcement: String,
    /// `refs/heads/main` or `~DEFAULT_BRANCH`.
    pub(super) include: Vec<String>,
    pub(super) rules: Rules,
    pub(super) created: Timestamp,
}

impl Repo {
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Where a branch stands.
    pub(super) fn branch(&self, name: &str) -> Option<&String> {
        self.refs.get(&format!("refs/heads/{name}"))
    }

    /// The next number of an issue or a pull request.
    pub(super) fn next_number(&self) -> u64 {
        self.issues.keys().next_back().copied().unwrap_or(0) + 1
    }

    pub(super) fn role(&self, login: &str) -> Option<Role> {
        if self.owner.eq_ignore_ascii_case(login) {
            return Some(Role::Admin);
        }
        let given = self.collaborators.iter().find(|(known, _)| known.eq_ignore_ascii_case(login));
        given.map(|(_, role)| *role)
    }

    /// Everything that holds for a branch.
    pub(super) fn rules(&self, branch: &str) -> Vec<&Rules> {
        let classic = self.protected.get(branch).into_iter();
        classic.chain(self.rulesets_of(branch).map(|(_, set)| &set.rules)).collect()
    }

    /// The rulesets in force for a branch.
    pub(super) fn rulesets_of(&self, branch: &str) -> impl Iterator<Item = (&u64, &Ruleset)> {
        let reference = format!("refs/heads/{branch}");
        let is_default = branch == self.default_branch;
        self.rulesets.iter().filter(move |(_, set)| {
            set.enforcement == "active"
                && set.include.iter().any(|name| {
                    *name == reference || name == "~ALL" || (is_default && name == "~DEFAULT_BRANCH")
                })
        })
    }

    pub(super) fn label(&self, name: &str) -> Option<&Label> {
        self.labels.iter().find(|label| label.name.eq_ignore_ascii_case(name))
    }
}
