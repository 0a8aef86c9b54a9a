//! What a person allows this server: for every team, where it posts and what it reads.

use std::collections::BTreeMap;

use qd_types::InstanceName;

use crate::Place;

/// `[mcp.discord]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Posts, questions and threads a minute for a team, however many callers it has.
    pub posts_per_minute: u32,
    /// The teams, by the names that they are known by.
    pub teams: BTreeMap<String, Team>,
}

/// A team's channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// The team, by its id.
    pub id: InstanceName,
    /// Where it posts.
    pub channel: String,
    /// What else it may read.
    pub reads: Vec<String>,
}

impl Team {
    /// Its own channel.
    pub(crate) fn own(&self) -> Place<'_> {
        self.place(&self.channel)
    }

    /// A channel.
    pub(crate) fn place<'a>(&'a self, channel: &'a str) -> Place<'a> {
        Place { team: &self.id, channel }
    }

    /// Whether it may read a channel.
    pub(crate) fn may_read(&self, channel: &str) -> bool {
        self.channel == channel || self.reads.iter().any(|name| name == channel)
    }
}
