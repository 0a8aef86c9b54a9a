#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test support: a failed contract is a panic, and what is skipped is said"
)]

pub mod contract;
#[cfg(feature = "discord")]
pub mod discord;
#[cfg(feature = "github")]
pub mod github;
pub mod grant;
pub mod harness;
mod nowhere;
#[cfg(any(feature = "discord", feature = "github"))]
mod openapi;
mod scene;

pub use grant::granted;
pub use harness::{CommitView, ForgeHarness};
pub use nowhere::{Nowhere, Quiet};
