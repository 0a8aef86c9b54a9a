//! How a session begins: the handshake, the old session or a new one, and its model and mode.

use std::{collections::BTreeMap, path::Path, time::Duration};

use agent_client_protocol::{
    Agent, Error,
    schema::ProtocolVersion,
    v1::{
        ConnectionTo,
        schema::{
            ClientCapabilities, EnvVariable, FileSystemCapabilities, HttpHeader, Implementation,
            InitializeRequest, InitializeResponse, LoadSessionRequest, McpServer as WireServer,
            McpServerHttp, McpServerStdio, NewSessionRequest, ResumeSessionRequest, SessionConfigKind,
            SessionConfigOption, SessionConfigOptionCategory, SessionConfigSelectOptions, SessionId,
            SessionModeState, SetSessionConfigOptionRequest, SetSessionModeRequest,
        },
    },
};
use qd_types::RunId;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    driver::{Driver, TurnError},
    error::AcpError,
};

/// How long the handshake may take: a Node program with a cold cache needs seconds.
pub(super) const HELLO: Duration = Duration::from_secs(60);

/// How long a session may take to begin: its MCP servers are started in it.
const OPEN: Duration = Duration::from_secs(120);

/// An MCP server that a session gets.
#[derive(Debug, Clone)]
pub enum McpServer {
    /// A program that speaks MCP on its standard streams. The agent starts it.
    Stdio {
        /// Its name, as the agent shows it.
        name: String,
        /// The program, as an absolute path.
        command: std::path::PathBuf,
        /// Its arguments.
        args: Vec<String>,
        /// Its environment, besides the agent's. The values never reach the transcript.
        env: BTreeMap<String, SecretString>,
    },
    /// A server that speaks streamable HTTP.
    Http {
        /// Its name, as the agent shows it.
        name: String,
        /// Where it is.
        url: String,
        /// What every request carries. The values never reach the transcript.
        headers: BTreeMap<String, SecretString>,
    },
}

impl McpServer {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Stdio { name, .. } | Self::Http { name, .. } => name,
        }
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        match self {
            Self::Stdio { env: secrets, .. } | Self::Http { headers: secrets, .. } => secrets.values(),
        }
    }

    /// Our own program may have another command line inside of walls.
    pub(super) fn start_within(&mut self, launch: &qd_sandbox::Launch) {
        if let (Self::Stdio { command, args, .. }, Some((own, inside))) = (self, &launch.ours)
            && own == command
            && let Some((first, more)) = inside.split_first()
        {
            *command = first.into();
            args.splice(0..0, more.iter().cloned());
        }
    }

    fn wire(&self) -> WireServer {
        match self {
            Self::Stdio { name, command, args, env } => {
                let variable =
                    |(name, value): (&String, &SecretString)| EnvVariable::new(name, value.expose_secret());
                let server = McpServerStdio::new(name, command).args(args.clone());
                WireServer::Stdio(server.env(env.iter().map(variable).collect()))
            }
            Self::Http { name, url, headers } => {
                let header =
                    |(name, value): (&String, &SecretString)| HttpHeader::new(name, value.expose_secret());
                WireServer::Http(McpServerHttp::new(name, url).headers(headers.iter().map(header).collect()))
            }
        }
    }
}

/// Names the MCP servers of a run: the board's always, others by policy.
pub trait McpServers: Send + Sync {
    /// The servers that a session of this run gets.
    fn of_run(&self, run: &RunId) -> Vec<McpServer>;
}

impl McpServers for Vec<McpServer> {
    fn of_run(&self, _: &RunId) -> Vec<McpServer> {
        self.clone()
    }
}

/// What a session is to be.
pub(super) struct Wanted<'a> {
    pub(super) cwd: &'a Path,
    pub(super) servers: Vec<McpServer>,
    /// The session to go on with.
    pub(super) old: Option<&'a SessionId>,
    /// What the registry says the agent can do.
    pub(super) resume: bool,
    pub(super) load: bool,
    /// Whether reading and writing of files is offered to it.
    pub(super) files: bool,
    pub(super) model: Option<&'a str>,
    pub(super) mode: Option<&'a str>,
}

