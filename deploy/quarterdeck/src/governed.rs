//! What of the configuration decides who may do what: the rules on top of the policies, `solo`, and the people that it names.
//! What makes any of it stricter comes into force at once; what may widen rights waits for people, as the policies' files do.

use std::{collections::BTreeSet, path::Path};

use qd_config::Loaded;
use qd_engine::RuleStep;
use qd_types::{Person, PolicyHash, PolicyRule, Role};
use serde::{Deserialize, Serialize};

use crate::{
    fleet::FleetPlan,
    in_force::{self, InForce, InForceError},
    policies::PolicyPlan,
};

/// It, as it is written or as it is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Governed {
    /// The rules on top of the policies.
    pub rules: Vec<PolicyRule>,
    /// `solo = true`.
    pub solo: bool,
    /// The people that the configuration names.
    pub people: Vec<Person>,
}

/// The way from what is in force to what is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is in force from now on.
    pub now: Governed,
    /// What of the rest may widen rights, a sentence without its full stop for each; empty if `now` is all that is written.
    pub widens: Vec<String>,
}

impl Governed {
    /// As the configuration has it.
    pub fn of(plan: &FleetPlan) -> Self {
        let policies = &plan.policies;
        Self { rules: policies.rules.clone(), solo: policies.facts.solo, people: plan.people.clone() }
    }

    /// The same, of a configuration that is not made a plan of.
    pub fn written(loaded: &Loaded) -> Self {
        let PolicyPlan { rules, facts, .. } = PolicyPlan::of(loaded);
        let people = loaded.config.people.iter();
        let people = people.map(|person| Person { id: person.name.clone(), roles: person.roles.clone() });
        Self { rules, solo: facts.solo, people: people.collect() }
    }

    /// Has a plan go by this, and not by what the configuration says.
    pub fn put_into(self, plan: &mut FleetPlan) {
        plan.policies = plan.policies.governed(&self);
        plan.people = self.people;
    }

    /// From this, which is in force, to what is written now.
    pub fn toward(&self, wanted: &Self) -> Step {
        let RuleStep { now: rules, mut widens } = RuleStep::between(&self.rules, &wanted.rules);
        if wanted.solo && !self.solo {
            widens.push(
                "solo is switched on: one person decides, and may decide what they asked for".to_owned(),
            );
        }
        let mut people = Vec::new();
        for person in &wanted.people {
            let before = self.people.iter().find(|before| before.id == person.id);
            let had = before.map(|before| before.roles.as_slice()).unwrap_or_default();
            // Whoever has a role reads: a viewer gets nothing that any other role did not have.
            let is_new = |role: &Role| !had.contains(role) && (*role != Role::Viewer || had.is_empty());
            let new: Vec<Role> = person.roles.iter().copied().filter(is_new).collect();
            match before {
                None => widens.push(format!("{} is new, as {}", person.id, words(&person.roles))),
                Some(_) if new.is_empty() => people.push(person.clone()),
                // As a whole, so that what is put back is what it was.
                Some(before) => {
                    widens.push(format!("{} gets the role {}", person.id, words(&new)));
                    people.push(before.clone());
                }
            }
        }
        // Whoever is to be owner in place of another has to be let in first.
        if owned(&self.people) && owned(&wanted.people) && !owned(&people) {
            people.clone_from(&self.people);
        }
        if widens.is_empty() {
            return Step { now: wanted.clone(), widens };
        }
        Step { now: Self { rules, solo: self.solo && wanted.solo, people }, widens }
    }

    /// Of all that decides, with the bundle of that hash.
    pub fn hash(&self, bundle: &PolicyHash) -> PolicyHash {
        let mut people: Vec<(&str, BTreeSet<Role>)> = self
            .people
            .iter()
            .map(|person| (person.id.as_str(), person.roles.iter().copied().collect()))
            .collect();
        people.sort();
        let all = serde_json::json!([bundle, self.rules, self.solo, people]);
        PolicyHash::sha256(all.to_string().as_bytes())
    }
}

/// Whether a key of the configuration is part of it.
pub fn decides(key: &str) -> bool {
    let table = key.split('.').next().unwrap_or_default();
    matches!(table, "policies" | "people") || matches!(key, "fleet.solo" | "fleet.merge_quorum")
}

/// The way from what was kept, if anything was, to what is written: the first start trusts that.
pub fn since(kept: Option<&InForce>, wanted: &Governed) -> Step {
    match kept.and_then(|kept| kept.governed.as_ref()) {
        Some(before) => before.toward(wanted),
        None => Step { now: wanted.clone(), widens: Vec::new() },
    }
}

/// What of the files and the configuration waits for people below `state`, in words; none if nothing does. `wanted` is what is
/// written now.
pub fn waits(state: &Path, wanted: &Governed) -> Result<Option<String>, InForceError> {
    let kept = in_force::read(state)?;
    if let Some(told) = kept.as_ref().and_then(|kept| kept.waits.clone()) {
        return Ok(Some(told));
    }
    let widens = since(kept.as_ref(), wanted).widens;
    Ok((!widens.is_empty())
        .then(|| format!("what is written may widen rights, and waits for people: {}", widens.join("; "))))
}

/// The people that the configuration names, as far as they are in force below `state`. For a fleet that does not run.
pub fn people(state: &Path, people: Vec<Person>) -> Result<Vec<Person>, InForceError> {
    let kept = in_force::read(state)?.and_then(|kept| kept.governed);
    Ok(match kept {
        Some(before) => before.toward(&Governed { people, ..before.clone() }).now.people,
        None => people,
    })
}

fn owned(people: &[Person]) -> bool {
    people.iter().any(|person| person.roles.contains(&Role::Owner))
}

fn words(roles: &[Role]) -> String {
    let words: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}
