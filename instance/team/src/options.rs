//! What a team is configured to be. Not where that stands: the binary reads files.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use qd_agents::{Agent, CheckSpec};
use qd_store::Settings;
use qd_types::{InstanceName, RepositoryName};
use qd_worktrees::RepositorySpec;

/// A repository and the checks that decide about its changes.
#[derive(Debug, Clone)]
pub struct RepositoryOptions {
    /// Name, remote and target branch.
    pub spec: RepositorySpec,
    /// In the order in which they run. Without any, work is unverified.
    pub checks: Vec<CheckSpec>,
}

/// A team.
#[derive(Clone)]
pub struct TeamOptions {
    /// Its name.
    pub name: InstanceName,
    /// Prefix of its features: `A`.
    pub prefix: String,
    /// Where everything of it is kept.
    pub state: PathBuf,
    /// Runs at once.
    pub slots: u32,
    /// The agent that works; without one, features wait for a person.
    pub agent: Option<Arc<dyn Agent>>,
    /// Where it may work.
    pub repositories: BTreeMap<RepositoryName, RepositoryOptions>,
    /// Rounds that an agent gets to repair red checks.
    pub repair_rounds: u32,
    /// Lines of a red check's log that the agent is given.
    pub log_lines: usize,
}

impl TeamOptions {
    /// What the store has to know.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            prefix: self.prefix.clone(),
            slots: self.slots,
            has_agent: self.agent.is_some(),
            repair_rounds: self.repair_rounds,
        }
    }

    /// The one repository, if there is only one.
    pub(crate) fn only_repository(&self) -> Option<&RepositoryName> {
        let mut names = self.repositories.keys();
        names.next().filter(|_| names.next().is_none())
    }
}
