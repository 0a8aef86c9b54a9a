#![doc = include_str!("../README.md")]

mod assets;
pub mod parts;
mod shell;

pub use assets::assets;
pub use shell::{Nav, Shell};
