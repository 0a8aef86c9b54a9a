//! The walls around what runs for a team: where an agent may write, and where a check may. The team's state, with other
//! worktrees, git folders, tokens and databases in it, is sealed, and so are the fleet's, with people and approvals in it,
//! and people's own check-outs.

use std::path::{Path, PathBuf};

use qd_agents::Confined;
use qd_confine::walls::{beside, devices};
use qd_sandbox::{Bounds, Found, Kind, Landlock, Limits, Network, Sandbox, SandboxError, Spec};
use qd_types::RunId;
use secrecy::SecretString;

use crate::options::{AgentWalls, Reach, RepositoryOptions, TeamOptions};

/// Where toolchains lie in a home: no secrets, and agents build with them.
const TOOLCHAINS: [&str; 9] =
    [".rustup", ".nvm", ".pyenv", ".volta", ".sdkman", ".bun", ".deno", ".local/share/mise", "go"];

/// The same, by the variables that say it.
const TOOLCHAIN_VARS: [&str; 4] = ["RUSTUP_HOME", "GOROOT", "JAVA_HOME", "NVM_DIR"];

/// What one turn of an agent needs of its surroundings.
pub(crate) struct Own<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) worktree: &'a Path,
    /// The repository's git folder: it reads there, and the run commits.
    pub(crate) git: PathBuf,
    /// Files that its command line names, and its prompt.
    pub(crate) reads: Vec<PathBuf>,
    /// What it keeps from one run to the next.
    pub(crate) writes: Vec<PathBuf>,
    /// The run's socket, and the port that leads there where the network is cut.
    pub(crate) forward: Option<(PathBuf, u16)>,
    /// Which turn, if what works on it needs nobody who talks to it: it goes on while the fleet is away.
    pub(crate) turn: Option<String>,
    /// Whether its models are behind the metering gateway.
    pub(crate) metered: bool,
    /// Whether it only reads its worktree.
    pub(crate) only_reads: bool,
}

/// The walls around a turn of an agent.
pub(crate) struct Walled {
    pub(crate) confined: Confined,
    /// The gateway's token that something works with since before a restart: it is taken over, and goes on.
    pub(crate) token: Option<SecretString>,
}

impl Walled {
    fn new(confined: Confined) -> Self {
        Self { confined, token: None }
    }
}

