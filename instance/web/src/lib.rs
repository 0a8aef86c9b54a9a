#![doc = include_str!("../README.md")]

mod actions;
mod board;
mod cost;
mod facts;
mod feature;
mod fields;
mod inbox;
mod markdown;
mod operations;
mod projects;
mod router;
mod runs;
#[cfg(test)]
mod sample;

pub use router::{RouterOptions, router};
