//! How teams speak to their bot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How teams speak to their bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Uplink {
    /// Seconds between two times that a team says that it is there, from 1. It is late after three that are missed, and silent
    /// after ten. Default: 15.
    #[schemars(range(min = 1))]
    pub beat_seconds: u32,
    /// What may wait for a bot that is away, in MiB, from 1, before the team starts no new run. Nothing that waits is dropped.
    /// Default: 64.
    #[schemars(range(min = 1))]
    pub outbox_mib: u32,
}

impl Default for Uplink {
    fn default() -> Self {
        Self { beat_seconds: 15, outbox_mib: 64 }
    }
}
