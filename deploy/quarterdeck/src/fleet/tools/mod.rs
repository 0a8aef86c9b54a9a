//! Tools for the fleet's own runs: one socket for each turn, behind it the guard with policies, approvals and trail, all in
//! this process. An agent holds nothing but its run's token, and that ends with the turn.

mod desk;
mod others;
mod serve;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_agents::acp::{McpServer, McpServers};
use qd_approvals::{Directory, Executor, KeyOwner, Known, Rules, SurfaceKey};
use qd_config::Config;
use qd_engine::{Engine, Policies};
use qd_guard::{Caller, EngineLaw, Guard, Ledger, LedgerError, Settings, ToolError, Who};
use qd_team::{Served, Team, Tools, Turn};
use qd_types::{Identity, InstanceName, RepositoryName, RunId};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::AbortHandle;

use others::{Ground, Others};

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

/// Time between two looks at votes, clocks and policies.
const TEND: Duration = Duration::from_secs(1);

/// The ledger of what runs ask for, beside those of servers that are used alone.
const LEDGER: &str = "runs";

/// Why a team's tools can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    /// Where requests are kept.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A server.
    #[error(transparent)]
    Server(#[from] ToolError),
    /// The key that signs votes in terminals.
    #[error("the key that signs votes on tools can't be had")]
    Key(#[from] qd_approvals::KeyFileError),
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
    /// Where sockets are made.
    folder: PathBuf,
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
}

fn locked(turns: &Turns) -> MutexGuard<'_, HashMap<RunId, Arc<Open>>> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RunTools {
    /// Opens the team's ledger below the fleet's state, and puts the servers behind their guards.
    pub async fn open(
        plan: &FleetPlan,
        team: &TeamPlan,
        policies: &Arc<Engine>,
        bot: Option<&Bot>,
    ) -> Result<Self, ToolsError> {
        let (state, own) = (&plan.state, plan.team_folder(&team.id));
        let (called, repositories) = (&team.name, &team.repositories);
        // What could vote as a person of this machine is counted.
        let (exposure, team) = (plan.exposure(), &team.id);
        let folder = folder_of_tools(state);
        let key = SurfaceKey::open(&folder.join("surface.key"))?.public();
        let people = directory(&policies.current(), key, team);
        let rules = Rules { exposed: exposure, ..Rules::default() };
        let (place, executor) =
            (folder.join(team.as_str()).join(LEDGER), Executor { rules, ..Executor::new(team.as_str()) });
        let ledger = Arc::new(Ledger::open(&place, executor, people, Arc::new(Timestamp::now)).await?);
        let law = Arc::new(EngineLaw::new(Arc::clone(policies)));
        let turns = Turns::default();
        let config = Arc::clone(&plan.config);
        let behind = Behind {
            desk: Arc::new(desk::TeamDesk(Arc::clone(&turns))),
            forge: bot.map(|bot| EmbeddedForge(Arc::new(bot.forge.clone()))),
            chat: bot.map(|bot| ConsoleChat(bot.console.clone())),
        };
        let mut guards = BTreeMap::new();
        for name in qd_config::BUILT_IN {
            let Some(server) = built_in::server(name, &config, repositories, &behind) else { continue };
            let server_settings =
                config.mcp.servers.get(name).map(|server| servers::outside::limits(server.limits));
            let settings = Settings { limits: server_settings.unwrap_or_default(), ..Settings::default() };
            let guard = Guard::new(server?, law.clone(), ledger.clone(), ledger.clone(), settings);
            guard.recover().await?;
            guards.insert(name.to_owned(), guard);
        }
        let ground = Ground {
            state: state.clone(),
            walls: plan.launcher.clone(),
            law: law.clone(),
            ledger: ledger.clone(),
            recovered: tokio::sync::Mutex::new(BTreeSet::new()),
        };
        let tending = tokio::spawn(tend(ledger, law, Arc::clone(policies), key, team.clone())).abort_handle();
        Ok(Self {
            team: called.clone(),
            config,
            policies: Arc::clone(policies),
            guards: Arc::new(guards),
            ground: Arc::new(ground),
            turns,
            program: std::env::current_exe()?,
            folder: own.join("tools"),
            tending,
        })
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
        let socket = self.folder.join(turn.run.to_string());
        let listener = crate::http::bind_socket(&socket)?;
        let choice = self.choose(&turn).await;
        let who = Who::Agent {
            team: team.name(),
            agent: turn.agent.clone(),
            run: turn.run.clone(),
            on_behalf: turn.on_behalf,
        };
        let open = Arc::new(Open {
            team: team.clone(),
            caller: Caller::new(who),
            token: token()?,
            agent: turn.agent,
            repository: turn.repository,
            policies: Arc::clone(&self.policies),
            built_in: choice
                .built_in
                .iter()
                .filter_map(|name| Some((name.clone(), self.guards.get(name)?.clone())))
                .collect(),
            others: Others::new(Arc::clone(&self.ground), choice.outside),
            socket: socket.clone(),
            gateway: turn.gateway,
        });
        locked(&self.turns).insert(turn.run.clone(), Arc::clone(&open));
        let serving = tokio::spawn(serve::serve(listener, open)).abort_handle();
        let end = End { turns: Arc::clone(&self.turns), run: turn.run, socket: socket.clone(), serving };
        let reads = vec![socket.clone(), self.program.clone()];
        Ok(Served { socket, reads, left_out: choice.left_out, end: Box::new(end) })
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

/// Whose votes count: everybody whom the policies know, in a terminal of this computer.
fn directory(policies: &Policies, key: [u8; 32], team: &InstanceName) -> Directory {
    let mut people = Directory::default();
    for known in policies.people() {
        let person = &known.person;
        let identities = vec![Identity { service: "local".to_owned(), account: person.id.to_string() }];
        let known = Known { roles: person.roles.clone(), identities, ..Known::default() };
        people.people.insert(person.id.clone(), known);
    }
    people.add_key(key, KeyOwner::Instance(team.clone()));
    people
}

/// Takes votes and looks at clocks, and tells guards and clients when policies or people are others.
async fn tend(
    ledger: Arc<Ledger>,
    law: Arc<EngineLaw>,
    policies: Arc<Engine>,
    key: [u8; 32],
    team: InstanceName,
) {
    let mut known = policies.current();
    loop {
        let now = policies.current();
        if !Arc::ptr_eq(&known, &now) {
            ledger.set_people(directory(&now, key, &team));
            law.changed();
            known = now;
        }
        if let Err(error) = ledger.tend().await {
            tracing::warn!(%error, "votes and clocks of tools can't be looked at");
        }
        tokio::time::sleep(TEND).await;
    }
}
