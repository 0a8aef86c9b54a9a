#![doc = include_str!("../README.md")]

mod console;
mod page;
mod surface;
pub mod terminal;
mod text;

pub use console::{Console, ConsoleError, Layout, Posted};
pub use page::router;
pub use text::markup;
