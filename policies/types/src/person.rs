//! People, what they may be, and how dangerous an action is.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{IdError, PersonId};

/// What a person is in the fleet. Roles are held side by side; none includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sets direction, gives final approvals.
    Owner,
    /// Files and prioritises work.
    Manager,
    /// Runs instances and repairs.
    Operator,
    /// Reviews pull requests.
    Reviewer,
    /// Reads.
    Viewer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Manager, Self::Operator, Self::Reviewer, Self::Viewer];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Manager => "manager",
            Self::Operator => "operator",
            Self::Reviewer => "reviewer",
            Self::Viewer => "viewer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(IdError {
            kind: "a role",
            text: text.to_owned(),
            want: "owner, manager, operator, reviewer or viewer",
        })
    }
}

/// A person and the roles that the configuration gives them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// The name that everything is recorded under.
    pub id: PersonId,
    /// Held side by side.
    pub roles: Vec<Role>,
}

/// How dangerous an action is; each tier has its own way of being confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Looks, changes nothing.
    Read,
    /// Changes what can be changed back.
    Operate,
    /// Moves a protected branch.
    Merge,
    /// Makes something that costs.
    Provision,
    /// Can't be brought back.
    Destroy,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 5] = [Self::Read, Self::Operate, Self::Merge, Self::Provision, Self::Destroy];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Merge => "merge",
            Self::Provision => "provision",
            Self::Destroy => "destroy",
        }
    }
}
