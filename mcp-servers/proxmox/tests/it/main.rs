//! What a real Proxmox VE says, and a fake one: verdicts, recorded exchanges, schemas, a cluster on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, and says when it is skipped"
)]

mod shared;
mod verdicts;
