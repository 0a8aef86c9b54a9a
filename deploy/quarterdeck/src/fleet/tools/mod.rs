//! Tools for the fleet's own runs: one socket for each turn, behind it the guard with policies, approvals and trail, all in
//! this process. An agent holds nothing but its run's token, and that ends with the turn.

mod desk;
mod others;
mod serve;
mod team;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_agents::{
    Redactor,
    acp::{McpServer, McpServers},
};
use qd_approvals::{Directory, Executor};
use qd_config::Config;
use qd_engine::Engine;
use qd_guard::{Caller, EngineLaw, Guard, Ledger, LedgerError, Settings, ToolError, Who};
use qd_sandbox::egress::Hosts;
use qd_team::{Served, Team, Tools, Turn};
use qd_types::{Ask, InstanceName, PersonId, RepositoryName, RunId, Subject};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::AbortHandle;

use self::{
    others::{Ground, Others},
    team::TeamApprovals,
};
use super::{FleetPlan, TeamPlan, start::Bot};
use crate::{
    servers::{
        self,
        built_in::{self, Behind},
        chat::ConsoleChat,
        choice::{self, Choice, Of},
        declared::Content,
        forge::EmbeddedForge,
        trusted::Trusted,
    },
    verbs::{RUN_TOKEN, folder_of_tools},
};

/// Time between two looks at the policies.
const TEND: Duration = Duration::from_secs(1);

/// The ledger of what runs call, beside those of servers that are used alone.
const LEDGER: &str = "runs";

