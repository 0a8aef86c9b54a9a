#![doc = include_str!("../README.md")]

mod http;
mod join;
mod link;

pub use http::HttpCarrier;
pub use join::{JoinError, Joined, Link, join, rotate};
pub use link::{Identity, SignedUplink, State, Status};
