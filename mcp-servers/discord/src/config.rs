//! What a person allows this server: for every team, where it posts and what it reads.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `[mcp.discord]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Posts, questions and threads a minute for a team, however many callers it has.
    #[serde(default = "posts_per_minute")]
    pub posts_per_minute: u32,
    /// The teams, by name.
    #[serde(default)]
    pub teams: BTreeMap<String, Team>,
}

/// A team's channels.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Where it posts.
    pub channel: String,
    /// What else it may read.
    #[serde(default)]
    pub reads: Vec<String>,
}

impl Team {
    /// Whether it may read a channel.
    pub fn may_read(&self, channel: &str) -> bool {
        self.channel == channel || self.reads.iter().any(|name| name == channel)
    }
}

/// Well under what Discord takes of a bot in one channel: 5 in 5 seconds.
fn posts_per_minute() -> u32 {
    10
}
