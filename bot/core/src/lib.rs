#![doc = include_str!("../README.md")]

mod answer;
mod ask;
pub mod budget;
pub mod chat;
mod commands;
mod desk;
pub mod distil;
pub mod effect;
pub mod event;
mod foreign;
pub mod forge;
mod handle;
pub mod inbox;
mod inquiry;
pub mod links;
pub mod machines;
mod needs;
pub mod outside;
mod page;
pub mod picture;
pub mod presence;
mod progress;
mod snapshot;
pub mod state;
pub mod text;
mod trail;
mod wishes;

pub use answer::Handled;
pub use distil::{Distil, DistilError, Fact, Facts, Pipeline, PipelineKind};
pub use effect::{Asking, Effect, ForgeCall, Save, Step, Word};
pub use event::{Event, Moment};
pub use handle::handle;
pub use state::{AlertState, Asked, Desk, Filed, FleetState, Foreign, Merging, Rules, Spoken, Standing};
