//! `agent`: which coding agents are known and installed, what they say of themselves, and their own logins.

use std::{
    os::unix::fs::DirBuilderExt as _,
    process::{Command, ExitCode},
    time::Duration,
};

use qd_agents::{
    handshake::{Found, look},
    registry::{Entry, Protocol},
};
use qd_config::{Loaded, detect};
use serde_json::{Value, json};

use crate::{
    cli::{AgentVerb, Common},
    context::{self, UserError},
    say,
};

/// How long each step of a look may take: a Node program with a cold cache needs seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Variables that a login may see: enough to speak in a terminal and to open a browser.
const LOGIN_SEES: [&str; 8] =
    ["PATH", "TERM", "LANG", "USER", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "BROWSER"];

pub(super) async fn agent(common: &Common, verb: AgentVerb) -> Result<ExitCode, UserError> {
    let loaded = context::load(&context::sources(common)?)?;
    let registry = context::registry(&loaded)?;
    match verb {
        AgentVerb::List => {
            let rows: Vec<Row> =
                registry.iter().map(|(name, entry)| Row::new(&loaded, name, entry)).collect();
            if common.json {
                say::json(&rows.iter().map(Row::json).collect::<Vec<_>>());
            } else {
                rows.iter().for_each(|row| say::line(&row.text()));
            }
            Ok(ExitCode::SUCCESS)
        }
        AgentVerb::Doctor { name } => {
            let entries: Vec<(&str, &Entry)> = match &name {
                Some(name) => vec![(name.as_str(), known(&registry, name)?)],
                None => registry.iter().filter(|(_, entry)| is_here(entry)).collect(),
            };
            doctor(common, &loaded, entries).await
        }
        AgentVerb::Login { name } => login(&loaded, &name, known(&registry, &name)?),
    }
}

fn known<'a>(registry: &'a qd_agents::registry::Registry, name: &str) -> Result<&'a Entry, UserError> {
    registry.get(name).map_err(|error| UserError::usage(error.to_string()))
}

fn is_here(entry: &Entry) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let is_file = entry.command.contains('/') && std::path::Path::new(&entry.command).is_file();
    !entry.command.is_empty() && (is_file || detect::runs(&entry.command, &path))
}

/// One agent of the list.
struct Row<'a> {
    name: &'a str,
    entry: &'a Entry,
    here: bool,
    /// A configured agent is this one.
    used: bool,
}

impl<'a> Row<'a> {
    fn new(loaded: &Loaded, name: &'a str, entry: &'a Entry) -> Self {
        let mut agents = loaded.config.agents.iter();
        let used = agents.any(|(key, agent)| {
            agent.command.is_none() && agent.entry.as_deref().unwrap_or(key.as_str()) == name
        });
        Self { name, entry, here: is_here(entry), used }
    }

    fn text(&self) -> String {
        let here = if self.here { "installed" } else { "-" };
        let used = if self.used { ", configured" } else { "" };
        let more = if self.here { limits(self.entry).join(" ") } else { self.entry.install.clone() };
        format!("{:<13} {:<22} {more}", self.name, format!("{here}{used}")).trim_end().to_owned()
    }

    fn json(&self) -> Value {
        let Entry { command, licence, install, can, tried, .. } = self.entry;
        json!({
            "name": self.name, "installed": self.here, "configured": self.used, "command": command,
            "licence": licence, "install": install, "tried": tried, "limits": limits(self.entry),
            "asks": self.entry.asks(), "resume": can.resume, "load": can.load, "mcp": can.mcp,
            "images": can.images, "cost": can.cost,
        })
    }
}

/// What an agent can't do, and what happens instead.
fn limits(entry: &Entry) -> Vec<String> {
    if entry.protocol == Protocol::Command {
        return vec!["A command line: it has no session, and asks for nothing.".to_owned()];
    }
    let mut limits = Vec::new();
    if !entry.asks() {
        limits.push("It never asks before it does something: it works only within walls.".to_owned());
    }
    if !entry.can.resume && !entry.can.load {
        limits.push("It forgets its session: the next turn begins with a summary.".to_owned());
    }
    if !entry.can.mcp {
        limits.push("It takes no MCP servers: it works without the board's tools.".to_owned());
    }
    limits
}

