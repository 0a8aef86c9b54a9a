//! What a team is configured to be. Not where that stands: the binary reads files.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use qd_agents::{Agent, CheckSpec, Confined};
use qd_approvals::Exposed;
use qd_board::{Budget, Rules, hours::QuietHours, schedule::Limits};
use qd_engine::Engine;
use qd_sandbox::{Kind, Limits as Bounds, Sandbox, egress::Hosts};
use qd_store::{Retention, Settings};
use qd_types::{InstanceName, RepositoryName};
use qd_worktrees::{RepositorySpec, Setup};

use crate::{metering::MeteringOptions, tools::Tools, uplink::UplinkPolicy};

/// A repository and the checks that decide about its changes.
#[derive(Debug, Clone)]
pub struct RepositoryOptions {
    /// Name, remote and target branch.
    pub spec: RepositorySpec,
    /// In the order in which they run. Without any, work is unverified.
    pub checks: Vec<CheckSpec>,
    /// A check-out of it, where ignored files are copied from.
    pub source: PathBuf,
    /// What a new worktree gets before the agent works.
    pub setup: Setup,
    /// Whether the repository's own hooks judge a commit.
    pub hooks: bool,
    /// What its agents must run in, whatever the team has: without it, they wait.
    pub demands: Option<Arc<dyn Sandbox>>,
}

/// What agents run in.
#[derive(Debug, Clone)]
pub struct AgentWalls {
    /// Whose walls.
    pub sandbox: Arc<dyn Sandbox>,
    /// How much a run may take.
    pub limits: Bounds,
    /// What it reaches.
    pub reach: Reach,
    /// Where a closed network still leads to.
    pub hosts: Hosts,
    /// What it may read besides, of a home.
    pub read: Vec<PathBuf>,
    /// What it may write besides.
    pub write: Vec<PathBuf>,
    /// Which walls hold an agent that never asks before it does something. It works within no others.
    pub unasked: Vec<Kind>,
}

/// Which walls hold an agent that never asks, where nothing else is said: those that also hide what is not its own.
const UNASKED: [Kind; 2] = [Kind::Docker, Kind::Bubblewrap];

/// What agents reach over the network, as far as walls can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// As if closed where the agent's models are behind the metering gateway, or hosts are listed; else open.
    Auto,
    /// All that this computer reaches.
    Open,
    /// The gateway and the listed hosts.
    Closed,
}

/// How runs work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPolicy {
    /// Rounds that an agent gets to repair red checks.
    pub repair_rounds: u32,
    /// Lines of a red check's log that the agent is given.
    pub log_lines: usize,
    /// Times that a run may go back to its agent after its checks were green.
    pub returns: u32,
    /// Changed files from which on a change is large.
    pub large_files: u64,
    /// Changed lines from which on a change is large.
    pub large_lines: u64,
    /// Days that preserved work is kept.
    pub preserved_days: u32,
    /// The first pause before a failed run is tried again; none leaves it to the kind of failure.
    pub retry_pause: Option<Duration>,
    /// Bytes that a run's transcript holds, before it is compressed.
    pub transcript: u64,
    /// What a question may cost at most.
    pub question: Budget,
}

/// Where old rows of the team's audit trail go, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailPolicy {
    /// The folder of segment files.
    pub folder: PathBuf,
    /// How long.
    pub retention: Retention,
}

