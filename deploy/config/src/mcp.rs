//! Tool servers: which of them a run gets, and what each may do. What is listed here is given, never more.

use std::{collections::BTreeMap, path::PathBuf};

use qd_types::{InstanceName, RepositoryName, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Config;

/// The servers that come with the program.
pub const BUILT_IN: [&str; 5] = ["board", "discord", "docker", "github", PROXMOX];

/// The server of a cluster of Proxmox; one of several clusters is `proxmox-` and its name.
const PROXMOX: &str = "proxmox";

/// Whether a server of that name comes with the program: one of [`BUILT_IN`], or a cluster of Proxmox by its name.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name) || is_cluster(name)
}

/// `proxmox`, or `proxmox-lab`: what follows is the cluster's name, small letters and digits, as it fits into variables.
pub fn is_cluster(name: &str) -> bool {
    let fits = |cluster: &str| {
        (1..=20).contains(&cluster.len())
            && cluster.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    name.strip_prefix(PROXMOX).is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(fits))
}

/// What policies call the agent's own acts: no server may have that name.
const AGENT: &str = "agent";

/// Longest name of a server.
const LONGEST: usize = 40;

/// Tool servers.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mcp {
    /// Which servers runs get, by name. `board` is given to every run unless it is named here; `docker`, `github`,
    /// `discord`, `proxmox`, `proxmox-CLUSTER` and servers of others only if they are named.
    pub servers: BTreeMap<String, McpServer>,
    /// Service accounts: programs that act by a name of their own, on behalf of the person who made their token. Policies take
    /// each for an agent.
    pub services: Vec<String>,
    /// What the server `docker` may do.
    pub docker: McpDocker,
    /// What the server `github` may do. Default: in a team that works in one repository, that one.
    pub github: Option<McpGithub>,
    /// What the server `discord` may do.
    pub discord: McpDiscord,
}

/// A server, and which runs get it. What is left out does not narrow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McpServer {
    /// No run gets it. Default: false.
    pub off: bool,
    /// Runs of these teams get it. Default: of all.
    pub teams: Vec<InstanceName>,
    /// Runs in these repositories get it. Default: in all.
    pub repositories: Vec<RepositoryName>,
    /// Runs of these agents get it. Default: of all.
    pub agents: Vec<String>,
    /// A server of somebody else: its program. It runs outside the agent's sandbox, behind the guard, with a home of its own.
    pub command: Option<String>,
    /// The program's arguments.
    pub args: Vec<String>,
    /// Names of the environment variables that it may see, besides PATH. Their values never reach an agent.
    pub env: Vec<String>,
    /// Files and folders that it may write, besides its own home.
    pub write: Vec<PathBuf>,
    /// A server of somebody else on the network: its address.
    pub url: Option<String>,
    /// Let that address be one of this computer or its own networks. Default: false.
    pub allow_private: bool,
    /// Name of the environment variable that holds the token for that address. Its value never reaches an agent.
    pub bearer: Option<String>,
    /// Tiers of its tools, by their names. Default: by what the server says of them, and `destroy` where it says nothing.
    pub tiers: BTreeMap<String, Tier>,
    /// Which argument names what a tool acts on, by the tools' names.
    pub targets: BTreeMap<String, String>,
    /// Calls a minute for each run, by the tools' names; 0 for none at all. They count within `limits`.
    pub per_minute: BTreeMap<String, u32>,
    /// How much a run may ask of it.
    pub limits: McpLimits,
}

impl Mcp {
    /// The servers that come with the program, as runs may get them: those of clusters only where they are named.
    pub fn built_in(&self) -> Vec<String> {
        let others = BUILT_IN.into_iter().filter(|name| !is_cluster(name)).map(str::to_owned);
        others.chain(self.clusters().map(str::to_owned)).collect()
    }

    /// The clusters of Proxmox that are named, as servers.
    pub fn clusters(&self) -> impl Iterator<Item = &str> {
        self.servers.keys().map(String::as_str).filter(|name| is_cluster(name))
    }
}

impl McpServer {
    /// Whether a run gets it.
    pub fn fits(&self, team: &InstanceName, repository: &RepositoryName, agent: &str) -> bool {
        fn has<T: PartialEq<U>, U: ?Sized>(list: &[T], wanted: &U) -> bool {
            list.is_empty() || list.iter().any(|one| one == wanted)
        }
        !self.off && has(&self.teams, team) && has(&self.repositories, repository) && has(&self.agents, agent)
    }

