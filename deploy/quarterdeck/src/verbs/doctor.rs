//! `doctor`: looks at everything that a fleet needs and says what is missing, odd or wrong, each with the way out. It reads
//! only; nothing has to run.

use std::{fmt, os::unix::fs::PermissionsExt as _, path::Path, process::ExitCode};

use qd_api::{Client, Target};
use qd_config::{BesideAgents, Loaded, SandboxKind, detect};
use qd_engine::Severity;
use qd_git::Git;
use qd_guard::proxy::Pins;
use qd_people::State;
use qd_types::{InstanceName, Role};
use serde::Serialize;

use super::{discord, github, link, nats};
use crate::{
    cli::Common,
    context::{self, UserError},
    fleet::team_folder,
    governed::{self, Governed},
    people::Roster,
    policies::PolicyPlan,
    say,
    servers::{
        self,
        declared::{Content, FILE},
        trusted::{Standing, Trusted},
    },
};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Fine,
    Note,
    Wrong,
}

/// What was looked at, and what was found.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    about: &'static str,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.level {
            Level::Fine => "✔",
            Level::Note => "●",
            Level::Wrong => "✖",
        };
        write!(f, "{sign} {:<14} {}", self.about, self.text)
    }
}

/// All findings, in the order in which they were looked for.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn fine(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { level: Level::Fine, about, text: text.into() });
    }

    fn note(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { level: Level::Note, about, text: text.into() });
    }

    fn wrong(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { level: Level::Wrong, about, text: text.into() });
    }
}