impl TeamOptions {
    /// For something that works for `run` in `own`; none where nothing can confine it. What is temporary goes into a
    /// folder of the run's own. It may write `more` as well, and its own folder unless `read` names that.
    pub(crate) fn confined(
        &self,
        run: &RunId,
        own: &Path,
        (more, read): (Vec<PathBuf>, Vec<PathBuf>),
    ) -> Result<Option<Confined>, SandboxError> {
        let Some(launcher) = self.launcher.clone() else { return Ok(None) };
        let walls = Landlock(Bounds(launcher));
        let tmp = self.tmp(run, &walls)?;
        let sealed = self.sealed();
        let mut writable = devices();
        for root in [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()] {
            writable.extend(beside(&real(&root), &sealed));
        }
        if let Some(home) = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute()) {
            writable.extend(beside(&real(&home), &sealed));
        }
        for name in [
            "CARGO_HOME",
            "RUSTUP_HOME",
            "GOPATH",
            "GOCACHE",
            "GOMODCACHE",
            "GRADLE_USER_HOME",
            "XDG_CACHE_HOME",
        ] {
            if let Some(path) = std::env::var_os(name).map(PathBuf::from) {
                writable.extend(beside(&real(&path), &sealed));
            }
        }
        writable.extend(self.caches());
        writable.extend(more);
        writable.push(tmp.clone());
        writable.sort();
        writable.dedup();
        let spec = Spec { write: writable, read, ..self.spec(run, own) };
        Ok(Some(Confined { launch: walls.launch(&spec)?, tmp, variables: Vec::new(), kind: Kind::Landlock }))
    }

    fn landlocked(
        &self,
        run: &RunId,
        own: &Path,
        paths: (Vec<PathBuf>, Vec<PathBuf>),
    ) -> Result<Option<Walled>, SandboxError> {
        Ok(self.confined(run, own, paths)?.map(Walled::new))
    }

    /// For an agent. Where no other walls are wanted, the same as for checks. An error that says that they are not there
    /// now is a reason to wait.
    pub(crate) async fn walled(
        &self,
        repository: &RepositoryOptions,
        own: Own<'_>,
    ) -> Result<Option<Walled>, SandboxError> {
        let home_of_run = self.home(own.run);
        let mut writes = own.writes;
        writes.push(home_of_run.clone());
        let kept: Vec<PathBuf> = own.only_reads.then(|| own.worktree.to_owned()).into_iter().collect();
        let Some(walls) = &self.walls else { return self.landlocked(own.run, own.worktree, (writes, kept)) };
        let sandbox = repository.demands.as_ref().unwrap_or(&walls.sandbox);
        match sandbox.kind() {
            Kind::None => {
                let within = self.unwalled(sandbox.as_ref(), walls, (own.run, own.worktree), home_of_run)?;
                return Ok(Some(Walled::new(within)));
            }
            Kind::Landlock => return self.landlocked(own.run, own.worktree, (writes, kept)),
            Kind::Bubblewrap | Kind::Docker => {}
        }
        sandbox.probe().await?;
        let tmp = self.tmp(own.run, sandbox.as_ref())?;
        let home = std::env::var_os("HOME").map_or_else(|| "/root".into(), PathBuf::from);
        let mut read = own.reads;
        read.extend(kept);
        read.push(own.git);
        if sandbox.kind() != Kind::Docker {
            read.extend(programs(&home));
        }
        read.extend(walls.read.iter().cloned());
        let mut write = walls.write.clone();
        write.extend(self.caches());
        write.extend(writes);
        write.push(tmp.clone());
        let network = network(walls, own.forward, own.metered);
        let variables = proxy(walls, &network);
        let adopt = self.left_over(sandbox.as_ref(), own.run, own.turn.as_ref()).await?;
        let token = match &adopt {
            Some(id) => token(sandbox.told(id).await?),
            None => None,
        };
        let spec = Spec {
            home: home_of_run,
            home_at: real(&home),
            read,
            write,
            hidden: self.sealed(),
            limits: walls.limits,
            network,
            turn: own.turn,
            adopt,
            ..self.spec(own.run, own.worktree)
        };
        let confined = Confined { launch: sandbox.launch(&spec)?, tmp, variables, kind: sandbox.kind() };
        Ok(Some(Walled { confined, token }))
    }

    /// What works on this very turn since before a restart, to be taken over. Everything else of the run is removed: two
    /// must not write to one worktree.
    async fn left_over(
        &self,
        sandbox: &dyn Sandbox,
        run: &RunId,
        turn: Option<&String>,
    ) -> Result<Option<String>, SandboxError> {
        let found = sandbox.find(&self.id).await?;
        let mut own = found.into_iter().filter(|found| found.run == *run).peekable();
        if own.peek().is_none() {
            return Ok(None);
        }
        let same = own.find(|found| found.running && turn.is_some() && found.turn.as_ref() == turn);
        if let Some(same) = same {
            tracing::info!(%run, id = same.id, "a container is taken over");
            return Ok(Some(same.id));
        }
        sandbox.reap(&self.id, &|other| other != run).await?;
        Ok(None)
    }

    /// Nothing is prevented: limits, and a home of the run's own, in which toolchains are found.
    fn unwalled(
        &self,
        sandbox: &dyn Sandbox,
        walls: &AgentWalls,
        (run, worktree): (&RunId, &Path),
        home: PathBuf,
    ) -> Result<Confined, SandboxError> {
        let tmp = self.tmp(run, sandbox)?;
        let made = std::fs::create_dir_all(&home).and_then(|()| {
            let ours = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
            for name in TOOLCHAINS {
                let (there, here) = (ours.join(name), home.join(name));
                if there.is_dir() && here.symlink_metadata().is_err() {
                    here.parent().map_or(Ok(()), std::fs::create_dir_all)?;
                    std::os::unix::fs::symlink(there, here)?;
                }
            }
            Ok(())
        });
        made.map_err(|error| SandboxError::Failed {
            kind: sandbox.kind(),
            doing: "make a home",
            source: error.into(),
        })?;
        let spec = Spec { limits: walls.limits, ..self.spec(run, worktree) };
        let variables = vec![("HOME", home.to_string_lossy().into_owned())];
        Ok(Confined { launch: sandbox.launch(&spec)?, tmp, variables, kind: sandbox.kind() })
    }

    /// Removes what a run that does not work now has left in an engine. An engine that is away has it still later.
    pub(crate) async fn reap(&self, run: &RunId) {
        for sandbox in self.sandboxes() {
            match sandbox.reap(&self.id, &|other| other != run).await {
                Ok(gone) if gone.is_empty() => {}
                Ok(gone) => {
                    tracing::info!(%run, count = gone.len(), "containers that nobody held are removed");
                }
                Err(error) => tracing::warn!(%run, %error, "containers of this run may be left"),
            }
        }
    }

    /// Everything that runs may be in.
    fn sandboxes(&self) -> impl Iterator<Item = &dyn Sandbox> {
        let demanded = self.repositories.values().filter_map(|repository| repository.demands.as_ref());
        self.walls.iter().map(|walls| &walls.sandbox).chain(demanded).map(AsRef::as_ref)
    }

    /// The runs that something is there of in an engine. One that is away has it still later.
    pub(crate) async fn contained(&self) -> Vec<RunId> {
        let mut runs = Vec::new();
        for sandbox in self.sandboxes() {
            match sandbox.find(&self.id).await {
                Ok(found) => runs.extend(found.into_iter().map(|Found { run, .. }| run)),
                Err(error) => tracing::debug!(%error, "an engine can't be looked into now"),
            }
        }
        runs.sort();
        runs.dedup();
        runs
    }

    /// A run's own home: it goes with the run.
    pub(crate) fn home(&self, run: &RunId) -> PathBuf {
        self.state.join("homes").join(run.to_string())
    }

    /// Where a run's socket is, in a folder of the run's own: what has the folder sees a socket that is made anew there.
    pub(crate) fn socket(&self, run: &RunId) -> PathBuf {
        self.state.join("tools").join(run.to_string()).join("socket")
    }

    fn tmp(&self, run: &RunId, sandbox: &dyn Sandbox) -> Result<PathBuf, SandboxError> {
        let tmp = self.state.join("tmp").join(run.to_string());
        match std::fs::create_dir_all(&tmp) {
            Ok(()) => Ok(tmp),
            Err(error) => Err(SandboxError::Failed {
                kind: sandbox.kind(),
                doing: "get a temporary folder",
                source: error.into(),
            }),
        }
    }

    /// The state of the team and the fleet, and people's own check-outs.
    fn sealed(&self) -> Vec<PathBuf> {
        let mut sealed = vec![real(&self.state), real(self.state.parent().unwrap_or(&self.state))];
        sealed.extend(self.sealed.iter().map(|path| real(path)));
        sealed.extend(self.repositories.values().map(|repository| real(&repository.source)));
        sealed
    }

    fn caches(&self) -> impl Iterator<Item = PathBuf> {
        let caches = self.state.join("caches");
        let names = self.repositories.values().map(move |each| caches.join(each.spec.name.as_str()));
        names.filter(|path| path.exists())
    }

    fn spec(&self, run: &RunId, own: &Path) -> Spec {
        Spec {
            instance: self.id.clone(),
            run: run.clone(),
            cwd: own.to_owned(),
            home: PathBuf::new(),
            home_at: PathBuf::new(),
            write: Vec::new(),
            read: Vec::new(),
            hidden: Vec::new(),
            limits: Limits::default(),
            network: Network::Open,
            turn: None,
            adopt: None,
        }
    }
}

