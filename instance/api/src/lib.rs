#![doc = include_str!("../README.md")]

mod client;
mod words;

pub use client::{Client, ClientError, Target};
pub use words::*;
