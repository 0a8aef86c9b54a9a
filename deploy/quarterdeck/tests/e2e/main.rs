//! End to end, through the front door: the binary, its sockets, its pages, and real git. One test binary, because each
//! one links everything.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test that cannot go on panics"
)]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod acp;
mod agents;
mod approvals;
mod audit;
mod browser;
mod budget;
mod channels;
mod cli;
mod concurrent;
mod crash;
mod decide;
mod demo;
mod doctor;
mod door;
mod engine;
mod exchange;
mod gateway;
mod lessons;
mod matrix;
mod mcp;
mod openapi;
mod people;
mod planning;
mod policies;
mod real_agents;
mod run_tools;
mod sse;
mod stranger;
mod support;
