//! Servers of others that a turn has. Each is started when the agent first asks for it, and ends with the turn.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use qd_agents::Redactor;
use qd_config::Config;
use qd_guard::{Caller, EngineLaw, Guard, Ledger, Settings, proxy::Pins};
use tokio::{
    sync::{Mutex, OnceCell},
    task::JoinSet,
};

use super::team::TeamApprovals;
use crate::servers::{
    self,
    outside::{Connected, Outside},
};

/// What all of a team's turns share.
pub(super) struct Ground {
    pub(super) state: PathBuf,
    pub(super) config: Arc<Config>,
    pub(super) law: Arc<EngineLaw>,
    /// Where people are asked.
    pub(super) approvals: Arc<TeamApprovals>,
    /// Where calls are written down.
    pub(super) ledger: Arc<Ledger>,
    /// Servers of which it was looked at what a crash cut short, since this process began.
    pub(super) recovered: Mutex<BTreeSet<String>>,
}

/// A server, and it running.
struct Other {
    server: Outside,
    running: OnceCell<Running>,
}

/// A server behind its guard. It ends when this is dropped.
struct Running {
    guard: Guard,
    _connected: Connected,
    /// Tells people of tools that changed.
    _watching: JoinSet<()>,
}

/// Those of a turn.
pub(super) struct Others {
    ground: Arc<Ground>,
    /// For whom they run.
    caller: Caller,
    servers: BTreeMap<String, Other>,
}

impl Others {
    /// None of them runs yet.
    pub(super) fn new(ground: Arc<Ground>, caller: Caller, servers: BTreeMap<String, Outside>) -> Self {
        let other = |(name, server)| (name, Other { server, running: OnceCell::new() });
        Self { ground, caller, servers: servers.into_iter().map(other).collect() }
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.servers.keys()
    }

    /// One of them behind its guard; `None` if the turn has no such server. The error is a sentence without its stop.
    pub(super) async fn guard(&self, name: &str) -> Option<Result<Guard, String>> {
        let other = self.servers.get(name)?;
        let running = other.running.get_or_try_init(|| self.start(&other.server)).await;
        Some(running.map(|running| running.guard.clone()))
    }

    async fn start(&self, server: &Outside) -> Result<Running, String> {
        let (ground, name) = (&self.ground, &server.name);
        let pins = Pins::read(&servers::pins(&ground.state, name)).map_err(|error| error.to_string())?;
        let place = servers::place(&ground.state, name);
        let connected = server.connect(&place, &ground.config.sandbox, &ground.state, pins).await?;
        let tools = connected.proxy.server().map_err(|error| error.to_string())?;
        let secrets = Redactor::new(&server.secrets());
        let settings = Settings { limits: server.limits, secrets, ..Settings::default() };
        let (law, approvals) = (ground.law.clone(), ground.approvals.clone());
        let guard = Guard::new(tools, law, approvals.clone(), ground.ledger.clone(), settings);
        let mut recovered = ground.recovered.lock().await;
        if !recovered.contains(name) {
            guard.recover().await.map_err(|error| error.to_string())?;
            recovered.insert(name.clone());
        }
        let (watched, aside, caller) = (guard.clone(), connected.proxy.aside(), self.caller.clone());
        let mut watching = JoinSet::new();
        watching.spawn(async move { watched.watch(aside, &caller, &*approvals).await });
        Ok(Running { guard, _connected: connected, _watching: watching })
    }
}
