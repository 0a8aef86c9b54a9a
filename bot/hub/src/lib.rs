#![doc = include_str!("../README.md")]

mod approvals;
mod chat;
mod error;
mod forge;
mod hub;
mod json;
mod keep;
mod schema;

pub use error::HubError;
pub use hub::Hub;
