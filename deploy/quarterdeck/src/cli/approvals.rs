//! `approvals`, and its short forms `approve` and `deny`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use qd_types::PersonId;

/// What waits for people, and what was decided.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Approvals {
    /// What to do; left out, the list.
    #[command(subcommand)]
    pub verb: Option<ApprovalsVerb>,
    /// The list's flags.
    #[command(flatten)]
    pub list: ListFlags,
}

/// What to do with approvals.
#[derive(Debug, Subcommand)]
pub enum ApprovalsVerb {
    /// List what waits for people in all teams that run here, newest first
    List(ListFlags),
    /// Everything that one approval binds, and how it stands
    Show {
        /// Its key or the beginning of it, or a feature like A-1
        id: String,
    },
    /// Say yes to what is asked
    Approve(Ballot),
    /// Say no to what is asked
    Deny(Ballot),
    /// Answer a question
    Answer(Answer),
    /// Ask again for what nobody decided in time
    Reopen(Reopen),
    /// Follow what is asked and decided, until Ctrl-C
    Watch {
        /// Ring the bell even where this is no terminal
        #[arg(long)]
        bell: bool,
    },
}

/// Which are listed.
#[derive(Debug, Clone, Args)]
pub struct ListFlags {
    /// What was decided, too
    #[arg(long)]
    pub all: bool,
    /// Only those that you may decide
    #[arg(long)]
    pub mine: bool,
}

/// Who decides.
#[derive(Debug, Default, Args)]
pub struct Who {
    /// As this person
    #[arg(long = "as", value_name = "NAME")]
    pub person: Option<PersonId>,
    /// The passphrase is in this file; left out, QUARTERDECK_PASSPHRASE or the terminal is asked
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// A vote.
#[derive(Debug, Args)]
pub struct Ballot {
    /// A feature like A-1, or the approval's key or its beginning
    pub id: String,
    /// Why
    #[arg(long)]
    pub reason: Option<String>,
    /// The target's name, where it has to be typed out
    #[arg(long = "type", value_name = "NAME")]
    pub typed: Option<String>,
    /// Only if this is what is asked: the digest that you saw, or its beginning
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    /// Who.
    #[command(flatten)]
    pub who: Who,
}

/// An answer.
#[derive(Debug, Args)]
pub struct Answer {
    /// A feature like A-1, or the approval's key or its beginning
    pub id: String,
    /// The answer; - reads it from standard input
    #[arg(required_unless_present = "value")]
    pub text: Option<String>,
    /// The answer as JSON, where the question wants more than a text
    #[arg(long, value_name = "JSON", conflicts_with = "text")]
    pub value: Option<String>,
    /// Who.
    #[command(flatten)]
    pub who: Who,
}

/// What is asked again.
#[derive(Debug, Args)]
pub struct Reopen {
    /// The key of what expired or its beginning, or a feature like A-1
    pub id: String,
    /// Who.
    #[command(flatten)]
    pub who: Who,
}
