//! What is to run, resolved: no file, no environment, no default is looked up after this.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::tz::TimeZone;
use qd_agents::CheckSpec;
use qd_approvals::Exposure;
use qd_audit::{Retention, segments_beside};
use qd_board::{Rule, Rung};
use qd_config::BesideAgents;
use qd_core::forge::MergeMethod;
use qd_team::{MeteringOptions, RunPolicy};
use qd_types::{InstanceName, Person, PersonId, RepositoryName, Role};
use qd_worktrees::Setup;

use super::AgentPlan;
use crate::policies::PolicyPlan;

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
    /// What tool servers are made from.
    pub config: Arc<qd_config::Config>,
    /// Who may do what.
    pub policies: PolicyPlan,
    /// By what clocks approvals go where the policies say nothing, and whose votes count.
    pub approvals: qd_approvals::Rules,
    /// The channels of the console.
    pub chat: qd_console::Layout,
    /// What people see of what happens.
    pub distil: qd_core::Distil,
    /// Discord, where people command it as well.
    pub discord: Option<qd_discord::Config>,
    /// GitHub, for the repositories that are there.
    pub github: Option<GithubPlan>,
    /// Whether local votes count while agents run.
    pub beside_agents: BesideAgents,
    /// The teams.
    pub teams: Vec<TeamPlan>,
    /// The repositories.
    pub repositories: Vec<RepositoryPlan>,
    /// How runs work.
    pub runs: RunPolicy,
    /// Where old rows of the audit trail go, and when.
    pub audit: AuditPlan,
    /// Our program, if it puts up walls around agents and checks.
    pub launcher: Option<PathBuf>,
    /// What agents run in; without, in the same as checks.
    pub walls: Option<qd_team::AgentWalls>,
    /// The fleet's time zone.
    pub zone: TimeZone,
    /// The agents, by name.
    pub agents: BTreeMap<String, AgentPlan>,
    /// Runs of each agent at once, where that is limited.
    pub agent_slots: BTreeMap<String, u32>,
    /// Where agents reach their models, if they are metered.
    pub metering: Option<MeteringOptions>,
    /// Which agent and model work on what.
    pub rules: Vec<Rule>,
}

/// Where old rows of the audit trail go, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPlan {
    /// The folder of the segments of all chains; `None`: beside each database.
    pub folder: Option<PathBuf>,
    /// How long.
    pub retention: Retention,
}

impl AuditPlan {
    /// The folder for the segments of a chain whose database is `database`.
    pub fn segments(&self, database: &Path) -> PathBuf {
        self.folder.clone().unwrap_or_else(|| segments_beside(database))
    }
}

/// GitHub, as it is to be used.
#[derive(Debug, Clone)]
pub struct GithubPlan {
    /// Which repository is which.
    pub repositories: BTreeMap<RepositoryName, qd_github::Place>,
    /// Where it is.
    pub api: String,
    /// Where repositories are cloned from, if not where the API's address says.
    pub git: Option<String>,
    /// As what the bot is there; a process without the bot needs none.
    pub login: Option<qd_github::Login>,
    /// What GitHub signs its webhooks with.
    pub webhook_secret: Option<secrecy::SecretString>,
    /// Whether repositories without protection are used.
    pub allow_unprotected: bool,
    /// Requests that change something, in a minute.
    pub writes_per_minute: u32,
    /// Where webhooks arrive; none: it is polled.
    pub listen: Option<SocketAddr>,
    /// How often it is looked for what was not delivered.
    pub look: std::time::Duration,
    /// Which level at GitHub a role takes there.
    pub roles: Vec<(qd_github::webhook::Level, Role)>,
    /// Whether other programs command.
    pub bots: bool,
    /// Whether commands are taken under pull requests from forks.
    pub forks: bool,
    /// Whether an approving review counts as a vote.
    pub reviews_vote: bool,
}

/// A team.
#[derive(Debug, Clone)]
pub struct TeamPlan {
    /// What it is known by: its state, its branches, its channel.
    pub id: InstanceName,
    /// What it is called now.
    pub name: InstanceName,
    /// Prefix of its features.
    pub prefix: String,
    /// Who works, where nothing else decides.
    pub agent: Option<String>,
    /// Who takes over when a run fails for want of skill.
    pub ladder: Vec<Rung>,
    /// Where.
    pub repositories: Vec<RepositoryName>,
    /// Runs at once.
    pub slots: u32,
    /// Features in review, from which on nothing new starts.
    pub reviews: Option<u32>,
    /// Times in which nothing starts.
    pub quiet: Vec<String>,
    /// Bytes that it may take on disk.
    pub disk: u64,
    /// What its agents run in, if not in what the fleet has.
    pub walls: Option<std::sync::Arc<dyn qd_sandbox::Sandbox>>,
}

/// A repository.
#[derive(Debug, Clone)]
pub struct RepositoryPlan {
    /// Its name.
    pub name: RepositoryName,
    /// A check-out that the embedded forge is seeded from.
    pub source: PathBuf,
    /// Where it is pushed to, if not to the embedded forge here.
    pub remote: Option<String>,
    /// The branch that features go to.
    pub target: String,
    /// In order.
    pub checks: Vec<CheckSpec>,
    /// How the target takes a change.
    pub method: MergeMethod,
    /// Whether the target is a protected branch.
    pub protected: bool,
    /// Runs in it at once.
    pub slots: Option<u32>,
    /// What a new worktree gets before the agent works.
    pub setup: Setup,
    /// Whether the repository's own hooks judge a commit.
    pub hooks: bool,
    /// What its agents must run in, whatever the fleet has.
    pub demands: Option<std::sync::Arc<dyn qd_sandbox::Sandbox>>,
}

impl FleetPlan {
    /// Counts what runs now and could act as a person of this machine; where that does not matter, for nobody.
    pub fn exposure(&self) -> Exposure {
        match self.beside_agents {
            BesideAgents::Allow => Exposure::default(),
            BesideAgents::Refuse | BesideAgents::Strict => self.approvals.exposed.clone(),
        }
    }

    /// Whether a repository is on the embedded forge.
    pub fn is_here(&self, repository: &RepositoryName) -> bool {
        !self.github.as_ref().is_some_and(|github| github.repositories.contains_key(repository))
    }

    /// Where the bot keeps its things.
    pub fn bot_folder(&self) -> PathBuf {
        bot_folder(&self.state)
    }

    /// Where the embedded forge keeps its repositories.
    pub fn forge_folder(&self) -> PathBuf {
        self.bot_folder().join("forge")
    }

    /// Where a team keeps its things.
    pub fn team_folder(&self, team: &InstanceName) -> PathBuf {
        team_folder(&self.state, team)
    }
}

/// Where the bot keeps its things below `state`.
pub fn bot_folder(state: &std::path::Path) -> PathBuf {
    state.join("bot")
}

/// Where a team keeps its things below `state`.
pub fn team_folder(state: &std::path::Path, team: &InstanceName) -> PathBuf {
    state.join("instances").join(team.as_str())
}
