//! The port that keeps account: what was spent in a scope, and a record of every call. Not a judge: budgets are compared
//! elsewhere.
//!
//! A call is opened before anything goes to a provider and closed when its answer is over. One that was never closed,
//! because the process died, stays in the books as it was opened: with an estimate, its usage unknown.

mod memory;
mod sqlite;
mod totals;

use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};
use qd_types::RunId;
use serde::{Deserialize, Serialize};

use crate::{
    budget::{Scope, Spent},
    money::MicroDollars,
    prices::Priced,
    route::Endpoint,
    usage::{Reading, Usage},
};

pub use memory::MemoryMeter;
pub use sqlite::SqliteMeter;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it came in.
    pub at: Timestamp,
    /// The day it counts for, in the fleet's time zone.
    pub day: Date,
    /// Who called.
    pub run: RunId,
    /// The provider that answered, by its name in the configuration.
    pub provider: String,
    /// What was called.
    pub endpoint: Endpoint,
    /// The model that was asked for, in the provider's list of prices.
    pub priced: Priced,
    /// The model that says it answered.
    pub answered: Option<String>,
    /// What is known of its tokens.
    pub reading: Reading,
    /// What budgets hold against it. More than was counted only where the reading is not whole.
    pub charged: Usage,
    /// The price of `charged`. `None`: unknown.
    pub cost: Option<MicroDollars>,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's status, if it answered.
    pub status: Option<u16>,
    /// Requests to providers, with those that were repeated.
    pub attempts: u32,
    /// Bytes of the request.
    pub sent: u64,
    /// Bytes of the answer that were passed on.
    pub received: u64,
    /// Milliseconds until the answer began.
    pub first_byte_ms: Option<u64>,
    /// Milliseconds in all.
    pub total_ms: u64,
}

/// Calls of one run, day and model together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Who called.
    pub run: RunId,
    /// The day, in the fleet's time zone.
    pub day: Date,
    /// The model, in its list of prices.
    pub priced: Priced,
    /// Calls.
    pub calls: u64,
    /// Of these, calls whose tokens are estimated, at least in part.
    pub estimated: u64,
    /// What budgets hold against them.
    pub charged: Usage,
    /// Its price. `None`: it was not known when they were made.
    pub cost: Option<MicroDollars>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "detail")]
pub enum Outcome {
    /// Opened, and never closed: it is under way, or the process died.
    Open,
    /// The answer was passed on to its end.
    Answered,
    /// The provider refused; its status says why.
    Refused,
    /// The provider said inside its answer that it failed, and how.
    Failed(String),
    /// The answer broke off.
    Cut,
    /// The client went away.
    Cancelled,
    /// The provider was silent for too long.
    TimedOut,
    /// The provider could not be reached.
    Unreachable,
}

impl Outcome {
    /// As it is kept in rows.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Failed(_) => "failed",
            Self::Cut => "cut",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
        }
    }
}

/// The books can't be written. Nothing is called then.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the record of model calls can't be written: {0}")]
pub struct MeterError(pub String);

/// What a closed call changed for one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub scope: Scope,
    /// Without the call.
    pub before: Spent,
    /// With it.
    pub after: Spent,
}

/// The port.
#[async_trait]
pub trait Meter: Send + Sync {
    /// What was spent so far. Calls that are under way are not in it.
    fn spent(&self, scope: &Scope) -> Spent;

    /// Notes that a call begins. Waits while the books are behind.
    async fn open(&self, record: Record) -> Result<Box<dyn Ticket>, MeterError>;
}

/// A call that is open.
pub trait Ticket: Send + Sync {
    /// Notes how it ended. It never waits: a call is also closed where nobody can.
    fn close(self: Box<Self>, record: Record) -> Vec<Change>;
}
