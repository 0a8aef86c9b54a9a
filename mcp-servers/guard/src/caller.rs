//! Who calls, and for whom. A caller comes from a token or from whoever started the server, never from what a client says
//! about itself.

use std::fmt;

use jiff::Timestamp;
use qd_engine::Principal;
use qd_types::{FeatureId, Identity, InstanceName, Person, PersonId, RunId, Tier};
use sha2::{Digest as _, Sha256};

/// A caller and what its token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub who: Who,
    /// What its token allows at most. Policy decides within that.
    pub scope: Scope,
}

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The agent of a run, by the run's own token.
    Agent {
        /// Its team.
        team: InstanceName,
        /// Its name in the configuration.
        agent: String,
        /// The run.
        run: RunId,
        /// The people on whose behalf it works. None of them decides on what it asks for.
        on_behalf: Vec<PersonId>,
    },
    /// A person's own coding agent, by that person's token.
    Person {
        /// Who, with the roles that the token asserts.
        person: Person,
        /// The team that keeps the requests.
        team: InstanceName,
    },
    /// A service account. Policy takes it for an agent of its team.
    Service {
        /// Its team.
        team: InstanceName,
        /// Its name.
        name: String,
        /// The people on whose behalf it works.
        on_behalf: Vec<PersonId>,
    },
}

/// What a token allows at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The highest tier.
    pub most: Tier,
    /// The only tools, by their full names (`docker.list`); `None` for all.
    pub tools: Option<Vec<String>>,
}

impl Default for Scope {
    fn default() -> Self {
        Self { most: Tier::Destroy, tools: None }
    }
}

impl Scope {
    /// Whether a tool is within it.
    pub fn holds(&self, tool: &str, tier: Tier) -> bool {
        tier <= self.most && self.tools.as_ref().is_none_or(|names| names.iter().any(|name| name == tool))
    }
}

impl Caller {
    /// A caller whose token allows all that policy does.
    pub fn new(who: Who) -> Self {
        Self { who, scope: Scope::default() }
    }

    /// The one name by which limits, outputs and sessions are kept apart.
    pub fn key(&self) -> String {
        self.who.to_string()
    }

    /// The team that keeps its requests.
    pub fn team(&self) -> &InstanceName {
        match &self.who {
            Who::Agent { team, .. } | Who::Person { team, .. } | Who::Service { team, .. } => team,
        }
    }

    /// As policy sees it.
    pub fn principal(&self) -> Principal {
        match &self.who {
            Who::Agent { team, agent, .. } => Principal::Agent { team: team.clone(), name: agent.clone() },
            Who::Person { person, .. } => Principal::Person(person.clone()),
            Who::Service { team, name, .. } => Principal::Agent { team: team.clone(), name: name.clone() },
        }
    }

    /// On whose behalf it calls: none of them decides.
    pub fn requesters(&self) -> Vec<PersonId> {
        match &self.who {
            Who::Agent { on_behalf, .. } | Who::Service { on_behalf, .. } => on_behalf.clone(),
            Who::Person { person, .. } => vec![person.id.clone()],
        }
    }

    /// Itself as an account. It stands among the askers of what it asks for, and tells its requests from everybody else's.
    pub fn account(&self) -> Identity {
        let (service, account) = match &self.who {
            Who::Agent { run, .. } => ("run", run.to_string()),
            Who::Person { person, .. } => ("person", person.id.to_string()),
            Who::Service { name, .. } => ("service", name.clone()),
        };
        Identity { service: service.to_owned(), account }
    }

    /// The run to which a "no" sticks. Callers without a run have one a day of their own, so that a no holds for the day.
    pub fn run(&self, now: Timestamp) -> Option<RunId> {
        let name = match &self.who {
            Who::Agent { run, .. } => return Some(run.clone()),
            Who::Person { person, .. } => format!("person:{}", person.id),
            Who::Service { name, .. } => format!("service:{name}"),
        };
        let number =
            Sha256::digest(name).iter().take(3).fold(1_u32, |sum, byte| sum * 256 + u32::from(*byte));
        let day = u32::try_from(now.as_second() / (24 * 60 * 60)).unwrap_or(1);
        Some(RunId::new(FeatureId::new("CALLER", number).ok()?, day))
    }

    /// Its run, if it is an agent's.
    pub fn own_run(&self) -> Option<&RunId> {
        match &self.who {
            Who::Agent { run, .. } => Some(run),
            Who::Person { .. } | Who::Service { .. } => None,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent { team, agent, run, .. } => write!(f, "agent {agent} of {team} in run {run}"),
            Self::Person { person, .. } => write!(f, "{}", person.id),
            Self::Service { team, name, .. } => write!(f, "service {name} of {team}"),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.who.fmt(f)
    }
}