/// How a session began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Begun {
    /// There was none before.
    New,
    /// The old one goes on.
    GoesOn,
    /// The old one could not go on, for this reason.
    Anew(String),
}

/// What can be set in a session.
#[derive(Default)]
struct Settings {
    options: Vec<SessionConfigOption>,
    modes: Option<SessionModeState>,
}

/// The handshake. Version 1 is asked for; the link lets version 2 pass if it has the shape of version 1.
pub(crate) fn hello(
    to: &ConnectionTo<Agent>,
    files: bool,
) -> impl Future<Output = Result<InitializeResponse, Error>> + use<> {
    let fs = FileSystemCapabilities::new().read_text_file(files).write_text_file(files);
    let request = InitializeRequest::new(ProtocolVersion::V1)
        .client_capabilities(ClientCapabilities::new().fs(fs))
        .client_info(Implementation::new("quarterdeck", env!("CARGO_PKG_VERSION")));
    to.send_request(request).block_task()
}

impl Driver<'_> {
    /// Begins the session: the old one if it can go on, else a new one.
    pub(super) async fn begin(&mut self, wanted: &Wanted<'_>) -> Result<(SessionId, Begun), TurnError> {
        let hello = hello(&self.link.to, wanted.files);
        let can = self.answered("initialize", hello, HELLO).await?.agent_capabilities;
        let (mut servers, left_out): (Vec<_>, Vec<_>) =
            wanted.servers.iter().partition(|server| match server {
                McpServer::Stdio { .. } => true,
                McpServer::Http { .. } => can.mcp_capabilities.http,
            });
        if let Some(server) = left_out.first() {
            let wanted = format!("{} over HTTP", server.name());
            return Err(AcpError::NotOffered { what: "MCP", wanted, offered: Vec::new() }.into());
        }
        let servers: Vec<WireServer> = servers.drain(..).map(McpServer::wire).collect();
        let mut why = None;
        if let Some(old) = wanted.old {
            let resume = wanted.resume && can.session_capabilities.resume.is_some();
            let load = wanted.load && can.load_session;
            match self.go_on(old, wanted.cwd, &servers, resume, load).await? {
                Ok(settings) => {
                    self.session = Some(old.clone());
                    self.set(old, settings, wanted).await?;
                    return Ok((old.clone(), Begun::GoesOn));
                }
                Err(reason) => why = Some(reason),
            }
        }
        let new = NewSessionRequest::new(wanted.cwd).mcp_servers(servers);
        let new = self.request("session/new", new, OPEN).await?;
        let session = new.session_id;
        self.session = Some(session.clone());
        let settings = Settings { options: new.config_options.unwrap_or_default(), modes: new.modes };
        self.set(&session, settings, wanted).await?;
        Ok((session, why.map_or(Begun::New, Begun::Anew)))
    }

    /// Resumes the old session, or loads it. An agent that says it can and then fails is believed the failure.
    async fn go_on(
        &mut self,
        old: &SessionId,
        cwd: &Path,
        servers: &[WireServer],
        resume: bool,
        load: bool,
    ) -> Result<Result<Settings, String>, TurnError> {
        let mut why = "it can neither resume nor load a session".to_owned();
        if resume {
            let request = ResumeSessionRequest::new(old.clone(), cwd).mcp_servers(servers.to_vec());
            match self.request("session/resume", request, OPEN).await {
                Ok(answer) => {
                    let options = answer.config_options.unwrap_or_default();
                    return Ok(Ok(Settings { options, modes: answer.modes }));
                }
                Err(TurnError::Acp(error)) => why = error.to_string(),
                Err(other) => return Err(other),
            }
        }
        if load {
            let request = LoadSessionRequest::new(old.clone(), cwd).mcp_servers(servers.to_vec());
            // It tells everything that happened once more.
            self.muted = true;
            let answer = self.request("session/load", request, OPEN).await;
            self.muted = false;
            match answer {
                Ok(answer) => {
                    let options = answer.config_options.unwrap_or_default();
                    return Ok(Ok(Settings { options, modes: answer.modes }));
                }
                Err(TurnError::Acp(error)) => why = error.to_string(),
                Err(other) => return Err(other),
            }
        }
        Ok(Err(why))
    }

    /// Sets model and mode. What is not offered is an error: nobody should believe that it is so.
    async fn set(
        &mut self,
        session: &SessionId,
        mut has: Settings,
        wanted: &Wanted<'_>,
    ) -> Result<(), TurnError> {
        if let Some(model) = wanted.model {
            let category = SessionConfigOptionCategory::Model;
            match find(&has.options, &category, "model") {
                Some(option) => has.options = self.choose(session, option, "model", model).await?,
                None => return Err(not_offered("model", model, Vec::new())),
            }
        }
        if let Some(mode) = wanted.mode {
            let category = SessionConfigOptionCategory::Mode;
            if let Some(option) = find(&has.options, &category, "mode") {
                self.choose(session, option, "mode", mode).await?;
            } else {
                self.set_mode(session, has.modes, mode).await?;
            }
        }
        Ok(())
    }

    async fn choose(
        &mut self,
        session: &SessionId,
        option: SessionConfigOption,
        what: &'static str,
        wanted: &str,
    ) -> Result<Vec<SessionConfigOption>, TurnError> {
        let values = values(&option);
        let Some((value, _)) = values.iter().find(|(value, name)| value == wanted || name == wanted) else {
            return Err(not_offered(what, wanted, values.into_iter().map(|(value, _)| value).collect()));
        };
        let request = SetSessionConfigOptionRequest::new(session.clone(), option.id.clone(), value.as_str());
        let answer = self.request("session/set_config_option", request, OPEN).await?;
        let now = answer.config_options.iter().find(|now| now.id == option.id).map(current);
        // Some answer with an empty list; what they do list must be what was wanted.
        match now {
            Some(Some(now)) if now != *value => Err(not_offered(what, wanted, vec![now])),
            _ => Ok(answer.config_options),
        }
    }

    async fn set_mode(
        &mut self,
        session: &SessionId,
        modes: Option<SessionModeState>,
        wanted: &str,
    ) -> Result<(), TurnError> {
        let modes = modes.map(|modes| modes.available_modes).unwrap_or_default();
        let Some(mode) = modes.iter().find(|mode| &*mode.id.0 == wanted || mode.name == wanted) else {
            return Err(not_offered(
                "mode",
                wanted,
                modes.iter().map(|mode| mode.id.0.to_string()).collect(),
            ));
        };
        let request = SetSessionModeRequest::new(session.clone(), mode.id.clone());
        self.request("session/set_mode", request, OPEN).await.map(drop)
    }
}

