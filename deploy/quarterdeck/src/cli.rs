//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use qd_board::Dependency;
use qd_types::{FeatureId, InstanceName, PersonId, RepositoryName, RunId, Stage};

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
    /// Run one team alone; what it has to say to the bot waits
    Instance {
        /// Which team
        name: InstanceName,
    },
    /// Run the bot alone
    Bot,
    /// The board's features
    #[command(subcommand)]
    Feature(FeatureVerb),
    /// Runs: attempts at features
    #[command(subcommand)]
    Run(RunVerb),
    /// What waits for people, and what was decided
    Approvals,
    /// Say yes to what is asked
    Approve(Ballot),
    /// Say no to what is asked
    Deny(Ballot),
    /// The configuration
    #[command(subcommand)]
    Config(ConfigVerb),
    /// The link by which you sign in to the pages
    Url {
        /// As this person
        #[arg(long = "as", value_name = "NAME")]
        person: Option<PersonId>,
    },
    /// What this program is
    Version,
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// The agent that plays a script: no model, no network
    #[command(hide = true)]
    ScriptedAgent {
        /// The script
        #[arg(long)]
        script: PathBuf,
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

/// What to do with features.
#[derive(Debug, Subcommand)]
pub enum FeatureVerb {
    /// File a feature
    Add {
        /// One line
        title: String,
        /// Markdown; - reads it from standard input
        #[arg(long, short)]
        description: Option<String>,
        /// Release it to the team at once
        #[arg(long)]
        ready: bool,
        /// 0 (most urgent) to 4
        #[arg(long)]
        priority: Option<u8>,
        /// A label; may be repeated
        #[arg(long = "label")]
        labels: Vec<String>,
        /// A feature that has to be merged first; may be repeated
        #[arg(long = "depends-on", value_name = "ID")]
        depends_on: Vec<Dependency>,
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
    /// Move a feature to backlog or ready
    Move {
        /// Which
        id: FeatureId,
        /// Where to
        #[arg(value_enum)]
        stage: StageArg,
    },
    /// Edit a feature; what is left out stays
    Edit {
        /// Which
        id: FeatureId,
        /// One line
        #[arg(long)]
        title: Option<String>,
        /// Markdown; - reads it from standard input
        #[arg(long, short)]
        description: Option<String>,
        /// 0 (most urgent) to 4
        #[arg(long)]
        priority: Option<u8>,
        /// Labels, all of them; repeat for several
        #[arg(long = "label")]
        labels: Vec<String>,
        /// Dependencies, all of them; repeat for several
        #[arg(long = "depends-on", value_name = "ID")]
        depends_on: Vec<Dependency>,
        /// The version that you saw; the edit is refused if somebody changed the same since
        #[arg(long)]
        version_seen: Option<u64>,
    },
    /// Give a feature up
    Cancel {
        /// Which
        id: FeatureId,
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
    /// Stop a run: its processes end, its work is kept
    Stop {
        /// Which, like
        id: RunId,
    },
}

/// A vote.
#[derive(Debug, Args)]
pub struct Ballot {
    /// A feature like A-1, or the approval's id or its beginning
    pub id: String,
    /// As this person
    #[arg(long = "as", value_name = "NAME")]
    pub person: Option<PersonId>,
    /// Why
    #[arg(long)]
    pub reason: Option<String>,
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
