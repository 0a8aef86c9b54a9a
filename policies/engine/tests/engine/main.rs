//! The engine through its public face: the default bundle's matrix, what is refused, what rules may do, and reloading.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

mod bundle;
mod decide;
mod matrix;
mod refusal;
mod reload;
mod rules;
mod world;