/// A team.
#[derive(Clone)]
pub struct TeamOptions {
    /// What it is known by: its branches, its channel. It stays when the team is renamed.
    pub id: InstanceName,
    /// What it is called now.
    pub name: InstanceName,
    /// Prefix of its features: `A`.
    pub prefix: String,
    /// Where everything of it is kept.
    pub state: PathBuf,
    /// How much at once.
    pub limits: Limits,
    /// Who can work, by name.
    pub agents: BTreeMap<String, Arc<dyn Agent>>,
    /// Beginnings of commands that an agent may run without asking, word by word, by the agent's name.
    pub commands: BTreeMap<String, Vec<Vec<String>>>,
    /// Who works on what; without a default agent, features wait for a person.
    pub rules: Arc<Rules>,
    /// Times in which nothing starts.
    pub quiet: QuietHours,
    /// The fleet's time zone.
    pub zone: TimeZone,
    /// Bytes that worktrees, check-outs and pools may take.
    pub disk: u64,
    /// Our program, if it puts up walls around agents and checks; without, writes elsewhere are only found afterwards.
    pub launcher: Option<PathBuf>,
    /// What agents run in; without, in the same walls as checks.
    pub walls: Option<AgentWalls>,
    /// What nothing that runs for the team may write, beside the team's own state: the fleet's.
    pub sealed: Vec<PathBuf>,
    /// By what clocks its approvals go, where a policy says nothing; and what runs now and could act as a person of this
    /// machine.
    pub approvals: qd_approvals::Rules,
    /// Walls do not keep from that: they hide nothing from reading.
    pub walls_expose: bool,
    /// Where it may work.
    pub repositories: BTreeMap<RepositoryName, RepositoryOptions>,
    /// Where agents reach their models, if they are metered.
    pub metering: Option<MeteringOptions>,
    /// Who serves tools to runs, if anybody does.
    pub tools: Option<Arc<dyn Tools>>,
    /// How runs work.
    pub runs: RunPolicy,
    /// How long its audit trail is kept.
    pub trail: TrailPolicy,
    /// How it speaks to the bot.
    pub uplink: UplinkPolicy,
    /// Who may do what. One for all teams of a process, and put in force by whoever runs it.
    pub policies: Arc<Engine>,
}

impl TeamOptions {
    /// What the store has to know.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            instance: self.id.clone(),
            prefix: self.prefix.clone(),
            slots: self.limits.slots,
            reviews: self.limits.reviews,
            repair_rounds: self.runs.repair_rounds,
            rungs: self.rules.rungs(),
            retry_pause: self.runs.retry_pause,
            question: self.rules.has_agent().then_some(self.runs.question),
            zone: self.zone.clone(),
        }
    }

    /// Whether anything keeps agents in that repository from writing elsewhere.
    pub(crate) fn has_walls(&self, repository: &RepositoryOptions) -> bool {
        let own = self.walls.as_ref().map(|walls| &walls.sandbox);
        let strong = |sandbox: &Arc<dyn Sandbox>| sandbox.kind() > Kind::Landlock;
        self.launcher.is_some() || repository.demands.as_ref().or(own).is_some_and(strong)
    }

    /// Why an agent that never asks may not work here, in words; `None` if these walls are accepted for it.
    pub(crate) fn refuses_unasked(&self, confined: Option<&Confined>) -> Option<String> {
        let kind = confined.map_or(Kind::None, |confined| confined.kind);
        let accepted = self.walls.as_ref().map_or(&UNASKED[..], |walls| &walls.unasked);
        if accepted.contains(&kind) {
            return None;
        }
        let here = if kind == Kind::None {
            "there are none here".to_owned()
        } else {
            format!("here they are {kind}")
        };
        let accepted: Vec<String> = accepted.iter().map(ToString::to_string).collect();
        let accepted = if accepted.is_empty() { "none".to_owned() } else { accepted.join(", ") };
        Some(format!(
            "it only works within walls that sandbox.unasked lists ({accepted}), and {here}: see sandbox.kind"
        ))
    }

    /// To be kept for as long as something runs that is `confined`, or is not.
    pub(crate) fn exposed(&self, confined: Option<&Confined>) -> Option<Exposed> {
        (!confined.is_some_and(Confined::has_walls) || self.walls_expose)
            .then(|| self.approvals.exposed.enter())
    }

    /// The one repository, if there is only one.
    pub(crate) fn only_repository(&self) -> Option<&RepositoryName> {
        let mut names = self.repositories.keys();
        names.next().filter(|_| names.next().is_none())
    }
}