pub(super) async fn doctor(common: &Common) -> Result<ExitCode, UserError> {
    let mut found = Findings::default();
    git(&mut found).await;
    let sources = context::sources(common)?;
    match context::load(&sources) {
        Ok(loaded) => {
            let file = loaded.file.as_ref().map(|file| file.display().to_string());
            match (context::plan(&loaded, &sources.env), file) {
                (Ok(_), file) => {
                    found.fine("configuration", file.unwrap_or_else(|| "the defaults".to_owned()));
                }
                (Err(error), _) => found.wrong("configuration", error.to_string()),
            }
            repositories(&loaded, &mut found).await;
            let path = sources.env.get("PATH").map(String::as_str).unwrap_or_default();
            agents(&loaded, path, &mut found);
            walls(&loaded, &mut found).await;
            servers(&loaded, path, &mut found).await;
            state(&loaded.state_dir, &mut found);
            people(&loaded.state_dir, &mut found).await;
            policies(&loaded, &mut found).await;
            for each in discord::findings(&loaded, &sources.env).await {
                match each {
                    discord::Found::Fine(text) => found.fine("discord", text),
                    discord::Found::Note(text) => found.note("discord", text),
                    discord::Found::Wrong(text) => found.wrong("discord", text),
                }
            }
            for each in github::findings(&loaded, &sources.env).await {
                match each {
                    discord::Found::Fine(text) => found.fine("github", text),
                    discord::Found::Note(text) => found.note("github", text),
                    discord::Found::Wrong(text) => found.wrong("github", text),
                }
            }
            match nats::standing(&loaded).await {
                Some(Ok(text)) => found.fine("nats", text),
                Some(Err(error)) => found.wrong("nats", error.to_string()),
                None => {}
            }
            fleet(&loaded, &mut found).await;
        }
        Err(error) => found.wrong("configuration", error.to_string()),
    }
    let Findings(found) = found;
    let wrong = found.iter().filter(|finding| finding.level == Level::Wrong).count();
    if common.json {
        say::json(&serde_json::json!({ "ok": wrong == 0, "findings": found }));
    } else {
        found.iter().for_each(|finding| say::line(&finding.to_string()));
        say::line(match wrong {
            0 => "Nothing is wrong.",
            1 => "One thing is wrong.",
            _ => "Some things are wrong.",
        });
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn git(found: &mut Findings) {
    match Git::new().version().await {
        Ok(version) => found.fine("git", version),
        Err(error) => found.wrong("git", format!("{error}. Install git")),
    }
}

async fn repositories(loaded: &Loaded, found: &mut Findings) {
    for repository in &loaded.config.repositories {
        let (name, path) = (&repository.name, repository.path.display());
        if !repository.path.is_dir() {
            found.wrong("repository", format!("{name}: there is no folder {path}. Correct its path"));
        } else if !has_branch(&repository.path, &repository.target).await {
            let text = format!(
                "{name}: {path} has no branch {}. Commit something there, or correct its target",
                repository.target
            );
            found.wrong("repository", text);
        } else if repository.checks.is_empty() {
            let text = format!(
                "{name}: no check is configured, so its work stays unverified. Name one under repositories.checks"
            );
            found.note("repository", text);
        } else {
            let checks: Vec<&str> = repository.checks.iter().map(|check| check.name.as_str()).collect();
            found.fine(
                "repository",
                format!("{name}: {}, checked by {}", repository.target, checks.join(", ")),
            );
        }
    }
}

async fn has_branch(folder: &Path, branch: &str) -> bool {
    let mut git = tokio::process::Command::new("git");
    git.arg("-C").arg(folder).args(["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]);
    git.output().await.is_ok_and(|output| output.status.success())
}

/// Tool servers that runs would be given, and whether people trusted them.
async fn servers(loaded: &Loaded, path: &str, found: &mut Findings) {
    const ABOUT: &str = "tool server";
    for (name, server) in &loaded.config.mcp.servers {
        if server.off {
            continue;
        }
        if let Some(program) = &server.command
            && !detect::runs(program, path)
            && !Path::new(program).is_file()
        {
            let text = format!(
                "{name}: {program} is not on the PATH. Install it, or correct mcp.servers.{name}.command"
            );
            found.wrong(ABOUT, text);
        } else if qd_config::is_built_in(name) {
            found.fine(ABOUT, name.clone());
        } else {
            match Pins::read(&servers::pins(&loaded.state_dir, name)) {
                Ok(pins) if pins.trusted().next().is_some() => {
                    found.fine(ABOUT, format!("{name}: {} trusted tools", pins.trusted().count()));
                }
                Ok(_) => found.note(
                    ABOUT,
                    format!("{name}: nobody trusted any of its tools. quarterdeck mcp trust --server {name} shows them"),
                ),
                Err(error) => found.wrong(ABOUT, format!("{name}: {error}")),
            }
        }
    }
    let trusted = match Trusted::read(&loaded.state_dir) {
        Ok(trusted) => trusted,
        Err(error) => return found.wrong(ABOUT, error.to_string()),
    };
    for repository in &loaded.config.repositories {
        let name = &repository.name;
        let Ok(Some((_, content))) = Content::on(&repository.path, &repository.target).await else {
            continue;
        };
        let way_out = format!("quarterdeck mcp trust {name} shows it");
        match trusted.of(name, &content) {
            Standing::Trusted(entry) => {
                found.fine(ABOUT, format!("{name}: {FILE} is what {} trusted", entry.person));
            }
            Standing::Changed(entry) => {
                let text = format!(
                    "{name}: {FILE} is not what {} trusted, and starts nothing. {way_out}",
                    entry.person
                );
                found.note(ABOUT, text);
            }
            Standing::New => {
                found.note(
                    ABOUT,
                    format!("{name}: nobody trusted what {FILE} says, and it starts nothing. {way_out}"),
                );
            }
        }
    }
}

fn agents(loaded: &Loaded, path: &str, found: &mut Findings) {
    if loaded.config.agents.is_empty() {
        found.note(
            "agent",
            "no coding agent is configured. Name one under [agents]; any command line will do",
        );
    }
    for (name, agent) in &loaded.config.agents {
        let Some(command) = &agent.command else {
            known(loaded, (name, agent), path, found);
            continue;
        };
        match command.first() {
            Some(program) if detect::runs(program, path) => found.fine("agent", format!("{name}: {program}")),
            Some(program) => {
                let text = format!(
                    "{name}: {program} is not on the PATH. Install it, or correct agents.{name}.command"
                );
                found.wrong("agent", text);
            }
            None => found.wrong("agent", format!("{name}: agents.{name}.command is empty")),
        }
    }
}

/// An agent of the registry: whether it is there, and by which way it gets to its model.
fn known(loaded: &Loaded, (name, agent): (&str, &qd_config::Agent), path: &str, found: &mut Findings) {
    let key = agent.entry.as_deref().unwrap_or(name);
    let registry = match context::registry(loaded) {
        Ok(registry) => registry,
        Err(error) => return found.wrong("agent", format!("{name}: {error}")),
    };
    let entry = match registry.get(key) {
        Ok(entry) => entry,
        Err(error) => return found.wrong("agent", format!("{name}: {error}")),
    };
    if detect::runs(&entry.command, path) || std::path::Path::new(&entry.command).is_file() {
        found.fine("agent", format!("{name}: {}", entry.command));
    } else {
        let text = format!("{name}: {} is not on the PATH. {}", entry.command, entry.install);
        found.wrong("agent", text);
    }
    if !entry.asks() && (loaded.config.sandbox.kind == SandboxKind::None || !qd_confine::available()) {
        let text =
            format!("{name} never asks before it does something, and there are no walls: it will not work");
        found.wrong("agent", text);
    }
    if agent.login {
        let home = context::login_home(&loaded.state_dir, key);
        if home.is_dir() {
            let text = format!(
                "{name} uses a login of its own ({}), which it can read: a key in the gateway is the stronger way",
                home.display()
            );
            found.note("agent", text);
        } else {
            found.wrong("agent", format!("{name} has no login. Run: quarterdeck agent login {key}"));
        }
    }
}

async fn walls(loaded: &Loaded, found: &mut Findings) {
    let sandbox = loaded.config.sandbox.kind;
    let beside = loaded.config.approvals.local_votes_beside_unsandboxed_agents;
    let walled = sandbox != SandboxKind::None && qd_confine::available();
    match (beside, walled) {
        (BesideAgents::Allow, _) => found.note(
            "votes",
            "votes given here count even while agents run that could act as you: \
             approvals.local_votes_beside_unsandboxed_agents is allow",
        ),
        (BesideAgents::Strict, _) | (BesideAgents::Refuse, false) => found.note(
            "votes",
            "votes given here don't count while an agent runs (approvals.local_votes_beside_unsandboxed_agents)",
        ),
        (BesideAgents::Refuse, true) => {}
    }
    match (sandbox, qd_confine::available()) {
        (SandboxKind::None, _) => {
            found.note(
                "walls",
                "sandbox.kind is none: nothing keeps an agent from writing anywhere. Set it to auto",
            );
        }
        (SandboxKind::Landlock, false) => {
            found
                .wrong("walls", "sandbox.kind is landlock, and this kernel has none. Set it to auto or none");
        }
        (_, true) => found.fine("walls", "checks write only where they are let (Landlock)"),
        (_, false) => {
            let text = "this kernel has no Landlock: writes of checks elsewhere are found only afterwards";
            found.note("walls", text);
        }
    }
    if sandbox == SandboxKind::None {
        return;
    }
    let walls = match crate::walls::of_agents(&loaded.config.sandbox, &loaded.state_dir) {
        Ok(walls) => walls,
        Err(error) => return found.wrong("walls", error.to_string()),
    };
    let limited = walls.limits != qd_sandbox::Limits::default();
    let closed = walls.reach == qd_team::Reach::Closed || !walls.hosts.is_empty();
    let wanted = Wanted { limited, closed, fleet: &loaded.state_dir };
    prevents(walls.sandbox.as_ref(), "agents", wanted, found).await;
    let teams =
        loaded.config.teams.iter().map(|team| (format!("agents of {}", team.name), team.sandbox, None));
    let repositories = loaded.config.repositories.iter();
    let repositories =
        repositories.map(|each| (format!("agents in {}", each.name), each.sandbox, each.image.as_ref()));
    for (who, demand, image) in teams.chain(repositories) {
        match crate::walls::demanded(loaded, demand, image) {
            Ok(None) => {}
            Ok(Some(sandbox)) => prevents(sandbox.as_ref(), &who, wanted, found).await,
            Err(error) => found.wrong("walls", error.to_string()),
        }
    }
}

/// What the configuration asks of walls.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    limited: bool,
    closed: bool,
    /// Whose: its state folder.
    fleet: &'a Path,
}

/// Which walls, what they prevent, and what they can't though it is asked for.
async fn prevents(sandbox: &dyn qd_sandbox::Sandbox, who: &str, wanted: Wanted<'_>, found: &mut Findings) {
    match sandbox.probe().await {
        Ok(prevents) => {
            let kind = sandbox.kind();
            found.fine("walls", format!("{who} run in {kind}, which prevents {prevents}"));
            if wanted.limited && !prevents.hogging {
                let why = match qd_sandbox::Cgroups::delegated(wanted.fleet) {
                    Err(error) if kind == qd_sandbox::Kind::Bubblewrap => format!(": {error}"),
                    _ => String::new(),
                };
                let text = format!(
                    "the limits of {who} hold for each process, not for all of a run together (rlimits){why}"
                );
                found.note("walls", text);
            }
            if wanted.closed && !prevents.network {
                let text = format!(
                    "{kind} can't cut the network of {who}: sandbox.network and hosts do nothing there"
                );
                found.note("walls", text);
            }
        }
        Err(error) => found.note("walls", format!("{who} wait: {error}")),
    }
}

fn state(folder: &Path, found: &mut Findings) {
    let place = folder.display();
    match std::fs::metadata(folder) {
        Err(_) => found.note("state", format!("{place} will be made at the first start")),
        Ok(is) if is.permissions().mode() & 0o022 != 0 => {
            found.wrong("state", format!("others may write to {place}. Run: chmod go-w {place}"));
        }
        Ok(_) => found.fine("state", place.to_string()),
    }
}

async fn people(state: &Path, found: &mut Findings) {
    let Some(roster) = Roster::look(state) else {
        return found.note("people", "nobody was taken in yet: that happens at the first start");
    };
    let list = match roster.list().await {
        Ok(list) => list,
        Err(error) => return found.wrong("people", format!("people.db can't be read: {error}")),
    };
    let active: Vec<_> = list.iter().filter(|profile| profile.state == State::Active).collect();
    let decides = |role: &Role| !matches!(role, Role::Viewer);
    for profile in &active {
        if !profile.has_passphrase && profile.roles.iter().any(|(_, role)| decides(role)) {
            let text = format!(
                "{0} has no passphrase, so can't vote. Set it with: quarterdeck person passphrase, or invite {0} again",
                profile.id
            );
            found.note("people", text);
        }
    }
    let owns = |profile: &&&qd_people::Profile| profile.person(&[]).roles.contains(&Role::Owner);
    let owners: Vec<_> = active.iter().filter(owns).collect();
    if let ([owner], true) = (owners.as_slice(), active.len() > 1) {
        let text = format!(
            "{} is the only owner, so decides alone on policies and people. With a second owner it takes both: quarterdeck person role NAME owner",
            owner.id
        );
        found.note("people", text);
    }
    let names: Vec<&str> = active.iter().map(|profile| profile.id.as_str()).collect();
    found.fine("people", names.join(", "));
}

async fn policies(loaded: &Loaded, found: &mut Findings) {
    let engine = match PolicyPlan::of(loaded).with_people(&loaded.state_dir).await {
        Ok(plan) => plan.engine(),
        Err(error) => Err(error),
    };
    match governed::waits(&loaded.state_dir, &Governed::written(loaded)) {
        Ok(Some(waits)) => found.note("policies", waits),
        Ok(None) => {}
        Err(error) => found.wrong("policies", UserError::from_error(&error).to_string()),
    }
    let policies = match engine {
        Ok(engine) => engine.current(),
        Err(error) => return found.wrong("policies", error.to_string()),
    };
    for finding in policies.check() {
        let text = format!("{}: {}", finding.place, finding.text);
        match finding.severity {
            Severity::Error => found.wrong("policies", text),
            Severity::Warning | Severity::Note => found.note("policies", text),
        }
    }
    found.fine("policies", format!("version {}", policies.hash().short()));
}

/// Whether a team reaches its bot, and how far their clocks are apart.
async fn uplink(loaded: &Loaded, id: &InstanceName, found: &mut Findings) {
    match link::link(loaded, id).await {
        Ok(Some(known)) if known.state.trouble.is_some() => found.wrong("uplink", link::words(&known)),
        Ok(Some(known)) if known.state.ahead_ms.abs() > link::APART => {
            let text = format!("{}. Set both clocks, by NTP say", link::words(&known));
            found.note("uplink", text);
        }
        // In one process there is nothing that could be wrong.
        Ok(Some(known)) if known.url.is_some() => found.fine("uplink", link::words(&known)),
        Ok(_) => {}
        Err(error) => found.note("uplink", error.to_string()),
    }
}

async fn fleet(loaded: &Loaded, found: &mut Findings) {
    for team in &loaded.config.teams {
        let socket = team_folder(&loaded.state_dir, team.id()).join("api.sock");
        let mut client = Client::new(Target::Socket(socket), team.name.as_str(), None);
        match client.get::<qd_api::TeamView>("").await {
            Ok(view) => {
                match view.refuses {
                    Some(why) => found.wrong("team", format!("{} runs. {why}", team.name)),
                    None => found.fine("team", format!("{} runs", team.name)),
                }
                uplink(loaded, team.id(), found).await;
            }
            Err(qd_api::ClientError::NotRunning { .. }) => {
                found.note("team", format!("{} does not run. Start it with: quarterdeck up", team.name));
            }
            Err(error) => found.wrong("team", format!("{}: {error}", team.name)),
        }
    }
}
