//! The file, one struct per concern. A default is what a person with one repository on one computer wants.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use qd_board::{Rule, Rung};
use qd_types::{InstanceName, PersonId, PolicyRule, RepositoryName, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Chat, Discord, Gateway, Github, Hub, Mcp, Secret, Uplink};

/// The whole file.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The fleet as a whole.
    pub fleet: Fleet,
    /// Where state is kept.
    pub state: State,
    /// Folders below which repositories, attachments and context may be read. Default: the folder of this file.
    /// The environment variable `ALLOWED_ROOT_DIRECTORY`, if set, is the only one.
    pub roots: Vec<PathBuf>,
    /// Everybody who may command or decide.
    pub people: Vec<Person>,
    /// The teams.
    pub teams: Vec<Team>,
    /// The repositories.
    pub repositories: Vec<Repository>,
    /// Coding agents, by name: any command line.
    pub agents: BTreeMap<String, Agent>,
    /// Where agents reach their models, and what they may spend there.
    pub gateway: Gateway,
    /// Tool servers: which of them a run gets, and what each may do.
    pub mcp: Mcp,
    /// Which agent and model work on a feature and how big it is, by its labels, paths and size. The first rule that
    /// fits decides; what the feature itself says comes before.
    pub rules: Vec<Rule>,
    /// Who may do what.
    pub policies: Policies,
    /// How people are asked, where the policies say nothing.
    pub approvals: Approvals,
    /// The channels.
    pub chat: Chat,
    /// Discord, where people command the fleet. Without this section there is the console alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discord: Option<Discord>,
    /// GitHub, for the repositories that are there. Without this section there is the embedded forge alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github: Option<Github>,
    /// How runs work.
    pub runs: Runs,
    /// The walls around agents.
    pub sandbox: Sandbox,
    /// The audit trail.
    pub audit: Audit,
    /// Where instances that run elsewhere reach the bot.
    pub hub: Hub,
    /// How teams speak to their bot.
    pub uplink: Uplink,
    /// The pages.
    pub web: Web,
    /// The log.
    pub log: Log,
}

/// The fleet as a whole.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fleet {
    /// The fleet's name. Default: `fleet`.
    pub name: String,
    /// One person runs this fleet, and may approve what they asked for. Every card says so. Default: false.
    pub solo: bool,
    /// Who the person at this computer is. Default: the only person, if there is one.
    pub me: Option<PersonId>,
    /// The zone of quiet hours, due dates, recurring features and daily budgets, like `Europe/Berlin`. Default: this
    /// computer's.
    pub time_zone: Option<String>,
    /// Approvals that a merge needs, from 1: nothing merges without a person. From 2 it is a rule on top of the policies.
    /// Default: 1.
    #[schemars(range(min = 1))]
    pub merge_quorum: u32,
}

impl Default for Fleet {
    fn default() -> Self {
        Self { name: "fleet".into(), solo: false, me: None, time_zone: None, merge_quorum: 1 }
    }
}

/// Where state is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// The folder. Default: `$STATE_DIRECTORY` (systemd), `$XDG_STATE_HOME/quarterdeck/FLEET`, or
    /// `~/.local/state/quarterdeck/FLEET`, with the fleet's name.
    pub dir: Option<PathBuf>,
}

/// A person.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The name that everything this person does is recorded under.
    pub name: PersonId,
    /// `owner`, `manager`, `operator`, `reviewer`, `viewer`; held side by side.
    pub roles: Vec<Role>,
}

/// Who may do what.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// A folder of policies, `*.cedar`, in place of those that come with the program; relative to this file.
    pub folder: Option<PathBuf>,
    /// Rules on top of the policies: stricter ones per team, repository, branch and path; less strict ones only with
    /// `loosen = true`.
    pub rules: Vec<PolicyRule>,
}

/// How people are asked, where the policies say nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Approvals {
    /// How long a card may be on its way before people are alerted, in minutes, from 1. What nobody could see does not
    /// expire meanwhile. Default: 15.
    #[schemars(range(min = 1))]
    pub deliver_minutes: u32,
    /// How long people have to decide, in minutes from the first delivered card, where the policy that asks does not say.
    /// Default: 1440, a day.
    #[schemars(range(min = 1))]
    pub decide_minutes: u32,
    /// How long a grant holds, in minutes, where the policy that asks does not say. Default: 60.
    #[schemars(range(min = 1))]
    pub execute_minutes: u32,
    /// Whether votes that are given on this computer count while agents run: `refuse`, not while one runs that no walls are
    /// around; `strict`, also not beside walls, which hide nothing from reading; `allow`, always. Default: `refuse`.
    pub local_votes_beside_unsandboxed_agents: BesideAgents,
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            deliver_minutes: 15,
            decide_minutes: 24 * 60,
            execute_minutes: 60,
            local_votes_beside_unsandboxed_agents: BesideAgents::Refuse,
        }
    }
}

