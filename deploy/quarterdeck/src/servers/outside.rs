//! A server of somebody else: how it is started, and what of it is served. It runs outside the agent's sandbox, with a home
//! of its own, and its tools go through the guard.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use qd_config::{McpLimits, McpServer};
use qd_guard::{
    Limits,
    proxy::{Mapping, Pins, Proxy},
};
use tokio::process::{Child, Command};

/// How long a server has to begin. A package may have to be fetched first.
const BEGIN: Duration = Duration::from_secs(60);

/// The way to it.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// A program on this computer.
    Program {
        /// Which.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Variables that it is given.
        env: BTreeMap<String, String>,
    },
    /// An address.
    Url(String),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { command, args, env } => {
                f.write_str(command)?;
                args.iter().try_for_each(|arg| write!(f, " {arg}"))?;
                env.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
            }
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// A server of somebody else.
#[derive(Debug, Clone, PartialEq)]
pub struct Outside {
    /// What it is called here.
    pub name: String,
    /// The way to it.
    pub way: Way,
    /// Names of variables of this environment that it is given.
    pub passed: Vec<String>,
    /// What it may write, besides its home.
    pub write: Vec<PathBuf>,
    /// What the fleet says of its tools.
    pub mapping: Mapping,
    /// How much a caller may ask of it.
    pub limits: Limits,
}

impl Outside {
    /// One that is given nothing.
    pub fn new(name: String, way: Way) -> Self {
        let (mapping, limits) = (Mapping::default(), Limits::default());
        Self { name, way, passed: Vec::new(), write: Vec::new(), mapping, limits }
    }

    /// One of the configuration; `None` if it comes with the program.
    pub fn configured(name: &str, server: &McpServer) -> Option<Self> {
        let way = match (&server.command, &server.url) {
            (Some(command), _) => {
                Way::Program { command: command.clone(), args: server.args.clone(), env: BTreeMap::new() }
            }
            (None, Some(url)) => Way::Url(url.clone()),
            (None, None) => return None,
        };
        Some(Self {
            passed: server.env.clone(),
            write: server.write.clone(),
            mapping: mapping(server),
            limits: limits(server.limits),
            ..Self::new(name.to_owned(), way)
        })
    }

    /// Starts it, and looks at its tools. The error is a sentence without its stop.
    pub async fn connect(&self, place: &Path, walls: Option<&Path>, pins: Pins) -> Result<Connected, String> {
        let Way::Program { command, args, env } = &self.way else {
            return Err(format!("{} is on the network, and runs are given none of those yet", self.name));
        };
        let failed = |error: &dyn fmt::Display| format!("{} can't be started: {error}", self.name);
        let home = place.join("home");
        std::fs::create_dir_all(&home).map_err(|error| failed(&error))?;
        let mut started = match walls {
            Some(walls) => {
                let mut started = Command::new(walls);
                started.arg("confine");
                for path in std::iter::once(&home).chain(&self.write) {
                    started.arg("--write").arg(path);
                }
                started.arg("--").arg(command);
                started
            }
            None => Command::new(command),
        };
        started.args(args).current_dir(&home).env_clear();
        for name in std::iter::once("PATH").chain(self.passed.iter().map(String::as_str)) {
            if let Some(value) = std::env::var_os(name) {
                started.env(name, value);
            }
        }
        started.envs(env).env("HOME", &home).env("TMPDIR", &home);
        started.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = started.spawn().map_err(|error| failed(&error))?;
        let (Some(reader), Some(writer)) = (child.stdout.take(), child.stdin.take()) else {
            return Err(failed(&"its standard input and output can't be had"));
        };
        let begun = Proxy::connect(&self.name, (reader, writer), pins, self.mapping.clone());
        match tokio::time::timeout(BEGIN, begun).await {
            Ok(Ok(proxy)) => Ok(Connected { proxy, _child: child }),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&format!("it said nothing for {} s", BEGIN.as_secs()))),
        }
    }
}

/// A server that runs. It ends when this is dropped.
pub struct Connected {
    /// Its tools.
    pub proxy: Proxy,
    _child: Child,
}

/// What a configuration says of a server's tools.
pub fn mapping(server: &McpServer) -> Mapping {
    Mapping { tiers: server.tiers.clone(), targets: server.targets.clone() }
}

/// What a configuration lets a run ask of a server.
pub fn limits(limits: McpLimits) -> Limits {
    let usual = Limits::default();
    Limits {
        per_minute: limits.per_minute,
        burst: usual.burst.min(limits.per_minute),
        at_once: limits.at_once as usize,
        ..usual
    }
}
