#![doc = include_str!("../README.md")]

pub mod call;
pub mod port;
pub mod sealed;
pub mod signed;
pub mod v1;
