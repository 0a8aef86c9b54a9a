#![doc = include_str!("../README.md")]

pub mod api;
pub mod cluster;
pub mod config;
pub mod error;
pub mod https;
pub mod names;
pub mod request;
pub mod requests;
