//! What is to run, resolved: no file, no environment, no default is looked up after this.

use std::{net::SocketAddr, path::PathBuf};

use qd_agents::{CheckSpec, CommandAgent};
use qd_core::forge::MergeMethod;
use qd_types::{InstanceName, Person, PersonId, RepositoryName};

/// A fleet.
#[derive(Debug, Clone)]
pub struct FleetPlan {
    /// Where everything is kept.
    pub state: PathBuf,
    /// Where the pages are served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Everybody.
    pub people: Vec<Person>,
    /// Who the person at this computer is.
    pub me: PersonId,
    /// One person runs the fleet: requesters may decide.
    pub solo: bool,
    /// People needed for a merge.
    pub merge_quorum: u32,
    /// The teams.
    pub teams: Vec<TeamPlan>,
    /// The repositories.
    pub repositories: Vec<RepositoryPlan>,
    /// Rounds that an agent gets to repair red checks.
    pub repair_rounds: u32,
    /// Lines of a red check's log that the agent is given.
    pub log_lines: usize,
}

/// A team.
#[derive(Debug, Clone)]
pub struct TeamPlan {
    /// Its name.
    pub name: InstanceName,
    /// Prefix of its features.
    pub prefix: String,
    /// Who works.
    pub agent: Option<CommandAgent>,
    /// Where.
    pub repositories: Vec<RepositoryName>,
    /// Runs at once.
    pub slots: u32,
}

/// A repository.
#[derive(Debug, Clone)]
pub struct RepositoryPlan {
    /// Its name.
    pub name: RepositoryName,
    /// A check-out that the embedded forge is seeded from.
    pub source: PathBuf,
    /// The branch that features go to.
    pub target: String,
    /// In order.
    pub checks: Vec<CheckSpec>,
    /// How the target takes a change.
    pub method: MergeMethod,
}

impl FleetPlan {
    /// Where the bot keeps its things.
    pub fn bot_folder(&self) -> PathBuf {
        self.state.join("bot")
    }

    /// Where the embedded forge keeps its repositories.
    pub fn forge_folder(&self) -> PathBuf {
        self.state.join("bot").join("forge")
    }

    /// Where a team keeps its things.
    pub fn team_folder(&self, team: &InstanceName) -> PathBuf {
        team_folder(&self.state, team)
    }
}

/// Where a team keeps its things below `state`.
pub fn team_folder(state: &std::path::Path, team: &InstanceName) -> PathBuf {
    state.join("instances").join(team.as_str())
}
