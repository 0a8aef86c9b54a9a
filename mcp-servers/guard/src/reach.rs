//! The one way out to an address that somebody gave: its name is looked up once, all that it stands for is looked at, and
//! those addresses are what is connected to from then on. A name that answers otherwise later on (DNS rebinding) is not
//! asked again; a redirect to another origin is not followed; no proxy of the environment comes in between.

use std::{
    future::ready,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::{Attempt, Policy},
};
use rmcp::transport::{
    StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use secrecy::{ExposeSecret as _, SecretString};

use crate::safe::is_public;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a document may take.
const TIME: Duration = Duration::from_secs(10);

/// Redirects within the same origin, in a row.
const REDIRECTS: usize = 3;

/// Addresses that a name may stand for.
const ADDRESSES: usize = 16;

/// The one metadata service of a cloud that has no link-local address.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Why an address can't be reached, or may not be.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// It is no address of a server.
    #[error("{address:?} is no address of a server: {problem}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Its name leads nowhere.
    #[error("{host} can't be looked up: {problem}")]
    Unknown {
        /// The name.
        host: String,
        /// What was answered.
        problem: String,
    },
    /// It leads to where nobody is let from here.
    #[error("{host} stands for {address}, which is {what}")]
    Refused {
        /// The name.
        host: String,
        /// The address that it stands for.
        address: IpAddr,
        /// Why that is refused, and the way out if there is one.
        what: &'static str,
    },
    /// It does not answer as it should.
    #[error("{address} can't be read: {problem}")]
    Unread {
        /// Where.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// There is no way to connect.
    #[error("connections can't be made: {0}")]
    Client(String),
}

/// Who knows what a name stands for.
#[async_trait]
pub trait Names: Send + Sync {
    /// All addresses of a name.
    async fn look_up(&self, host: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The names as this computer knows them.
#[derive(Debug, Clone, Copy)]
pub struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn look_up(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// An address that was looked at, and its client, which connects to nothing else.
#[derive(Debug, Clone)]
pub struct Reach {
    url: Url,
    client: Client,
}

impl Reach {
    /// Looks at an address. It has to be one of the public network, over TLS; with `private`, this computer's and the
    /// networks' around it are let through, and these also without TLS. Link-local addresses, where clouds keep their
    /// metadata, never are.
    pub async fn new(address: &str, private: bool, names: &dyn Names) -> Result<Self, ReachError> {
        let wrong =
            |problem: &str| ReachError::Address { address: shown(address), problem: problem.to_owned() };
        let url = Url::parse(address).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(wrong("take one that begins with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a name or password does not belong into it"));
        }
        if url.fragment().is_some() {
            return Err(wrong("leave out what follows the #"));
        }
        let host = url.host_str().ok_or_else(|| wrong("it has no host"))?.to_owned();
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let addresses = match literal {
            Some(literal) => vec![literal],
            None => names
                .look_up(&host)
                .await
                .map_err(|error| ReachError::Unknown { host: shown(&host), problem: error.to_string() })?,
        };
        if addresses.is_empty() || addresses.len() > ADDRESSES {
            let problem = format!("it stands for {} addresses, of 1 to {ADDRESSES}", addresses.len());
            return Err(ReachError::Unknown { host: shown(&host), problem });
        }
        for address in &addresses {
            if let Some(what) = refused(*address, private) {
                return Err(ReachError::Refused { host: shown(&host), address: *address, what });
            }
        }
        if url.scheme() == "http" && addresses.iter().any(|address| is_public(*address)) {
            return Err(wrong("on the public network it takes https://"));
        }
        let pinned = addresses.iter().map(|address| SocketAddr::new(*address, 0)).collect();
        let client = client(Pinned { host, addresses: pinned })?;
        Ok(Self { url, client })
    }

    /// The address, as a connection to it is made.
    pub fn address(&self) -> &str {
        self.url.as_str()
    }

    /// A transport to the server of tools at this address, with a token if it wants one.
    pub fn transport(&self, token: Option<&SecretString>) -> StreamableHttpClientTransport<Client> {
        let mut config = StreamableHttpClientTransportConfig::with_uri(self.address());
        config.auth_header = token.map(|token| token.expose_secret().to_owned());
        StreamableHttpClientTransport::with_client(self.client.clone(), config)
    }

    /// The document at this address, of at most so many bytes.
    pub async fn document(&self, most: usize) -> Result<Vec<u8>, ReachError> {
        let unread = |problem: String| ReachError::Unread { address: self.address().to_owned(), problem };
        let lost = |error: reqwest::Error| unread(whole(&error.without_url()));
        let asked = self.client.get(self.url.clone()).header("Accept", "application/json").timeout(TIME);
        let mut answer = asked.send().await.map_err(lost)?;
        if !answer.status().is_success() {
            return Err(unread(format!("it answers with {}", answer.status())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > most {
                return Err(unread(format!("it is longer than {most} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Why nobody is let to an address, if so.
fn refused(given: IpAddr, private: bool) -> Option<&'static str> {
    let address = real(given);
    let never = match address {
        IpAddr::V4(address) => {
            address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address == Ipv4Addr::UNSPECIFIED
        }
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address.is_multicast()
                || address == Ipv6Addr::UNSPECIFIED
                || address == METADATA_V6
        }
    };
    if never {
        return Some("never that of a server: such addresses are a cloud's metadata, or everybody's");
    }
    (!private && !is_public(given)).then_some(
        "not one of the public network: a person who wants it reached anyway allows private addresses, with --allow-private",
    )
}

/// What is connected to: some addresses of version 6 only carry one of version 4.
fn real(address: IpAddr) -> IpAddr {
    let carried = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match address.to_canonical() {
        IpAddr::V6(address) => match address.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => carried(high, low),
            _ => IpAddr::V6(address),
        },
        address => address,
    }
}

/// Answers for one name, with what it stood for when it was looked at.
struct Pinned {
    host: String,
    addresses: Vec<SocketAddr>,
}

impl Resolve for Pinned {
    fn resolve(&self, name: Name) -> Resolving {
        let is_it = name.as_str().eq_ignore_ascii_case(&self.host);
        let answer = if is_it {
            Ok(Box::new(self.addresses.clone().into_iter()) as Addrs)
        } else {
            Err(format!("nobody looked at {}", shown(name.as_str())).into())
        };
        Box::pin(ready(answer))
    }
}

fn client(names: Pinned) -> Result<Client, ReachError> {
    Client::builder()
        .tls_backend_preconfigured(tls()?)
        .dns_resolver(Arc::new(names))
        .redirect(Policy::custom(within_the_origin))
        .no_proxy()
        .connect_timeout(CONNECT)
        .build()
        .map_err(|error| ReachError::Client(whole(&error)))
}

/// Follows where the same server says so, and the request stays as it is. Everything else is the answer.
fn within_the_origin(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let begun = attempt.previous().first().map(Url::origin);
    let stays = begun.is_some_and(|origin| origin == attempt.url().origin());
    let keeps = matches!(attempt.status().as_u16(), 307 | 308);
    if stays && keeps && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
}

fn tls() -> Result<ClientConfig, ReachError> {
    let building = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ReachError::Client(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Ok(building.with_root_certificates(roots).with_no_client_auth())
}

fn shown(text: &str) -> String {
    qd_approvals::inert::plain(text, 200)
}

/// An error with its causes, each said once.
pub fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
