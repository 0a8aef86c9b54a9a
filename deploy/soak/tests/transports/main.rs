//! One contract for both transports, from a team's uplink to the bot's hub: HTTP through a proxy that cuts, and a real NATS
//! server that is restarted and killed under load.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics; what is skipped is said"
)]

mod contract;
mod http;
mod nats;
mod site;
