//! The command line.

mod agent;
mod approvals;
mod audit;
mod bot;
mod cost;
mod lesson;
mod link;
mod mcp;
mod person;
mod planning;
mod policy;
mod provision;
mod roster;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use qd_board::{Dependency, HitKind, PlanMode, Size, exchange::Format};
use qd_types::{FeatureId, InstanceName, PersonId, RepositoryName, RunId, Stage};

pub use agent::AgentVerb;
pub use approvals::{Answer, Approvals, ApprovalsVerb, Ballot, ListFlags, Reopen, Who};
pub use audit::AuditVerb;
pub use bot::{DevVerb, DiscordSetup, DiscordVerb, FakeDiscord, GithubSetup, GithubVerb, Threads};
pub use cost::CostFlags;
pub use lesson::LessonVerb;
pub use link::{Bot, BotVerb, Instance, InstanceVerb};
pub use mcp::{Alone, Foreign, Listening, McpVerb, Trust};
pub use person::{Person, PersonVerb, UrlFlags};
pub use planning::{BudgetFlags, ImportFlags, Plan, PlanVerb, ProjectFields, ProjectVerb};
pub use policy::{Explain, PolicyVerb};
pub use provision::{NewMachine, Provision, ProvisionVerb};
pub use roster::{PreservedVerb, RepoVerb, TeamVerb};

/// Coordinates autonomous software teams: boards, coding agents in git worktrees, approvals by people.
#[derive(Debug, Parser)]
#[command(name = "quarterdeck", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// Everywhere.
    #[command(flatten)]
    pub common: Common,
}

