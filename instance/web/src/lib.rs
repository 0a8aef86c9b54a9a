#![doc = include_str!("../README.md")]

mod actions;
mod board;
mod feature;
mod inbox;
mod markdown;
mod router;
mod runs;

pub use router::{RouterOptions, router};
