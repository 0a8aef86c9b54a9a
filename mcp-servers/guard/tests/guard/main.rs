//! The guard through real clients: over an in-process stream, as raw lines, and over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

mod attacks;
mod fixtures;
mod http;
mod issuer;
mod life;
mod offers;
mod parse;
mod pictures;
mod pipeline;
mod proxy;
mod reach;
mod records;
mod sessions;
#[path = "../../fuzz/small.rs"]
mod small;
mod table;
mod tasks;
mod world;
