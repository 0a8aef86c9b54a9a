//! Verbs of people.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use qd_types::{PersonId, Role};

/// People, and who asks.
#[derive(Debug, Args)]
pub struct Person {
    /// What to do
    #[command(subcommand)]
    pub verb: PersonVerb,
    /// As this person, whose passphrase is asked for
    #[arg(long = "as", value_name = "NAME", global = true)]
    pub me: Option<PersonId>,
    /// The passphrase is in this file; left out, QUARTERDECK_PASSPHRASE or the terminal is asked
    #[arg(long, value_name = "FILE", global = true)]
    pub passphrase_file: Option<PathBuf>,
}

/// What to do with people.
#[derive(Debug, Subcommand)]
pub enum PersonVerb {
    /// List them
    List,
    /// Invite somebody: prints a link that works once
    Invite {
        /// What everything is recorded under
        person: PersonId,
        /// What is shown
        #[arg(long)]
        name: Option<String>,
        /// A role, everywhere or with @team:NAME or @repository:NAME; may be repeated
        #[arg(long = "role", value_name = "ROLE[@SCOPE]")]
        roles: Vec<ScopedRole>,
        /// They are known: another invitation, for a new passphrase or to come back
        #[arg(long, conflicts_with_all = ["name", "roles"])]
        again: bool,
    },
    /// Take up an invitation: sets your passphrase
    Accept {
        /// What the invitation's link ends with, after token=
        token: String,
    },
    /// Set or change your own passphrase
    Passphrase {
        /// The new one is in this file; left out, the terminal is asked
        #[arg(long, value_name = "FILE")]
        new_file: Option<PathBuf>,
    },
    /// Give a role, or take it away
    Role {
        /// Who
        person: PersonId,
        /// A role, everywhere or with @team:NAME or @repository:NAME
        #[arg(value_name = "ROLE[@SCOPE]")]
        role: ScopedRole,
        /// Take it away
        #[arg(long)]
        take: bool,
    },
    /// Link an identity, or unlink it
    Link {
        /// Who
        person: PersonId,
        /// discord:USER-NUMBER, github:LOGIN, oidc:ISSUER#SUBJECT or local:USER
        identity: String,
        /// Unlink it
        #[arg(long)]
        unlink: bool,
    },
    /// Shut somebody out, everywhere and at once; they may be invited again
    Disable {
        /// Who
        person: PersonId,
    },
    /// Like disable, for good; the name stays taken
    Remove {
        /// Who
        person: PersonId,
    },
    /// All that is stored about somebody, as JSON
    Export {
        /// Who
        person: PersonId,
    },
    /// Delete all that is stored about somebody who was removed
    Erase {
        /// Who
        person: PersonId,
    },
}

/// A role, and where it holds: everywhere, if nothing is said.
#[derive(Debug, Clone)]
pub struct ScopedRole {
    /// Which.
    pub role: Role,
    /// Where.
    pub scope: String,
}

impl std::str::FromStr for ScopedRole {
    type Err = qd_types::IdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (role, scope) = text.split_once('@').unwrap_or((text, "fleet"));
        let scope: qd_people::Scope = scope.parse()?;
        Ok(Self { role: role.parse()?, scope: scope.to_string() })
    }
}

/// Whose sign-in link.
#[derive(Debug, Args)]
pub struct UrlFlags {
    /// As this person, whose passphrase is asked for; the link may vote then
    #[arg(long = "as", value_name = "NAME")]
    pub person: Option<PersonId>,
    /// The passphrase is in this file; left out, QUARTERDECK_PASSPHRASE or the terminal is asked
    #[arg(long, value_name = "FILE", requires = "person")]
    pub passphrase_file: Option<PathBuf>,
}