/// Flags that every verb takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The configuration file, instead of the quarterdeck.toml that is found upwards from here
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set a key of the configuration, like runs.repair_rounds=1
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The team, where there are several
    #[arg(long, global = true, value_name = "NAME")]
    pub team: Option<InstanceName>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run bot and teams, with embedded defaults for everything that is not configured
    Up {
        /// Where the pages are served, like 127.0.0.1:7717
        #[arg(long)]
        listen: Option<String>,
        /// Print channels and take commands in this terminal
        #[arg(long)]
        console: bool,
    },
    /// Show the main job on a throw-away fleet: three features, from card to merge
    Demo(Demo),
    /// Write quarterdeck.toml for the repository in this folder
    Init {
        /// Replace the file that is there
        #[arg(long)]
        force: bool,
    },
    /// Run one team alone, on this computer or another one than the bot's; join a bot, change keys
    Instance(Instance),
    /// Run the bot alone; set it up; let teams on other computers join, or put them out
    Bot(Bot),
    /// Try things out on this computer
    #[command(subcommand)]
    Dev(DevVerb),
    /// The board's features
    #[command(subcommand)]
    Feature(FeatureVerb),
    /// Runs: attempts at features
    #[command(subcommand)]
    Run(RunVerb),
    /// Long operations: what is under way, what gave up
    #[command(subcommand)]
    Operation(OperationVerb),
    /// What models have cost, and how the budgets stand
    Cost(CostFlags),
    /// Search features, runs, decisions, comments and the repositories' documents
    Search {
        /// Words that have to be there; the last may be cut short
        #[arg(required = true)]
        words: Vec<String>,
        /// feature, run, decision, comment or document
        #[arg(long)]
        kind: Option<HitKind>,
    },
    /// Teams: add one, retire one, while the fleet runs
    #[command(subcommand, name = "team")]
    Teams(TeamVerb),
    /// Repositories: add one, remove one, while the fleet runs
    #[command(subcommand)]
    Repo(RepoVerb),
    /// Features that are filed again and again
    #[command(subcommand)]
    Recurring(RecurringVerb),
    /// Work that was kept when its worktree went
    #[command(subcommand)]
    Preserved(PreservedVerb),
    /// Let an agent propose the features for a goal
    Plan(Plan),
    /// Projects: goals above features, with how far they are
    #[command(subcommand)]
    Project(ProjectVerb),
    /// Write the board to standard output
    Export {
        /// json holds everything that people said; markdown is a task list
        #[arg(long, default_value_t)]
        format: Format,
        /// Only features of this stage
        #[arg(long, value_enum)]
        stage: Option<StageArg>,
    },
    /// File what a file holds and the board does not have yet: all of it, or nothing
    Import(ImportFlags),
    /// Let nothing start in the team; what runs goes on
    Pause {
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let the team go on
    Resume,
    /// What waits for people, and what was decided
    Approvals(Approvals),
    /// Say yes to what is asked
    Approve(Ballot),
    /// Say no to what is asked
    Deny(Ballot),
    /// The audit trail: proof that nothing was changed, and what led to what
    #[command(subcommand)]
    Audit(AuditVerb),
    /// People: who may act, and what they may do
    Person(Person),
    /// Coding agents: which are known, which are here, and their logins
    #[command(subcommand)]
    Agent(AgentVerb),
    /// Lessons of earlier work, which agents are told
    #[command(subcommand)]
    Lesson(LessonVerb),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Policies: who may do what
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// Tool servers for coding agents (MCP), behind the guard
    #[command(subcommand)]
    Mcp(McpVerb),
    /// Machines of teams on Proxmox VE
    Provision(Provision),
    /// The link by which you sign in to the pages
    Url(UrlFlags),
    /// What is missing, odd or wrong here, and the way out
    Doctor,
    /// What this program is
    Version,
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Put up walls around this process, and become another program
    #[command(hide = true)]
    Confine {
        /// A folder or file that may be written
        #[arg(long)]
        write: Vec<PathBuf>,
        /// Only limits, no walls
        #[arg(long)]
        no_walls: bool,
        /// Bytes of memory for each process
        #[arg(long)]
        memory: Option<u64>,
        /// Processes
        #[arg(long)]
        processes: Option<u64>,
        /// A control group to enter, whose limits hold for all in it together
        #[arg(long)]
        cgroup: Vec<PathBuf>,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Stand for a container: its streams, its exit code, its end
    #[command(hide = true)]
    Contain {
        /// What the sandbox port asks for
        order: String,
        /// The program inside and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Turn a loopback port into a Unix socket, and become another program
    #[command(hide = true)]
    Forward {
        /// The port; without, it is open already and comes on standard input
        #[arg(long)]
        port: Option<u16>,
        /// The socket
        socket: PathBuf,
        /// The program and its arguments
        #[arg(last = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// The agent that plays a script: no model, no network
    #[command(hide = true)]
    ScriptedAgent {
        /// The script
        #[arg(long)]
        script: PathBuf,
        /// Speak the Agent Client Protocol
        #[arg(long)]
        acp: bool,
    },
}

/// What to do with long operations.
#[derive(Debug, Subcommand)]
pub enum OperationVerb {
    /// List operations, newest first
    List {
        /// Only those under way
        #[arg(long, conflicts_with = "dead")]
        running: bool,
        /// Only those that gave up: each waits for a retry or a drop
        #[arg(long)]
        dead: bool,
    },
    /// One operation, until it ends
    Follow {
        /// Its number
        id: u64,
    },
    /// Try again what gave up
    Retry {
        /// Its number
        id: u64,
    },
    /// Take what gave up off the list; its feature goes to the backlog
    Drop {
        /// Its number
        id: u64,
    },
    /// Stop what is under way, truly
    Stop {
        /// Its number
        id: u64,
    },
}

/// What to do with recurring features.
#[derive(Debug, Subcommand)]
pub enum RecurringVerb {
    /// List them
    List,
    /// Add one
    Add {
        /// What it is called
        name: String,
        /// A cron expression in the fleet's time zone, like "0 6 * * mon", or @daily
        #[arg(long)]
        cron: String,
        /// The feature's title; the name, if left out
        #[arg(long)]
        title: Option<String>,
        /// Everything else of the feature
        #[command(flatten)]
        fields: Box<Fields>,
        /// Release each to the team at once
        #[arg(long)]
        ready: bool,
        /// Where, if the team has several repositories
        #[arg(long)]
        repository: Option<RepositoryName>,
        /// Left out if it can't start within so many minutes
        #[arg(long, value_name = "MINUTES")]
        deadline: Option<u32>,
    },
    /// File its feature right now
    Run {
        /// Which
        name: String,
    },
    /// Let it stand still
    Suspend {
        /// Which
        name: String,
    },
    /// Let it go on with its next occurrence
    Resume {
        /// Which
        name: String,
    },
    /// Remove it; what it filed stays
    Remove {
        /// Which
        name: String,
    },
}

/// The demo's flags.
#[derive(Debug, Args)]
pub struct Demo {
    /// Approve everything as the demo's second person
    #[arg(long)]
    pub yes: bool,
    /// Keep the fleet's state in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Where the pages are served
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// Minutes to wait for approvals before giving up
    #[arg(long, default_value_t = 15)]
    pub wait: u64,
    /// Lines of the failing check's log that the agent is given
    #[arg(long, default_value_t = 200, hide = true)]
    pub log_lines: usize,
}

/// The fields of a feature, each as the command line takes it.
#[derive(Debug, Default, Args)]
pub struct Fields {
    /// Markdown; - reads it from standard input
    #[arg(long, short)]
    pub description: Option<String>,
    /// A command that has to pass besides the repository's checks; may be repeated
    #[arg(long = "check", value_name = "COMMAND")]
    pub checks: Vec<String>,
    /// 0 (most urgent) to 4
    #[arg(long)]
    pub priority: Option<u8>,
    /// xs, s, m, l or xl
    #[arg(long)]
    pub size: Option<Size>,
    /// A label; may be repeated
    #[arg(long = "label")]
    pub labels: Vec<String>,
    /// The milestone it belongs to
    #[arg(long)]
    pub milestone: Option<String>,
    /// The project it belongs to
    #[arg(long)]
    pub project: Option<String>,
    /// The feature that it is a part of
    #[arg(long, value_name = "ID")]
    pub epic: Option<FeatureId>,
    /// A feature that has to be merged first, or with @review in review; may be repeated
    #[arg(long = "depends-on", value_name = "ID[@review]")]
    pub depends_on: Vec<Dependency>,
    /// A path that it will touch; may be repeated
    #[arg(long = "path", value_name = "PATH")]
    pub paths: Vec<String>,
    /// The agent that works
    #[arg(long)]
    pub agent: Option<String>,
    /// The model that the agent is told to use
    #[arg(long)]
    pub model: Option<String>,
    /// none, first (the agent plans, then works), approve (a person accepts the plan before work), goal (it proposes
    /// features) or page (it proposes them as a page of the repository)
    #[arg(long)]
    pub plan: Option<PlanMode>,
    /// A person who does it: no agent starts on it
    #[arg(long, value_name = "NAME")]
    pub assignee: Option<PersonId>,
    /// The day it is due, like 2026-12-24
    #[arg(long, value_name = "DATE")]
    pub due: Option<jiff::civil::Date>,
    /// What it may cost
    #[command(flatten)]
    pub budget: BudgetFlags,
}

/// What to do with features.
#[derive(Debug, Subcommand)]
pub enum FeatureVerb {
    /// File a feature
    Add {
        /// One line
        title: String,
        /// Everything else
        #[command(flatten)]
        fields: Box<Fields>,
        /// Release it to the team at once
        #[arg(long)]
        ready: bool,
        /// Where, if the team has several repositories
        #[arg(long)]
        repository: Option<RepositoryName>,
    },
    /// List features, newest first
    List {
        /// Of this stage
        #[arg(long, value_enum)]
        stage: Option<StageArg>,
    },
    /// What is true of a feature
    Show {
        /// Which
        id: FeatureId,
    },
    /// Why a feature runs now, or what exactly it waits for
    Why {
        /// Which
        id: FeatureId,
    },
    /// Move a feature to backlog or ready
    Move {
        /// Which
        id: FeatureId,
        /// Where to
        #[arg(value_enum)]
        stage: StageArg,
        /// Why, for the history
        #[arg(long)]
        reason: Option<String>,
    },
    /// Edit a feature; what is left out stays
    Edit {
        /// Which
        id: FeatureId,
        /// One line
        #[arg(long)]
        title: Option<String>,
        /// Everything else; a list that is given replaces the one there is
        #[command(flatten)]
        fields: Box<Fields>,
        /// A field to clear, by its name; may be repeated
        #[arg(long, value_name = "FIELD")]
        clear: Vec<String>,
        /// The version that you saw; the edit is refused if somebody changed the same since
        #[arg(long)]
        version_seen: Option<u64>,
        /// Why, for the history
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let no run start on a feature, nor on what is below it if it is an epic
    Pause {
        /// Which
        id: FeatureId,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a paused feature go on
    Resume {
        /// Which
        id: FeatureId,
    },
    /// Write a comment on a feature, or list them
    Comment {
        /// Which
        id: FeatureId,
        /// Markdown; - reads it from standard input; left out, the comments are listed
        text: Option<String>,
    },
    /// Attach a file to a feature: its agents can read it
    Attach {
        /// Which
        id: FeatureId,
        /// The file
        file: PathBuf,
    },
    /// File a feature that takes a merged one back, as a pull request of its own
    Revert {
        /// Which
        id: FeatureId,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Give a feature up
    Cancel {
        /// Which
        id: FeatureId,
        /// Why, for the history
        #[arg(long)]
        reason: Option<String>,
    },
}

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub enum RunVerb {
    /// List runs, newest first
    List {
        /// Of this feature
        #[arg(long)]
        feature: Option<FeatureId>,
    },
    /// The steps and facts of a run
    Show {
        /// Which, like
        id: RunId,
    },
    /// The transcript of a run, as it goes
    Follow {
        /// Which, like
        id: RunId,
    },
    /// The transcript of a run so far, as Markdown
    Transcript {
        /// Which, like
        id: RunId,
    },
    /// Stop a run: its processes end, its work is kept
    Stop {
        /// Which, like
        id: RunId,
    },
    /// Accept the plan that a run waits with
    AcceptPlan {
        /// Which, like
        id: RunId,
        /// The plan as you changed it; - reads it from standard input
        #[arg(long)]
        text: Option<String>,
    },
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Say whether it holds
    Check,
    /// Every value, and where it came from; secrets are not shown
    Show,
    /// Have the running fleet read it again
    Reload,
    /// The JSON Schema of the file
    Schema,
}

/// A stage on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[allow(missing_docs, reason = "each is the stage of its name")]
pub enum StageArg {
    Backlog,
    Ready,
    Running,
    Review,
    Done,
    Cancelled,
}

impl From<StageArg> for Stage {
    fn from(stage: StageArg) -> Self {
        match stage {
            StageArg::Backlog => Self::Backlog,
            StageArg::Ready => Self::Ready,
            StageArg::Running => Self::Running,
            StageArg::Review => Self::Review,
            StageArg::Done => Self::Done,
            StageArg::Cancelled => Self::Cancelled,
        }
    }
}