fn not_offered(what: &'static str, wanted: &str, offered: Vec<String>) -> TurnError {
    AcpError::NotOffered { what, wanted: wanted.to_owned(), offered }.into()
}

fn find(
    options: &[SessionConfigOption],
    category: &SessionConfigOptionCategory,
    id: &str,
) -> Option<SessionConfigOption> {
    let by_category = options.iter().find(|option| option.category.as_ref() == Some(category));
    by_category.or_else(|| options.iter().find(|option| &*option.id.0 == id)).cloned()
}

/// The values of an option as (value, name).
fn values(option: &SessionConfigOption) -> Vec<(String, String)> {
    let SessionConfigKind::Select(select) = &option.kind else { return Vec::new() };
    let options: Vec<_> = match &select.options {
        SessionConfigSelectOptions::Ungrouped(options) => options.iter().collect(),
        SessionConfigSelectOptions::Grouped(groups) => {
            groups.iter().flat_map(|group| &group.options).collect()
        }
        _ => Vec::new(),
    };
    options.into_iter().map(|option| (option.value.0.to_string(), option.name.clone())).collect()
}

fn current(option: &SessionConfigOption) -> Option<String> {
    match &option.kind {
        SessionConfigKind::Select(select) => Some(select.current_value.0.to_string()),
        _ => None,
    }
}
