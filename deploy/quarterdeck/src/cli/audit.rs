//! `quarterdeck audit`.

use std::path::PathBuf;

use clap::Subcommand;

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Prove that no row was changed, removed, moved or inserted, up to the last head that the other side signed
    Verify {
        /// An export or an archived segment, instead of the chains of this fleet
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// A public key of who signs heads of these chains (bot=64 hex digits), instead of those that are enrolled; with a
        /// file, the only keys that are known
        #[arg(long = "key", value_name = "NAME=KEY")]
        keys: Vec<qd_audit::Signer>,
    },
    /// What led to it, who decided, and what came of it
    Show {
        /// An approval (bot/01K...), a run or a feature
        what: qd_audit::Of,
    },
    /// A chain as JSON Lines, with what is archived
    Export {
        /// Whose: bot, or a team's name
        of: Option<String>,
        /// A new file, instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}
