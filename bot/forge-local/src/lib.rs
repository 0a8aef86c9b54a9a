#![doc = include_str!("../README.md")]

mod closing;
mod error;
mod forge;
mod local;
mod merge;
mod proposals;
mod rebuild;
mod repositories;
mod rows;
mod rules;

pub use error::LocalForgeError;
pub use local::LocalForge;
pub use repositories::Imported;
