//! What is recorded of a change, and what the executor does around it, all in the change's own transaction.

use std::fmt;

use jiff::Timestamp;
use qd_types::{PersonId, Role};
use rusqlite::Connection;
use serde::Serialize;

use crate::{Scope, TokenKind};

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A person; maybe the one that it is about.
    Person(PersonId),
    /// Whoever wrote the configuration.
    Configuration,
}

/// A change, as it goes to the audit chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whom it is about.
    pub person: PersonId,
    /// Who did it.
    pub by: By,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub what: What,
}

/// What was done. Holds no identity, no display name and no secret: what is in the chain stays there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum What {
    /// An invitation was made.
    Invited {
        /// Roles that they will have.
        roles: Vec<(Scope, Role)>,
    },
    /// Another invitation was made: to come back, or for a new passphrase.
    InvitedAgain,
    /// They took it up, and set a passphrase.
    Accepted,
    /// The configuration took them in, or gave them other roles.
    Configured {
        /// All of their roles.
        roles: Vec<Role>,
    },
    /// They got a role.
    RoleGiven {
        /// Where.
        scope: Scope,
        /// Which.
        role: Role,
    },
    /// They lost a role.
    RoleTaken {
        /// Where.
        scope: Scope,
        /// Which.
        role: Role,
    },
    /// An identity was linked.
    Linked {
        /// The service.
        service: &'static str,
    },
    /// An identity was unlinked.
    Unlinked {
        /// The service.
        service: &'static str,
    },
    /// A session began or a token was made.
    TokenMade {
        /// Which of the two.
        kind: TokenKind,
    },
    /// A session or a token was ended.
    TokenEnded {
        /// Which of the two.
        kind: TokenKind,
    },
    /// So many wrong passphrases were given that there is a wait now.
    Throttled {
        /// Wrong ones in a row.
        failures: u32,
    },
    /// They were shut out.
    Disabled,
    /// They were removed.
    Removed,
    /// All that was stored about them is deleted with this transaction. The host forgets their name after it has recorded
    /// this, in the map of pseudonyms for one.
    Erased,
}

impl fmt::Display for What {
    /// What was done, as a timeline says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |roles: Vec<String>| {
            if roles.is_empty() { "without a role".to_owned() } else { format!("as {}", roles.join(", ")) }
        };
        match self {
            Self::Invited { roles } => {
                let roles = roles.iter().map(|(scope, role)| format!("{role} in {scope}")).collect();
                write!(f, "invited {}", with(roles))
            }
            Self::InvitedAgain => f.write_str("invited again"),
            Self::Accepted => f.write_str("took up the invitation, and set a passphrase"),
            Self::Configured { roles } => {
                write!(f, "named by the configuration {}", with(roles.iter().map(Role::to_string).collect()))
            }
            Self::RoleGiven { scope, role } => write!(f, "given the role {role} in {scope}"),
            Self::RoleTaken { scope, role } => write!(f, "lost the role {role} in {scope}"),
            Self::Linked { service } => write!(f, "linked an identity at {service}"),
            Self::Unlinked { service } => write!(f, "unlinked an identity at {service}"),
            Self::TokenMade { kind } => write!(f, "got a {kind}"),
            Self::TokenEnded { kind } => write!(f, "ended a {kind}"),
            Self::Throttled { failures } => write!(f, "gave {failures} wrong passphrases in a row"),
            Self::Disabled => f.write_str("shut out"),
            Self::Removed => f.write_str("removed"),
            Self::Erased => f.write_str("erased"),
        }
    }
}

/// Why the host refused. The change does not happen then.
pub type HostError = Box<dyn std::error::Error + Send + Sync>;

/// The executor that people act on. Everything it is asked for happens in the transaction of the change.
pub trait Host {
    /// Appends the change to the audit chain.
    fn record(&self, tx: &Connection, change: &Change) -> Result<(), HostError>;

    /// Ends the person's votes on approvals that are still open. Returns those approvals, as people know them.
    fn end_votes(&self, tx: &Connection, person: &PersonId) -> Result<Vec<String>, HostError>;

    /// What hangs on this person and needs another one when they are gone, as people know it: features, operations,
    /// repositories.
    fn responsible_for(&self, tx: &Connection, person: &PersonId) -> Result<Vec<String>, HostError>;
}
