//! What the configuration changes about the policies: stricter rules per team, repository, branch and path. A rule that
//! is less strict has to say so itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{InstanceName, RepositoryName, Role, Way};

/// A rule on top of the policies. It applies where everything that it names fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyRule {
    /// What it is called: in decisions, and in `policy check`.
    pub name: String,
    /// Actions by name, like `merge` or `feature.cancel`; all of a tier as `tier.destroy`; `*` for all.
    pub actions: Vec<String>,
    /// Only for this team: asked by it, or done to it. Default: every team.
    #[serde(default)]
    pub team: Option<InstanceName>,
    /// Only in this repository. Default: everywhere.
    #[serde(default)]
    pub repository: Option<RepositoryName>,
    /// Only on branches that this glob fits, like `main` or `release/*`. Default: every branch.
    #[serde(default)]
    pub branch: Option<String>,
    /// Only if a path that changes fits this glob, like `migrations/**`. With `loosen`, only if every path fits.
    /// Default: whatever changes.
    #[serde(default)]
    pub path: Option<String>,
    /// What happens: `deny`, `ask`, or with `loosen` also `allow`.
    pub effect: RuleEffect,
    /// For `ask`: how many people, from 1. Default: what the policy says, or 1.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub quorum: Option<u32>,
    /// For `ask`: any of these roles. Default: what the policy says, or owner.
    #[serde(default)]
    pub roles: Option<Vec<Role>>,
    /// For `ask`: how they confirm. Default: what the policy says, or button.
    #[serde(default)]
    pub way: Option<Way>,
    /// For `ask`: minutes to decide. Default: what the policy says, or a day.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub decide_minutes: Option<u32>,
    /// For `ask`: minutes that a grant holds. Default: what the policy says, or an hour.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub execute_minutes: Option<u32>,
    /// For `ask`: whether local votes count. Default: what the policy says, or no.
    #[serde(default)]
    pub local_votes: Option<bool>,
    /// Why, for whoever is denied or asked.
    #[serde(default)]
    pub reason: Option<String>,
    /// This rule may be less strict than the policies. `policy check` lists it. Default: false.
    #[serde(default)]
    pub loosen: bool,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleEffect {
    /// It may not happen.
    Deny,
    /// People are asked.
    Ask,
    /// What would be asked is allowed. Only with `loosen`; what is denied stays denied.
    Allow,
}
