#![doc = include_str!("../README.md")]

mod assets;
pub mod parts;
mod shell;
mod tokens;

pub use assets::assets;
pub use shell::{Nav, Shell};
pub use tokens::{Theme, colour};
