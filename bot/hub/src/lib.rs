#![doc = include_str!("../README.md")]

mod before;
mod chat;
mod error;
mod forge;
mod heads;
mod hub;
mod json;
mod keep;
mod keeper;
mod schema;
pub mod steps;
mod turn;
mod uplink;

pub use error::HubError;
pub use hub::Hub;
