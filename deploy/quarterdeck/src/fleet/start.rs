//! Starting and ending a fleet.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, RwLock},
    time::Duration,
};

use axum::Router;
use qd_board::{Rules, hours::QuietHours, schedule::Limits};
use qd_console::Console;
use qd_engine::{Engine, EngineError};
use qd_forge_local::{Imported, LocalForge, LocalForgeError};
use qd_git::Git;
use qd_hub::{Hub, HubError};
use qd_team::{RepositoryOptions, Team, TeamError, TeamOptions, Trains, Uplink};
use qd_types::{InstanceName, Person};
use qd_worktrees::{GitWorktrees, RepositorySpec, WorktreeError};
use tokio::task::JoinSet;

use super::{FleetPlan, TeamPlan, link::InProcess, live::Live, policies};
use crate::{
    http::{self, Guard, TokenError, Tokens},
    policies::PolicyPlan,
};

/// How often the embedded forge looks whether its source check-outs have something new.
const IMPORT: Duration = Duration::from_secs(2);

/// What of the fleet runs in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// The bot, with console and embedded forge.
    pub bot: bool,
    /// These teams.
    pub teams: Vec<InstanceName>,
}

/// Why a fleet does not start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The embedded forge.
    #[error("the embedded forge can't be started")]
    Forge(#[from] LocalForgeError),
    /// The console.
    #[error("the console can't be started")]
    Console(#[from] qd_console::ConsoleError),
    /// The bot.
    #[error("the bot can't be started")]
    Hub(#[from] HubError),
    /// A team.
    #[error(transparent)]
    Team(#[from] TeamError),
    /// Worktrees.
    #[error("the team's worktrees can't be opened")]
    Worktrees(#[from] WorktreeError),
    /// Policies.
    #[error("the policies can't be put in force: {0}")]
    Policies(#[from] EngineError),
    /// Tokens.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// An address or a socket.
    #[error("{place} can't be served")]
    Serve {
        /// Which.
        place: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `me` is nobody.
    #[error("fleet.me is {0}, and there is no such person in [[people]]")]
    Nobody(String),
    /// A team that is not configured.
    #[error("there is no team {name}: the configuration has {known}")]
    NoTeam {
        /// Which.
        name: InstanceName,
        /// Those there are.
        known: String,
    },
}

/// A running fleet.
pub struct Fleet {
    /// Where the pages are.
    pub address: SocketAddr,
    live: Arc<Live>,
    tasks: JoinSet<()>,
}

/// The bot's half of a fleet.
pub struct Bot {
    /// The hub.
    pub hub: Hub,
    /// The embedded chat.
    pub console: Console,
    /// The embedded forge.
    pub forge: LocalForge,
}

impl Fleet {
    /// Starts what `roles` names. `extra` are routes beside the pages and the API.
    pub async fn start(plan: &FleetPlan, roles: &Roles, extra: Router) -> Result<Self, FleetError> {
        let me = me(plan)?;
        let PolicyPlan { source, facts, rules } = &plan.policies;
        let policies = Arc::new(Engine::new(source.clone(), facts, rules)?);
        let tokens = Tokens::open(&plan.state, &plan.people)?;
        let mut tasks = JoinSet::new();
        let shared = Arc::new(RwLock::new(plan.clone()));
        let bot = if roles.bot { Some(start_bot(plan, &policies, &shared, &mut tasks).await?) } else { None };
        if bot.is_none() {
            seed(plan).await?;
        }
        let (mut teams, trains) = (Vec::new(), Trains::default());
        for name in &roles.teams {
            let known = || plan.teams.iter().map(|team| team.name.as_str()).collect::<Vec<_>>().join(", ");
            let team = plan.teams.iter().find(|team| team.name == *name);
            let team = team.ok_or_else(|| FleetError::NoTeam { name: name.clone(), known: known() })?;
            teams.push(start_team(plan, team, &policies, bot.as_ref(), &trains).await?);
        }
        let place = plan.listen.to_string();
        let listener = http::bind(plan.listen)
            .await
            .map_err(|source| FleetError::Serve { place: place.clone(), source })?;
        let address = listener.local_addr().map_err(|source| FleetError::Serve { place, source })?;
        let guard = Guard::new(tokens, me, address.port());
        write_address(plan, address)?;
        let live = Arc::new(Live::new(shared, policies, teams, trains, bot, guard.clone(), extra));
        tasks.spawn(policies::follow(Arc::clone(&live)));
        tasks.spawn(http::serve_tcp(listener, live.service(), guard));
        live.serve_sockets().await?;
        Ok(Self { address, live, tasks })
    }

    /// What can change while it runs.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// The teams, in the order of the configuration.
    pub fn teams(&self) -> Vec<Team> {
        self.live.teams()
    }

    /// The bot's half, if it runs here.
    pub fn bot(&self) -> Option<&Bot> {
        self.live.bot()
    }

    /// The link by which a person signs in.
    pub fn sign_in(&self, person: &qd_types::PersonId) -> String {
        let path = self.live.guard().sign_in_path(person).unwrap_or_else(|| "/".into());
        format!("http://{}{path}", self.address)
    }

    /// Ends everything. What was under way goes on after the next start.
    pub async fn shut_down(mut self) {
        self.tasks.shutdown().await;
        self.live.shut_down().await;
    }
}

/// Who the person at this computer is.
pub(super) fn me(plan: &FleetPlan) -> Result<Person, FleetError> {
    let me = plan.people.iter().find(|person| person.id == plan.me).cloned();
    me.ok_or_else(|| FleetError::Nobody(plan.me.to_string()))
}

/// For `quarterdeck url`, which may run while the fleet does.
fn write_address(plan: &FleetPlan, address: SocketAddr) -> Result<(), FleetError> {
    let path = plan.state.join("address");
    std::fs::write(&path, address.to_string())
        .map_err(|source| FleetError::Serve { place: path.display().to_string(), source })
}

async fn start_bot(
    plan: &FleetPlan,
    policies: &Engine,
    shared: &Arc<RwLock<FleetPlan>>,
    tasks: &mut JoinSet<()>,
) -> Result<Bot, FleetError> {
    let forge = LocalForge::open(&plan.forge_folder()).await?;
    for repository in &plan.repositories {
        forge.add_repository(&repository.name, Some(&repository.source), &repository.target).await?;
    }
    let console = Console::open(&plan.bot_folder().join("console.db"))?;
    let hub = Hub::open(
        &plan.bot_folder().join("bot.db"),
        rules(plan, policies),
        Arc::new(forge.clone()),
        Arc::new(console.clone()),
    )
    .await?;
    tasks.spawn(hub.clone().run());
    tasks.spawn(import(Arc::clone(shared), forge.clone()));
    Ok(Bot { hub, console, forge })
}

/// An instance alone still needs the embedded forge's repositories to be there.
async fn seed(plan: &FleetPlan) -> Result<(), FleetError> {
    let missing = |name| !plan.forge_folder().join("repos").join(format!("{name}.git")).exists();
    if !plan.repositories.iter().any(|repository| missing(&repository.name)) {
        return Ok(());
    }
    let forge = LocalForge::open(&plan.forge_folder()).await?;
    for repository in &plan.repositories {
        forge.add_repository(&repository.name, Some(&repository.source), &repository.target).await?;
    }
    Ok(())
}

/// What people commit in their own check-out reaches the embedded forge by itself, as long as it is ahead.
async fn import(plan: Arc<RwLock<FleetPlan>>, forge: LocalForge) {
    let mut told = BTreeMap::new();
    loop {
        let repositories = match plan.read() {
            Ok(plan) => plan.repositories.clone(),
            Err(poisoned) => poisoned.into_inner().repositories.clone(),
        };
        for repository in &repositories {
            match forge.import(&repository.name).await {
                Ok(Imported::Unchanged) => {
                    told.remove(&repository.name);
                }
                Ok(imported) => {
                    let text = format!("{imported:?}");
                    if told.insert(repository.name.clone(), text.clone()).as_ref() != Some(&text) {
                        tracing::info!(repository = %repository.name, imported = text, "looked at the check-out");
                    }
                }
                Err(error) => {
                    tracing::warn!(repository = %repository.name, %error, "the check-out can't be looked at");
                }
            }
        }
        tokio::time::sleep(IMPORT).await;
    }
}

/// What the bot goes by: the policies as they are in force now.
pub(crate) fn rules(plan: &FleetPlan, policies: &Engine) -> qd_core::Rules {
    qd_core::Rules {
        teams: plan.teams.iter().map(|team| team.id.clone()).collect(),
        renamed: plan
            .teams
            .iter()
            .filter(|team| team.id != team.name)
            .map(|team| (team.id.clone(), team.name.clone()))
            .collect(),
        people: plan.people.clone(),
        policies: policies.current(),
        merge_methods: plan
            .repositories
            .iter()
            .map(|repository| (repository.name.to_string(), repository.method))
            .collect(),
    }
}

/// Starts a team, with its way to the bot if that runs here.
pub(super) async fn start_team(
    plan: &FleetPlan,
    team: &TeamPlan,
    policies: &Arc<Engine>,
    bot: Option<&Bot>,
    trains: &Trains,
) -> Result<Team, FleetError> {
    let uplink = bot.map(|bot| {
        Arc::new(InProcess { hub: bot.hub.clone(), instance: team.id.clone() }) as Arc<dyn Uplink>
    });
    let folder = plan.team_folder(&team.id);
    let worktrees = GitWorktrees::open(Git::new(), &folder).await?;
    let running = Team::open(options(plan, team, policies), Arc::new(worktrees), trains.clone())?;
    running.start(uplink).await;
    Ok(running)
}

/// A team's options, from the plan.
pub(crate) fn options(plan: &FleetPlan, team: &TeamPlan, policies: &Arc<Engine>) -> TeamOptions {
    let repositories = plan
        .repositories
        .iter()
        .filter(|repository| team.repositories.contains(&repository.name))
        .map(|repository| {
            let remote = plan.forge_folder().join("repos").join(format!("{}.git", repository.name));
            let spec = RepositorySpec {
                name: repository.name.clone(),
                remote: remote.to_string_lossy().into_owned(),
                target: repository.target.clone(),
            };
            let options = RepositoryOptions {
                spec,
                checks: repository.checks.clone(),
                source: repository.source.clone(),
                setup: repository.setup.clone(),
                hooks: repository.hooks,
            };
            (repository.name.clone(), options)
        })
        .collect();
    let slots =
        plan.repositories.iter().filter_map(|repository| Some((repository.name.clone(), repository.slots?)));
    // The configuration was checked: its patterns can be read.
    let rules = Rules::new(plan.rules.clone(), team.ladder.clone(), team.agent.clone()).unwrap_or_default();
    TeamOptions {
        id: team.id.clone(),
        name: team.name.clone(),
        prefix: team.prefix.clone(),
        state: plan.team_folder(&team.id),
        limits: Limits {
            slots: team.slots,
            per_agent: plan.agent_slots.clone(),
            per_repository: slots.collect(),
            reviews: team.reviews,
        },
        agents: plan
            .agents
            .iter()
            .map(|(name, agent)| (name.clone(), Arc::new(agent.clone()) as Arc<dyn qd_agents::Agent>))
            .collect(),
        rules: Arc::new(rules),
        // Checked as well.
        quiet: QuietHours::parse(&team.quiet).unwrap_or_default(),
        zone: plan.zone.clone(),
        disk: team.disk,
        launcher: plan.launcher.clone(),
        repositories,
        runs: plan.runs.clone(),
        policies: Arc::clone(policies),
    }
}
