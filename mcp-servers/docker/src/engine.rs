//! The engine: the one connection, and what its errors come to. An error in looking is a no; an error in changing that the
//! engine did not say itself can't be told.

use std::error::Error as _;

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error};
use qd_guard::Fault;
use tokio::sync::OnceCell;

use crate::Config;

/// Seconds that the engine has to begin an answer.
const TIMEOUT: u64 = 120;

/// Longest part of an engine's message that is handed on, in characters.
const SAID: usize = 300;

/// The engine, and what may be asked of it.
pub(crate) struct Engine {
    pub(crate) config: Config,
    docker: OnceCell<Docker>,
}

impl Engine {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, docker: OnceCell::new() }
    }

    /// The connection. Every request opens its own, so that it outlives a restart of the engine.
    pub(crate) async fn docker(&self) -> Result<&Docker, Fault> {
        self.docker
            .get_or_try_init(|| async {
                let socket = self.config.socket.to_string_lossy();
                let docker = Docker::connect_with_unix(&socket, TIMEOUT, API_DEFAULT_VERSION)?;
                docker.negotiate_version().await
            })
            .await
            .map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &Error) -> Fault {
        Fault::failed(
            format!("The engine at {} can't be reached: {}.", self.config.socket.display(), whole(error)),
            "A person has to start it (systemctl start docker), let this user use its socket, or name another socket in [mcp.docker].",
        )
    }

    /// An error in looking at something, named as `kind` and `name`.
    pub(crate) fn looking(&self, kind: &str, name: &str, error: &Error) -> Fault {
        match error {
            Error::DockerResponseServerError { status_code: 404, .. } => Fault::failed(
                format!("There is no {kind} {name} here."),
                format!("List the {kind}s, and take one of those."),
            ),
            Error::DockerResponseServerError { status_code, message } => Fault::failed(
                format!("The engine refused to show the {kind} {name} ({status_code}): {}", cut(message)),
                "Look at what it says, and call again.",
            ),
            error => self.unreachable(error),
        }
    }

    /// An error in changing something.
    pub(crate) fn changing(&self, doing: &str, error: &Error) -> Fault {
        match error {
            Error::DockerResponseServerError { status_code, message } => Fault::failed(
                format!("The engine did not {doing} ({status_code}): {}", cut(message)),
                "Look at the container and at what the engine says, and call again.",
            ),
            Error::DockerStreamError { error } => Fault::failed(
                format!("The engine did not {doing}: {}", cut(error)),
                "Look at what the engine says, and call again.",
            ),
            error => Fault::unsure(
                format!("Whether the engine did {doing} can't be told: {}.", whole(error)),
                "Look at it with inspect before anything is tried again.",
            ),
        }
    }
}

/// Whether it says that there is no such thing.
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// What an engine says may hold what others wrote: one line, cut.
fn cut(message: &str) -> String {
    let line: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID).collect();
    format!("\"{line}\".")
}

/// An error with its causes: the first one alone rarely says what happened.
fn whole(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.chars().take(SAID).collect()
}
