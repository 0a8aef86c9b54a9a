//! Tools for the fleet's own runs: one socket for each turn, behind it the guard with policies, approvals and trail, all in
//! this process. An agent holds nothing but its run's token, and that ends with the turn.

mod desk;
mod serve;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_agents::acp::{McpServer, McpServers};
use qd_approvals::{Directory, Executor, Exposure, KeyOwner, Known, Rules, SurfaceKey};
use qd_engine::{Engine, Policies};
use qd_guard::{Caller, EngineLaw, Guard, Ledger, LedgerError, Server, Settings, ToolError, Who};
use qd_sandbox::egress::Hosts;
use qd_team::{Served, Team, Tools, Turn};
use qd_types::{Identity, InstanceName, RunId};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::AbortHandle;

use crate::verbs::{RUN_TOKEN, folder_of_tools};

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
    guards: BTreeMap<String, Guard>,
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
    servers: Vec<String>,
    socket: PathBuf,
    gateway: Option<std::net::SocketAddr>,
    hosts: Hosts,
}

fn locked(turns: &Turns) -> MutexGuard<'_, HashMap<RunId, Arc<Open>>> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RunTools {
    /// Opens the team's ledger below the fleet's state, and puts the servers behind their guards. `own` is the team's own
    /// folder; `exposure` counts what could vote as a person of this machine.
    pub async fn open(
        state: &Path,
        (team, own): (&InstanceName, &Path),
        policies: &Arc<Engine>,
        exposure: Exposure,
    ) -> Result<Self, ToolsError> {
        let folder = folder_of_tools(state);
        let key = SurfaceKey::open(&folder.join("surface.key"))?.public();
        let people = directory(&policies.current(), key, team);
        let rules = Rules { exposed: exposure, ..Rules::default() };
        let (place, executor) =
            (folder.join(team.as_str()).join(LEDGER), Executor { rules, ..Executor::new(team.as_str()) });
        let ledger = Arc::new(Ledger::open(&place, executor, people, Arc::new(Timestamp::now)).await?);
        let law = Arc::new(EngineLaw::new(Arc::clone(policies)));
        let turns = Turns::default();
        let servers: Vec<(String, Server)> = vec![(
            qd_mcp_board::NAME.to_owned(),
            qd_mcp_board::server(Arc::new(desk::TeamDesk(Arc::clone(&turns))))?,
        )];
        let mut guards = BTreeMap::new();
        for (name, server) in servers {
            let guard = Guard::new(server, law.clone(), ledger.clone(), ledger.clone(), Settings::default());
            guard.recover().await?;
            guards.insert(name, guard);
        }
        let tending = tokio::spawn(tend(ledger, law, Arc::clone(policies), key, team.clone())).abort_handle();
        Ok(Self { guards, turns, program: std::env::current_exe()?, folder: own.join("tools"), tending })
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
        open.servers.iter().map(server).collect()
    }
}

#[async_trait]
impl Tools for RunTools {
    async fn open(&self, team: &Team, turn: Turn) -> io::Result<Served> {
        let socket = self.folder.join(turn.run.to_string());
        let listener = crate::http::bind_socket(&socket)?;
        let who = Who::Agent {
            team: team.name(),
            agent: turn.agent,
            run: turn.run.clone(),
            on_behalf: turn.on_behalf,
        };
        let open = Arc::new(Open {
            team: team.clone(),
            caller: Caller::new(who),
            token: token()?,
            servers: self.guards.keys().cloned().collect(),
            socket: socket.clone(),
            gateway: turn.gateway,
            hosts: turn.hosts,
        });
        locked(&self.turns).insert(turn.run.clone(), Arc::clone(&open));
        let guards = self.guards.clone();
        let serving = tokio::spawn(serve::serve(listener, open, guards)).abort_handle();
        let end = End { turns: Arc::clone(&self.turns), run: turn.run, socket: socket.clone(), serving };
        let reads = vec![socket.clone(), self.program.clone()];
        Ok(Served { socket, reads, end: Box::new(end) })
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
