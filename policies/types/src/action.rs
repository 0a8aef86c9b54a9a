//! What may be approved, typed: an approval never binds free text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CommitId, Digest, InstanceName, PersonId, RepositoryName, Tier, title::short};

/// An action that needs people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Merge a reviewed head into a target branch.
    Merge(Merge),
    /// Push a change of paths that hold more than code: workflows, rules, policies.
    Push(Push),
    /// Accept a plan as a whole.
    Plan(Plan),
    /// Let an agent call a guarded tool. The tool, its arguments and its target stand in the binding.
    Tool(Call),
    /// Change a limit of what may be spent.
    Budget(Budget),
    /// Change the infrastructure itself: a container, a virtual machine, an instance.
    Operation(Call),
    /// Ask a person.
    Question(Question),
    /// Change the policies, or what a person may do by them.
    Policy(PolicyChange),
    /// Let a person or an instance into the fleet.
    Enrolment(Enrolment),
}

/// A plan: its items are bound by their digests, and carried out one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// What it is for.
    pub title: String,
    /// In order. Their names differ.
    pub items: Vec<PlanItem>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanItem {
    /// Its name within the plan: `1`, `dns`.
    pub item: String,
    /// The tier of its action. `destroy` needs a card of its own, whatever was said to the plan.
    pub tier: Tier,
    /// Digest of the item's own subject.
    pub digest: Digest,
}

/// A call that is decided by what it does, not by the tool that does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// The action's name in the policies: `container.remove`. Many tools may do the same.
    pub does: String,
    /// The tier that the policies put it in.
    pub tier: Tier,
}

/// A limit and what it would become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// What is counted: `min`, `cents`, `tokens`.
    pub unit: String,
    /// Whose limit it is, if not the feature's own: `day 2026-11-21`, `run A-1.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The limit now.
    pub from: u64,
    /// The limit that is asked for.
    pub to: u64,
}

impl Budget {
    /// An amount of its unit, for people: `30 min`, `$5.00`, `1,000 tokens`.
    pub fn said(&self, amount: u64) -> String {
        match self.unit.as_str() {
            "cents" => format!("${}.{:02}", amount / 100, amount % 100),
            "tokens" => format!("{} tokens", crate::grouped(amount)),
            unit => format!("{amount} {unit}"),
        }
    }

    /// Why it is asked for, as a sentence.
    pub fn used_up(&self) -> String {
        let whose = self.of.as_ref().map_or_else(String::new, |of| format!(" for {of}"));
        let which = if self.of.is_some() { "The" } else { "Its" };
        if self.from == 0 {
            return format!("Nothing may be spent{whose}: a price is not known, or the limit is 0.");
        }
        format!("{which} budget of {}{whose} is used up.", self.said(self.from))
    }
}

/// A question to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// In the words of whoever asks: shown quoted.
    pub text: String,
    /// JSON schema of a good answer; `None` takes any text.
    pub answer: Option<serde_json::Value>,
}

/// A change of who may do what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyChange {
    /// Hash of the policies now; with a person, of their rights.
    pub from: String,
    /// Hash of what they would be.
    pub to: String,
    /// Who would get rights; none if it is the policies that change, for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
}

/// Somebody or something that wants in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Enrolment {
    /// An instance.
    Instance {
        /// The name that it would have.
        instance: InstanceName,
        /// Fingerprint of its key, as people compare it.
        key: String,
    },
    /// A person. With what roles, the arguments say.
    Person {
        /// The name that everything they do would be recorded under.
        person: PersonId,
    },
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
    /// The paths that the diff changes, as [`Merge::bound_paths`] gives them: policies go by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
}

impl Merge {
    /// As many paths as an approval binds.
    pub const PATHS: usize = 400;
    /// As many bytes of paths as an approval binds.
    pub const PATH_BYTES: usize = 24 * 1024;

    /// The paths in the order in which they are bound. None where they are too many: rules for paths then go by what they
    /// say of a change that is not known.
    pub fn bound_paths(mut paths: Vec<String>) -> Option<Vec<String>> {
        paths.sort();
        paths.dedup();
        let bytes: usize = paths.iter().map(String::len).sum();
        (paths.len() <= Self::PATHS && bytes <= Self::PATH_BYTES).then_some(paths)
    }
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
            Self::Plan(_) | Self::Budget(_) | Self::Question(_) => Tier::Operate,
            Self::Tool(call) | Self::Operation(call) => call.tier,
            // Decided as strictly as what can't be brought back.
            Self::Policy(_) | Self::Enrolment(_) => Tier::Destroy,
        }
    }

    /// Whether it is for the fleet as a whole, and for no feature.
    pub fn is_of_the_fleet(&self) -> bool {
        matches!(self, Self::Policy(_) | Self::Enrolment(_))
    }

    /// The action's name in the policies. With the target, this is what a "no" sticks to.
    pub fn name(&self) -> &str {
        match self {
            Self::Merge(_) => "merge",
            Self::Push(_) => "push",
            Self::Plan(_) => "plan",
            Self::Tool(call) | Self::Operation(call) => &call.does,
            Self::Budget(_) => "budget",
            Self::Question(_) => "question",
            Self::Policy(_) => "policy",
            Self::Enrolment(_) => "enrolment",
        }
    }

    /// What happens, built from the typed action alone: "Merge 4f2a91c into main".
    pub fn title(&self) -> String {
        match self {
            Self::Merge(merge) => format!("Merge {} into {}", merge.head.short(), short(&merge.target)),
            // Agents choose what their files are called.
            Self::Push(push) => match push.paths.as_slice() {
                [one] => format!("Push {}, which changes {}", push.head.short(), short(one)),
                [first, rest @ ..] => {
                    let (head, first) = (push.head.short(), short(first));
                    format!("Push {head}, which changes {first} and {} more", rest.len())
                }
                [] => format!("Push {}", push.head.short()),
            },
            Self::Plan(plan) => match plan.items.len() {
                1 => "Accept a plan of one item".to_owned(),
                count => format!("Accept a plan of {count} items"),
            },
            Self::Tool(call) | Self::Operation(call) => format!("Do {}", call.does),
            Self::Budget(budget) => {
                let from = match budget.unit.as_str() {
                    "cents" => budget.said(budget.from),
                    _ => crate::grouped(budget.from),
                };
                format!("Change a budget from {from} to {}", budget.said(budget.to))
            }
            Self::Question(_) => "Answer a question".to_owned(),
            Self::Policy(PolicyChange { person: Some(person), .. }) => format!("Give rights to {person}"),
            Self::Policy(_) => "Change the policies".to_owned(),
            Self::Enrolment(Enrolment::Instance { instance, .. }) => format!("Enrol the instance {instance}"),
            Self::Enrolment(Enrolment::Person { person }) => format!("Let {person} into the fleet"),
        }
    }
}
