//! The registry of agents: what is known of each, as data. It starts nothing and knows no secrets.
//!
//! The entries that come along are in `agents.toml`, which explains its keys; a user's own file has the same form.

mod entry;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;
use serde::Deserialize as _;

pub use entry::{Api, Asks, Can, Entry, Gateway, Model, Permission, Protocol};

use crate::{
    acp::{Abilities, AcpAgent, Launch, McpServers},
    command::CommandAgent,
    port::Agent,
};

/// The entries that come along.
const BUILT_IN: &str = include_str!("agents.toml");

/// Where they are, for people who look for an error's place.
const BUILT_IN_FILE: &str = "the built-in agents.toml";

/// The known agents, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry(BTreeMap<String, Entry>);

/// Why a registry can't be read, or an agent not made from it.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file is no TOML.
    #[error("{file} is not TOML")]
    Toml {
        /// The file.
        file: String,
        /// What is wrong, and where.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// An entry has something wrong in it.
    #[error("{file}: agent {entry}, key {key}: {wrong}")]
    Key {
        /// The file.
        file: String,
        /// The entry.
        entry: String,
        /// The key in it, with dots.
        key: String,
        /// What is wrong.
        wrong: String,
    },
    /// There is no such agent.
    #[error("there is no agent {name:?}; known are {known}, and your own agents.toml can add more")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Something is asked of an agent that it can't do.
    #[error("agent {name} {wrong}")]
    Unfit {
        /// The agent.
        name: String,
        /// What it lacks, and what to do.
        wrong: String,
    },
}

/// What an agent needs besides its entry.
#[derive(Clone)]
pub struct Fit {
    /// The MCP servers of its sessions.
    pub servers: Arc<dyn McpServers>,
    /// The model, if a task names none.
    pub model: Option<String>,
    /// The home that its own login is kept in, if it is to use that.
    pub login: Option<PathBuf>,
    /// The permission mode of its session, in place of the entry's.
    pub mode: Option<String>,
    /// More names of variables that it may see.
    pub env_allow: Vec<String>,
    /// More values that must not appear in the transcript.
    pub secrets: Vec<SecretString>,
    /// How long one turn may take.
    pub limit: Duration,
}

impl Registry {
    /// The agents that come along.
    pub fn built_in() -> Result<Self, RegistryError> {
        read(BUILT_IN_FILE, BUILT_IN).map(Self)
    }

    /// With a user's entries besides; one of the same name takes the place of the other. `file` is for errors.
    pub fn with(mut self, file: &str, text: &str) -> Result<Self, RegistryError> {
        self.0.extend(read(file, text)?);
        Ok(self)
    }

    /// The entries, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// One entry.
    pub fn get(&self, name: &str) -> Result<&Entry, RegistryError> {
        self.0.get(name).ok_or_else(|| RegistryError::Unknown {
            name: name.to_owned(),
            known: self.0.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// The agent of that name.
    pub fn agent(&self, name: &str, fit: Fit) -> Result<Arc<dyn Agent>, RegistryError> {
        let entry = self.get(name)?;
        if entry.command.is_empty() {
            let wrong = "has no command line: give `command` and `args` in an entry of your own".to_owned();
            return Err(RegistryError::Unfit { name: name.to_owned(), wrong });
        }
        Ok(match entry.protocol {
            Protocol::Acp => Arc::new(entry.acp(name, fit)),
            Protocol::Command => {
                let mut argv = vec![entry.command.clone()];
                argv.extend(entry.args.iter().cloned());
                let mut env_allow = entry.env_allow.clone();
                env_allow.extend(fit.env_allow);
                let (secrets, limit) = (fit.secrets, fit.limit);
                Arc::new(CommandAgent { name: name.to_owned(), argv, env_allow, secrets, limit })
            }
        })
    }
}

impl Entry {
    /// How its process is started.
    pub fn launch(&self) -> Launch {
        let mut settings = vec![self.permissions.how.clone(), self.model.how.clone()];
        settings.extend(self.gateway.iter().map(|gateway| gateway.how.clone()));
        Launch {
            program: self.command.clone(),
            args: self.args.clone(),
            env: self.env.clone(),
            env_allow: self.env_allow.clone(),
            login: None,
            settings,
        }
    }

    /// The agent behind an entry of ACP. One of the protocol "command" has no use of this.
    pub fn acp(&self, name: &str, fit: Fit) -> AcpAgent {
        let mut launch = Launch { login: fit.login, ..self.launch() };
        launch.env_allow.extend(fit.env_allow);
        let Can { resume, load, mcp, files, .. } = self.can;
        AcpAgent {
            name: name.to_owned(),
            launch,
            can: Abilities { resume, load, mcp, files, asks: self.asks() },
            servers: fit.servers,
            api: self.gateway.as_ref().map(|gateway| gateway.api),
            model: fit.model,
            model_in_session: self.model.session,
            mode: fit.mode.or_else(|| self.permissions.mode.clone()),
            secrets: fit.secrets,
            limit: fit.limit,
        }
    }
}

/// Reads a file entry by entry, so that an error names its entry.
fn read(file: &str, text: &str) -> Result<BTreeMap<String, Entry>, RegistryError> {
    let toml = |source| RegistryError::Toml { file: file.to_owned(), source: Box::new(source) };
    let tables: BTreeMap<String, toml::Value> = toml::from_str(text).map_err(toml)?;
    let mut entries = BTreeMap::new();
    for (name, value) in tables {
        let wrong = |key: String, wrong: String| RegistryError::Key {
            file: file.to_owned(),
            entry: name.clone(),
            key,
            wrong,
        };
        if !name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
            || name.is_empty()
        {
            let text = "an agent's name is lower-case letters, digits, - and _".to_owned();
            return Err(wrong("(its name)".to_owned(), text));
        }
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
        let entry = Entry::deserialize(tracked).map_err(|error: toml::de::Error| {
            let key = Some(track.path().to_string()).filter(|key| key != ".");
            wrong(key.unwrap_or_else(|| "(all of it)".to_owned()), error.message().to_owned())
        })?;
        entry.check().map_err(|(key, text)| wrong(key, text))?;
        entries.insert(name, entry);
    }
    Ok(entries)
}