/// Local votes while agents run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BesideAgents {
    /// They don't count while one runs that no walls are around.
    #[default]
    Refuse,
    /// They don't count while any runs.
    Strict,
    /// They count.
    Allow,
}

/// A team.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// The team's name.
    pub name: InstanceName,
    /// What it was called first, if it was renamed: its state, its branches and its channel are known by it. Default: its
    /// name.
    #[serde(default)]
    pub id: Option<InstanceName>,
    /// Prefix of its features, 1 to 8 capital letters; no two teams have the same. Default: the first letter of its id.
    #[serde(default)]
    pub prefix: Option<String>,
    /// The agent that works, a key of `agents`. Without one, features wait for a person.
    #[serde(default)]
    pub agent: Option<String>,
    /// Where it works. Default: everywhere.
    #[serde(default)]
    pub repositories: Vec<RepositoryName>,
    /// What its agents work in, where the repository demands nothing: `docker` or `bubblewrap`. Default: what the fleet has.
    #[serde(default)]
    pub sandbox: Option<Demand>,
    /// Runs at once, from 1. Default: 2.
    #[serde(default = "default_slots")]
    #[schemars(range(min = 1))]
    pub slots: u32,
    /// Features in review, from which on nothing new starts. Default: no limit.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub reviews: Option<u32>,
    /// Times in which no run starts, like `"22:00-07:00"`, `"sat,sun"` or `"mon-fri 18:00-08:00"`. Default: none.
    #[serde(default)]
    pub quiet: Vec<String>,
    /// Agents and models that take over, in this order, when a run ends with red checks, without a change, or out of
    /// time. Default: none, a person is asked.
    #[serde(default)]
    pub ladder: Vec<Rung>,
    /// What its worktrees, check-outs and pools may take on disk, in GiB. Default: 20.
    #[serde(default = "default_disk")]
    #[schemars(range(min = 1))]
    pub disk_gib: u32,
}

fn default_disk() -> u32 {
    20
}

fn default_slots() -> u32 {
    2
}

impl Team {
    /// What it is known by, whatever it is called now.
    pub fn id(&self) -> &InstanceName {
        self.id.as_ref().unwrap_or(&self.name)
    }

    /// The prefix of its features.
    pub fn prefix(&self) -> String {
        let first = || self.id().as_str().chars().find(char::is_ascii_alphabetic).unwrap_or('Q');
        self.prefix.clone().unwrap_or_else(|| first().to_ascii_uppercase().to_string())
    }
}

/// How a target branch takes a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeMethod {
    /// A merge commit with both parents.
    #[default]
    Merge,
    /// One commit on top of the target.
    Squash,
}

/// A repository.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// The repository's name.
    pub name: RepositoryName,
    /// A check-out of it; relative to this file. The embedded forge starts from it and follows it.
    pub path: PathBuf,
    /// Where a team on another computer than the bot's pushes to: an address that git takes. Default: the embedded forge here.
    #[serde(default)]
    pub remote: Option<String>,
    /// The branch that features go to. Default: `main`.
    #[serde(default = "default_target")]
    pub target: String,
    /// What decides about a change, in this order. Without any, work is unverified, and cards say so.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// `merge` or `squash`. Default: `merge`.
    #[serde(default)]
    pub merge_method: MergeMethod,
    /// The target is a protected branch: the policies that come with the program ask two people about a merge into it.
    /// Default: false.
    #[serde(default)]
    pub protected: bool,
    /// Runs in it at once. Default: as many as the team has.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub slots: Option<u32>,
    /// Run by `sh -c` in a new worktree before the agent works, and again only when a lock file changes.
    #[serde(default)]
    pub setup: Option<String>,
    /// Ignored files of the check-out that every worktree gets a copy of, as patterns like `.env`.
    #[serde(default)]
    pub copies: Vec<String>,
    /// Respect the hooks in `.githooks` or `.husky`: `pre-commit` and `commit-msg` run as checks. Default: false.
    #[serde(default)]
    pub hooks: bool,
    /// Ignored folders that all worktrees share, like a cache of dependencies. Agents can write them; checks that decide
    /// a merge do not see them.
    #[serde(default)]
    pub shared: Vec<SharedFolder>,
    /// What agents must work in here, whatever team and fleet have: `docker` or `bubblewrap`. Where that can't be had, they
    /// wait.
    #[serde(default)]
    pub sandbox: Option<Demand>,
    /// The image of its containers. Default: the fleet's.
    #[serde(default)]
    pub image: Option<String>,
}

