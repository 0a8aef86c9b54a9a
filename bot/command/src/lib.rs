#![doc = include_str!("../README.md")]

pub mod catalogue;
mod command;
mod parse;

pub use catalogue::help;
pub use command::{Command, FleetPart, Which};
pub use parse::{CommandError, parse};
