//! What the bot knows. Built from rows at start, changed by events, never by itself.

use std::collections::BTreeMap;

use qd_types::{Approval, ApprovalId, FeatureId, InstanceName, Person, PersonId, Requirement, Role};
use qd_wire::v1::{ApprovalCard, FeatureReport};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{forge::MergeMethod, text};

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
    /// By what clocks approvals go, and whose votes count.
    pub approvals: qd_approvals::Rules,
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

    /// What decides about merges and pushes, as one hash: an approval holds as long as it stays the same.
    pub fn policies(&self) -> String {
        let decides = format!("merge, push: {}", self.merge_requirement().describe());
        Sha256::digest(decides).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// An approval as its store has it: what the core goes by, and what everybody is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The request, where it stands, and the votes that count.
    pub approval: Approval,
    /// What the agent said about it.
    pub words: Option<String>,
    /// Why it stands there, in the store's words.
    pub reason: Option<String>,
}

/// What the bot keeps of an approval beside what the store keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    /// Facts for its card.
    pub facts: String,
    /// Title of the feature.
    pub feature_title: String,
    /// The merge that is verified or under way for it, if any.
    pub merging: Option<Merging>,
}

/// An approval that the bot executes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desk {
    /// As its store has it.
    pub standing: Standing,
    /// What is kept beside.
    pub filed: Filed,
}

impl Desk {
    /// The approval.
    pub fn approval(&self) -> &Approval {
        &self.standing.approval
    }

    /// As an instance is told.
    pub fn card(&self) -> ApprovalCard {
        ApprovalCard {
            approval: self.standing.approval.clone(),
            facts: self.filed.facts.clone(),
            words: self.standing.words.clone(),
            ended: text::ended(self),
        }
    }
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