/// An ignored folder that all worktrees share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedFolder {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// Where a worktree has it, from its root, like `node_modules`.
    pub path: String,
}

fn default_target() -> String {
    "main".into()
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The check's name: `test`.
    pub name: String,
    /// Run by `sh -c` in a fresh check-out of the commit. Exit code 0 is a pass.
    pub command: String,
    /// Time limit, in minutes, from 1. Default: 15.
    #[serde(default = "default_check_minutes")]
    #[schemars(range(min = 1))]
    pub minutes: u32,
}

fn default_check_minutes() -> u32 {
    15
}

/// A coding agent: one that is known by its name (`quarterdeck agent list`), or any command line. It runs in the worktree.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Program and arguments of a command line that takes the prompt on standard input. `{prompt_file}` becomes the path of
    /// a file with the prompt. Default: it is a known agent.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// Which known agent it is, of those that come along and of `agents.toml` beside this file. Default: its own name.
    #[serde(default)]
    pub entry: Option<String>,
    /// The model of a known agent, where neither feature nor rules name one. Default: the agent's own.
    #[serde(default)]
    pub model: Option<String>,
    /// The permission mode of a known agent's session. Default: the one in which it asks.
    #[serde(default)]
    pub mode: Option<String>,
    /// Beginnings of commands that a known agent may run without asking, like `"cargo build"`. The checks of its repository
    /// are such anyway.
    #[serde(default)]
    pub commands: Vec<String>,
    /// A known agent uses the login that `quarterdeck agent login` made for it, the weaker way. Default: false.
    #[serde(default)]
    pub login: bool,
    /// Names of the environment variables that it may see, besides PATH, HOME and a few more.
    #[serde(default)]
    pub env: Vec<String>,
    /// Time limit of one turn, in minutes, from 1. Default: 30.
    #[serde(default = "default_agent_minutes")]
    #[schemars(range(min = 1))]
    pub minutes: u32,
    /// Values that must never appear in a transcript.
    #[serde(default)]
    pub redact: Vec<Secret>,
    /// Runs of it at once, in each team. Default: as many as the team has.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub slots: Option<u32>,
}

fn default_agent_minutes() -> u32 {
    30
}

/// How runs work.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Runs {
    /// Rounds that an agent gets to repair red checks, before a person is asked. Default: 3.
    pub repair_rounds: u32,
    /// Last lines of a red check's log that the agent is given. Default: 200.
    pub log_lines: u32,
    /// Times that a run may go back to its agent because it conflicts with the target, or is red on the merge with it.
    /// Default: 3.
    pub returns: u32,
    /// Changed files from which on a card says that the change is large. Default: 40.
    pub large_files: u32,
    /// Changed lines from which on a card says that the change is large. Default: 800.
    pub large_lines: u32,
    /// Days that preserved work is kept. Default: 14.
    pub preserved_days: u32,
    /// Seconds before a run that failed is tried again for the first time; each pause after it is four times as long. Default:
    /// by the kind of failure, 30 to 900.
    #[schemars(range(max = 86400))]
    pub retry_seconds: Option<u32>,
    /// MiB that a run's transcript holds; what the agent says after that is dropped, and its last line says so. Default: 64.
    #[schemars(range(min = 1, max = 4096))]
    pub transcript_mib: u32,
    /// Minutes that a run may look into a question; what it may spend is `gateway.budgets.question`. Default: 10.
    #[schemars(range(min = 1))]
    pub question_minutes: u32,
}

