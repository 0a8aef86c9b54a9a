//! `agent`.

use clap::Subcommand;

/// What to do with coding agents.
#[derive(Debug, Subcommand)]
pub enum AgentVerb {
    /// The agents that are known, and which of them are installed
    List,
    /// Versions, and a handshake that asks nothing of a model
    Doctor {
        /// Only this one
        name: Option<String>,
    },
    /// Run an agent's own login, in a home that is kept for it alone: the weaker way, a key in the gateway is the stronger one
    Login {
        /// Which
        name: String,
    },
}
