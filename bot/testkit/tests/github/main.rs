//! The fake GitHub keeps the promises that its users rely on: by its front door, with real git.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

mod apps;
mod client;
mod code;
mod hooks;
mod manners;
mod rest;
mod talk;
