#![doc = include_str!("../README.md")]

mod client;
mod cost;
mod words;

pub use client::{Client, ClientError, Target, Within};
pub use cost::{CostBudget, CostBy, CostRow, CostView};
pub use words::*;
