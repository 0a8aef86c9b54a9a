//! Why the hub did not do it.

use qd_sqlite::DbError;

/// A failure of the hub.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The store of approvals failed.
    #[error(transparent)]
    Approvals(#[from] qd_approvals::ApprovalError),
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] qd_audit::AuditError),
    /// The key that signs votes.
    #[error(transparent)]
    Key(#[from] qd_approvals::KeyFileError),
    /// A row that makes no sense.
    #[error("a row of {table} makes no sense: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Something between the last received report and this one is missing.
    #[error("report {seq} of {instance} came, and {expected} was next")]
    Gap {
        /// Whose.
        instance: String,
        /// Which came.
        seq: u64,
        /// Which was next.
        expected: u64,
    },
    /// A key that does not sign any more.
    #[error(
        "the key of the team {instance} was withdrawn, or is another team's: remove surface.key from the team's state \
         folder, and a new one is made when it starts"
    )]
    KeyWithdrawn {
        /// Whose.
        instance: String,
    },
    /// A token that does not work.
    #[error(
        "the token for {instance} is not known, was used, or is older than 15 minutes: an owner makes another one with \
         quarterdeck bot invite {instance}"
    )]
    NotInvited {
        /// Who wanted to join.
        instance: String,
    },
    /// A call that says that rows are lost, and is not newer than what was heard of its instance: perhaps it comes a second
    /// time. The same, said now, is heard.
    #[error("a later call of {instance} was heard, or the bot has started since: what it has is said again")]
    Late {
        /// Whose.
        instance: String,
    },
    /// A call that can't be answered as it is.
    #[error("{0}")]
    Refused(String),
}

impl From<rusqlite::Error> for HubError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

impl HubError {
    pub(crate) fn corrupt(table: &'static str, problem: impl ToString) -> Self {
        Self::Corrupt { table, problem: problem.to_string() }
    }
}
