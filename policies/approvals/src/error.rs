//! What can go wrong with the database. A "no" is not among it: every refusal is a value of the function that refuses, so
//! that what was found out on the way (that time is over, say) is committed with it.

use qd_sqlite::DbError;
use qd_types::{ApprovalId, IllegalApproval};

/// The rows can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The database refused.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The audit trail, which is written in the same transaction.
    #[error(transparent)]
    Audit(#[from] qd_audit::AuditError),
    /// A row makes no sense. Nothing is decided from it.
    #[error(
        "the table {table} holds something that is not well formed: {problem}; restore the database from a backup"
    )]
    Corrupt {
        /// Which table.
        table: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// There is no such approval here.
    #[error("there is no approval {id} here: `quarterdeck approvals` lists what there is")]
    NoSuch {
        /// As it was given.
        id: ApprovalId,
    },
    /// The life of an approval has no such way.
    #[error(transparent)]
    Illegal(#[from] IllegalApproval),
}

impl From<rusqlite::Error> for ApprovalError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

impl ApprovalError {
    pub(crate) fn corrupt(table: &'static str, problem: impl std::fmt::Display) -> Self {
        Self::Corrupt { table, problem: problem.to_string() }
    }
}
