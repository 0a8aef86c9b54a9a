#![doc = include_str!("../README.md")]

pub mod budget;
pub mod event;
pub mod meter;
pub mod money;
pub mod prices;
mod refusal;
pub mod route;
pub mod runs;
pub mod usage;