/// The walls around agents. Checks are kept from writing elsewhere by Landlock, unless `kind` is `none`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// Which walls: `auto` takes bubblewrap where it works, else Landlock, else none. Default: `auto`.
    pub kind: SandboxKind,
    /// The image of containers, which the engine must have. A repository may have its own.
    pub image: Option<String>,
    /// The engine's socket. Default: `/var/run/docker.sock`.
    pub socket: PathBuf,
    /// MiB of memory for an agent: for all of a container, or for each process elsewhere. Default: no limit.
    #[schemars(range(min = 16))]
    pub memory_mib: Option<u32>,
    /// Processes of an agent. Default: no limit.
    #[schemars(range(min = 8))]
    pub processes: Option<u32>,
    /// Processors of a container. Default: no limit.
    #[schemars(range(min = 1))]
    pub cpus: Option<u32>,
    /// `open`; `closed`, but for the metering gateway and `hosts`; or `auto`, which is closed where an agent's models are
    /// behind the gateway, or `hosts` are listed. Landlock cuts none. Default: `auto`.
    pub network: SandboxNetwork,
    /// Hosts that a closed network still leads to, through a proxy: `crates.io`, `*.crates.io`, `example.org:8443`. Default:
    /// none, not even those of package registries.
    pub hosts: Vec<String>,
    /// Files and folders that agents may read though their home is hidden, like the login of one.
    pub read: Vec<PathBuf>,
    /// Files and folders besides the worktree that agents may write.
    pub write: Vec<PathBuf>,
    /// Which walls hold an agent that never asks before it does something; within others it does not work. Landlock hides
    /// nothing from reading and cuts no network. Default: `docker`, `bubblewrap`.
    pub unasked: Vec<Walls>,
}

/// Which walls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SandboxKind {
    /// The strongest that this computer has without an engine.
    #[default]
    Auto,
    /// Containers. While the engine is away, agents wait.
    Docker,
    /// Namespaces, by `bwrap`; a fleet without it does not start.
    Bubblewrap,
    /// Linux's Landlock; a fleet without it does not start.
    Landlock,
    /// Nothing: writes elsewhere are found after the run, and cards say "detection only".
    None,
}

/// Walls that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Walls {
    /// Containers.
    Docker,
    /// Namespaces, by `bwrap`.
    Bubblewrap,
    /// Linux's Landlock.
    Landlock,
}

/// What agents reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SandboxNetwork {
    /// Closed for agents whose models are behind the metering gateway, and where hosts are listed; else open.
    #[default]
    Auto,
    /// All that this computer reaches.
    Open,
    /// The metering gateway and the listed hosts.
    Closed,
}

/// What a team or a repository asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// Containers.
    Docker,
    /// Namespaces, by `bwrap`.
    Bubblewrap,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            kind: SandboxKind::Auto,
            image: None,
            socket: "/var/run/docker.sock".into(),
            memory_mib: None,
            processes: None,
            cpus: None,
            network: SandboxNetwork::Auto,
            hosts: Vec::new(),
            read: Vec::new(),
            write: Vec::new(),
            unasked: vec![Walls::Docker, Walls::Bubblewrap],
        }
    }
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            repair_rounds: 3,
            log_lines: 200,
            returns: 3,
            large_files: 40,
            large_lines: 800,
            preserved_days: 14,
            retry_seconds: None,
            transcript_mib: 64,
            question_minutes: 10,
        }
    }
}

/// The audit trail: how long its rows are kept, and where. What is dropped leaves its hash, so that the rest can still be
/// verified.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// How long rows stay in the databases before they go to files: a number with `d`, `w` or `y`. Default: `90d`.
    pub after: String,
    /// How long they are kept in all, like `2y`; then their files are dropped. Default: for ever.
    pub keep: Option<String>,
    /// Folder of those files, below the state folder unless it is absolute. Default: `audit` beside each database.
    pub archive: Option<PathBuf>,
}

impl Default for Audit {
    fn default() -> Self {
        Self { after: "90d".into(), keep: None, archive: None }
    }
}

/// Longest span of time, in days: a hundred years.
const LONGEST: u32 = 36_500;

/// The days in a span of time: a number with `d`, `w` or `y`, from a day to a hundred years. The error says what it has to
/// be.
pub fn days(span: &str) -> Result<u32, String> {
    let wanted = || format!("{span:?} is not a span of time, like 90d, 26w or 2y");
    let (number, unit) = span.split_at_checked(span.len().saturating_sub(1)).ok_or_else(wanted)?;
    let unit = match unit {
        "d" => 1,
        "w" => 7,
        "y" => 365,
        _ => return Err(wanted()),
    };
    let number: u32 = number.parse().map_err(|_| wanted())?;
    number.checked_mul(unit).filter(|days| (1..=LONGEST).contains(days)).ok_or_else(wanted)
}

/// The pages.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// Address and port where they are served. Port 0 takes a free one. Default: `127.0.0.1:7717`.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub listen: SocketAddr,
}

impl Default for Web {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 7717)) }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines, one object a line.
    Json,
}

/// The log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter like `info,qd_team=debug`. Default: `info`.
    pub level: String,
    /// `text` or `json`. Default: `text`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}
