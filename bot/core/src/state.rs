//! What the bot knows. Built from rows at start, changed by events, never by itself.

use std::collections::BTreeMap;

use qd_types::{ApprovalId, FeatureId, InstanceName, Person, PersonId, Requirement, Role};
use qd_wire::v1::{ApprovalCard, FeatureReport};
use serde::{Deserialize, Serialize};

use crate::forge::MergeMethod;

/// The fleet's people and rules, as configured.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The teams, in the order of the configuration.
    pub teams: Vec<InstanceName>,
    /// Everybody.
    pub people: Vec<Person>,
    /// One person runs the fleet: requesters may decide.
    pub solo: bool,
    /// People needed for a merge, from 1.
    pub merge_quorum: u32,
    /// How each repository takes a change.
    pub merge_methods: BTreeMap<String, MergeMethod>,
}

impl Rules {
    /// A person by name.
    pub fn person(&self, id: &PersonId) -> Option<&Person> {
        self.people.iter().find(|person| person.id == *id)
    }

    /// Who decides a merge (`approvals.md`: an owner or reviewer).
    pub fn merge_requirement(&self) -> Requirement {
        Requirement {
            roles: vec![Role::Owner, Role::Reviewer],
            count: self.merge_quorum.max(1),
            solo: self.solo,
        }
    }
}

/// An approval that the bot executes, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    /// The approval and the facts of its card.
    pub card: ApprovalCard,
    /// Title of the feature.
    pub feature_title: String,
    /// The forge request that asked.
    pub request: String,
    /// The merge that is verified or under way for it, if any.
    pub merging: Option<Merging>,
}

/// A merge that an instance asked for, waiting for the forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merging {
    /// The forge request to answer.
    pub request: String,
    /// What is to be done.
    pub order: crate::forge::MergeOrder,
    /// What the checks said about the tested commit.
    pub checks: Vec<crate::forge::Check>,
}

/// One cause that needs people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    /// What it says.
    pub text: String,
    /// How often it came.
    pub count: u32,
    /// Whether it is over.
    pub over: bool,
    /// When it was raised.
    pub since: jiff::Timestamp,
}

/// Everything the bot knows.
#[derive(Debug, Clone)]
pub struct FleetState {
    /// As configured.
    pub rules: Rules,
    /// All features, as last reported.
    pub features: BTreeMap<(InstanceName, FeatureId), FeatureReport>,
    /// All approvals, by the unique part of their id.
    pub approvals: BTreeMap<String, Desk>,
    /// All alerts, by team and cause.
    pub alerts: BTreeMap<(InstanceName, String), AlertState>,
}

impl FleetState {
    /// A fleet of which nothing is known yet.
    pub fn new(rules: Rules) -> Self {
        Self { rules, features: BTreeMap::new(), approvals: BTreeMap::new(), alerts: BTreeMap::new() }
    }

    /// The approval with this id.
    pub fn desk(&self, id: &ApprovalId) -> Option<&Desk> {
        self.approvals.get(&id.key())
    }
}
