//! Why it was not done. Each says what would help.

use qd_sqlite::DbError;
use qd_types::{IdError, PersonId};

use crate::{HostError, Identity, IllegalState, LEAST_CHARACTERS};

/// A refusal or a failure.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// There is no such person.
    #[error("there is nobody called {0}: quarterdeck person list shows who there is")]
    NoSuch(PersonId),
    /// The name is taken.
    #[error("there is a person {0} already: choose another name, or invite them again with --again")]
    Taken(PersonId),
    /// The person's state does not allow it.
    #[error("{person}: {illegal}; {hint}")]
    State {
        /// Who.
        person: PersonId,
        /// What can't be.
        illegal: IllegalState,
        /// The way out.
        hint: &'static str,
    },
    /// Only active people have identities and tokens.
    #[error("{0} is not active: invite them, and let them take it up")]
    NotActive(PersonId),
    /// Nobody would be left to decide.
    #[error("{0} is the last active owner: make somebody else owner first")]
    LastOwner(PersonId),
    /// The configuration would leave nobody to decide.
    #[error(
        "the configuration leaves the fleet without an active owner: give one of [[people]] the role owner"
    )]
    NoOwner,
    /// Roles are the configuration's.
    #[error("the roles of {0} stand in the configuration: change them under [[people]]")]
    Configured(PersonId),
    /// The configuration would bring them back.
    #[error("{0} is still in the configuration: take them out of [[people]] first")]
    StillConfigured(PersonId),
    /// Only who is gone is erased.
    #[error("{0} is not removed: quarterdeck person remove {0} first")]
    NotRemoved(PersonId),
    /// A text that people will read can't be taken.
    #[error("{what} is 1 to {} characters, none of them a control character", crate::people::LONGEST_TEXT)]
    Text {
        /// "a name", "a label".
        what: &'static str,
    },
    /// The identity is somebody else's.
    #[error("{identity} is linked to {to}: an identity belongs to one person; unlink it there first")]
    LinkedElsewhere {
        /// Which.
        identity: Identity,
        /// Whose.
        to: PersonId,
    },
    /// No such link.
    #[error("{identity} is not linked to {person}")]
    NotLinked {
        /// Which.
        identity: Identity,
        /// Whose it is not.
        person: PersonId,
    },
    /// The role is not theirs.
    #[error("{person} does not have the role {role} in {scope}")]
    NoRole {
        /// Who.
        person: PersonId,
        /// Which.
        role: qd_types::Role,
        /// Where.
        scope: crate::Scope,
    },
    /// The invitation can't be taken up: never made, used, or too old. Not told apart, on purpose.
    #[error("this invitation is not valid, or not any more: ask for another one")]
    Invitation,
    /// Too short.
    #[error("a passphrase needs at least {LEAST_CHARACTERS} characters: four or five words make a good one")]
    TooShort,
    /// Too long.
    #[error("a passphrase has at most 1024 bytes")]
    TooLong,
    /// Too many wrong ones.
    #[error("{failures} wrong passphrases in a row: wait {seconds} seconds and try again")]
    Throttled {
        /// Wrong ones in a row.
        failures: u32,
        /// Seconds from now.
        seconds: i64,
    },
    /// Wrong, or nobody who could know it. Not told apart, on purpose.
    #[error("that is not the passphrase")]
    Passphrase,
    /// argon2 failed; surely not the person's fault.
    #[error("the passphrase can't be hashed: {0}")]
    Hash(String),
    /// No randomness for a token.
    #[error("the system has no randomness: {0}")]
    Random(getrandom::Error),
    /// A row that makes no sense.
    #[error("a row of {table} makes no sense: {source}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// Why.
        source: IdError,
    },
    /// The executor refused; nothing was changed.
    #[error("this could not be recorded, so it was not done")]
    Host(#[source] HostError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for PeopleError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}
