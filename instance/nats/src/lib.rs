#![doc = include_str!("../README.md")]

mod carrier;
mod names;
mod serve;

use std::path::PathBuf;

use async_nats::ConnectOptions;

pub use carrier::NatsCarrier;
pub use names::Names;
pub use serve::NatsServer;

/// Where the server is, and as whom one speaks to it.
#[derive(Clone)]
pub struct Server {
    /// `nats://host:4222`, or `tls://…`.
    pub url: String,
    /// The user of the server's configuration: `bot`, or the instance's name.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Certificates that are trusted beside the system's, PEM.
    pub roots: Option<PathBuf>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("url", &self.url).field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why it does not work.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// A name that can't be a part of a subject.
    #[error("{0:?} can't be a part of a subject: it may hold letters, digits, - and _")]
    Name(String),
    /// The server can't be reached, or refuses.
    #[error("the NATS server at {url}: {problem}")]
    Server {
        /// Where.
        url: String,
        /// What it says.
        problem: String,
    },
}

impl Server {
    /// Connects; what is asked of a server that is away waits until it is back.
    async fn connect(&self, inbox: String) -> Result<async_nats::Client, NatsError> {
        let mut options = ConnectOptions::with_user_and_password(self.user.clone(), self.password.clone())
            .name(format!("quarterdeck {}", self.user))
            .custom_inbox_prefix(inbox)
            .retry_on_initial_connect();
        if let Some(roots) = &self.roots {
            options = options.add_root_certificates(roots.clone());
        }
        options.connect(&self.url).await.map_err(|error| self.failed(error))
    }

    fn failed(&self, problem: impl std::fmt::Display) -> NatsError {
        NatsError::Server { url: self.url.clone(), problem: problem.to_string() }
    }
}

/// The header of a call that is for orders.
const ORDERS: &str = "Quarterdeck-Orders";
/// The header of a call by which its answer is found.
const TOKEN: &str = "Quarterdeck-Token";
/// The header of an answer that is an unsigned refusal.
const REFUSED: &str = "Quarterdeck-Refused";
/// The header of an order: its epoch and number.
const PLACE: &str = "Quarterdeck-Place";
