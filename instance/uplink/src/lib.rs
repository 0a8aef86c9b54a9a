#![doc = include_str!("../README.md")]

mod http;
mod join;
mod link;
mod way;

pub use http::HttpCarrier;
pub use join::{JoinError, Joined, Link, join, rotate};
pub use link::{Identity, SignedUplink, State, Status};
pub use way::{authorities, nats_key};
