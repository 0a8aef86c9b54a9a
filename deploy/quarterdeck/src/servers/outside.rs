//! A server of somebody else: how it is started, and what of it is served. It runs outside the agent's sandbox, with a home
//! of its own, and its tools go through the guard.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use qd_config::{McpLimits, McpServer, Sandbox};
use qd_guard::{
    Limits,
    proxy::{Mapping, Pins, Proxy},
    reach::{Reach, SystemNames},
};
use secrecy::SecretString;
use tokio::process::Child;

use super::walled::{self, Wanted};

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
    /// Whether its address may be one of this computer or its networks.
    pub private: bool,
    /// The variable of this environment that holds its token.
    pub bearer: Option<String>,
    /// What the fleet says of its tools.
    pub mapping: Mapping,
    /// How much a caller may ask of it.
    pub limits: Limits,
}

impl Outside {
    /// One that is given nothing.
    pub fn new(name: String, way: Way) -> Self {
        let (mapping, limits) = (Mapping::default(), Limits::default());
        Self {
            name,
            way,
            passed: Vec::new(),
            write: Vec::new(),
            private: false,
            bearer: None,
            mapping,
            limits,
        }
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
            private: server.allow_private,
            bearer: server.bearer.clone(),
            mapping: mapping(server),
            limits: limits(server.limits),
            ..Self::new(name.to_owned(), way)
        })
    }

    /// Starts it, or reaches it, and looks at its tools. Its home is in `place`. The error is a sentence without its stop.
    pub async fn connect(
        &self,
        place: &Path,
        sandbox: &Sandbox,
        state: &Path,
        pins: Pins,
    ) -> Result<Connected, String> {
        let failed = |error: &dyn fmt::Display| format!("{} can't be started: {error}", self.name);
        let mapping = self.mapping.clone();
        let (command, args, env) = match &self.way {
            Way::Program { command, args, env } => (command, args, env),
            Way::Url(url) => {
                let reach = Reach::new(url, self.private, &SystemNames).await;
                let transport = reach.map_err(|error| failed(&error))?.transport(self.bearer()?.as_ref());
                let begun = Proxy::connect(&self.name, transport, pins, mapping);
                return Ok(Connected { proxy: self.begins(begun).await?, _child: None });
            }
        };
        let wanted = Wanted {
            name: &self.name,
            command: std::iter::once(command).chain(args).map(OsString::from).collect(),
            passed: &self.passed,
            set: env.clone(),
            read: &[],
            write: &self.write,
        };
        let started = walled::start(sandbox, state, &wanted, place).await;
        let mut child = started.map_err(|error| failed(&error))?;
        let (Some(reader), Some(writer)) = (child.stdout.take(), child.stdin.take()) else {
            return Err(failed(&"its standard input and output can't be had"));
        };
        let begun = Proxy::connect(&self.name, (reader, writer), pins, mapping);
        Ok(Connected { proxy: self.begins(begun).await?, _child: Some(child) })
    }

    async fn begins<E: fmt::Display>(
        &self,
        begun: impl Future<Output = Result<Proxy, E>>,
    ) -> Result<Proxy, String> {
        let failed = |error: &dyn fmt::Display| format!("{} can't be started: {error}", self.name);
        match tokio::time::timeout(BEGIN, begun).await {
            Ok(begun) => begun.map_err(|error| failed(&error)),
            Err(_) => Err(failed(&format!("it said nothing for {} s", BEGIN.as_secs()))),
        }
    }

    /// What it is given that must not reach a client, whatever it looks like.
    pub fn secrets(&self) -> Vec<SecretString> {
        let given = match &self.way {
            Way::Program { env, .. } => env.values().cloned().collect(),
            Way::Url(_) => Vec::new(),
        };
        let named = self.passed.iter().chain(&self.bearer).filter_map(|name| std::env::var(name).ok());
        secrets(named.chain(given))
    }

    /// The token that it is shown, if it wants one.
    fn bearer(&self) -> Result<Option<SecretString>, String> {
        let Some(name) = &self.bearer else { return Ok(None) };
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        value.map(|value| Some(value.into())).ok_or_else(|| format!("{name} is not set, for {}", self.name))
    }
}

/// A server that runs. It ends when this is dropped.
pub struct Connected {
    /// Its tools.
    pub proxy: Proxy,
    _child: Option<Child>,
}

/// Bytes from which on a variable's value may be a secret. One that is shorter stands everywhere in what tools say.
const SHORTEST_SECRET: usize = 8;

/// Those values that may be secrets: neither short, nor a place on this computer.
pub fn secrets(values: impl IntoIterator<Item = String>) -> Vec<SecretString> {
    let is_place = |value: &str| value.starts_with('/') && Path::new(value).exists();
    let may_be = |value: &String| value.len() >= SHORTEST_SECRET && !is_place(value);
    values.into_iter().filter(may_be).map(SecretString::from).collect()
}

/// What a configuration says of a server's tools.
pub fn mapping(server: &McpServer) -> Mapping {
    Mapping {
        tiers: server.tiers.clone(),
        targets: server.targets.clone(),
        per_minute: server.per_minute.clone(),
    }
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

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn what_the_configuration_says_of_single_tools_holds() {
        let server = McpServer {
            command: Some("npx".to_owned()),
            per_minute: [("read_file".to_owned(), 30)].into(),
            ..McpServer::default()
        };
        let outside = Outside::configured("files", &server).unwrap();
        assert_eq!(outside.mapping.per_minute, server.per_minute);
    }

    #[test]
    fn what_a_server_is_given_is_a_secret_where_it_may_be_one() {
        let given = ["violet horses swim", "true", "/tmp", "/no/such/place"].map(str::to_owned);
        let env = given.into_iter().enumerate().map(|(at, value)| (format!("V{at}"), value)).collect();
        let way = Way::Program { command: "sh".to_owned(), args: Vec::new(), env };
        let secrets = Outside::new("files".to_owned(), way).secrets();
        let known: Vec<&str> = secrets.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(known, ["violet horses swim", "/no/such/place"]);
    }
}
