//! Which tool servers there are: those that come with the program, those of the configuration, and those that a repository
//! names and a person trusted.

pub mod built_in;
pub mod chat;
pub mod choice;
pub mod declared;
pub mod departures;
pub mod forge;
pub mod hub;
pub mod machines;
pub mod outside;
pub mod trusted;
pub mod walled;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

use qd_config::Mcp;
use qd_engine::{Facts, KnownTool};
use qd_guard::proxy::{Mapping, Pins};

/// Where servers of others keep their things, and what people trusted of them.
pub fn folder(state: &Path) -> PathBuf {
    state.join("mcp-servers")
}

/// Where one of them does.
pub fn place(state: &Path, server: &str) -> PathBuf {
    folder(state).join(server)
}

/// The file of its trusted tools.
pub fn pins(state: &Path, server: &str) -> PathBuf {
    place(state, server).join("pins.json")
}

/// Servers of others, as policies have to know them: by the tools that people trusted, in the tiers that they have.
#[derive(Debug, Clone, Default)]
pub struct Others {
    folder: Option<PathBuf>,
    mappings: BTreeMap<String, Mapping>,
}

impl Others {
    /// Of a configuration.
    pub fn of(mcp: &Mcp, state: &Path) -> Self {
        let foreign = mcp.servers.iter().filter(|(name, _)| !qd_config::is_built_in(name));
        let mappings = foreign.map(|(name, server)| (name.clone(), outside::mapping(server))).collect();
        Self { folder: Some(folder(state)), mappings }
    }

    /// Puts them into the facts, in place of those that were known before.
    pub fn put(&self, facts: &mut Facts) {
        let known = std::mem::take(&mut facts.servers);
        facts.tools.retain(|tool| !known.contains(&tool.server));
        let mut servers: Vec<String> = self.mappings.keys().cloned().collect();
        servers.extend(self.trusted().into_iter().map(|(name, _)| name));
        servers.sort();
        servers.dedup();
        for server in &servers {
            let Some(folder) = &self.folder else { continue };
            let pins = match Pins::read(&folder.join(server).join("pins.json")) {
                Ok(pins) => pins,
                Err(error) => {
                    tracing::warn!(%error, server, "none of a server's tools is known to the policies");
                    continue;
                }
            };
            let plain = Mapping::default();
            let mapping = self.mappings.get(server).unwrap_or(&plain);
            facts.tools.extend(pins.trusted().map(|tool| KnownTool {
                server: server.clone(),
                name: tool.name.clone(),
                tier: mapping.tier(tool),
            }));
        }
        facts.servers = servers;
    }

    /// The servers of which people trusted tools, and when that changed last.
    pub fn trusted(&self) -> Vec<(String, SystemTime)> {
        let entries = self.folder.as_ref().and_then(|folder| std::fs::read_dir(folder).ok());
        let server = |entry: std::fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let at = entry.path().join("pins.json").metadata().and_then(|file| file.modified()).ok()?;
            let is_other = qd_config::no_name(&name).is_none() && !qd_config::is_built_in(&name);
            is_other.then_some((name, at))
        };
        let mut servers: Vec<_> = entries.into_iter().flatten().flatten().filter_map(server).collect();
        servers.sort();
        servers
    }
}
