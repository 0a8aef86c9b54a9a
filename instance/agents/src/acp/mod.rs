//! Agents that speak the [Agent Client Protocol](https://agentclientprotocol.com). The process is ours: it is started,
//! recorded and ended as every other. The crate `agent-client-protocol` gets its streams and nothing else.
//!
//! What real agents taught this module:
//!
//! - Options of a permission request are known by their kind. Allow once is the only yes that is sent.
//! - Tool calls are put together by id: a request may come before the announcement.
//! - A person who thinks holds up nothing, and no clock runs.
//! - What can't be understood is dropped and counted. Only an unknown stop reason is a failure.
//! - `end_turn` proves nothing: the checks decide.
//! - Stopping is a ladder: cancel, "cancelled" to all that is asked, some time, SIGTERM, SIGKILL to all there is.
//! - A session goes on in the next process if the agent can do that, else with a summary of the transcript.

mod agent;
mod clock;
mod command;
mod driver;
mod error;
mod files;
mod launch;
mod link;
mod memory;
mod permission;
mod session;
mod tools;
mod wire;

pub use agent::{Abilities, AcpAgent};
pub use clock::Clock;
pub use command::Command;
pub use error::AcpError;
pub(crate) use link::Link;
pub(crate) use session::hello;

pub use launch::{BASE_URL, Endpoint, Launch, MODEL, Setting, TOKEN};
pub use permission::{Ask, AskedPath, Decision, DenyAll, Permissions, ToolKind, Verdict};
pub use session::{McpServer, McpServers};
