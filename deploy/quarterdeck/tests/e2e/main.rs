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
mod answers;
mod apart;
mod approvals;
mod asked;
mod audit;
mod board_server;
mod browser;
mod budget;
mod channels;
mod cli;
mod clients;
mod commands;
mod concurrent;
mod containers;
mod crash;
mod crowd;
mod decide;
mod demo;
mod discord;
mod discord_tools;
mod doctor;
mod door;
mod engine;
mod exchange;
mod gates;
mod gateway;
mod github;
mod github_days;
mod github_setup;
mod hub;
mod lessons;
mod matrix;
mod mcp;
mod mcp_http;
mod mcp_sessions;
mod nats;
mod openapi;
mod orders;
mod paths;
mod people;
mod places;
mod planning;
mod plans;
mod policies;
mod proxmox;
mod pulls;
mod questions;
mod real_agents;
mod reopen;
mod rotation;
mod run_tools;
mod secrets;
mod servers;
mod sse;
mod stranger;
mod support;
mod talk;
