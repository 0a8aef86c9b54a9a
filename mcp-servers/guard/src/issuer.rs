//! Tokens of somebody else's: an issuer of OAuth signs who it is (a JWT), for this server and nobody else (RFC 8707), and
//! for a while. Its keys are what it publishes. Whoever it is there is a person here only if that was linked.

mod verify;

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation,
    jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    Caller, StoreError,
    http::{MAX_TOKEN, Protected, Tokens},
    reach::{Names, Reach, ReachError},
};

/// How long keys are good without a look at them.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// Time between two looks, whatever unknown keys are named and however often.
const BETWEEN: Duration = Duration::from_secs(30);

/// Longest document of an issuer, in bytes.
const DOCUMENT: usize = 256 * 1024;

/// Keys that are taken of it.
const KEYS: usize = 64;

/// How far its clock and ours may be apart, in seconds.
const LEEWAY: u64 = 30;

/// Longest name of a key or of somebody, in bytes.
const NAME: usize = 255;

/// Who somebody is, by an issuer's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// The issuer.
    pub issuer: String,
    /// Its name for them, which it gives to nobody else.
    pub subject: String,
}

/// Who that is here.
#[async_trait]
pub trait Links: Send + Sync {
    /// The caller to whom that was linked, as it stands now; `None` if nobody.
    async fn caller(&self, stranger: &Stranger) -> Result<Option<Caller>, StoreError>;
}

/// Why an issuer can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// It can't be reached, or may not be.
    #[error("the issuer {issuer}: {source}")]
    Reach {
        /// Which.
        issuer: String,
        /// Why.
        #[source]
        source: ReachError,
    },
    /// What it says of itself is not what it should be.
    #[error("the issuer {issuer} {problem}")]
    Odd {
        /// Which.
        issuer: String,
        /// What is wrong.
        problem: String,
    },
}

/// An issuer whose tokens count.
pub struct Issuer {
    issuer: String,
    resource: String,
    keys: Reach,
    links: Arc<dyn Links>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: Vec<(String, Jwk)>,
    /// When they were read.
    read: Option<Instant>,
    /// When they were last asked for.
    asked: Option<Instant>,
}

/// What an issuer says of itself (RFC 8414, OpenID Connect Discovery).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
}

impl Issuer {
    /// Looks up where an issuer has its keys, and reads them. `private` lets it be one of this computer's own networks.
    pub async fn discover(
        issuer: &str,
        resource: &str,
        private: bool,
        names: &dyn Names,
        links: Arc<dyn Links>,
    ) -> Result<Self, IssuerError> {
        let odd = |problem: String| IssuerError::Odd { issuer: issuer.to_owned(), problem };
        let unreached = |source| IssuerError::Reach { issuer: issuer.to_owned(), source };
        let mut found = Err(odd("publishes nothing of itself".to_owned()));
        for address in places(issuer) {
            let reach = Reach::new(&address, private, names).await.map_err(unreached)?;
            found = reach.document(DOCUMENT).await.map_err(unreached);
            if found.is_ok() {
                break;
            }
        }
        let metadata: Metadata = serde_json::from_slice(&found?)
            .map_err(|error| odd(format!("does not say who it is and where its keys are: {error}")))?;
        if metadata.issuer != issuer {
            return Err(odd(format!("says that it is {:?}", metadata.issuer)));
        }
        let keys = Reach::new(&metadata.jwks_uri, private, names).await.map_err(unreached)?;
        verify::install();
        let this = Self {
            issuer: issuer.to_owned(),
            resource: resource.to_owned(),
            keys,
            links,
            known: Mutex::default(),
        };
        let keys = this.read().await.map_err(|problem| odd(format!("has no keys: {problem}")))?;
        *this.known.lock().await = Known { keys, read: Some(Instant::now()), asked: None };
        Ok(this)
    }

    /// The metadata of a server that takes its tokens.
    pub fn protected(&self, scopes: Vec<String>) -> Protected {
        Protected { resource: self.resource.clone(), issuers: vec![self.issuer.clone()], scopes }
    }

    /// Who a token says that it is, if the issuer signed that, for here and for now. Otherwise why not, for the log.
    async fn stranger(&self, token: &str) -> Result<Result<Stranger, String>, StoreError> {
        let (header, kid) = match header(token) {
            Ok(header) => header,
            Err(problem) => return Ok(Err(problem)),
        };
        let Some(key) = self.key(&kid).await? else {
            return Ok(Err("its key is none of the issuer's".to_owned()));
        };
        Ok(self.verified(token, &header, &key))
    }

