//! The port over real git, in throw-away folders.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail this way")]

mod bring;
mod create;
mod guard;
mod keep;
mod kinds;
mod maintain;
mod pool;
mod preserved;
mod room;
mod sensitive;
mod setup;
mod site;
mod work;