    /// Whether anything is said of it that only a server of somebody else has.
    fn is_foreign(&self) -> Option<&'static str> {
        let said = [
            ("command", self.command.is_some()),
            ("args", !self.args.is_empty()),
            ("env", !self.env.is_empty()),
            ("write", !self.write.is_empty()),
            ("url", self.url.is_some()),
            ("allow_private", self.allow_private),
            ("bearer", self.bearer.is_some()),
            ("tiers", !self.tiers.is_empty()),
            ("targets", !self.targets.is_empty()),
            ("per_minute", !self.per_minute.is_empty()),
        ];
        said.into_iter().find(|(_, said)| *said).map(|(key, _)| key)
    }
}

/// How much a run may ask of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McpLimits {
    /// Calls a minute, from 1. Default: 6000.
    #[schemars(range(min = 1))]
    pub per_minute: u32,
    /// Calls at once, from 1. Default: 16.
    #[schemars(range(min = 1))]
    pub at_once: u32,
}

impl Default for McpLimits {
    fn default() -> Self {
        Self { per_minute: 6_000, at_once: 16 }
    }
}

/// What the server `docker` may do. Without images none is pulled or run; without roots nothing of the host is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McpDocker {
    /// The engine's socket. Default: `/var/run/docker.sock`.
    pub socket: PathBuf,
    /// Which containers may be changed: `fleet`, those with this fleet's label, or `everything`. Default: `fleet`.
    pub scope: McpDockerScope,
    /// The images that may be pulled, run and removed, like `alpine:3.22` or `ghcr.io/acme/*`.
    pub images: Vec<String>,
    /// Folders of which parts may be mounted; relative to this file.
    pub roots: Vec<PathBuf>,
    /// The most that one container may have.
    pub limits: McpDockerLimits,
}

impl Default for McpDocker {
    fn default() -> Self {
        Self {
            socket: "/var/run/docker.sock".into(),
            scope: McpDockerScope::Fleet,
            images: Vec::new(),
            roots: Vec::new(),
            limits: McpDockerLimits::default(),
        }
    }
}

/// Which containers may be changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum McpDockerScope {
    /// Those with this fleet's label.
    #[default]
    Fleet,
    /// All of the engine.
    Everything,
}

/// The most that one container may have; also what it gets where a call names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McpDockerLimits {
    /// Memory, in MiB. Default: 512.
    #[schemars(range(min = 6))]
    pub memory_mib: u32,
    /// Processor time, in thousandths of a core. Default: 1000.
    #[schemars(range(min = 1))]
    pub cpu_millis: u32,
    /// Processes and threads. Default: 256.
    #[schemars(range(min = 1))]
    pub pids: u32,
}

impl Default for McpDockerLimits {
    fn default() -> Self {
        Self { memory_mib: 512, cpu_millis: 1_000, pids: 256 }
    }
}

/// What the server `github` may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct McpGithub {
    /// A repository of this file, which the embedded forge has, or one of GitHub, like `acme/widget`.
    pub repository: String,
    /// The labels that may be put on and taken off. Default: none.
    #[serde(default)]
    pub labels: Vec<String>,
    /// How the branches begin that pull requests open from. Default: `quarterdeck/`.
    #[serde(default = "branches")]
    pub branches: String,
}

fn branches() -> String {
    "quarterdeck/".to_owned()
}

/// What the server `discord` may do: a team writes to its own channel, and to no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McpDiscord {
    /// Posts, questions and threads a minute for a team, however many runs it has, from 1. Default: 10.
    #[schemars(range(min = 1))]
    pub posts_per_minute: u32,
    /// The teams, by name. Default: each writes to `dev` and reads `alerts`, as the embedded chat has them.
    pub teams: BTreeMap<InstanceName, McpChannel>,
}

impl Default for McpDiscord {
    fn default() -> Self {
        Self { posts_per_minute: 10, teams: BTreeMap::new() }
    }
}

/// A team's channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct McpChannel {
    /// Where it posts.
    pub channel: String,
    /// What else it may read. Default: nothing.
    #[serde(default)]
    pub reads: Vec<String>,
}

