//! What the bot knows. Built from rows at start, changed by events, never by itself.

use qd_text::say;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use qd_approvals::Terms;
use qd_command::Service;
use qd_engine::{Branch, Policies, Principal, Refusal, Request, Resource};
use qd_types::{
    Action, Approval, ApprovalId, Binding, Confirm, Decision, FeatureId, InstanceName, Person, PersonId,
    PolicyHash, Requirement, Role, Ruling, Verb,
};
use qd_wire::v1::{ApprovalCard, FeatureReport};
use serde::{Deserialize, Serialize};

use crate::{
    distil::{Distil, Facts},
    forge::MergeMethod,
    links::LinkCode,
    outside::{Spot, Threads, Tracked},
    presence::{Listens, Seen},
    text,
};

/// The fleet's people and rules, as configured.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The teams, by what they are known by, in the order of the configuration.
    pub teams: Vec<InstanceName>,
    /// What each team is called now, where that is another name: policies and people call it so.
    pub renamed: BTreeMap<InstanceName, InstanceName>,
    /// Everybody.
    pub people: Vec<Person>,
    /// Who may do what, as it is in force.
    pub policies: Arc<Policies>,
    /// How each repository takes a change.
    pub merge_methods: BTreeMap<String, MergeMethod>,
    /// Repositories whose pull requests people read where they are: a card there can be somebody's first.
    pub read: BTreeSet<String>,
    /// Repositories whose target branch is protected.
    pub protected: BTreeSet<String>,
    /// Repositories whose target branch the forge does not keep from being pushed to: each card about a merge says so.
    pub unprotected: BTreeSet<String>,
    /// By what clocks approvals go, and whose votes count.
    pub approvals: qd_approvals::Rules,
    /// What people see of what happens.
    pub distil: Distil,
}

impl Rules {
    /// A person by name.
    pub fn person(&self, id: &PersonId) -> Option<&Person> {
        self.people.iter().find(|person| person.id == *id)
    }

    /// Whether a person may do something to a team. The error says why not, and what would help.
    pub fn permit(&self, person: &Person, verb: Verb, team: &InstanceName) -> Result<(), Refusal> {
        let (principal, team) = (Principal::Person(person.clone()), self.called(team));
        self.policies.permit(&Request::new(principal, verb, Resource::Team(team)))
    }

    /// Who decides on an act of a team at the forge: what the policies ask for. The error is their no.
    ///
    /// Where a merge changes more paths than an approval binds, a rule for paths counts as if it might fit.
    pub fn asks(&self, team: &InstanceName, action: &Action) -> Result<Asked, String> {
        let (verb, repository, name, paths) = match action {
            Action::Merge(merge) => (Verb::Merge, &merge.repository, &merge.target, merge.paths.clone()),
            Action::Push(push) => {
                (Verb::PushSensitive, &push.repository, &push.branch, Some(push.paths.clone()))
            }
            other => return Err(say!("act-not-asked", act = other.name())),
        };
        let (repository, name) = (repository.clone(), name.clone());
        let protected = verb == Verb::Merge && self.protected.contains(repository.as_str());
        let branch = Branch { repository, name, protected, paths };
        let principal = Principal::Team(self.called(team));
        let request = Request::new(principal, verb, Resource::Branch(branch));
        let Decision { ruling, policy, hash } = self.policies.decide(&request);
        match ruling {
            Ruling::Ask(ask) => {
                let terms = Terms::from(&ask);
                Ok(Asked { requirement: ask.requirement, terms, policy, hash })
            }
            Ruling::Allow => {
                let (requirement, terms) = (one_person(), Terms::default());
                Ok(Asked { requirement, terms, policy, hash })
            }
            Ruling::Deny { reason } => {
                Err(self.policies.permit(&request).err().map_or(reason, |refusal| refusal.reason))
            }
        }
    }

    /// Whether a person may do something to the whole fleet. The error says why not, and what would help.
    pub fn permit_fleet(&self, person: &Person, verb: Verb) -> Result<(), Refusal> {
        let principal = Principal::Person(person.clone());
        self.policies.permit(&Request::new(principal, verb, Resource::Fleet))
    }

    fn called(&self, team: &InstanceName) -> InstanceName {
        self.renamed.get(team).unwrap_or(team).clone()
    }
}

/// What the policies ask for, and where they say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who, and how many.
    pub requirement: Requirement,
    /// How, and for how long; where the policies say nothing, the rules of the executor do.
    pub terms: Terms,
    /// The policy, or the rule of the configuration.
    pub policy: String,
    /// Hash of all that decided.
    pub hash: PolicyHash,
}

