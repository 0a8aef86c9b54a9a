//! What a changed file changes in a running fleet. Not the change itself: whoever runs the fleet makes it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Loaded;

/// Keys that take effect at once; `*` is any name. Everything below such a key does, too, and so do teams and
/// repositories that come or go. All others need a restart.
const HOT: [&[&str]; 31] = [
    &["agents"],
    &["audit"],
    &["chat"],
    &["fleet", "time_zone"],
    &["fleet", "merge_quorum"],
    &["fleet", "solo"],
    &["gateway", "budgets"],
    &["gateway", "prices"],
    &["people"],
    &["policies"],
    &["repositories", "*", "checks"],
    &["repositories", "*", "copies"],
    &["repositories", "*", "hooks"],
    &["repositories", "*", "image"],
    &["repositories", "*", "merge_method"],
    &["repositories", "*", "sandbox"],
    &["repositories", "*", "setup"],
    &["repositories", "*", "shared"],
    &["repositories", "*", "slots"],
    &["rules"],
    &["runs"],
    &["sandbox"],
    &["teams", "*", "agent"],
    &["teams", "*", "disk_gib"],
    &["teams", "*", "ladder"],
    &["teams", "*", "quiet"],
    &["teams", "*", "repositories"],
    &["teams", "*", "reviews"],
    &["teams", "*", "sandbox"],
    &["teams", "*", "slots"],
    &["uplink"],
];

/// Keys whose values differ. Teams and repositories are called by their names here, not by their place in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reload {
    /// In force from now on.
    pub took_effect: Vec<String>,
    /// In force after a restart.
    pub needs_restart: Vec<String>,
}

type Leaves = BTreeMap<Vec<String>, Value>;

/// Compares two configurations.
pub fn reload(old: &Loaded, new: &Loaded) -> Reload {
    let (before, after) = (leaves(old), leaves(new));
    let mut changed: Vec<Vec<String>> = Vec::new();
    for key in before.keys().chain(after.keys()) {
        if before.get(key) != after.get(key) {
            changed.push(whole(key, &before, &after));
        }
    }
    // Secrets look alike when they are shown, so they are compared as they are.
    for (name, agent) in &new.config.agents {
        let secrets = old.config.agents.get(name).map(|old| &old.redact);
        let same = |old: &Vec<crate::Secret>| {
            old.len() == agent.redact.len() && old.iter().zip(&agent.redact).all(|(old, new)| old.same(new))
        };
        if secrets.is_some_and(|old| !same(old)) {
            changed.push(vec!["agents".into(), name.clone(), "redact".into()]);
        }
    }
    changed.sort();
    changed.dedup();
    let mut reload = Reload::default();
    for key in changed {
        let came_or_went =
            matches!(key.as_slice(), [section, _] if section == "teams" || section == "repositories");
        let list =
            if came_or_went || is_hot(&key) { &mut reload.took_effect } else { &mut reload.needs_restart };
        list.push(key.join("."));
    }
    reload
}

/// The key, or the team, repository or agent that came or went with it.
fn whole(key: &[String], before: &Leaves, after: &Leaves) -> Vec<String> {
    let named = |section: &String| matches!(section.as_str(), "teams" | "repositories" | "agents");
    if let [section, name, _, ..] = key
        && named(section)
    {
        let entry = [section.clone(), name.clone()];
        let there = |leaves: &Leaves| leaves.keys().any(|key| key.starts_with(&entry));
        if there(before) != there(after) {
            return entry.to_vec();
        }
    }
    key.to_vec()
}

fn is_hot(key: &[String]) -> bool {
    HOT.iter().any(|hot| {
        key.len() >= hot.len() && hot.iter().zip(key).all(|(hot, part)| *hot == "*" || hot == part)
    })
}

fn leaves(loaded: &Loaded) -> Leaves {
    let mut leaves = Leaves::new();
    let value = serde_json::to_value(&loaded.config).unwrap_or_default();
    flatten(value, &mut Vec::new(), &mut leaves);
    leaves
}

fn flatten(value: Value, path: &mut Vec<String>, leaves: &mut Leaves) {
    let named = matches!(path.as_slice(), [list] if list == "teams" || list == "repositories");
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                path.push(name);
                flatten(inner, path, leaves);
                path.pop();
            }
        }
        Value::Array(items) if named => {
            for item in items {
                let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
                path.push(name.to_owned());
                flatten(item, path, leaves);
                path.pop();
            }
        }
        leaf => {
            leaves.insert(path.clone(), leaf);
        }
    }
}
