#![doc = include_str!("../README.md")]

mod api;
mod attachments;
mod ballot;
mod circuits;
mod control;
mod documents;
mod exchange;
mod features;
mod options;
mod own;
mod permissions;
mod permit;
mod plans;
mod preserved;
mod problem;
mod projects;
mod questions;
mod radar;
mod reconcile;
mod recurring;
mod saga;
mod scheduler;
mod team;
mod trail;
mod uplink;
mod views;
mod walls;

pub use api::{document, router};
pub use options::{RepositoryOptions, RunPolicy, TeamOptions, TrailPolicy};
pub use permissions::{SERVER, Wish};
pub use problem::ProblemResponse;
pub use qd_store::Which;
pub use team::{Caller, Team, TeamError, Trains};
pub use uplink::{Uplink, UplinkError};