impl Asked {
    /// What an approval of this action is bound to besides the action: where it acts, and what decided who is asked.
    pub(crate) fn binding(&self, action: &Action) -> Binding {
        let (target, fingerprint) = match action {
            Action::Merge(merge) => {
                (format!("{} {} #{}", merge.repository, merge.target, merge.pull_request), merge.diff.clone())
            }
            Action::Push(push) => (format!("{} {}", push.repository, push.branch), push.diff.clone()),
            other => (other.name().to_owned(), other.title()),
        };
        Binding {
            tool: None,
            arguments: serde_json::Value::Null,
            target,
            fingerprint,
            policies: self.hash.to_string(),
            askers: Vec::new(),
            reopens: None,
        }
    }
}

/// Nothing reaches a target branch without a person, even where the policies would let it.
fn one_person() -> Requirement {
    Requirement { roles: vec![Role::Owner, Role::Reviewer], count: 1, solo: true }
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
    /// How a yes has to be given.
    pub confirm: Confirm,
    /// Until when people have to decide, once its card was delivered.
    pub decide_until: Option<jiff::Timestamp>,
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
    /// Its team's board said that it stands there.
    #[serde(default)]
    pub on_board: bool,
    /// The comment on its pull request that shows it, where people read that.
    #[serde(default)]
    pub on_forge: Option<u64>,
    /// Half of the time to decide was over, and those who may were called.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub escalated: bool,
    /// What the team's checks remarked on lines of the head that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<qd_wire::v1::Finding>,
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
            confirm: Some(self.standing.confirm),
            decide_until: self.standing.decide_until,
        }
    }
}

/// An approval that an instance keeps. It is shown here, and decided there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// As the instance last said.
    pub card: ApprovalCard,
    /// What people said here, and whether the instance has heard it.
    pub words: BTreeMap<PersonId, Spoken>,
    /// Since when it can't be decided any more.
    pub closed_at: Option<jiff::Timestamp>,
    /// Half of the time to decide was over, and those who may were called.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub escalated: bool,
}

impl Foreign {
    /// The approval.
    pub fn approval(&self) -> &Approval {
        &self.card.approval
    }

    /// Whose word is on its way.
    pub fn deciding(&self) -> impl Iterator<Item = &PersonId> {
        self.words.iter().filter(|(_, spoken)| matches!(spoken, Spoken::Sent(_))).map(|(person, _)| person)
    }
}

/// A person's word on what an instance keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spoken {
    /// It travels. What it says: the same again is not sent.
    Sent(String),
    /// The instance has heard it, and the person was not told yet.
    Heard {
        /// Whether it counts.
        counted: bool,
        /// What they are to be told.
        text: String,
    },
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
    /// When it was over last.
    #[serde(default)]
    pub ended: Option<jiff::Timestamp>,
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
    /// Approvals that instances keep, by the unique part of their id.
    pub foreign: BTreeMap<String, Foreign>,
    /// All alerts, by team and cause.
    pub alerts: BTreeMap<(InstanceName, String), AlertState>,
    /// What digests and risks are built from.
    pub facts: Facts,
    /// Who is heard, of those who were heard once.
    pub presence: BTreeMap<InstanceName, Seen>,
    /// Since when the bot listens.
    pub listens: Listens,
    /// Issues that were given to teams.
    pub issues: BTreeMap<Spot, Tracked>,
    /// Threads of reviews that wait for an answer, by pull request.
    pub threads: BTreeMap<Spot, Threads>,
    /// What people are to be told the next time that they say something.
    pub untold: BTreeMap<PersonId, Vec<String>>,
    /// Codes that link accounts, by their hashes.
    pub links: BTreeMap<String, LinkCode>,
    /// Services on which accounts are heard.
    pub services: Vec<Service>,
}

impl FleetState {
    /// A fleet of which nothing is known yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            features: BTreeMap::new(),
            approvals: BTreeMap::new(),
            foreign: BTreeMap::new(),
            alerts: BTreeMap::new(),
            facts: Facts::default(),
            presence: BTreeMap::new(),
            listens: Listens::from(jiff::Timestamp::UNIX_EPOCH),
            issues: BTreeMap::new(),
            threads: BTreeMap::new(),
            untold: BTreeMap::new(),
            links: BTreeMap::new(),
            services: Vec::new(),
        }
    }

    /// The approval with this id.
    pub fn desk(&self, id: &ApprovalId) -> Option<&Desk> {
        self.approvals.get(&id.key())
    }
}
