#![doc = include_str!("../README.md")]

pub mod chat;
mod commands;
mod desk;
pub mod effect;
pub mod event;
pub mod forge;
mod handle;
pub mod state;
pub mod text;

pub use effect::{Effect, ForgeCall, Save};
pub use event::{Event, Moment};
pub use handle::{Handled, handle};
pub use state::{AlertState, Desk, FleetState, Merging, Rules};
