//! Starting and ending a fleet.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock, RwLock},
    time::Duration,
};

use axum::Router;
use qd_agents::acp::McpServers;
use qd_board::{Rules, hours::QuietHours, schedule::Limits};
use qd_config::BesideAgents;
use qd_console::Console;
use qd_core::chat::Chat;
use qd_discord::Discord;
use qd_engine::{Engine, EngineError, FactsError};
use qd_forge_local::{Imported, LocalForge, LocalForgeError};
use qd_git::Git;
use qd_github::GitHub;
use qd_hub::{Hub, HubError, HubGate};
use qd_nats::{Address, NatsServer};
use qd_people::{PeopleError, TokenKind};
use qd_team::{
    AgentWalls, RepositoryOptions, Team, TeamError, TeamOptions, Tools, TrailPolicy, Trains, UplinkPolicy,
};
use qd_types::{InstanceName, PersonId};
use qd_uplink::JoinError;
use qd_worktrees::{GitWorktrees, RepositorySpec, WorktreeError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{sync::Mutex, task::JoinSet};

use super::{
    FleetPlan, TeamPlan,
    channels::{self, Both, Linking, Outage, on_discord},
    forges::{Forges, PushTokens},
    github,
    link::{self, Links},
    live::{Law, Live},
    plan::GithubPlan,
    policies,
    push::PushAccess,
    rules::{Telling, may_be_unprotected, rules},
    told,
    tools::{RunTools, ToolsError},
    trail,
};
use crate::{
    enrolment,
    governed::{self, Governed},
    http::{self, Guard},
    in_force,
    people::{self, Desk, Roster, heads, pages},
    policies::PolicyPlan,
    servers::{built_in, departures, machines::Clusters},
};

/// How often the embedded forge looks whether its source check-outs have something new.
const IMPORT: Duration = Duration::from_secs(2);

/// Files that a bot has open beside its connections, at the most.
const OTHER_FILES: u64 = 512;

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
    /// Its webhooks.
    #[error(transparent)]
    Webhook(#[from] qd_github::webhook::NoSecret),
    /// GitHub.
    #[error("GitHub can't be used")]
    GitHub(#[from] qd_github::client::ClientError),
    /// Nobody to be there.
    #[error(
        "repositories are on GitHub, and there is nothing to be there as: make an App with quarterdeck bot github setup, or \
         name github.app and github.key"
    )]
    NobodyOnGitHub,
    /// The system.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    /// The console.
    #[error("the console can't be started")]
    Console(#[from] qd_console::ConsoleError),
    /// The bot.
    #[error("the bot can't be started")]
    Hub(#[from] HubError),
    /// A team's way to its bot.
    #[error(transparent)]
    Link(#[from] JoinError),
    /// A team.
    #[error(transparent)]
    Team(#[from] TeamError),
    /// Its tools.
    #[error("the tools of the team's runs can't be served")]
    Tools(#[from] ToolsError),
    /// Worktrees.
    #[error("the team's worktrees can't be opened")]
    Worktrees(#[from] WorktreeError),
    /// People.
    #[error("people can't be had: {0}")]
    People(#[from] PeopleError),
    /// Policies.
    #[error("the policies can't be put in force: {0}")]
    Policies(#[from] EngineError),
    /// What was in force before.
    #[error(transparent)]
    InForce(#[from] in_force::InForceError),
    /// What the policies know.
    #[error("the policies can't be told who there is: {0}")]
    Facts(#[from] FactsError),
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
    /// Discord, if it is configured.
    pub discord: Option<Discord>,
    /// The embedded forge.
    pub forge: LocalForge,
    /// All forges as one.
    pub forges: Forges,
    /// What it is told of people and rules.
    pub(super) telling: Arc<Telling>,
    /// Where calls of instances come in, by whichever way.
    pub gate: HubGate,
    /// Where instances elsewhere reach it, if it hears them.
    urls: Vec<String>,
}

impl Bot {
    /// Where instances elsewhere reach it, if it hears them.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }
}

impl Fleet {
    /// Starts what `roles` names. `extra` are routes beside the pages and the API.
    pub async fn start(plan: &FleetPlan, roles: &Roles, extra: Router) -> Result<Self, FleetError> {
        if !plan.people.iter().any(|person| person.id == plan.me) {
            return Err(FleetError::Nobody(plan.me.to_string()));
        }
        let kept = in_force::read(&plan.state)?;
        let wanted = Governed::of(plan);
        let now = governed::since(kept.as_ref(), &wanted).now;
        let mut plan = plan.clone();
        now.clone().put_into(&mut plan);
        let plan = &plan;
        let roster =
            if roles.bot { Roster::hold(&plan.state).await? } else { Roster::beside(&plan.state).await? };
        seed_people(&roster, plan).await?;
        let people = roster.active().await?;
        let facts = plan.policies.facts_with(&people);
        if wanted.rules != plan.policies.rules {
            // What could never come into force is refused at once.
            plan.policies.would_hold(&wanted.rules)?;
        }
        let waits = kept.as_ref().and_then(|kept| kept.waits.clone());
        let policies = Arc::new(in_force::engine(&PolicyPlan { facts, ..plan.policies.clone() }, kept)?);
        let mut tasks = JoinSet::new();
        let shared = Arc::new(RwLock::new(plan.clone()));
        let bot = if roles.bot {
            Some(start_bot(plan, &policies, &shared, &roster, &mut tasks).await?)
        } else {
            None
        };
        if bot.is_none() {
            seed(plan).await?;
        }
        let (mut teams, trains, links) = (Vec::new(), Trains::default(), Links::default());
        for name in &roles.teams {
            let known = || plan.teams.iter().map(|team| team.name.as_str()).collect::<Vec<_>>().join(", ");
            let team = plan.teams.iter().find(|team| team.name == *name);
            let team = team.ok_or_else(|| FleetError::NoTeam { name: name.clone(), known: known() })?;
            teams.push(start_team(plan, team, &policies, bot.as_ref(), (&trains, &links)).await?);
        }
        let place = plan.listen.to_string();
        let listener = http::bind(plan.listen)
            .await
            .map_err(|source| FleetError::Serve { place: place.clone(), source })?;
        let address = listener.local_addr().map_err(|source| FleetError::Serve { place, source })?;
        write_address(plan, address)?;
        let boards = Arc::new(OnceLock::new());
        let desk = Desk { roster, address, live: Arc::clone(&boards), giving: Arc::default() };
        let extra = extra
            .merge(people::routes(desk.clone()))
            .merge(told::routes(Arc::clone(&boards)))
            .merge(enrolment::routes(desk.clone()));
        let guard = Guard::new(desk, plan.me.clone());
        let law = Law { in_force: now, wanted };
        let live =
            Arc::new(Live::new(shared, (law, policies), teams, (trains, links), bot, guard.clone(), extra));
        // Set once, here.
        boards.get_or_init(|| Arc::downgrade(&live));
        // What the first start trusts counts from here on.
        policies::keep(&live, waits);
        tasks.spawn(policies::follow(Arc::clone(&live)));
        tasks.spawn(http::serve_tcp(listener, live.service(), guard));
        live.serve_sockets().await?;
        // Not before: whether a team has joined is asked over the bot's own socket.
        if let Some(bot) = live.bot().filter(|_| !built_in::clusters().is_empty()) {
            let (state, policies) = (plan.state.clone(), Arc::clone(live.policies()));
            tasks.spawn(order_machines(state, policies, bot.hub.clone()));
        }
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

    /// A link by which a person signs in. With `kind` a session, it votes without a passphrase.
    pub async fn sign_in(&self, person: &PersonId, kind: TokenKind) -> Result<String, PeopleError> {
        let roster = self.live.guard().roster();
        let token = roster.make_token(person, kind, "sign-in link", people::SIGNED_IN).await?;
        Ok(pages::sign_in_url(self.address, &token))
    }

    /// A link by which a person who has no passphrase yet sets one. `None` if they have one.
    pub async fn first_passphrase(&self, person: &PersonId) -> Result<Option<String>, PeopleError> {
        let invitation = self.live.guard().roster().first_invitation(person).await?;
        Ok(invitation.map(|token| pages::join_url(self.address, &token)))
    }

    /// Ends everything. What was under way goes on after the next start.
    pub async fn shut_down(mut self) {
        self.tasks.shutdown().await;
        self.live.shut_down().await;
    }
}

/// Brings people in line with the configuration.
pub(super) async fn seed_people(roster: &Roster, plan: &FleetPlan) -> Result<(), PeopleError> {
    let seeded = roster.seed(&plan.people).await?;
    for person in seeded.kept_out {
        tracing::warn!(%person, "is in the configuration, and was shut out: stays out");
    }
    for departure in seeded.left {
        tracing::info!(person = %departure.person, "is not in the configuration any more: shut out");
    }
    Ok(())
}

/// For programs beside it, which can't know the port that was free.
fn write_address(plan: &FleetPlan, address: SocketAddr) -> Result<(), FleetError> {
    let path = plan.state.join("address");
    std::fs::write(&path, address.to_string())
        .map_err(|source| FleetError::Serve { place: path.display().to_string(), source })
}

async fn start_bot(
    plan: &FleetPlan,
    policies: &Arc<Engine>,
    shared: &Arc<RwLock<FleetPlan>>,
    roster: &Roster,
    tasks: &mut JoinSet<()>,
) -> Result<Bot, FleetError> {
    let forge = LocalForge::open(&plan.forge_folder()).await?;
    for repository in plan.repositories.iter().filter(|repository| plan.is_here(&repository.name)) {
        forge.add_repository(&repository.name, Some(&repository.source), &repository.target).await?;
    }
    let forges = Forges { local: forge.clone(), github: on_github(plan)? };
    let console = Console::open(&plan.bot_folder().join("console.db"))?;
    console.set_layout(plan.chat.clone()).await?;
    let discord = on_discord(plan, roster);
    let outage = Outage::new(console.clone());
    let chat: Arc<dyn Chat> = match discord.clone() {
        None => Arc::new(console.clone()),
        Some(discord) => Arc::new(Both { console: console.clone(), discord, outage: outage.clone() }),
    };
    let hub = Hub::open(
        &plan.bot_folder().join("bot.db"),
        rules(plan, policies, roster.active().await?, &may_be_unprotected(plan)),
        Arc::new(forges.clone()),
        chat,
    )
    .await?;
    let (on_discord, on_github) = (discord.is_some(), plan.github.is_some());
    let linking = Linking { roster: roster.clone(), discord: on_discord, github: on_github };
    hub.link_by(Arc::new(linking)).await?;
    tasks.spawn(hub.clone().run());
    tasks.spawn(departures::follow(plan.state.clone(), hub.clone(), plan.me.clone()));
    if let Some(discord) = discord.clone() {
        tasks.spawn(channels::listen(discord, hub.clone(), outage));
    }
    if let Some(there) = &forges.github {
        github::hear(plan, there, (&hub, roster), tasks).await?;
    }
    let telling = Arc::new(Telling {
        plan: Arc::clone(shared),
        policies: Arc::clone(policies),
        roster: roster.clone(),
        hub: hub.clone(),
        github: forges.github.clone(),
        unprotected: RwLock::new(may_be_unprotected(plan)),
        told: Mutex::default(),
    });
    tasks.spawn(Arc::clone(&telling).follow());
    tasks.spawn(Arc::clone(&telling).look());
    tasks.spawn(import(Arc::clone(shared), forge.clone()));
    tasks.spawn(heads::sign(roster.clone(), hub.clone()));
    tasks.spawn(trail::archive(Arc::clone(shared), roster.clone(), hub.clone()));
    let fleet = &plan.config.fleet.name;
    let gate = HubGate::open(
        hub.clone(),
        &plan.bot_folder(),
        fleet,
        Arc::new(PushTokens { forges: forges.clone(), plan: Arc::clone(shared) }),
    )?;
    let urls = hear(plan, &gate, tasks).await?;
    Ok(Bot { hub, console, discord, forge, forges, telling, gate, urls })
}

/// GitHub, if repositories are there. Within a tokio runtime.
pub fn on_github(plan: &FleetPlan) -> Result<Option<GitHub>, FleetError> {
    let Some(github) = plan.github.clone().filter(|github| !github.repositories.is_empty()) else {
        return Ok(None);
    };
    let GithubPlan { repositories, api, git, login, allow_unprotected, writes_per_minute, .. } = github;
    Ok(Some(GitHub::open(qd_github::Config {
        api,
        git,
        login: login.ok_or(FleetError::NobodyOnGitHub)?,
        repositories,
        mirrors: plan.bot_folder().join("github").join("mirrors"),
        allow_unprotected,
        writes_per_minute,
    })?))
}

/// Has machines ordered in chat be made by the clusters that the environment names.
async fn order_machines(state: PathBuf, policies: Arc<Engine>, hub: Hub) {
    let clusters = Clusters::open(&state, &policies, &hub).await;
    hub.run_machines(Arc::new(clusters)).await;
}

/// Hears instances that run elsewhere, if it should; gives the addresses by which they reach it.
async fn hear(plan: &FleetPlan, gate: &HubGate, tasks: &mut JoinSet<()>) -> Result<Vec<String>, FleetError> {
    let hub = &plan.config.hub;
    let mut urls = Vec::new();
    if let Some(listen) = hub.listen {
        let failed = |source| FleetError::Serve { place: format!("hub.listen {listen}"), source };
        let listener = http::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // For programs beside it, which can't know the port that was free.
        std::fs::write(plan.bot_folder().join("hub.address"), address.to_string()).map_err(failed)?;
        let most = hub.connections.and_then(|most| usize::try_from(most.get()).ok());
        let most = most.unwrap_or(qd_hub::http::CONNECTIONS);
        raise_open_files(most);
        tasks.spawn(qd_hub::http::serve(listener, gate.clone(), most));
        urls.push(hub.url.clone().unwrap_or_else(|| format!("http://{address}")));
    }
    if let Some(server) = link::nats(&plan.config, &plan.state)? {
        let fleet = plan.config.fleet.name.clone();
        let hears = NatsServer::open(&server, &fleet, Arc::new(gate.clone())).await;
        tasks.spawn(hears.map_err(JoinError::from)?.run());
        urls.push(Address { url: server.url, fleet }.to_string());
    }
    Ok(urls)
}

/// A connection is an open file, and many systems let a process have 1,024 of them unless it asks for more.
fn raise_open_files(connections: usize) {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let current = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    } else if current < wanted {
        tracing::warn!(current, wanted, "fewer files may be open than hub.connections asks for");
    }
}

/// An instance alone still needs the embedded forge's repositories to be there.
async fn seed(plan: &FleetPlan) -> Result<(), FleetError> {
    let missing = |name| !plan.forge_folder().join("repos").join(format!("{name}.git")).exists();
    let mut here = plan.repositories.iter().filter(|repository| repository.remote.is_none());
    if !here.any(|repository| missing(&repository.name)) {
        return Ok(());
    }
    let forge = LocalForge::open(&plan.forge_folder()).await?;
    for repository in plan.repositories.iter().filter(|repository| repository.remote.is_none()) {
        forge.add_repository(&repository.name, Some(&repository.source), &repository.target).await?;
    }
    Ok(())
}

/// What people commit in their own check-out reaches the embedded forge by itself, as long as it is ahead.
async fn import(plan: Arc<RwLock<FleetPlan>>, forge: LocalForge) {
    let mut told = BTreeMap::new();
    loop {
        let now = match plan.read() {
            Ok(plan) => plan.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        for repository in now.repositories.iter().filter(|repository| now.is_here(&repository.name)) {
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

/// Starts a team, with its way to the bot if that runs here.
pub(super) async fn start_team(
    plan: &FleetPlan,
    team: &TeamPlan,
    policies: &Arc<Engine>,
    bot: Option<&Bot>,
    (trains, links): (&Trains, &Links),
) -> Result<Team, FleetError> {
    let folder = plan.team_folder(&team.id);
    let push = Arc::new(PushAccess::default());
    let worktrees = GitWorktrees::open(Git::new(), &folder).await?;
    let worktrees = worktrees.with_credentials(Arc::clone(&push) as _);
    let tools = Arc::new(RunTools::open(plan, team, policies, bot).await?);
    let options = options(plan, team, policies, Some(Arc::clone(&tools) as _));
    let running = Team::open(options, Arc::new(worktrees), trains.clone())?;
    if let Some(bot) = bot {
        bot.hub.enrol(&team.id, running.surface_key()).await?;
    }
    let (uplink, keys) = link::uplink(plan, &team.id, bot, links).await?.unzip();
    if let Some(uplink) = &uplink {
        push.through(Arc::clone(uplink), link::sealing(&folder, bot.is_some())?);
    }
    running.enrol(keys.unwrap_or_default()).await?;
    tools.attach(&running).await?;
    running.meter().await?;
    running.start(uplink.map(|uplink| uplink as _)).await;
    Ok(running)
}

/// A team's options, from the plan.
pub(crate) fn options(
    plan: &FleetPlan,
    team: &TeamPlan,
    policies: &Arc<Engine>,
    tools: Option<Arc<dyn Tools>>,
) -> TeamOptions {
    let servers: Arc<dyn McpServers> = match &tools {
        Some(tools) => Arc::clone(tools) as _,
        None => Arc::new(Vec::new()),
    };
    let repositories = plan
        .repositories
        .iter()
        .filter(|repository| team.repositories.contains(&repository.name))
        .map(|repository| {
            let here = || plan.forge_folder().join("repos").join(format!("{}.git", repository.name));
            let remote = repository.remote.clone().unwrap_or_else(|| here().to_string_lossy().into_owned());
            let spec =
                RepositorySpec { name: repository.name.clone(), remote, target: repository.target.clone() };
            let options = RepositoryOptions {
                spec,
                checks: repository.checks.clone(),
                source: repository.source.clone(),
                setup: repository.setup.clone(),
                hooks: repository.hooks,
                demands: repository.demands.clone(),
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
            ..Limits::default()
        },
        agents: plan.agents.iter().map(|(name, agent)| (name.clone(), agent.agent(&servers))).collect(),
        commands: plan.agents.iter().map(|(name, agent)| (name.clone(), agent.commands())).collect(),
        rules: Arc::new(rules),
        // Checked as well.
        quiet: QuietHours::parse(&team.quiet).unwrap_or_default(),
        zone: plan.zone.clone(),
        disk: team.disk,
        launcher: plan.launcher.clone(),
        walls: plan.walls.clone().map(|walls| match &team.walls {
            Some(sandbox) => AgentWalls { sandbox: Arc::clone(sandbox), ..walls },
            None => walls,
        }),
        sealed: vec![plan.state.clone()],
        approvals: qd_approvals::Rules {
            exposed: plan.exposure(),
            local_votes: false,
            ..plan.approvals.clone()
        },
        walls_expose: plan.beside_agents == BesideAgents::Strict,
        repositories,
        metering: plan.metering.clone(),
        tools,
        runs: plan.runs.clone(),
        trail: TrailPolicy {
            folder: plan.audit.segments(&plan.team_folder(&team.id).join("board.db")),
            retention: plan.audit.retention,
        },
        uplink: UplinkPolicy {
            beat: Duration::from_secs(plan.config.uplink.beat_seconds.max(1).into()),
            outbox: u64::from(plan.config.uplink.outbox_mib.max(1)) << 20,
        },
        policies: Arc::clone(policies),
    }
}
