//! The command line of `policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use qd_types::Verb;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum PolicyVerb {
    /// Say whether they hold: the schema, policies that never decide, quorums that nobody can reach, loosened rules
    Check {
        /// The policies in this folder, instead of the configured ones
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Which policy decides, and what would change it
    Explain(Explain),
    /// Every role, action and kind of resource as a table; without the rules of the configuration
    Matrix {
        /// The policies in this folder, instead of the configured ones
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Whose rights differ between two folders of policies; default stands for those that come with the program
    Diff {
        /// The folder before
        old: PathBuf,
        /// The folder after
        new: PathBuf,
    },
}

/// A request to be explained.
#[derive(Debug, Args)]
pub struct Explain {
    /// A person, agent:TEAM/NAME or team:NAME; you, if left out
    #[arg(long = "as", value_name = "WHO")]
    pub who: Option<String>,
    /// What, like feature.add or merge; policy matrix lists all
    pub action: Verb,
    /// On what: fleet, team:NAME, repository:NAME, branch:REPOSITORY/NAME, tool:SERVER/NAME, host:NAME or vm:NAME; the
    /// fleet or the only team, if left out
    pub resource: Option<String>,
    /// The branch is protected
    #[arg(long)]
    pub protected: bool,
    /// A path that changes; may be repeated. Without any, what changes is not known
    #[arg(long = "path", value_name = "PATH")]
    pub paths: Vec<String>,
}
