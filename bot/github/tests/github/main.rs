//! GitHub as a Forge against the fake: the contract, and what only this adapter promises. One binary, so that it links once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on panics"
)]

mod contract;
mod emulate;
mod manners;
mod protection;
mod support;
mod tokens;
