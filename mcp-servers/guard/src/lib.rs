#![doc = include_str!("../README.md")]

mod caller;
mod entry;
mod guard;
pub mod http;
mod law;
pub mod ledger;
mod limits;
mod offers;
mod outputs;
mod pipeline;
mod ports;
pub mod proxy;
mod redact;
pub mod safe;
mod say;
mod schema;
pub mod screen;
mod serve;
pub mod stdio;
pub mod strict;
mod tasks;
mod tool;

pub use caller::{Caller, Scope, Who};
pub use entry::ToolError;
pub use guard::{Guard, Server, Settings};
pub use law::EngineLaw;
pub use ledger::{Clock, Ledger, LedgerError};
pub use limits::{LimitError, Limits};
pub use offers::{Content, Embedded, Message, Messages, Page, Speaker};
pub use outputs::Link;
pub use pipeline::{Answer, Incoming, Outcome, Pending, Preview, Refusal, Stage};
pub use ports::{Approvals, Asked, Asking, Event, Law, Standing, StoreError, Trail};
pub use schema::DRY_RUN;
pub use serve::Session;
pub use tool::{Approved, Call, Change, Fault, Hints, Look, Mutation, Permit, Plan, Progress, Spec, Step};
