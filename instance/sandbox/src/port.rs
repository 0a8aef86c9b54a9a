//! The port: what is to be run, the command line that runs it within walls, and what these prevent. Not supervision:
//! whoever starts the command line watches and ends it like every other process.

use std::{ffi::OsString, fmt, path::PathBuf};

use async_trait::async_trait;
use qd_types::{InstanceName, RunId};
use serde::{Deserialize, Serialize};

/// Which adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No walls.
    None,
    /// Writes are confined by the kernel's Landlock; nothing is hidden, and no network is cut.
    Landlock,
    /// Namespaces, made by `bwrap`.
    Bubblewrap,
    /// A container of a Docker engine.
    Docker,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Landlock => "landlock",
            Self::Bubblewrap => "bubblewrap",
            Self::Docker => "docker",
        })
    }
}

/// What an adapter prevents, so that a policy can ask for it and people can be told. All false: nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prevents {
    /// Writing outside of what is let through.
    pub writes: bool,
    /// Reading our state and people's homes.
    pub reads: bool,
    /// Reaching our sockets in the file system.
    pub sockets: bool,
    /// Reaching any network, if the spec says so.
    pub network: bool,
    /// Seeing, signalling and outliving: no process escapes the end of its sandbox.
    pub escape: bool,
    /// Taking all memory and all process ids of the machine.
    pub hogging: bool,
}

impl fmt::Display for Prevents {
    /// "writes elsewhere, our sockets", or "nothing".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.writes, "writes elsewhere"),
            (self.reads, "reads of our state and of homes"),
            (self.sockets, "our sockets"),
            (self.network, "the network where it is cut"),
            (self.escape, "processes that stay"),
            (self.hogging, "taking all memory or processes"),
        ];
        let named: Vec<&str> = all.into_iter().filter(|(yes, _)| *yes).map(|(_, name)| name).collect();
        f.write_str(&if named.is_empty() { "nothing".to_owned() } else { named.join(", ") })
    }
}

/// How much a sandbox may take. None: no limit of ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory: of all processes together in a container, of each one elsewhere.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Thousandths of a processor; only containers have it.
    pub millicpus: Option<u64>,
}

/// What it reaches over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// All that this computer reaches.
    Open,
    /// Nothing.
    Closed,
    /// One Unix socket, as a loopback port of its own. Our program stands in between, see [`crate::forward`].
    Forward {
        /// The socket outside.
        socket: PathBuf,
        /// The port inside.
        port: u16,
    },
}

/// What is to be run. Everything is an absolute path of this machine, and has the same path inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Whose.
    pub instance: InstanceName,
    /// For which run.
    pub run: RunId,
    /// Where it works. It may write there, unless `read` names it.
    pub cwd: PathBuf,
    /// The folder that holds a home of its own. It may write there; a container's home is kept nowhere.
    pub home: PathBuf,
    /// Where it sees that home: where ours is, so that programs find what they look for, and not what is ours.
    pub home_at: PathBuf,
    /// What else it may write: folders and files. What is not there is left out.
    pub write: Vec<PathBuf>,
    /// What it may read though it lies where it sees nothing: the git folder, toolchains.
    pub read: Vec<PathBuf>,
    /// What must be invisible, where that can be: state folders. What `cwd`, `write` and `read` name within stays visible.
    pub hidden: Vec<PathBuf>,
    /// How much it may take.
    pub limits: Limits,
    /// What it reaches.
    pub network: Network,
    /// Which turn of the run, where what works on it may be taken over by a later program. Others are only removed.
    pub turn: Option<String>,
    /// What works on it already and is to be taken over, as [`Found::id`] has it.
    pub adopt: Option<String>,
}

impl Spec {
    /// Whether it may write where it works.
    pub fn writes_cwd(&self) -> bool {
        !self.read.contains(&self.cwd)
    }

    /// What it may write.
    pub fn writable(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.cwd).filter(|_| self.writes_cwd()).chain(&self.write)
    }
}

