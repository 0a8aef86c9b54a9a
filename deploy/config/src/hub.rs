//! Where instances that run elsewhere reach the bot.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Config;

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
    /// A NATS server with JetStream that carries what they say, beside the address above or without one, like
    /// `tls://nats.example.org:4222`. Default: none.
    pub nats: Option<String>,
    /// The certificate (PEM) of the authority that signed the NATS server's, by its full path. Default: the system's authorities.
    pub nats_ca: Option<PathBuf>,
}

/// The fleet's name is a part of subjects there.
pub(crate) fn check(config: &Config, add: &mut impl FnMut(String, String)) {
    if let Some(ca) = &config.hub.nats_ca {
        if config.hub.nats.is_none() {
            add("hub.nats_ca".into(), "there is no hub.nats that it is for".into());
        }
        if !ca.is_absolute() {
            add("hub.nats_ca".into(), format!("{} is no full path, which begins with /", ca.display()));
        }
    }
    let Some(url) = &config.hub.nats else { return };
    let host = url.strip_prefix("nats://").or_else(|| url.strip_prefix("tls://"));
    if host.is_none_or(|host| host.is_empty() || host.contains(['/', '@'])) {
        // Not repeated: it may hold a password.
        add("hub.nats".into(), "is no address of a NATS server, like tls://nats.example.org:4222".into());
    }
    let fleet = &config.fleet.name;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if fleet.is_empty() || fleet.len() > 64 || !fleet.chars().all(fits) {
        let text =
            format!("{fleet:?} can't be a part of NATS subjects: letters, digits, - and _, at most 64");
        add("fleet.name".into(), text);
    }
}
