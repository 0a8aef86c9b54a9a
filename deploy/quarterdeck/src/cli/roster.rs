//! Verbs of who works, where, and what was kept.

use std::path::PathBuf;

use clap::Subcommand;
use qd_types::{InstanceName, RepositoryName, RunId};

/// What to do with teams.
#[derive(Debug, Subcommand)]
pub enum TeamVerb {
    /// List the teams
    List,
    /// Add a team to the configuration, and start it if the fleet runs
    Add {
        /// Its name
        name: InstanceName,
        /// The agent that works
        #[arg(long)]
        agent: Option<String>,
        /// Prefix of its features, in capital letters
        #[arg(long)]
        prefix: Option<String>,
        /// Runs at once
        #[arg(long)]
        slots: Option<u32>,
    },
    /// Give a team another name; its state, branches and channel stay
    Rename {
        /// Its name
        name: InstanceName,
        /// Its new name
        to: InstanceName,
    },
    /// Take a team out of the configuration, and end it if the fleet runs; its state stays on the disk
    Retire {
        /// Its name
        name: InstanceName,
    },
}

/// What to do with repositories.
#[derive(Debug, Subcommand)]
pub enum RepoVerb {
    /// List the repositories
    List,
    /// Add a repository to the configuration
    Add {
        /// Its name
        name: RepositoryName,
        /// A check-out of it
        path: PathBuf,
        /// The branch that features go to
        #[arg(long)]
        target: Option<String>,
    },
    /// Take a repository out of the configuration; what is in it stays
    Remove {
        /// Its name
        name: RepositoryName,
    },
}

/// What to do with preserved work.
#[derive(Debug, Subcommand)]
pub enum PreservedVerb {
    /// List it, newest first
    List,
    /// What it changes
    Show {
        /// The run it is of, like
        id: RunId,
    },
    /// Put it at a branch of the team's mirror, and with --into as a clone in a new folder
    Restore {
        /// The run it is of, like
        id: RunId,
        /// A folder that does not exist yet
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// Let go of what is older than configured
    Prune {
        /// Than so many days instead
        #[arg(long)]
        days: Option<u32>,
    },
}
