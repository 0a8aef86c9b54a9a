//! The server: where it is, as whom one speaks to it, and why it does not work. Whatever goes wrong with it is said here in the
//! same words, whoever finds it out.

use std::{
    fmt, io,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use async_nats::{
    Client, ClientError, ConnectErrorKind, ConnectOptions, Event, RequestErrorKind, ServerError,
    jetstream::{
        self, ErrorCode,
        context::{CreateStreamError, CreateStreamErrorKind, PublishError, PublishErrorKind},
    },
    rustls,
};

use crate::{Names, UserKey, names::token};

/// Where a bot behind a NATS server is: `tls://nats.example.org:4222/home` is the fleet `home` there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The server: `tls://nats.example.org:4222`, or `nats://…` where the way is trusted to be private.
    pub url: String,
    /// The fleet.
    pub fleet: String,
}

impl Address {
    /// Whether an address of a bot is one behind a NATS server.
    pub fn is_one(text: &str) -> bool {
        text.starts_with("nats://") || text.starts_with("tls://")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.url, self.fleet)
    }
}

impl FromStr for Address {
    type Err = NatsError;
    fn from_str(text: &str) -> Result<Self, NatsError> {
        let wrong = || NatsError::Address(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (host, fleet) = rest.split_once('/').ok_or_else(wrong)?;
        if !Self::is_one(text) || host.is_empty() || host.contains('@') {
            return Err(wrong());
        }
        let fleet = token(fleet).map_err(|_| wrong())?.to_owned();
        Ok(Self { url: format!("{scheme}://{host}"), fleet })
    }
}

/// Where the server is, and as whom one speaks to it.
#[derive(Debug, Clone)]
pub struct Server {
    /// `nats://host:4222`, or `tls://…`.
    pub url: String,
    /// `bot`, or the instance's name: inboxes are called by it.
    pub user: String,
    /// By which the server knows them.
    pub key: UserKey,
    /// A file (PEM) with the certificates of the authorities that are believed in place of the system's.
    pub ca: Option<PathBuf>,
}

/// Why it does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NatsError {
    /// A name that can't be a part of a subject.
    #[error("{0:?} can't be a part of a subject: it may hold letters, digits, - and _")]
    Name(String),
    /// No address.
    #[error("{0:?} is no address of a NATS server and a fleet, like tls://nats.example.org:4222/home")]
    Address(String),
    /// A key can't be had.
    #[error("the key for the NATS server can't be used: {0}")]
    Key(String),
    /// Nobody is there.
    #[error("the NATS server at {url} can't be reached ({problem}): see whether it runs there")]
    Away {
        /// Where.
        url: String,
        /// What was tried last.
        problem: String,
    },
    /// Whoever is there may be somebody else.
    #[error(
        "the NATS server at {url} is not believed to be it ({problem}). Where its certificate is of an authority of your own, \
         name the file with that authority's certificate: hub.nats_ca where the bot runs, quarterdeck instance join --ca FILE \
         for a team"
    )]
    Unbelieved {
        /// Where.
        url: String,
        /// What is wrong with its certificate.
        problem: String,
    },
    /// It does not know the user.
    #[error(
        "the NATS server at {url} does not know {user} by the key {nkey}: put what quarterdeck bot nats-user prints for it \
         into the server's configuration, and reload that"
    )]
    Refused {
        /// Where.
        url: String,
        /// Who.
        user: String,
        /// Their public key.
        nkey: String,
    },
    /// It knows the user, who may not do this.
    #[error(
        "the NATS server at {url} says to {user}: {what}. Give it all that quarterdeck bot nats-user prints, and reload the \
         server's configuration"
    )]
    NotPermitted {
        /// Where.
        url: String,
        /// Who.
        user: String,
        /// What the server says.
        what: String,
    },
    /// It keeps nothing.
    #[error(
        "the NATS server at {url} has no JetStream: put a jetstream block into its configuration, as \
         deploy/nats/nats-server.conf has one, and start it again"
    )]
    NoJetStream {
        /// Where.
        url: String,
    },
    /// It has JetStream, and nothing of this fleet.
    #[error(
        "the NATS server at {url} keeps nothing for this fleet: its bot sees to that when it starts, if hub.nats names this \
         server, and the server needs JetStream"
    )]
    NoStream {
        /// Where.
        url: String,
    },
    /// Anything else that the server says.
    #[error("the NATS server at {url}: {problem}")]
    Server {
        /// Where.
        url: String,
        /// What it says.
        problem: String,
    },
}

impl Server {
    /// Connects now, or not at all.
    async fn reach(&self) -> Result<Client, NatsError> {
        self.options().connect(&self.url).await.map_err(|error| match error.kind() {
            ConnectErrorKind::AuthorizationViolation => self.refused(),
            ConnectErrorKind::Authentication => NatsError::Key(error.to_string()),
            _ => match unbelieved(&error) {
                Some(problem) => NatsError::Unbelieved { url: self.url.clone(), problem },
                None => self.away(causes(&error)),
            },
        })
    }

    /// Connects, now or later: what is asked of a server that is away waits until it is back. What is wrong with it stands in
    /// `trouble`. With `at_once`, one that is away now is an error.
    pub(crate) async fn connect(&self, trouble: &Trouble, at_once: bool) -> Result<Client, NatsError> {
        if at_once {
            // What a first try finds out is said better than by the ones that follow.
            self.reach().await?;
        }
        trouble.set(self.away("it was not reached yet"));
        let (server, noted) = (self.clone(), trouble.clone());
        let options = self.options().retry_on_initial_connect().event_callback(move |event| {
            server.note(&noted, event);
            std::future::ready(())
        });
        options.connect(&self.url).await.map_err(|error| self.away(causes(&error)))
    }

