//! What must hold across sections.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{Config, Loaded, Problem, Sources, layers::nearest_origin};

/// The folders below which may be read.
pub(crate) fn roots(config: &Config, sources: &Sources, file: Option<&Path>) -> Vec<PathBuf> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if let Some(only) = sources.env.get("ALLOWED_ROOT_DIRECTORY") {
        return vec![real(&sources.cwd.join(only))];
    }
    if config.roots.is_empty() {
        let folder = file.and_then(Path::parent).unwrap_or(&sources.cwd);
        return vec![real(folder)];
    }
    config.roots.iter().map(|root| real(&sources.cwd.join(root))).collect()
}

/// Everything that does not hold, each with its place.
pub(crate) fn problems(loaded: &Loaded, root_by_env: bool) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |key: String, text: String| {
        found.push(Problem { origin: nearest_origin(&loaded.origins, &key), text: format!("{key}: {text}") });
    };
    let config = &loaded.config;
    teams(config, &mut add);
    let mut names = BTreeSet::new();
    for (index, repository) in config.repositories.iter().enumerate() {
        let key = |field: &str| format!("repositories.{index}.{field}");
        if !names.insert(&repository.name) {
            add(key("name"), format!("there are two repositories {}", repository.name));
        }
        match repository.path.canonicalize() {
            Err(error) => add(key("path"), format!("{} can't be opened: {error}", repository.path.display())),
            Ok(path) if !loaded.roots.iter().any(|root| path.starts_with(root)) => {
                let roots: Vec<String> = loaded.roots.iter().map(|root| root.display().to_string()).collect();
                let way =
                    if root_by_env { "ALLOWED_ROOT_DIRECTORY says so" } else { "add its folder to roots" };
                add(key("path"), format!("{} is not below {}: {way}", path.display(), roots.join(", ")));
            }
            Ok(_) => {}
        }
        let mut checks = BTreeSet::new();
        for (number, check) in repository.checks.iter().enumerate() {
            if check.name.trim().is_empty() || check.command.trim().is_empty() {
                add(key(&format!("checks.{number}")), "needs a name and a command".into());
            }
            if check.minutes == 0 {
                add(key(&format!("checks.{number}.minutes")), "is 0, so it could never pass; from 1".into());
            }
            if !checks.insert(&check.name) {
                add(key(&format!("checks.{number}.name")), format!("there are two checks {}", check.name));
            }
        }
    }
    people(config, &mut add);
    for (name, agent) in &config.agents {
        if agent.command.first().is_none_or(|program| program.trim().is_empty()) {
            add(format!("agents.{name}.command"), "is empty: give the program and its arguments".into());
        }
    }
    found
}

fn people(config: &Config, add: &mut impl FnMut(String, String)) {
    let mut names = BTreeSet::new();
    for (index, person) in config.people.iter().enumerate() {
        if !names.insert(&person.name) {
            add(format!("people.{index}.name"), format!("there are two people {}", person.name));
        }
    }
    if let Some(me) = &config.fleet.me
        && !names.contains(me)
    {
        add("fleet.me".into(), format!("{me} is not among the people: add [[people]] with name = \"{me}\""));
    }
    let deciders = config.people.iter().filter(|person| {
        person.roles.iter().any(|role| matches!(role, qd_types::Role::Owner | qd_types::Role::Reviewer))
    });
    let deciders = u32::try_from(deciders.count()).unwrap_or(u32::MAX);
    let quorum = config.fleet.merge_quorum;
    if quorum == 0 {
        add("fleet.merge_quorum".into(), "is 0, and nothing merges without a person; from 1".into());
    } else if !config.people.is_empty() && deciders < quorum {
        add(
            "fleet.merge_quorum".into(),
            format!("{quorum} people have to approve a merge, and only {deciders} are owner or reviewer"),
        );
    }
}

fn teams(config: &Config, add: &mut impl FnMut(String, String)) {
    let (mut names, mut prefixes) = (BTreeSet::new(), BTreeSet::new());
    for (index, team) in config.teams.iter().enumerate() {
        let key = |field: &str| format!("teams.{index}.{field}");
        let prefix = team.prefix();
        if !names.insert(&team.name) {
            add(key("name"), format!("there are two teams {}", team.name));
        }
        if !(1..=8).contains(&prefix.len()) || !prefix.bytes().all(|b| b.is_ascii_uppercase()) {
            add(key("prefix"), format!("{prefix:?} is not 1 to 8 capital letters"));
        }
        if !prefixes.insert(prefix.clone()) {
            add(
                key("prefix"),
                format!("two teams would have {prefix}: give {} a prefix of its own", team.name),
            );
        }
        if team.slots == 0 {
            add(key("slots"), "is 0, so nothing would ever run; from 1".into());
        }
        if let Some(agent) = &team.agent
            && !config.agents.contains_key(agent)
        {
            add(key("agent"), format!("there is no agent {agent}.{}", nearest(agent, config.agents.keys())));
        }
        for name in &team.repositories {
            if !config.repositories.iter().any(|repository| repository.name == *name) {
                let known: Vec<String> = config.repositories.iter().map(|r| r.name.to_string()).collect();
                add(
                    key("repositories"),
                    format!("there is no repository {name}.{}", nearest(name.as_str(), known.iter())),
                );
            }
        }
    }
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&String> = known.collect();
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, _)| *distance <= 2)
        .min();
    match near {
        Some((_, known)) => format!(" Did you mean {known}?"),
        None if known.is_empty() => " None is configured.".to_owned(),
        None => {
            let all: Vec<&str> = known.iter().map(|known| known.as_str()).collect();
            format!(" There is {}.", all.join(", "))
        }
    }
}
