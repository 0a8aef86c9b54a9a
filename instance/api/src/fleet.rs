//! What a team's bot says of the whole fleet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the bot is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FleetQuestion {
    /// Which teams are heard, and what they do.
    #[default]
    Status,
    /// What endangers the work.
    Risks,
    /// What the last week has cost.
    Cost,
    /// What happened since yesterday.
    Digest,
}

/// What it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FleetView {
    /// Lines for people; none if there is nothing to say.
    pub lines: Vec<String>,
}
