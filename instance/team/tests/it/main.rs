//! The team through its API.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod openapi;
mod policies;
mod problems;
mod questions;
mod support;
