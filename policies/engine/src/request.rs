//! What is asked: who wants to do what to which thing.

use std::fmt;

use qd_types::{InstanceName, Person, RepositoryName, Target, Verb};

/// Who wants to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A person, with the roles that whoever asks for them asserts. Roles that the facts don't give them don't count.
    Person(Person),
    /// A coding agent of a team.
    Agent {
        /// Its team.
        team: InstanceName,
        /// Its name in the configuration.
        name: String,
    },
    /// The team itself: its scheduler, its uplink.
    Team(InstanceName),
}

impl Principal {
    /// The team that it belongs to.
    pub fn team(&self) -> Option<&InstanceName> {
        match self {
            Self::Person(_) => None,
            Self::Agent { team, .. } | Self::Team(team) => Some(team),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(person) => write!(f, "{}", person.id),
            Self::Agent { team, name } => write!(f, "agent {name} of {team}"),
            Self::Team(team) => write!(f, "team {team}"),
        }
    }
}

/// What it is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The fleet as a whole.
    Fleet,
    /// A team: its board and its runs.
    Team(InstanceName),
    /// A repository.
    Repository(RepositoryName),
    /// A branch.
    Branch(Branch),
    /// A tool of a tool server.
    Tool {
        /// The server, as the configuration names it.
        server: String,
        /// The tool, as the server names it.
        name: String,
    },
    /// A tool of a tool server, called in a channel of chat.
    ToolIn {
        /// The server, as the configuration names it.
        server: String,
        /// The tool, as the server names it.
        name: String,
        /// The channel, as the team calls it.
        channel: String,
    },
    /// A tool server, as runs are given it.
    Server(String),
    /// A host.
    Host(String),
    /// A virtual machine.
    Vm(String),
}

/// A branch, and what would change on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Where.
    pub repository: RepositoryName,
    /// `main`.
    pub name: String,
    /// Whether it is protected.
    pub protected: bool,
    /// The paths that change; `None` if that is not known, which counts as any path where a rule is stricter.
    pub paths: Option<Vec<String>>,
}

impl Resource {
    /// What kind of thing it is.
    pub fn target(&self) -> Target {
        match self {
            Self::Fleet => Target::Fleet,
            Self::Team(_) => Target::Team,
            Self::Repository(_) => Target::Repository,
            Self::Branch(_) => Target::Branch,
            Self::Tool { .. } | Self::ToolIn { .. } => Target::Tool,
            Self::Server(_) => Target::Server,
            Self::Host(_) => Target::Host,
            Self::Vm(_) => Target::Vm,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str("the fleet"),
            Self::Team(name) => write!(f, "team {name}"),
            Self::Repository(name) => write!(f, "repository {name}"),
            Self::Branch(branch) => {
                let protected = if branch.protected { ", protected" } else { "" };
                write!(f, "branch {} of {}{protected}", branch.name, branch.repository)
            }
            Self::Tool { server, name } => write!(f, "tool {name} of {server}"),
            Self::ToolIn { server, name, channel } => write!(f, "tool {name} of {server} in #{channel}"),
            Self::Server(name) => write!(f, "tool server {name}"),
            Self::Host(name) => write!(f, "host {name}"),
            Self::Vm(name) => write!(f, "machine {name}"),
        }
    }
}

/// Who wants to do what to which thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who.
    pub principal: Principal,
    /// What.
    pub verb: Verb,
    /// To which.
    pub resource: Resource,
    /// On whose board it happens, where neither principal nor resource says so.
    pub team: Option<InstanceName>,
}

impl Request {
    /// With the team that principal or resource say.
    pub fn new(principal: Principal, verb: Verb, resource: Resource) -> Self {
        Self { principal, verb, resource, team: None }
    }

    /// The teams that it touches.
    pub(crate) fn teams(&self) -> impl Iterator<Item = &InstanceName> {
        let owned = match &self.resource {
            Resource::Team(name) => Some(name),
            _ => None,
        };
        self.team.iter().chain(self.principal.team()).chain(owned)
    }
}