    fn options(&self) -> ConnectOptions {
        let options = ConnectOptions::with_nkey(self.key.seed().to_owned())
            .name(format!("quarterdeck {}", self.user))
            .custom_inbox_prefix(Names::inbox(&self.user));
        match &self.ca {
            Some(ca) => options.add_root_certificates(ca.clone()),
            None => options,
        }
    }

    fn note(&self, trouble: &Trouble, event: Event) {
        let refused = ConnectErrorKind::AuthorizationViolation.to_string();
        match event {
            Event::Connected => trouble.clear(),
            Event::Disconnected | Event::Closed => trouble.set(self.away("the connection broke")),
            Event::ServerError(ServerError::AuthorizationViolation) => trouble.set(self.refused()),
            Event::ClientError(ClientError::Other(problem)) if problem == refused => {
                trouble.set(self.refused());
            }
            Event::ClientError(ClientError::Other(problem)) => {
                let silent = problem == ConnectErrorKind::Io.to_string();
                // A certificate that is not believed is an end of the connection like any other, here.
                let believed =
                    if self.url.starts_with("tls://") { ", or its certificate is not believed" } else { "" };
                trouble.set(self.away(if silent { format!("nobody answers{believed}") } else { problem }));
            }
            Event::ClientError(problem) => trouble.set(self.away(problem.to_string())),
            Event::ServerError(ServerError::Other(what)) => {
                trouble.set(NatsError::NotPermitted { url: self.url.clone(), user: self.user.clone(), what });
            }
            Event::ServerError(ServerError::SlowConsumer(_))
            | Event::SlowConsumer(_)
            | Event::LameDuckMode
            | Event::Draining => {}
        }
    }

    fn away(&self, problem: impl Into<String>) -> NatsError {
        NatsError::Away { url: self.url.clone(), problem: problem.into() }
    }

    fn refused(&self) -> NatsError {
        let (url, user) = (self.url.clone(), self.user.clone());
        NatsError::Refused { url, user, nkey: self.key.public().to_owned() }
    }

    pub(crate) fn failed(&self, problem: impl fmt::Display) -> NatsError {
        NatsError::Server { url: self.url.clone(), problem: problem.to_string() }
    }

    fn no_jetstream(&self) -> NatsError {
        NatsError::NoJetStream { url: self.url.clone() }
    }

    pub(crate) fn not_made(&self, error: &CreateStreamError) -> NatsError {
        match error.kind() {
            CreateStreamErrorKind::JetStreamUnavailable => self.no_jetstream(),
            CreateStreamErrorKind::JetStream(error) if is_off(&error) => self.no_jetstream(),
            _ => self.failed(error),
        }
    }

    pub(crate) fn not_stored(&self, error: &PublishError) -> NatsError {
        match error.kind() {
            PublishErrorKind::StreamNotFound => NatsError::NoStream { url: self.url.clone() },
            _ => self.failed(error),
        }
    }
}

fn is_off(error: &jetstream::Error) -> bool {
    [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT]
        .contains(&error.error_code())
}

/// What is wrong with the certificate of whoever answered, if it is that.
fn unbelieved(error: &dyn std::error::Error) -> Option<String> {
    let mut next = error.source();
    while let Some(cause) = next {
        let within = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = within.and_then(|within| within.downcast_ref::<rustls::Error>());
        if let Some(tls @ rustls::Error::InvalidCertificate(_)) = tls {
            return Some(tls.to_string());
        }
        next = cause.source();
    }
    None
}

/// An error and what it came from.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// What is wrong with a connection now. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<NatsError>>>);

impl Trouble {
    fn set(&self, error: NatsError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why something failed: what is wrong with the connection, or else what was found by the failure itself.
    pub(crate) fn explain(&self, found: NatsError) -> NatsError {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or(found)
    }
}

/// Where a server says what JetStream it has.
const INFO: &str = "$JS.API.INFO";

/// Looks whether the bot could use a server: gives its version, in words.
///
/// # Errors
/// If it can't be reached, does not know the bot, or has no JetStream.
pub async fn probe(server: &Server) -> Result<String, NatsError> {
    let client = server.reach().await?;
    let info = client.server_info();
    let answer = client.request(INFO, "".into()).await.map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders => server.no_jetstream(),
        // A request that the user may not make is not answered.
        RequestErrorKind::TimedOut => NatsError::NotPermitted {
            url: server.url.clone(),
            user: server.user.clone(),
            what: format!("nothing, when it asks for {INFO}"),
        },
        _ => server.failed(error),
    })?;
    let said: serde_json::Value =
        serde_json::from_slice(&answer.payload).map_err(|error| server.failed(error))?;
    if said.get("error").is_some() {
        return Err(server.no_jetstream());
    }
    Ok(format!("the NATS server at {}, version {}", server.url, info.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_server_and_a_fleet() {
        let address: Address = "tls://nats.example.org:4222/home".parse().unwrap();
        assert_eq!(address, Address { url: "tls://nats.example.org:4222".into(), fleet: "home".into() });
        assert_eq!(address.to_string(), "tls://nats.example.org:4222/home");
        for wrong in [
            "tls://nats.example.org:4222",
            "https://bot.example.org/home",
            "nats:///home",
            "nats://host:4222/a.b",
            "nats://user:secret@host:4222/home",
            "nats://host:4222/home/more",
            "home",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
