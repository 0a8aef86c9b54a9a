//! What must hold across sections. Not what a single value has to be: `values` has said that already.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use qd_types::Role;

use crate::{
    Agent, Config, ConfigError, Loaded, Origin, Problem, Repository, Sources, discord, gateway, github, hub,
    mcp,
    origin::{Origins, nearest_origin},
    state, values,
};

/// The configuration with its folders resolved, or everything that does not fit together, each with its place.
pub(crate) fn loaded(
    config: Config,
    origins: Origins,
    file: Option<PathBuf>,
    sources: &Sources,
) -> Result<Loaded, ConfigError> {
    let mut problems = Vec::new();
    let mut add = |key: String, text: String| {
        let stop = if text.ends_with('?') { "" } else { "." };
        problems.push(if key == state::ROOT_VARIABLE {
            Problem { origin: Some(Origin::Env(key)), text: format!("{text}{stop}") }
        } else {
            Problem { origin: nearest_origin(&origins, &key), text: format!("{key}: {text}{stop}") }
        });
    };
    let state_dir = state::folder(&config, sources).unwrap_or_else(|text| {
        add("state.dir".into(), text);
        PathBuf::new()
    });
    let roots = state::roots(&config, sources, file.as_deref(), &mut add);
    people(&config, &mut add);
    teams(&config, &mut add);
    rules(&config, &mut add);
    policy_rules(&config, &mut add);
    let by_env = sources.env.contains_key(state::ROOT_VARIABLE);
    repositories(&config, &roots, by_env, &mut add);
    for (name, agent) in &config.agents {
        check_agent(name, agent, &mut add);
    }
    gateway::check(&config, &mut add);
    mcp::check(&config, &mut add);
    hub::check(&config, &mut add);
    check_audit(&config, &mut add);
    check_chat(&config, &mut add);
    discord::check(&config, &mut add);
    github::check(&config, &mut add);
    check_level(&config.log.level, &mut add);
    if problems.is_empty() {
        Ok(Loaded { config, origins, file, state_dir, roots })
    } else {
        Err(ConfigError::new(problems))
    }
}

/// The fallback channel is one more, with a name that fits beside a `#`.
fn check_chat(config: &Config, add: &mut impl FnMut(String, String)) {
    let Some(name) = &config.chat.fallback else { return };
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if name.is_empty() || name.len() > 40 || !name.chars().all(fits) {
        add("chat.fallback".into(), format!("{name:?} is no name of a channel, like ops: a-z, 0-9 and -"));
    } else if ["dev", "alerts", "approvals"].contains(&name.as_str()) {
        add(
            "chat.fallback".into(),
            format!("{name} is a channel of its own; give it another name, like ops"),
        );
    }
}

fn repositories(config: &Config, roots: &[PathBuf], by_env: bool, add: &mut impl FnMut(String, String)) {
    let mut names = BTreeSet::new();
    for (index, repository) in config.repositories.iter().enumerate() {
        let key = |field: &str| format!("repositories.{index}.{field}");
        if !names.insert(&repository.name) {
            add(key("name"), format!("there are two repositories {}", repository.name));
        }
        if let Err(text) = below(&repository.path, roots, by_env) {
            add(key("path"), text);
        }
        let target = repository.target.as_str();
        if target.is_empty() || target.starts_with('-') || target.contains(char::is_whitespace) {
            add(key("target"), format!("{target:?} is not the name of a branch, like main"));
        }
        checks(repository, index, add);
    }
}

fn below(path: &Path, roots: &[PathBuf], by_env: bool) -> Result<(), String> {
    let real = path.canonicalize().map_err(|error| format!("{} can't be opened: {error}", path.display()))?;
    // Without any root there is a problem of its own, and this one would only repeat it.
    if roots.is_empty() || roots.iter().any(|root| real.starts_with(root)) {
        return Ok(());
    }
    let roots: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
    let way = if by_env { "ALLOWED_ROOT_DIRECTORY says so" } else { "add its folder to roots" };
    Err(format!("{} is not below {}: {way}", real.display(), roots.join(", ")))
}

fn checks(repository: &Repository, index: usize, add: &mut impl FnMut(String, String)) {
    let mut names = BTreeSet::new();
    for (number, check) in repository.checks.iter().enumerate() {
        let key = format!("repositories.{index}.checks.{number}");
        if check.name.trim().is_empty() || check.command.trim().is_empty() {
            add(key.clone(), "needs a name and a command".into());
        }
        if !names.insert(&check.name) {
            add(format!("{key}.name"), format!("there are two checks {}", check.name));
        }
    }
}

fn check_agent(name: &str, agent: &Agent, add: &mut impl FnMut(String, String)) {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        add(format!("agents.{name}"), "an agent's name is lower-case letters, digits, - and _".into());
    }
    match &agent.command {
        Some(command) if command.first().is_none_or(|program| program.trim().is_empty()) => {
            add(format!("agents.{name}.command"), "is empty: give the program and its arguments".into());
        }
        Some(_) => {
            for (key, given) in [
                ("entry", agent.entry.is_some()),
                ("model", agent.model.is_some()),
                ("mode", agent.mode.is_some()),
                ("commands", !agent.commands.is_empty()),
                ("login", agent.login),
            ] {
                if given {
                    let text =
                        "is of a known agent, and this one has a command of its own: leave one of both out";
                    add(format!("agents.{name}.{key}"), text.into());
                }
            }
        }
        None => {}
    }
    for (index, command) in agent.commands.iter().enumerate() {
        if command.trim().is_empty() {
            add(format!("agents.{name}.commands.{index}"), "is empty, and would be every command".into());
        }
    }
    for (index, variable) in agent.env.iter().enumerate() {
        // What follows the sign may be a secret: it is not repeated.
        if let Some((variable, _)) = variable.split_once('=') {
            let text =
                format!("{variable} has a value: give only the name, and set it where quarterdeck starts");
            add(format!("agents.{name}.env.{index}"), text);
        }
    }
}

