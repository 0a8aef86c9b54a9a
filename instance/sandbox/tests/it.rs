//! Real walls: what they hold is tried from within. Where bubblewrap or an engine can't be had, that is said and skipped;
//! the chore that runs the tests in CI sets `QUARTERDECK_TEST_WALLS=required`, and then it is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, and says what it skips"
)]

#[path = "it/bubblewrap.rs"]
mod bubblewrap;
#[path = "it/docker.rs"]
mod docker;
#[path = "it/engine.rs"]
mod engine;
#[path = "it/forward.rs"]
mod forward;

/// Says why a test is skipped; where it must run, it fails.
fn skip(why: &str) {
    assert!(std::env::var_os("QUARTERDECK_TEST_WALLS").is_none(), "these walls must be there: {why}");
    eprintln!("skipped: {why}");
}
