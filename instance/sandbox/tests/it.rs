//! Real walls: what they hold is tried from within. Where bubblewrap or an engine can't be had, that is said and skipped;
//! with `CI=true` it is a failure, unless `QUARTERDECK_SKIP` names `walls`.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, says what it skips, and waits for programs on a thread of its own"
)]

#[path = "it/bubblewrap.rs"]
mod bubblewrap;
#[path = "it/docker.rs"]
mod docker;
#[path = "it/egress.rs"]
mod egress;
#[path = "it/forward.rs"]
mod forward;

/// Says why a test is skipped; where it must run, it fails.
fn skip(why: &str) {
    let told = std::env::var("QUARTERDECK_SKIP").unwrap_or_default().split(',').any(|suite| suite == "walls");
    let must = std::env::var("CI").is_ok_and(|ci| ci == "true") && !told;
    assert!(!must, "these walls must be there: {why}");
    eprintln!("skipped: {why}");
}
