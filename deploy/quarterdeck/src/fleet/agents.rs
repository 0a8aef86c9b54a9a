//! The agents of a fleet: command lines, and agents of the registry that speak ACP.

use std::{path::PathBuf, sync::Arc};

use qd_agents::{
    Agent, CommandAgent,
    acp::{Command, McpServers},
    registry::{Entry, Fit, Protocol, Registry, RegistryError},
};

/// An agent, as it is configured.
#[derive(Debug, Clone)]
pub enum AgentPlan {
    /// A command line.
    Command(CommandAgent),
    /// One of the registry.
    Known(Box<KnownAgent>),
}

/// An agent of the registry, as it is configured.
#[derive(Debug, Clone)]
pub struct KnownAgent {
    /// What is known of it.
    pub entry: Entry,
    /// Its name, its time limit, what it may see and what must not appear in a transcript; the command line is the entry's.
    pub base: CommandAgent,
    /// The model, where nothing else names one.
    pub model: Option<String>,
    /// The permission mode, in place of the entry's.
    pub mode: Option<String>,
    /// The home that its own login is kept in, if it uses that.
    pub login: Option<PathBuf>,
    /// Beginnings of commands that it may run without asking, word by word.
    pub commands: Vec<Vec<String>>,
}

impl AgentPlan {
    /// An agent of the registry. `commands` are command lines.
    ///
    /// # Errors
    /// If it is not known, or not fit for what is configured.
    pub fn known(registry: &Registry, entry: &str, agent: KnownAgent) -> Result<Self, RegistryError> {
        let unfit = |wrong: &str| RegistryError::Unfit { name: entry.to_owned(), wrong: wrong.to_owned() };
        if agent.entry.command.is_empty() {
            return Err(unfit(
                "has no command line: give `command` in its section, or in an entry of your own",
            ));
        }
        registry.get(entry)?;
        match agent.entry.protocol {
            Protocol::Acp => Ok(Self::Known(Box::new(agent))),
            Protocol::Command => {
                let KnownAgent { entry, mut base, .. } = agent;
                base.argv = std::iter::once(entry.command).chain(entry.args).collect();
                base.env_allow.extend(entry.env_allow);
                Ok(Self::Command(base))
            }
        }
    }

    /// The agent itself. `servers` says which tool servers its sessions get.
    pub fn agent(&self, servers: &Arc<dyn McpServers>) -> Arc<dyn Agent> {
        match self {
            Self::Command(agent) => Arc::new(agent.clone()),
            Self::Known(known) => {
                let KnownAgent { entry, base, model, mode, login, .. } = known.as_ref();
                let fit = Fit {
                    servers: Arc::clone(servers),
                    model: model.clone(),
                    login: login.clone(),
                    mode: mode.clone(),
                    env_allow: base.env_allow.clone(),
                    secrets: base.secrets.clone(),
                    limit: base.limit,
                };
                Arc::new(entry.acp(&base.name, fit))
            }
        }
    }

    /// Beginnings of commands that it may run without asking, word by word.
    pub fn commands(&self) -> Vec<Vec<String>> {
        match self {
            Self::Command(_) => Vec::new(),
            Self::Known(known) => known.commands.clone(),
        }
    }
}

/// The words of a command line that is allowed; an error if a shell would make something else of it.
pub fn words(line: &str) -> Result<Vec<String>, String> {
    match Command::parse(line) {
        Command::Plain(words) => Ok(words),
        Command::Unclear(_) => {
            Err("is not one plain command: a shell would make something else of it".into())
        }
    }
}
