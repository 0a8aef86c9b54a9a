#![doc = include_str!("../README.md")]

mod approvals;
mod check_cache;
mod clashes;
mod comments;
mod error;
mod events;
mod exchange;
mod executor;
mod features;
mod forge;
mod goals;
mod heads;
mod merged;
mod operations;
mod plans;
mod projects;
mod recurring;
mod report;
mod resting;
mod rows;
mod runs;
mod scheduling;
mod schema;
mod search;
mod spending;
pub mod steps;
mod store;
mod switches;
mod trail;

pub use approvals::InboxRow;
pub use clashes::FoundClash;
pub use error::StoreError;
pub use events::Event;
pub use exchange::Import;
pub use executor::{Accepted, Answered, Keeper, Proposal, QUESTION, place};
pub use forge::Applied;
pub use operations::Which;
pub use projects::ProjectRow;
/// How long the trail is kept, and what went; who runs a team need not see the trail's crate.
pub use qd_audit::{Archived, Retention};
pub use recurring::{RecurringFeature, RecurringRow};
pub use runs::{NewRun, RunFact};
pub use scheduling::Scene;
pub use search::Document;
pub use spending::Raises;
pub use store::{Settings, Snapshot, Store};