async fn doctor(
    common: &Common,
    loaded: &Loaded,
    entries: Vec<(&str, &Entry)>,
) -> Result<ExitCode, UserError> {
    if entries.is_empty() && !common.json {
        say::line("None of the known agents is installed. See: quarterdeck agent list");
    }
    let folder =
        tempfile::tempdir().map_err(|error| UserError::failed(format!("no folder for a look: {error}")))?;
    let (mut wrong, mut all) = (false, Vec::new());
    for (name, entry) in entries {
        let mut agents = loaded.config.agents.iter();
        let configured = agents.find(|(key, agent)| agent.entry.as_deref().unwrap_or(key.as_str()) == name);
        let model = configured.and_then(|(_, agent)| agent.model.as_deref());
        let found = look(name, entry, folder.path(), model, LIMIT).await;
        wrong |= found.program.is_none() || matches!(found.handshake, Some(Err(_)));
        if common.json {
            all.push(told(&found));
        } else {
            say::line(&sentence(&found, entry));
        }
    }
    if common.json {
        say::json(&all);
    }
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn sentence(found: &Found, entry: &Entry) -> String {
    let name = &found.name;
    if found.program.is_none() {
        return format!("✖ {name}: {} is not on the PATH. {}", entry.command, entry.install);
    }
    let version = found.version.as_deref().unwrap_or("of an unknown version");
    let limits = limits(entry).into_iter().map(|limit| format!("\n    {limit}")).collect::<String>();
    match &found.handshake {
        None => format!("✔ {name}: {version}{limits}"),
        Some(Ok(hello)) => {
            let took = hello.took.as_secs_f64();
            let logins = match hello.logins.as_slice() {
                [] => String::new(),
                logins => format!("\n    Logins: {}.", logins.join(", ")),
            };
            format!("✔ {name}: {version}, shakes hands in {took:.1} s{limits}{logins}")
        }
        Some(Err(error)) => format!("✖ {name}: {version}, {error}{limits}"),
    }
}

fn told(found: &Found) -> Value {
    let handshake = found.handshake.as_ref().map(|handshake| match handshake {
        Ok(hello) => json!({
            "agent": hello.agent, "resume": hello.resume, "load": hello.load, "mcp_http": hello.mcp_http,
            "images": hello.images, "logins": hello.logins, "ms": u64::try_from(hello.took.as_millis()).ok(),
        }),
        Err(error) => json!({ "error": error }),
    });
    json!({
        "name": found.name, "program": found.program, "version": found.version, "handshake": handshake,
    })
}

/// Runs the agent's own login in this terminal.
fn login(loaded: &Loaded, name: &str, entry: &Entry) -> Result<ExitCode, UserError> {
    let Some((program, args)) = entry.login.split_first() else {
        return Err(UserError::failed(format!(
            "no login of {name} is known: give its command as `login` in an entry of your own agents.toml, or use a key"
        )));
    };
    let home = context::login_home(&loaded.state_dir, name);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&home)
        .map_err(|error| UserError::failed(format!("{} can't be made: {error}", home.display())))?;
    let mut command = Command::new(program);
    command.args(args).env_clear().env("HOME", &home).current_dir(&home);
    for variable in LOGIN_SEES {
        command.envs(std::env::var_os(variable).map(|value| (variable, value)));
    }
    let status = command.status().map_err(|error| {
        UserError::failed(format!("{program} can't be started: {error}. {}", entry.install))
    })?;
    if !status.success() {
        return Err(UserError::failed(format!("{program} ended with {status}: nothing is known of a login")));
    }
    say::line(&format!(
        "The login of {name} is kept in {}. It is used where `login = true` stands in its section. Whatever the agent \
         runs can read it: a key in the gateway is the stronger way.",
        home.display()
    ));
    Ok(ExitCode::SUCCESS)
}
