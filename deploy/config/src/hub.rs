//! Where instances that run elsewhere reach the bot.

use std::{net::SocketAddr, num::NonZeroU32};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where instances that run elsewhere reach the bot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hub {
    /// Address and port where the bot hears them, like `0.0.0.0:7718`. Port 0 takes a free one. Default: none, all teams run
    /// in the bot's own process.
    #[schemars(with = "Option<String>", extend("format" = "socket-address"))]
    pub listen: Option<SocketAddr>,
    /// What they call it by, like `https://bot.example.org`, where something stands before it. Default: the address above.
    pub url: Option<String>,
    /// Connections at once; each team has two. Whoever comes when there is no place is told so. Default: 4096.
    pub connections: Option<NonZeroU32>,
}
