#![doc = include_str!("../README.md")]

pub mod app;
pub mod client;
pub mod config;