/// Why a team's tools can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    /// Where calls are written down.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A server.
    #[error(transparent)]
    Server(#[from] ToolError),
    /// What a crash cut short.
    #[error(transparent)]
    Store(#[from] qd_guard::StoreError),
    /// Where our program lies.
    #[error("this program can't find itself")]
    Program(#[from] io::Error),
}

/// The tools of one team's runs.
pub struct RunTools {
    /// What the team is called in the configuration.
    team: InstanceName,
    config: Arc<Config>,
    policies: Arc<Engine>,
    /// The servers that come with the program. All turns share them.
    guards: Arc<BTreeMap<String, Guard>>,
    ground: Arc<Ground>,
    turns: Turns,
    /// Our program: the shim inside is it.
    program: PathBuf,
    tending: AbortHandle,
}

/// Turns that are served now.
type Turns = Arc<Mutex<HashMap<RunId, Arc<Open>>>>;

/// One turn that is served now.
struct Open {
    team: Team,
    caller: Caller,
    token: SecretString,
    agent: String,
    repository: RepositoryName,
    policies: Arc<Engine>,
    /// The servers that come with the program.
    built_in: BTreeMap<String, Guard>,
    /// Those of others.
    others: Others,
    socket: PathBuf,
    gateway: Option<std::net::SocketAddr>,
    hosts: Hosts,
    /// What of the agent's must not reach the board.
    redactor: Redactor,
}

fn locked(turns: &Turns) -> MutexGuard<'_, HashMap<RunId, Arc<Open>>> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RunTools {
    /// Opens the ledger of the team's calls below the fleet's state, and puts the servers behind their guards. People can be
    /// asked once the team is attached.
    pub async fn open(
        plan: &FleetPlan,
        team: &TeamPlan,
        policies: &Arc<Engine>,
        bot: Option<&Bot>,
    ) -> Result<Self, ToolsError> {
        let repositories = &team.repositories;
        let place = folder_of_tools(&plan.state).join(team.id.as_str()).join(LEDGER);
        // Nobody is asked in it: it has the trail of calls.
        let (executor, nobody) = (Executor::new(team.id.as_str()), Directory::default());
        let ledger = Arc::new(Ledger::open(&place, executor, nobody, Arc::new(Timestamp::now)).await?);
        let approvals = Arc::new(TeamApprovals::new(Arc::clone(&ledger)));
        let law = Arc::new(EngineLaw::new(Arc::clone(policies)));
        let turns = Turns::default();
        let config = Arc::clone(&plan.config);
        let behind = Behind {
            desk: Arc::new(desk::TeamDesk(Arc::clone(&turns))),
            forge: bot.map(|bot| EmbeddedForge(Arc::new(bot.forges.local.clone()))),
            github: bot.and_then(|bot| bot.forges.github.clone()),
            discord: bot.and_then(|bot| bot.discord.clone()),
            chat: bot.map(|bot| ConsoleChat(bot.console.clone())),
            apart: bot.is_none(),
            state: Some(plan.state.clone()),
        };
        let mut guards = BTreeMap::new();
        for name in config.mcp.built_in() {
            let Some(server) = built_in::server(&name, &config, repositories, &behind) else { continue };
            let limits = config.mcp.servers.get(&name).map(|server| servers::outside::limits(server.limits));
            let settings = Settings { limits: limits.unwrap_or_default(), ..Settings::default() };
            let guard = Guard::new(server?, law.clone(), approvals.clone(), ledger.clone(), settings);
            guards.insert(name, guard);
        }
        let ground = Ground {
            state: plan.state.clone(),
            config: Arc::clone(&config),
            law: law.clone(),
            approvals,
            ledger,
            recovered: tokio::sync::Mutex::new(BTreeSet::new()),
        };
        let tending = tokio::spawn(tend(law, Arc::clone(policies))).abort_handle();
        Ok(Self {
            team: team.name.clone(),
            config,
            policies: Arc::clone(policies),
            guards: Arc::new(guards),
            ground: Arc::new(ground),
            turns,
            program: std::env::current_exe()?,
            tending,
        })
    }

    /// The team keeps what its calls ask for; what a crash cut short is looked at. Before its runs go on.
    pub async fn attach(&self, team: &Team) -> Result<(), ToolsError> {
        self.ground.approvals.attach(team);
        for guard in self.guards.values() {
            guard.recover().await?;
        }
        Ok(())
    }

    fn caller(team: InstanceName, agent: String, run: RunId, on_behalf: Vec<PersonId>) -> Caller {
        Caller::new(Who::Agent { team, agent, run, on_behalf })
    }

    /// What a turn gets, by configuration, by what people trusted of the repository, and by policy.
    async fn choose(&self, turn: &Turn) -> Choice {
        let of = Of { team: &self.team, repository: &turn.repository, agent: &turn.agent };
        let mcp = &self.config.mcp;
        let mut choice = Choice::configured(mcp, of);
        match Content::at(&turn.worktree, &turn.base).await {
            Ok(None) => {}
            Ok(Some(content)) => match Trusted::read(&self.ground.state) {
                Ok(trusted) => choice.declared(mcp, of, &content, &trusted),
                Err(error) => {
                    choice
                        .left_out
                        .push(format!("Nothing of this repository's .mcp.json is started: {error}."));
                }
            },
            Err(error) => {
                choice.left_out.push(format!("Nothing of this repository's .mcp.json is started: {error}."));
            }
        }
        choice.permitted(&self.policies, of);
        choice.with_trusted_tools(&self.ground.state);
        choice
    }
}

impl Drop for RunTools {
    fn drop(&mut self) {
        self.tending.abort();
    }
}

impl McpServers for RunTools {
    fn of_run(&self, run: &RunId) -> Vec<McpServer> {
        let Some(open) = locked(&self.turns).get(run).cloned() else { return Vec::new() };
        let server = |name: &String| McpServer::Stdio {
            name: name.clone(),
            command: self.program.clone(),
            args: vec![
                "mcp".to_owned(),
                "shim".to_owned(),
                "--socket".to_owned(),
                open.socket.display().to_string(),
                name.clone(),
            ],
            env: BTreeMap::from([(RUN_TOKEN.to_owned(), open.token.clone())]),
        };
        open.built_in.keys().chain(open.others.names()).map(server).collect()
    }
}

#[async_trait]
impl Tools for RunTools {
    async fn open(&self, team: &Team, turn: Turn) -> io::Result<Served> {
        let socket = turn.socket.clone();
        let listener = crate::http::bind_socket(&socket)?;
        let choice = if turn.only_reads { Choice::default() } else { self.choose(&turn).await };
        let caller = Self::caller(team.name(), turn.agent.clone(), turn.run.clone(), turn.on_behalf);
        let token = token()?;
        let open = Arc::new(Open {
            team: team.clone(),
            redactor: Redactor::new(turn.secrets.iter().chain([&token])),
            token,
            agent: turn.agent,
            repository: turn.repository,
            policies: Arc::clone(&self.policies),
            built_in: choice
                .built_in
                .iter()
                .filter_map(|name| Some((name.clone(), self.guards.get(name)?.clone())))
                .collect(),
            others: Others::new(Arc::clone(&self.ground), caller.clone(), choice.outside),
            caller,
            socket: socket.clone(),
            gateway: turn.gateway,
            hosts: turn.hosts,
        });
        locked(&self.turns).insert(turn.run.clone(), Arc::clone(&open));
        let serving = tokio::spawn(serve::serve(listener, open)).abort_handle();
        let end = End { turns: Arc::clone(&self.turns), run: turn.run, socket: socket.clone(), serving };
        // The folder, so that a socket that is made anew after a restart is seen by what lives on.
        let folder = socket.parent().map(std::path::Path::to_owned);
        let reads = folder.into_iter().chain([socket.clone(), self.program.clone()]).collect();
        Ok(Served { socket, reads, left_out: choice.left_out, end: Box::new(end) })
    }

    async fn again(
        &self,
        agent: &str,
        on_behalf: Vec<PersonId>,
        called: &Subject,
    ) -> Result<(Subject, Ask), String> {
        let tool = called.binding.as_ref().and_then(|binding| binding.tool.as_ref());
        let guard = tool.and_then(|tool| self.guards.values().find(|guard| guard.serves(&tool.name)));
        let guard = guard.ok_or("Its tool is not served any more.")?;
        let (team, run) = (called.instance.clone(), called.run.clone());
        guard.again(&Self::caller(team, agent.to_owned(), run, on_behalf), called).await
    }
}

/// Ends what serves a turn.
struct End {
    turns: Turns,
    run: RunId,
    socket: PathBuf,
    serving: AbortHandle,
}

impl Drop for End {
    fn drop(&mut self) {
        locked(&self.turns).remove(&self.run);
        self.serving.abort();
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(run = %self.run, %error, "a run's socket was gone already");
        }
    }
}

