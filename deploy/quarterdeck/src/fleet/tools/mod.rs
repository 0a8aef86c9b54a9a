//! Tools for the fleet's own runs: one socket for each turn, behind it the guard with policies, approvals and trail, all in
//! this process. An agent holds nothing but its run's token, and that ends with the turn.

mod desk;
mod serve;
mod team;

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
use qd_approvals::{Directory, Executor};
use qd_engine::Engine;
use qd_guard::{Caller, EngineLaw, Guard, Ledger, LedgerError, Server, Settings, ToolError, Who};
use qd_team::{Served, Team, Tools, Turn};
use qd_types::{Ask, InstanceName, PersonId, RunId, Subject};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::AbortHandle;

use self::team::TeamApprovals;
use crate::verbs::{RUN_TOKEN, folder_of_tools};

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
    guards: BTreeMap<String, Guard>,
    approvals: Arc<TeamApprovals>,
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
}

fn locked(turns: &Turns) -> MutexGuard<'_, HashMap<RunId, Arc<Open>>> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RunTools {
    /// Opens the ledger of the team's calls below the fleet's state, and puts the servers behind their guards. `own` is the
    /// team's own folder. People can be asked once the team is attached.
    pub async fn open(
        state: &Path,
        (team, own): (&InstanceName, &Path),
        policies: &Arc<Engine>,
    ) -> Result<Self, ToolsError> {
        let place = folder_of_tools(state).join(team.as_str()).join(LEDGER);
        // Nobody is asked in it: it has the trail of calls.
        let (executor, nobody) = (Executor::new(team.as_str()), Directory::default());
        let ledger = Arc::new(Ledger::open(&place, executor, nobody, Arc::new(Timestamp::now)).await?);
        let approvals = Arc::new(TeamApprovals::new(Arc::clone(&ledger)));
        let law = Arc::new(EngineLaw::new(Arc::clone(policies)));
        let turns = Turns::default();
        let servers: Vec<(String, Server)> = vec![(
            qd_mcp_board::NAME.to_owned(),
            qd_mcp_board::server(Arc::new(desk::TeamDesk(Arc::clone(&turns))))?,
        )];
        let mut guards = BTreeMap::new();
        for (name, server) in servers {
            let guard =
                Guard::new(server, law.clone(), approvals.clone(), ledger.clone(), Settings::default());
            guards.insert(name, guard);
        }
        let tending = tokio::spawn(tend(law, Arc::clone(policies))).abort_handle();
        let (program, folder) = (std::env::current_exe()?, own.join("tools"));
        Ok(Self { guards, approvals, turns, program, folder, tending })
    }

    /// The team keeps what its calls ask for; what a crash cut short is looked at. Before its runs go on.
    pub async fn attach(&self, team: &Team) -> Result<(), ToolsError> {
        self.approvals.attach(team);
        for guard in self.guards.values() {
            guard.recover().await?;
        }
        Ok(())
    }

    fn caller(team: InstanceName, agent: String, run: RunId, on_behalf: Vec<PersonId>) -> Caller {
        Caller::new(Who::Agent { team, agent, run, on_behalf })
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
        let caller = Self::caller(team.name(), turn.agent, turn.run.clone(), turn.on_behalf);
        let open = Arc::new(Open {
            team: team.clone(),
            caller,
            token: token()?,
            servers: self.guards.keys().cloned().collect(),
            socket: socket.clone(),
            gateway: turn.gateway,
        });
        locked(&self.turns).insert(turn.run.clone(), Arc::clone(&open));
        let guards = self.guards.clone();
        let serving = tokio::spawn(serve::serve(listener, open, guards)).abort_handle();
        let end = End { turns: Arc::clone(&self.turns), run: turn.run, socket: socket.clone(), serving };
        let reads = vec![socket.clone(), self.program.clone()];
        Ok(Served { socket, reads, end: Box::new(end) })
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
