//! Which agents are there: found on `PATH`, their version, and a handshake that asks nothing of a model.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use agent_client_protocol::v1::schema::InitializeResponse;
use async_trait::async_trait;
use qd_types::RunId;
use tokio::time::{Instant, sleep};

use crate::{
    acp::{AcpError, Link, hello},
    process::{
        Environment, Job, KeepError, OnStart, ProcessError, ProcessGroup, Stop, SuperviseError, find_program,
        start, stop, supervise,
    },
    registry::{Entry, Protocol},
    text::{Tail, clean, last_chars},
};

/// How long an agent is given to go away after the handshake.
const LEAVE: Duration = Duration::from_secs(2);

/// So much of a version is shown, in characters.
const VERSION: usize = 80;

/// What was found of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name in the registry.
    pub name: String,
    /// Where its program is. None: it is not installed.
    pub program: Option<PathBuf>,
    /// What it says its version is, at most one line. None if it says nothing of use.
    pub version: Option<String>,
    /// How the handshake went. None for an agent that has none: a command line, or one that is not installed.
    pub handshake: Option<Result<Hello, String>>,
}

/// What an agent says of itself in the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Its name and version, as it says.
    pub agent: Option<String>,
    /// It can resume a session.
    pub resume: bool,
    /// It can load a session. Some say so and fail.
    pub load: bool,
    /// It takes MCP servers over HTTP. Those on standard streams every agent takes.
    pub mcp_http: bool,
    /// It takes images in a prompt.
    pub images: bool,
    /// Ways to log in that it offers.
    pub logins: Vec<String>,
    /// How long the handshake took.
    pub took: Duration,
}

/// Looks at one agent. It gets no task, no token and no MCP server; `folder` is where its process works, an empty one.
/// `model` is the one that is configured for it, if any: some agents do not start without. `limit` bounds each of the two
/// steps.
pub async fn look(name: &str, entry: &Entry, folder: &Path, model: Option<&str>, limit: Duration) -> Found {
    let mut found = Found { name: name.to_owned(), program: None, version: None, handshake: None };
    let Ok(run) = "DOCTOR-1.1".parse::<RunId>() else { return found };
    if entry.command.is_empty() {
        return found;
    }
    let filled = entry.launch().fill(&run, None, model);
    let bare = Environment::new(&run, []);
    let environment = filled.as_ref().map_or(&bare, |filled| &filled.environment);
    let Ok(program) = find_program(&entry.command, folder, environment) else { return found };
    let place = Place { run: &run, program: &program, folder, environment, limit };
    if !entry.version.is_empty() {
        found.version = version(&place, &entry.version).await;
    }
    if entry.protocol == Protocol::Acp {
        let answer = match &filled {
            Ok(filled) => handshake(&place, &filled.args).await.map_err(|error| chain(&error)),
            Err(error) => Err(chain(error)),
        };
        found.handshake = Some(answer);
    }
    found.program = Some(program);
    found
}

struct Place<'a> {
    run: &'a RunId,
    program: &'a Path,
    folder: &'a Path,
    environment: &'a Environment,
    limit: Duration,
}

impl Place<'_> {
    fn job(&self, args: &[String]) -> Job<'_> {
        Job {
            run: self.run,
            program: self.program.as_os_str(),
            args: args.to_vec(),
            cwd: self.folder,
            environment: self.environment,
            stdin: String::new(),
            limit: self.limit,
            confined: None,
        }
    }
}

/// Its process lives for seconds, and ends with the call: nobody has to find it later.
struct NotKept;

#[async_trait]
impl OnStart for NotKept {
    async fn started(&self, _: &ProcessGroup) -> Result<(), KeepError> {
        Ok(())
    }
}

/// The first line that holds a digit.
async fn version(place: &Place<'_>, args: &[String]) -> Option<String> {
    let (_stopper, never) = stop();
    let mut said = None;
    let ended = supervise(place.job(args), &NotKept, never, &mut |_, line| {
        let line = clean(&String::from_utf8_lossy(&line.bytes));
        if said.is_none() && line.contains(|c: char| c.is_ascii_digit()) {
            said = Some(line.trim().chars().take(VERSION).collect());
        }
        Ok::<(), std::convert::Infallible>(())
    })
    .await;
    match ended {
        Ok(crate::process::Ended::Exited(0)) => said,
        Ok(_) | Err(SuperviseError::Process(_) | SuperviseError::Sink(_)) => None,
    }
}

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("its process failed")]
    Process(#[from] ProcessError),
    #[error("no handshake")]
    Acp(#[from] AcpError),
}

async fn handshake(place: &Place<'_>, args: &[String]) -> Result<Hello, HandshakeError> {
    let begun = Instant::now();
    let mut leader = start(&place.job(args))?;
    leader.open().await?;
    let mut link = Link::of(&mut leader.child).await?;
    let mut complained = Tail::new(20, 2000);
    let answer = {
        let answer = hello(&link.to, false);
        let mut answer = std::pin::pin!(answer);
        let limit = sleep(place.limit);
        let mut limit = std::pin::pin!(limit);
        loop {
            tokio::select! {
                answer = &mut answer => break Some(answer),
                () = &mut limit => break None,
                Some(complaint) = link.complaint() => complained.push(&complaint),
            }
        }
    };
    link.hang_up();
    let (_stopper, never): (_, Stop) = stop();
    let left = leader.end(LEAVE, never);
    let mut left = std::pin::pin!(left);
    let ended = loop {
        tokio::select! {
            ended = &mut left => break ended?,
            Some(complaint) = link.complaint() => complained.push(&complaint),
        }
    };
    match answer {
        Some(Ok(answer)) => Ok(told(&answer, begun.elapsed())),
        Some(Err(error)) if agent_client_protocol::is_incoming_transport_closed(&error) => {
            let words = last_chars(&complained.text(), 500).into_owned();
            Err(AcpError::Died { method: "initialize", ended, words }.into())
        }
        Some(Err(error)) => {
            let message = clean(&error.message).chars().take(500).collect();
            Err(AcpError::Refused { method: "initialize", message, code: error.code.into() }.into())
        }
        None => Err(AcpError::Silent { method: "initialize", limit: place.limit }.into()),
    }
}

fn told(answer: &InitializeResponse, took: Duration) -> Hello {
    let can = &answer.agent_capabilities;
    let agent = answer.agent_info.as_ref().map(|info| clean(&format!("{} {}", info.name, info.version)));
    Hello {
        agent,
        resume: can.session_capabilities.resume.is_some(),
        load: can.load_session,
        mcp_http: can.mcp_capabilities.http,
        images: can.prompt_capabilities.image,
        logins: answer.auth_methods.iter().map(|method| clean(method.name())).collect(),
        took,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}