    fn verified(&self, token: &str, header: &Header, key: &Jwk) -> Result<Stranger, String> {
        if !signs(key, header.alg) {
            return Err(format!("its key is not one for {:?}", header.alg));
        }
        let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.resource]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        let read = jsonwebtoken::decode::<Claims>(token, &key, &validation);
        let Claims { iss, sub } = read.map_err(|error| error.to_string())?.claims;
        // A list of issuers, one of them ours, is not ours.
        if iss != self.issuer {
            return Err("it is another issuer's".to_owned());
        }
        if sub.is_empty() || sub.len() > NAME || sub.chars().any(char::is_control) {
            return Err("its subject is no name".to_owned());
        }
        Ok(Stranger { issuer: iss, subject: sub })
    }

    /// A key by its name. One that is not known is looked for, though not more often than is good for the issuer.
    async fn key(&self, kid: &str) -> Result<Option<Jwk>, StoreError> {
        let mut known = self.known.lock().await;
        let find =
            |known: &Known| known.keys.iter().find(|(name, _)| name == kid).map(|(_, key)| key.clone());
        let fresh = known.read.is_some_and(|read| read.elapsed() < KEPT);
        let found = find(&known);
        if fresh && found.is_some() {
            return Ok(found);
        }
        let soon = known.asked.is_some_and(|asked| asked.elapsed() < BETWEEN);
        if soon && fresh {
            return Ok(None);
        }
        let failed = |problem: String| StoreError { doing: "Reading the issuer's keys", problem };
        if soon {
            return Err(failed("they are too old, and could not be read a moment ago".to_owned()));
        }
        known.asked = Some(Instant::now());
        match self.read().await {
            Ok(keys) => {
                known.keys = keys;
                known.read = Some(Instant::now());
                Ok(find(&known))
            }
            // What is known is still good for a while; that key is none of it.
            Err(problem) if fresh => {
                tracing::warn!(%problem, "the keys of an issuer can't be read");
                Ok(None)
            }
            Err(problem) => Err(failed(problem)),
        }
    }

    async fn read(&self) -> Result<Vec<(String, Jwk)>, String> {
        let text = self.keys.document(DOCUMENT).await.map_err(|error| error.to_string())?;
        let published: Published = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        // What can't be read is a kind of key that nobody here knows.
        let keys = published.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let named = keys.filter_map(|key| Some((key.common.key_id.clone()?, key)));
        let keys: Vec<(String, Jwk)> = named.take(KEYS).collect();
        let names: HashSet<&String> = keys.iter().map(|(name, _)| name).collect();
        if names.len() < keys.len() {
            return Err("two of them have the same name".to_owned());
        }
        if keys.is_empty() {
            return Err("none of them has a name and can be used".to_owned());
        }
        Ok(keys)
    }
}

#[async_trait]
impl Tokens for Issuer {
    async fn caller(&self, token: Option<&str>) -> Result<Option<Caller>, StoreError> {
        let Some(token) = token else { return Ok(None) };
        match self.stranger(token).await? {
            Ok(stranger) => {
                let caller = self.links.caller(&stranger).await?;
                if caller.is_none() {
                    tracing::info!(
                        issuer = self.issuer,
                        "a token is of somebody whom nobody here is linked to"
                    );
                }
                Ok(caller)
            }
            Err(problem) => {
                tracing::info!(issuer = self.issuer, problem, "a token is refused");
                Ok(None)
            }
        }
    }
}

/// Where an issuer may say who it is.
fn places(issuer: &str) -> [String; 2] {
    let (scheme, rest) = issuer.split_once("://").unwrap_or(("https", issuer));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = path.trim_end_matches('/');
    [
        format!("{scheme}://{host}/.well-known/oauth-authorization-server{path}"),
        format!("{scheme}://{host}{path}/.well-known/openid-configuration"),
    ]
}

/// The head of a token, and the name of its key. Only what everybody understands the same way.
fn header(token: &str) -> Result<(Header, String), String> {
    if token.len() > MAX_TOKEN {
        return Err("it is too long".to_owned());
    }
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    if !verify::ALGORITHMS.contains(&header.alg) {
        return Err(format!("{:?} is nothing that an issuer signs with", header.alg));
    }
    if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err("it asks for more than a signature".to_owned());
    }
    let is_access = |typ: &String| {
        ["jwt", "at+jwt", "application/at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known))
    };
    if header.typ.as_ref().is_some_and(|typ| !is_access(typ)) {
        return Err("it is of another type".to_owned());
    }
    match header.kid.clone().filter(|kid| (1..=NAME).contains(&kid.len())) {
        Some(kid) => Ok((header, kid)),
        None => Err("it does not say which key".to_owned()),
    }
}

/// Whether a key is meant for signatures of this kind.
fn signs(key: &Jwk, algorithm: Algorithm) -> bool {
    let is_public =
        !matches!(key.algorithm, AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_));
    let is_for_it = key.common.key_algorithm.is_none_or(|said| said == KeyAlgorithm::from(algorithm));
    let signs = key.common.public_key_use.as_ref().is_none_or(|said| *said == PublicKeyUse::Signature);
    is_public && is_for_it && signs
}