/// 256 bits, as lower-case hex.
fn token() -> io::Result<SecretString> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("qdr_{text}").into())
}

impl Open {
    /// A server of this turn behind its guard, as the policies stand now; else the answer's status, and why not.
    async fn guard(&self, name: &str) -> Result<Guard, (&'static str, String)> {
        let of = Of { team: &self.team.name(), repository: &self.repository, agent: &self.agent };
        let missing = || ("404 Not Found", "This run has no such server.".to_owned());
        if !self.built_in.contains_key(name) && !self.others.names().any(|other| other == name) {
            return Err(missing());
        }
        if let Some(why) = choice::refused(&self.policies, of, name) {
            return Err(("403 Forbidden", format!("The server {name} is not given: {why}")));
        }
        if let Some(guard) = self.built_in.get(name) {
            return Ok(guard.clone());
        }
        match self.others.guard(name).await {
            Some(Ok(guard)) => Ok(guard),
            Some(Err(why)) => Err(("502 Bad Gateway", format!("{why}."))),
            None => Err(missing()),
        }
    }

    /// Whether it is this turn's token. How long that takes says nothing of it.
    fn is_token(&self, shown: &str) -> bool {
        let own = self.token.expose_secret();
        own.len() == shown.len()
            && own.bytes().zip(shown.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}

/// Tells guards and clients when policies or people are others.
async fn tend(law: Arc<EngineLaw>, policies: Arc<Engine>) {
    let mut known = policies.current();
    loop {
        tokio::time::sleep(TEND).await;
        let now = policies.current();
        if !Arc::ptr_eq(&known, &now) {
            law.changed();
            known = now;
        }
    }
}
