#![doc = include_str!("../README.md")]

mod db;
pub mod outbox;
mod readers;
mod writer;

pub use db::{Db, DbError, Migration, read_only};
