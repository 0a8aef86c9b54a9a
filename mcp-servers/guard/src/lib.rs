#![doc = include_str!("../README.md")]

mod caller;
mod entry;
mod law;
pub mod ledger;
mod limits;
mod outputs;
mod ports;
mod redact;
mod schema;
pub mod screen;
pub mod strict;
mod tool;

pub use caller::{Caller, Scope, Who};
pub use entry::ToolError;
pub use law::EngineLaw;
pub use ledger::{Clock, Ledger, LedgerError};
pub use limits::{LimitError, Limits};
pub use outputs::Link;
pub use ports::{Approvals, Asked, Asking, Event, Law, Standing, StoreError, Trail};
pub use schema::DRY_RUN;
pub use tool::{Approved, Call, Change, Fault, Hints, Look, Permit, Plan, Progress, Spec, Step};
