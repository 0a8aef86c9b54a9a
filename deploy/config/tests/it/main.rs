//! The configuration through its public face.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

mod detect;
mod gateway;
mod init;
mod layers;
mod mcp;
mod refusals;
mod reload;
mod schema;
mod secret;
mod support;
