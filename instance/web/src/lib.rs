#![doc = include_str!("../README.md")]

mod actions;
mod board;
mod feature;
mod fields;
mod inbox;
mod markdown;
mod operations;
mod router;
mod runs;

pub use router::{RouterOptions, router};