/// The start of a command line. The program and its arguments follow; it has the environment, the standard streams and
/// the exit code of what is started. It works in the spec's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    /// Program and arguments. Empty: the program is started as it is.
    pub argv: Vec<OsString>,
    /// Whether the program is looked for inside, and not on this machine.
    pub elsewhere: bool,
    /// Our own program, where it is not started by its path inside, but by another command line.
    pub ours: Option<(PathBuf, Vec<String>)>,
}

/// Where something of ours was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What the adapter calls it.
    pub id: String,
    /// The run that it works for.
    pub run: RunId,
    /// Whether it works.
    pub running: bool,
    /// The turn that it may be taken over for.
    pub turn: Option<String>,
}

/// Why there are no walls.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// It is not there now: a clear state, and no fault of what was to be run.
    #[error("{kind} can't be used here: {reason}")]
    Unavailable {
        /// Which adapter.
        kind: Kind,
        /// What is missing, and the way out.
        reason: String,
    },
    /// It is there, and refused.
    #[error("{kind} could not {doing}: {source}")]
    Failed {
        /// Which adapter.
        kind: Kind,
        /// What was tried.
        doing: &'static str,
        /// Its answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Walls around what runs for a team.
#[async_trait]
pub trait Sandbox: fmt::Debug + Send + Sync {
    /// Which adapter.
    fn kind(&self) -> Kind;

    /// Whether it works here and now, and what it prevents then.
    async fn probe(&self) -> Result<Prevents, SandboxError>;

    /// The command line that runs something within walls. It makes what must be there: the home.
    fn launch(&self, spec: &Spec) -> Result<Launch, SandboxError>;

    /// What is there of this instance without a process of ours that holds it. Adapters whose sandboxes end with their
    /// processes find nothing.
    async fn find(&self, _: &InstanceName) -> Result<Vec<Found>, SandboxError> {
        Ok(Vec::new())
    }

    /// The variables that something found was started with: what it holds of ours goes on being good.
    async fn told(&self, _: &str) -> Result<Vec<(String, String)>, SandboxError> {
        Ok(Vec::new())
    }

    /// Ends and removes what is there of this instance and whose run is not kept. Says what it removed.
    async fn reap(
        &self,
        _: &InstanceName,
        _: &(dyn for<'a> Fn(&'a RunId) -> bool + Send + Sync),
    ) -> Result<Vec<Found>, SandboxError> {
        Ok(Vec::new())
    }
}

/// Our own program, which puts limits and walls around itself and becomes another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds(pub PathBuf);

impl Bounds {
    /// `quarterdeck confine --memory BYTES --processes COUNT`, without the walls and the program.
    pub(crate) fn argv(&self, limits: &Limits) -> Vec<OsString> {
        let mut argv: Vec<OsString> = vec![self.0.clone().into(), "confine".into()];
        for (flag, limit) in [("--memory", limits.memory), ("--processes", limits.processes)] {
            if let Some(limit) = limit {
                argv.extend([flag.into(), limit.to_string().into()]);
            }
        }
        argv
    }

    /// `quarterdeck forward --port PORT SOCKET --`.
    pub(crate) fn forward(&self, network: &Network) -> Vec<OsString> {
        let Network::Forward { socket, port } = network else { return Vec::new() };
        let port = port.to_string().into();
        vec![self.0.clone().into(), "forward".into(), "--port".into(), port, socket.into(), "--".into()]
    }
}

/// No walls: limits on what it takes, and no new privileges. It prevents nothing, and says so.
#[derive(Debug, Clone)]
pub struct Unwalled(pub Bounds);

#[async_trait]
impl Sandbox for Unwalled {
    fn kind(&self) -> Kind {
        Kind::None
    }

    async fn probe(&self) -> Result<Prevents, SandboxError> {
        Ok(Prevents::default())
    }

    fn launch(&self, spec: &Spec) -> Result<Launch, SandboxError> {
        let mut argv = self.0.argv(&spec.limits);
        argv.extend(["--no-walls".into(), "--".into()]);
        Ok(Launch { argv, ..Launch::default() })
    }
}
