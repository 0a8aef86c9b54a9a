//! Check-outs of our own and the radar, against git itself, in throw-away folders.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail this way")]

mod exact;

mod restore;
mod site;
