//! `lesson`.

use clap::Subcommand;
use qd_types::RepositoryName;

/// What to do with lessons.
#[derive(Debug, Subcommand)]
pub enum LessonVerb {
    /// The lessons that agents are told, and those that people are asked about
    List,
    /// Propose one: agents are told when a manager agrees
    Add {
        /// One line: what to do, or not to do, and why
        text: String,
        /// For which repository, if the team has several
        #[arg(long)]
        repository: Option<RepositoryName>,
    },
    /// Remove one
    Remove {
        /// Its key, as the list shows it
        key: String,
    },
}