fn check_audit(config: &Config, add: &mut impl FnMut(String, String)) {
    let mut days = |key: &str, span: &str| match crate::days(span) {
        Ok(days) => Some(days),
        Err(text) => {
            add(format!("audit.{key}"), text);
            None
        }
    };
    let after = days("after", &config.audit.after);
    let keep = config.audit.keep.as_ref().and_then(|keep| days("keep", keep));
    if let (Some(after), Some(keep)) = (after, keep)
        && keep < after
    {
        add("audit.keep".into(), format!("{keep} days are less than the {after} days of audit.after"));
    }
}

fn check_level(filter: &str, add: &mut impl FnMut(String, String)) {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    for part in filter.split(',') {
        let level = part.rsplit('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !levels.contains(&level.as_str()) {
            let near = values::nearest(&level, levels.into_iter());
            let near = near.map_or_else(String::new, |near| format!(". Did you mean {near}?"));
            add("log.level".into(), format!("{level:?} is none of {}{near}", levels.join(", ")));
        }
    }
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
    let deciders = config
        .people
        .iter()
        .filter(|person| person.roles.iter().any(|role| matches!(role, Role::Owner | Role::Reviewer)));
    let deciders = u32::try_from(deciders.count()).unwrap_or(u32::MAX);
    let quorum = config.fleet.merge_quorum;
    if !config.people.is_empty() && deciders < quorum {
        add(
            "fleet.merge_quorum".into(),
            format!("approvals needed for a merge: {quorum}; people who are owner or reviewer: {deciders}"),
        );
    }
}

/// A rule for something that there is not would never fit, and nobody would see that it does not protect.
fn policy_rules(config: &Config, add: &mut impl FnMut(String, String)) {
    let mut names = BTreeSet::new();
    for (index, rule) in config.policies.rules.iter().enumerate() {
        let key = |field: &str| format!("policies.rules.{index}.{field}");
        if !names.insert(&rule.name) {
            add(key("name"), format!("there are two rules {}", rule.name));
        }
        if let Some(team) = &rule.team
            && !config.teams.iter().any(|other| other.name == *team)
        {
            add(key("team"), format!("there is no team {team}"));
        }
        if let Some(repository) = &rule.repository
            && !config.repositories.iter().any(|other| other.name == *repository)
        {
            add(key("repository"), format!("there is no repository {repository}"));
        }
    }
}

fn teams(config: &Config, add: &mut impl FnMut(String, String)) {
    let (mut names, mut prefixes) = (BTreeSet::new(), BTreeSet::new());
    for (index, team) in config.teams.iter().enumerate() {
        let key = |field: &str| format!("teams.{index}.{field}");
        let prefix = team.prefix();
        if !names.insert(&team.name) {
            add(key("name"), format!("there are two teams {}", team.name));
            continue;
        }
        let others = || config.teams.iter().enumerate().filter(|(other, _)| *other != index);
        if let Some((_, other)) = others().find(|(_, other)| other.id() == team.id()) {
            let text =
                format!("{} is known by {} already: give {} another id", other.name, team.id(), team.name);
            add(key("id"), text);
        } else if others().any(|(_, other)| *other.id() == team.name) {
            add(key("name"), format!("another team was called {} first: take another name", team.name));
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
        if let Some(agent) = &team.agent {
            known_agent(config, key("agent"), agent, add);
        }
        for (number, rung) in team.ladder.iter().enumerate() {
            known_agent(config, key(&format!("ladder.{number}.agent")), &rung.agent, add);
        }
        if let Err(error) = qd_board::hours::QuietHours::parse(&team.quiet) {
            add(key("quiet"), error.to_string());
        }
        let known: Vec<&str> = config.repositories.iter().map(|each| each.name.as_str()).collect();
        for (number, name) in team.repositories.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let text = format!("there is no repository {name}. {}", instead(name.as_str(), &known));
                add(key(&format!("repositories.{number}")), text);
            }
        }
    }
}

fn known_agent(config: &Config, key: String, agent: &str, add: &mut impl FnMut(String, String)) {
    if !config.agents.contains_key(agent) {
        let known: Vec<&str> = config.agents.keys().map(String::as_str).collect();
        add(key, format!("there is no agent {agent}. {}", instead(agent, &known)));
    }
}

fn rules(config: &Config, add: &mut impl FnMut(String, String)) {
    for (index, rule) in config.rules.iter().enumerate() {
        if let Some(agent) = &rule.agent {
            known_agent(config, format!("rules.{index}.agent"), agent, add);
        }
        if rule.agent.is_none() && rule.model.is_none() && rule.size.is_none() {
            add(format!("rules.{index}"), "decides nothing: give it an agent, a model or a size".into());
        }
    }
    if let Err(error) = qd_board::Rules::new(config.rules.clone(), Vec::new(), None) {
        add("rules".into(), error.to_string());
    }
    if let Some(zone) = &config.fleet.time_zone
        && jiff::tz::TimeZone::get(zone).is_err()
    {
        add("fleet.time_zone".into(), format!("{zone:?} is not a time zone, like Europe/Berlin"));
    }
}

fn instead(word: &str, known: &[&str]) -> String {
    match values::nearest(word, known.iter().copied()) {
        Some(known) => format!("Did you mean {known}?"),
        None if known.is_empty() => "None is configured".to_owned(),
        None => format!("There is {}", known.join(", ")),
    }
}