/// The token among the variables that something was started with.
fn token(variables: Vec<(String, String)>) -> Option<SecretString> {
    let mut values = variables.into_iter().map(|(_, value)| value);
    values.find(|value| qd_gateway::runs::is_token(value)).map(SecretString::from)
}

/// What it reaches. Where the network is to be cut and there is no socket, it reaches nothing.
fn network(walls: &AgentWalls, forward: Option<(PathBuf, u16)>, metered: bool) -> Network {
    let closed = match walls.reach {
        Reach::Open => false,
        Reach::Closed => true,
        Reach::Auto => metered || !walls.hosts.is_empty(),
    };
    match forward.filter(|_| closed) {
        Some((socket, port)) => Network::Forward { socket, port },
        None if closed => Network::Closed,
        None => Network::Open,
    }
}

/// The variables that tell programs of the proxy, where there is one.
fn proxy(walls: &AgentWalls, network: &Network) -> Vec<(&'static str, String)> {
    let Network::Forward { port, .. } = network else { return Vec::new() };
    if walls.hosts.is_empty() {
        return Vec::new();
    }
    let direct = ["NO_PROXY", "no_proxy"].map(|name| (name, "localhost,127.0.0.1,::1".to_owned()));
    let proxied = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"];
    proxied.map(|name| (name, format!("http://127.0.0.1:{port}"))).into_iter().chain(direct).collect()
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Programs and toolchains that lie where what works within walls would see nothing of them: in a home, or below a temporary
/// folder.
pub fn programs(home: &Path) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let unseen = |path: &PathBuf| ["/tmp", "/var/tmp"].iter().any(|fresh| path.starts_with(fresh));
    let folders = std::env::split_paths(&path).filter(|folder| folder.starts_with(home) || unseen(folder));
    let beside = |folder: PathBuf| {
        // A program in `bin` may be a link into `lib` beside it.
        let lib = folder.ends_with("bin").then(|| folder.with_file_name("lib"));
        std::iter::once(folder).chain(lib)
    };
    let mut all: Vec<PathBuf> = folders.flat_map(beside).collect();
    all.extend(TOOLCHAINS.iter().map(|name| home.join(name)));
    all.extend(TOOLCHAIN_VARS.iter().filter_map(std::env::var_os).map(PathBuf::from));
    all.extend(std::env::current_exe());
    all
}
