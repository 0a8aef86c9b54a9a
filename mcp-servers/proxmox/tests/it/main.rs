//! What a real Proxmox VE says: its verdicts on names, its recorded exchanges, its schemas.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, and says when it is skipped"
)]

mod recorded;
mod schemas;
mod scripts;
mod shared;
mod table;
mod verdicts;
