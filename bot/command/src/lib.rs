#![doc = include_str!("../README.md")]

pub mod catalogue;
mod command;
mod machine;
mod parse;
mod schedule;

pub use catalogue::help;
pub use command::{Command, Field, FleetPart, Limit, Service, Which};
pub use machine::{NewMachine, OldMachine};
pub use parse::{CommandError, EMPTY, nearest, parse};
pub use schedule::{Hour, When};
