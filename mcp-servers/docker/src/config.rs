//! What a person allows this server. Everything that is not named is refused: without images none is run, without roots
//! nothing of the host is mounted.

use std::path::PathBuf;

use serde::Deserialize;

/// `[mcp.docker]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The engine's socket on this machine.
    pub socket: PathBuf,
    /// The fleet, as the label of its containers has it.
    pub fleet: String,
    /// Which containers may be changed.
    pub scope: Scope,
    /// The images that may be pulled, run and removed: `alpine:3.22` is that tag, `alpine` any tag or digest of it,
    /// `alpine@sha256:…` that content, `ghcr.io/acme/*` everything below.
    pub images: Vec<String>,
    /// Folders of the host of which parts may be mounted. Nobody but people may write beside what is in them.
    pub roots: Vec<PathBuf>,
    /// The most that one container may have.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/var/run/docker.sock"),
            fleet: "fleet".to_owned(),
            scope: Scope::default(),
            images: Vec::new(),
            roots: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// Which containers may be changed. All may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Those with this fleet's label.
    #[default]
    Fleet,
    /// All of this engine.
    Everything,
}

/// The most that one container may have; also what it gets where a call names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory, in MiB. There is no swap beyond it.
    pub memory_mib: u32,
    /// Processor time, in thousandths of a core.
    pub cpu_millis: u32,
    /// Processes and threads.
    pub pids: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_mib: 512, cpu_millis: 1_000, pids: 256 }
    }
}
