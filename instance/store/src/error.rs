//! Why the store did not do it. Whose fault it is shows in the variant: theirs, ours, or the disk's.

use qd_board::{FieldError, Refused};
use qd_sqlite::DbError;

/// A refusal or a failure.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing.
    #[error("there is no {what}")]
    NoSuch {
        /// "feature A-9".
        what: String,
    },
    /// The board's rules say no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A field can't be taken.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Somebody else changed the same fields meanwhile.
    #[error("{id} was changed meanwhile: {} by {by}, version {version} now", fields.join(", "))]
    Stale {
        /// Which feature.
        id: String,
        /// The fields that both touched.
        fields: Vec<String>,
        /// Who changed them.
        by: String,
        /// The version now.
        version: u64,
    },
    /// A row that makes no sense.
    #[error("a row of {table} makes no sense: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The instance's own approvals failed.
    #[error(transparent)]
    Approvals(#[from] qd_approvals::ApprovalError),
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] qd_audit::AuditError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

impl StoreError {
    pub(crate) fn no_such(kind: &str, id: impl std::fmt::Display) -> Self {
        Self::NoSuch { what: format!("{kind} {id}") }
    }
}
