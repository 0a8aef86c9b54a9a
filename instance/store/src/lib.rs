#![doc = include_str!("../README.md")]

mod approvals;
mod error;
mod events;
mod features;
mod forge;
mod report;
mod rows;
mod runs;
mod schema;
mod store;

pub use approvals::InboxRow;
pub use error::StoreError;
pub use events::Event;
pub use forge::Applied;
pub use runs::{NewRun, RunFact};
pub use store::{Settings, Snapshot, Store};
