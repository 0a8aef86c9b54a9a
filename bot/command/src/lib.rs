#![doc = include_str!("../README.md")]

mod command;
mod parse;

pub use command::{Command, Which};
pub use parse::{CommandError, HELP, parse};
