//! The gateway through its front door: HTTP on one side, an upstream that is stricter than any provider on the other.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, and one that is skipped says so"
)]

mod books;
mod budgets;
mod refusals;
mod scripted;
mod shapes;
mod streams;
mod support;
mod trouble;
