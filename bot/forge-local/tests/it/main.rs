//! The embedded forge: the contract, and what only this adapter promises. One binary, so that it links once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

mod contract;
mod crash;
mod race;
mod repositories;
mod support;
