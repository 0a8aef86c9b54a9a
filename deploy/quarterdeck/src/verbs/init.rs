//! `init`: looks at the repository in this folder and writes its configuration. In a terminal it asks
//! for the passphrase of the person's votes, before any agent runs.

use std::path::Path;

use qd_config::{InitFacts, detect, template};
use qd_git::Git;
use qd_people::PeopleError;
use qd_types::{PersonId, RepositoryName};
use qd_worktrees::Obstacle;
use secrecy::ExposeSecret as _;

use super::{Done, proof};
use crate::{
    cli::Common,
    context::{self, UserError},
    governed,
    people::Roster,
    say,
};

const FILE: &str = "quarterdeck.toml";

/// How often a passphrase is asked for that can't be taken.
const ATTEMPTS: u32 = 3;

pub(super) async fn init(common: &Common, force: bool) -> Done {
    let sources = context::sources(common)?;
    let folder = &sources.cwd;
    if !folder.join(".git").exists() {
        return Err(UserError::failed(format!(
            "{} is not the top of a git repository. Run: git init && git add . && git commit",
            folder.display()
        )));
    }
    let target = branch(folder)?;
    let obstacles = obstacles(folder).await?;
    let path = folder.join(FILE);
    if path.exists() && !force {
        return Err(UserError::failed(format!(
            "{} is there already. quarterdeck init --force replaces it",
            path.display()
        )));
    }
    let env = |name: &str| sources.env.get(name).map(String::as_str).unwrap_or_default();
    let facts = InitFacts {
        repository: name::<RepositoryName>(
            &folder.file_name().unwrap_or_default().to_string_lossy(),
            "repository",
        )?,
        target,
        team: name("alpha", "alpha")?,
        person: name::<PersonId>(env("USER"), "owner")?,
        checks: detect::checks(folder),
        agents: detect::agents(env("PATH")),
    };
    std::fs::write(&path, template(&facts))
        .map_err(|error| UserError::failed(format!("{} can't be written: {error}", path.display())))?;
    let has_passphrase = passphrase(common, &facts.person).await?;
    if common.json {
        say::json(&serde_json::json!({
            "file": path,
            "passphrase": has_passphrase,
            "checks": facts.checks.iter().map(|check| &check.command).collect::<Vec<_>>(),
            "agents": facts.agents.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "notes": obstacles.iter().map(told).collect::<Vec<_>>(),
            "next": "quarterdeck up",
        }));
        return Ok(());
    }
    say::line(&format!("Wrote {}.", path.display()));
    for obstacle in &obstacles {
        say::line(&format!("Note: {}", told(obstacle)));
    }
    match facts.checks.as_slice() {
        [] => say::line("No checks were found: work will be unverified until one is named there."),
        checks => {
            checks.iter().for_each(|check| say::line(&format!("Check {}: {}", check.name, check.command)));
        }
    }
    match facts.agents.as_slice() {
        [] => say::line("No coding agent was found: name one there, any command line will do."),
        agents => {
            let names: Vec<&str> = agents.iter().map(|(name, _)| name.as_str()).collect();
            say::line(&format!("Agents: {}. The first one works.", names.join(", ")));
        }
    }
    if !has_passphrase {
        say::line(&format!(
            "{} has no passphrase yet, and votes need one: quarterdeck up says how.",
            facts.person
        ));
    }
    say::line("Next: quarterdeck up");
    Ok(())
}

/// Sets the person's first passphrase, if one is given and there is none. Says whether there is one.
async fn passphrase(common: &Common, person: &PersonId) -> Result<bool, UserError> {
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    if !proof::nothing_runs(&loaded).await {
        return Ok(true);
    }
    let failed = |error: PeopleError| UserError::from_error(&error);
    let roster = Roster::beside(&loaded.state_dir).await.map_err(failed)?;
    let people = context::plan(&loaded, &sources.env)?.people;
    let people =
        governed::people(&loaded.state_dir, people).map_err(|error| UserError::from_error(&error))?;
    roster.seed(&people).await.map_err(failed)?;
    if roster.find(person).await.map_err(failed)?.is_some_and(|known| known.has_passphrase) {
        return Ok(true);
    }
    if let Some(given) = proof::given(None, sources.env.get(proof::VARIABLE))? {
        roster.first_passphrase(person, given).await.map_err(failed)?;
        return Ok(true);
    }
    if common.json || !proof::can_ask() {
        return Ok(false);
    }
    say::note("Approvals take a passphrase, so that no agent approves in your name. Enter alone: later.");
    for _ in 0..ATTEMPTS {
        let typed = match proof::ask_new(person.as_str()) {
            Ok(typed) if typed.expose_secret().is_empty() => return Ok(false),
            Ok(typed) => typed,
            Err(error) => {
                say::note(&error.to_string());
                continue;
            }
        };
        match roster.first_passphrase(person, typed).await {
            Ok(()) => return Ok(true),
            Err(error @ (PeopleError::TooShort | PeopleError::TooLong)) => say::note(&error.to_string()),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(false)
}

/// What of the repository is in the way. What stops everything is an error with the command that mends it.
async fn obstacles(folder: &Path) -> Result<Vec<Obstacle>, UserError> {
    let found = qd_worktrees::inspect(&Git::new(), folder).await;
    let found = found.map_err(|error| UserError::from_error(&error))?;
    match found.iter().find(|obstacle| obstacle.stops) {
        Some(obstacle) => Err(UserError::failed(told(obstacle))),
        None => Ok(found),
    }
}

fn told(obstacle: &Obstacle) -> String {
    match &obstacle.mend {
        Some(command) => format!("{}. Run: {command}", obstacle.what),
        None => format!("{}.", obstacle.what),
    }
}

/// A name that holds, made of what there is.
fn name<T: std::str::FromStr<Err = qd_types::IdError>>(text: &str, fallback: &str) -> Result<T, UserError> {
    let tidy: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' })
        .collect();
    let tidy = tidy.trim_matches(['-', '_']);
    tidy.parse().or_else(|_| fallback.parse()).map_err(|error: T::Err| UserError::failed(error.to_string()))
}

/// The branch that is checked out, if it has a commit.
fn branch(folder: &Path) -> Result<String, UserError> {
    let run = |args: &[&str]| {
        let output = std::process::Command::new("git").arg("-C").arg(folder).args(args).output();
        let output = output.map_err(|error| UserError::failed(format!("git can't be run: {error}")))?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok::<_, UserError>(Some(text).filter(|text| output.status.success() && !text.is_empty()))
    };
    let branch = run(&["symbolic-ref", "--short", "HEAD"])?.ok_or_else(|| {
        UserError::failed(
            "no branch is checked out here. Check out the branch that features should go to: git switch main",
        )
    })?;
    if run(&["rev-parse", "--verify", "--quiet", "HEAD"])?.is_none() {
        return Err(UserError::failed("the repository has no commit yet. Run: git add . && git commit"));
    }
    Ok(branch)
}