/// How a server's name looks to a client that folds what it does not like: two that look alike are one to it.
pub fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// Why a word is no name for a server of somebody else; `None` if it is one.
pub fn no_name(name: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=LONGEST).contains(&name.len()) || !name.bytes().all(plain) {
        return Some(format!(
            "{name:?} is no name for a server: take at most {LONGEST} letters, digits, - and _"
        ));
    }
    if name.contains("__") {
        // Clients call a tool SERVER__TOOL: with two more, it can't be told where the server ends.
        return Some(format!(
            "{name} has two _ side by side, which clients put between a server and its tool"
        ));
    }
    if folded(name) == AGENT {
        return Some(format!("policies call what an agent does by itself {AGENT}: take another name"));
    }
    None
}

/// Why something can't be the name of a service account; `None` if it can.
fn no_account(name: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=LONGEST).contains(&name.len()) && name.bytes().all(plain);
    (!fits).then(|| {
        format!(
            "{name:?} is no name for a service account: take at most {LONGEST} small letters, digits and -"
        )
    })
}

/// What must hold of it across sections.
pub(crate) fn check(config: &Config, add: &mut impl FnMut(String, String)) {
    let mut seen: BTreeMap<String, &str> = BUILT_IN.iter().map(|name| ((*name).to_owned(), *name)).collect();
    for (name, server) in &config.mcp.servers {
        let at = format!("mcp.servers.{name}");
        if is_built_in(name) {
            if let Some(key) = server.is_foreign() {
                let text = format!(
                    "{name} comes with the program and takes no {key}: call another server otherwise"
                );
                add(format!("{at}.{key}"), text);
            }
        } else {
            foreign(&at, name, server, add);
            if let Some(other) = seen.insert(folded(name), name) {
                add(
                    at.clone(),
                    format!("{name} and {other} are one name to many clients: call one otherwise"),
                );
            }
        }
        for (index, team) in server.teams.iter().enumerate() {
            if !config.teams.iter().any(|known| known.name == *team) {
                add(format!("{at}.teams.{index}"), format!("there is no team {team}"));
            }
        }
        for (index, repository) in server.repositories.iter().enumerate() {
            if !config.repositories.iter().any(|known| known.name == *repository) {
                add(format!("{at}.repositories.{index}"), format!("there is no repository {repository}"));
            }
        }
        for (index, agent) in server.agents.iter().enumerate() {
            if !config.agents.contains_key(agent) {
                add(format!("{at}.agents.{index}"), format!("there is no agent {agent}"));
            }
        }
    }
    for (index, service) in config.mcp.services.iter().enumerate() {
        let at = format!("mcp.services.{index}");
        if let Some(problem) = no_account(service) {
            add(at, problem);
        } else if config.agents.contains_key(service) {
            add(at, format!("{service} is an agent already: call the service account otherwise"));
        } else if config.mcp.services.iter().take(index).any(|other| other == service) {
            add(at, format!("{service} stands there twice"));
        }
    }
    for team in config.mcp.discord.teams.keys() {
        if !config.teams.iter().any(|known| known.name == *team) {
            add(format!("mcp.discord.teams.{team}"), format!("there is no team {team}"));
        }
    }
}

fn foreign(at: &str, name: &str, server: &McpServer, add: &mut impl FnMut(String, String)) {
    if let Some(problem) = no_name(name) {
        add(at.to_owned(), problem);
    }
    match (&server.command, &server.url) {
        (Some(command), None) if command.trim().is_empty() => {
            add(format!("{at}.command"), "is empty: give the program".into());
        }
        (Some(_), None) => {}
        (None, Some(url)) => {
            let near = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
            let is_near = near.iter().filter_map(|near| url.strip_prefix(near));
            let is_near = is_near.clone().any(|rest| rest.is_empty() || rest.starts_with([':', '/']));
            if !url.starts_with("https://") && !is_near {
                let text = format!("{url:?} is not an address like https://tools.example.org/mcp");
                add(format!("{at}.url"), text);
            }
        }
        (Some(_), Some(_)) => add(at.to_owned(), "has a command and a url: give one of both".into()),
        (None, None) => {
            let text = format!(
                "is not a server that comes with the program ({}): give it a command or a url",
                BUILT_IN.join(", ")
            );
            add(at.to_owned(), text);
        }
    }
    for (index, variable) in server.env.iter().enumerate() {
        // What follows the sign may be a secret: it is not repeated.
        if let Some((variable, _)) = variable.split_once('=') {
            let text =
                format!("{variable} has a value: give only the name, and set it where quarterdeck starts");
            add(format!("{at}.env.{index}"), text);
        }
    }
}
