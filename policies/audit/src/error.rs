//! Why the trail did not do it. A broken chain is not an error but a finding, see [`crate::Fault`]; it becomes one where
//! somebody would build on it.

use std::path::PathBuf;

use qd_sqlite::DbError;

use crate::{Fault, Head, Kind, MAX_PAYLOAD};

/// A refusal or a failure.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The chain has no name yet.
    #[error("the audit chain was never begun: begin it where the database is opened")]
    NotBegun,
    /// The database holds another executor's chain.
    #[error("this database holds the audit chain of {found}, not of {wanted}: is it another one's file?")]
    OtherChain {
        /// The name in the file.
        found: String,
        /// The name that was asked for.
        wanted: String,
    },
    /// The payload has no canonical form.
    #[error("an audit entry has no canonical form")]
    Canonical(#[source] serde_json::Error),
    /// The payload is over [`MAX_PAYLOAD`].
    #[error(
        "the payload of a {kind} entry takes {size} bytes, at most {MAX_PAYLOAD} are kept: keep a digest instead"
    )]
    TooLarge {
        /// Which kind of entry.
        kind: Kind,
        /// Bytes.
        size: usize,
    },
    /// A signature that proves nothing.
    #[error("the signature of {by} on {head} is refused: {problem}")]
    Signature {
        /// Who should have signed.
        by: String,
        /// What.
        head: Box<Head>,
        /// Why it is refused.
        problem: String,
    },
    /// The other side shows a head that contradicts the one that was signed before.
    #[error(
        "{head} contradicts {signed}, which was signed before: the chain of {} went back or was rewritten; \
         stop its executor and run quarterdeck audit verify there", head.chain
    )]
    Contradicts {
        /// The new head.
        head: Box<Head>,
        /// The one that was signed.
        signed: Box<Head>,
    },
    /// Nothing is built on a broken chain.
    #[error("the audit chain is broken: {0}; quarterdeck audit verify says what is still proven")]
    Broken(Box<Fault>),
    /// A row that makes no sense.
    #[error("a row of {table} makes no sense: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file can't be read or written.
    #[error("{} can't be {doing}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// "read" or "written".
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An export can't be written or read.
    #[error("the export can't be written or read")]
    Io(#[from] std::io::Error),
    /// No randomness for a pseudonym.
    #[error("the system has no randomness: {0}")]
    Random(getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for AuditError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}
