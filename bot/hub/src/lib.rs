#![doc = include_str!("../README.md")]

mod before;
mod bells;
mod calls;
mod chat;
mod enrol;
mod error;
mod forge;
mod gate;
mod heads;
pub mod http;
mod hub;
mod inbox;
mod intake;
mod json;
mod keep;
mod keeper;
mod links;
mod machines;
mod own_keys;
mod schema;
pub mod steps;
mod turn;
mod uplink;

pub use calls::CallStanding;
pub use enrol::{Enrolled, Invited};
pub use error::HubError;
pub use gate::{Credentials, HubGate, NoCredentials};
pub use hub::Hub;
pub use own_keys::Rotated;
