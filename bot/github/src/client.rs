//! One request to GitHub, with its manners: limits are kept and waited for, all pages are read, and each refusal means one
//! thing. Not a list of GitHub's routes: those stand where they are used.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use octocrab::Octocrab;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    app::Bearer,
    config::{Addresses, Config, ConfigError},
    known::Known,
    pace::{Lane, Pace},
};

/// How long a connection may take, and each answer. GitHub ends a request after 10 seconds (docs.github.com, "Rate limits
/// for the REST API").
const PATIENCE: Duration = Duration::from_secs(30);

/// A wait that is sat out; longer ones are told.
const SHORT: Duration = Duration::from_secs(5);

/// Where a secondary limit says nothing else (docs.github.com, "Best practices for using the REST API": at least one minute).
const SECONDARY: Duration = Duration::from_secs(60);

/// Bytes of an answer.
const ANSWER: usize = 16 * 1024 * 1024;

/// Entries of a page: GitHub's most.
const PAGE: u32 = 100;

/// Characters of GitHub's words that are handed on.
const WORDS: usize = 300;

/// Renamed repositories answer with where they are now; more than that is a loop.
const REDIRECTS: usize = 3;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes.
    Post,
    /// Changes.
    Patch,
    /// Sets.
    Put,
    /// Removes.
    Delete,
}

/// Why GitHub did not do it. Except for `NoAnswer`, nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// 401: the token does not count.
    #[error("GitHub does not know the token: {0}. Look at the App's key, or make another token")]
    Unauthorized(String),
    /// 403: not with these permissions.
    #[error("GitHub does not allow it: {0}. `quarterdeck doctor` names the permissions that are missing")]
    Forbidden(String),
    /// 404 or 410: not there, or not to be seen.
    #[error("GitHub has no such thing, or does not show it: {0}")]
    NotFound(String),
    /// 405 or 409: not as things stand.
    #[error("GitHub refuses as things stand: {0}")]
    Conflict(String),
    /// 422: not with these values.
    #[error("GitHub can't take it: {0}")]
    Invalid(String),
    /// 403 or 429: too many requests.
    #[error("GitHub takes no more requests for {} s", .0.as_secs().max(1))]
    Limited(Duration),
    /// No connection: nothing was sent.
    #[error("GitHub can't be reached: {0}")]
    Unreachable(String),
    /// 5xx, a lost connection, an answer that can't be read: it may have happened.
    #[error("{0}")]
    NoAnswer(String),
}

/// An answer with a good status.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| CallError::NoAnswer(format!("GitHub's answer is not understood: {error}")))
    }
}

/// A list as it was read before, for the next poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen(pub(crate) String);

/// GitHub, for whoever has a token. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    crab: Octocrab,
    addresses: Arc<Addresses>,
    pace: Pace,
    known: Known,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The addresses.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The library, or the system's certificates.
    #[error("no connection to GitHub can be made from here: {0}")]
    Build(String),
}

impl Client {
    /// A client for a GitHub. Within a tokio runtime.
    pub fn new(config: &Config) -> Result<Self, ClientError> {
        let addresses = Addresses::of(&config.api, config.git.as_deref())?;
        Self::at(addresses, config.writes_per_minute)
    }

    /// The same, from its parts.
    pub fn at(addresses: Addresses, writes_per_minute: u32) -> Result<Self, ClientError> {
        let build = |error: octocrab::Error| ClientError::Build(chain(&error));
        let crab = Octocrab::builder()
            .base_uri(addresses.origin.as_str())
            .map_err(build)?
            .set_connect_timeout(Some(PATIENCE))
            .set_read_timeout(Some(PATIENCE))
            .set_write_timeout(Some(PATIENCE))
            .build()
            .map_err(build)?;
        Ok(Self {
            crab,
            addresses: Arc::new(addresses),
            pace: Pace::new(writes_per_minute),
            known: Known::default(),
        })
    }

    /// Where this GitHub is.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Reads one thing.
    pub async fn get<T: DeserializeOwned>(&self, bearer: &Bearer, path: &str) -> Result<T, CallError> {
        self.call(bearer, Method::Get, path, None, None).await?.read()
    }

    /// Reads one thing in the form that a media type asks for (docs.github.com, "Media types").
    pub async fn get_as<T: DeserializeOwned>(
        &self,
        bearer: &Bearer,
        path: &str,
        media: &'static str,
    ) -> Result<T, CallError> {
        let at = format!("{}{path}", self.addresses.rest);
        let accept = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(media))]);
        self.send(bearer, Method::Get, &at, None, Some(accept)).await?.read()
    }

    /// Reads a text, like the log of a job; follows to where it lies, without the token.
    pub async fn text(&self, bearer: &Bearer, path: &str) -> Result<String, CallError> {
        let reply = self.call(bearer, Method::Get, path, None, None).await?;
        Ok(String::from_utf8_lossy(&reply.body).into_owned())
    }

    /// Reads all pages of a list. `path` may have a query.
    pub async fn list<T: DeserializeOwned>(&self, bearer: &Bearer, path: &str) -> Result<Vec<T>, CallError> {
        self.search(bearer, path, None, |_| false).await
    }

    /// Reads the pages of a list until an entry is the one that is looked for. `within` names the list in an answer that has
    /// more than it.
    pub async fn search<T: DeserializeOwned>(
        &self,
        bearer: &Bearer,
        path: &str,
        within: Option<&str>,
        is_it: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, CallError> {
        let mut all = Vec::new();
        let mut query = Some(format!("{}per_page={PAGE}", if path.contains('?') { '&' } else { '?' }));
        let bare = path.split('?').next().unwrap_or(path);
        let mut first = true;
        while let Some(next) = query {
            let at = if first { format!("{path}{next}") } else { format!("{bare}?{next}") };
            first = false;
            let reply = self.call(bearer, Method::Get, &at, None, None).await?;
            query = next_page(&reply);
            let page: Vec<T> = match within {
                None => reply.read()?,
                Some(name) => {
                    let mut whole: Value = reply.read()?;
                    let list = whole.get_mut(name).map(Value::take).unwrap_or_default();
                    serde_json::from_value(list).map_err(|error| {
                        CallError::NoAnswer(format!("GitHub's answer is not understood: {error}"))
                    })?
                }
            };
            let found = page.iter().any(&is_it);
            all.extend(page);
            if found {
                break;
            }
        }
        Ok(all)
    }

    /// Reads the first page of a list, if it is another one than before. An answer that nothing is new does not count against the
    /// limit (docs.github.com, "Use conditional requests if appropriate").
    pub async fn poll<T: DeserializeOwned>(
        &self,
        bearer: &Bearer,
        path: &str,
        seen: Option<&Seen>,
    ) -> Result<Option<(Vec<T>, Option<Seen>)>, CallError> {
        let reply = self.call(bearer, Method::Get, path, None, seen).await?;
        if reply.status == 304 {
            return Ok(None);
        }
        let etag = reply.header("etag").map(|etag| Seen(etag.to_owned()));
        Ok(Some((reply.read()?, etag)))
    }

    /// Changes something, and reads what it is then.
    pub async fn change<T: DeserializeOwned>(
        &self,
        bearer: &Bearer,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<T, CallError> {
        self.call(bearer, method, path, Some(body), None).await?.read()
    }

    /// Changes something whose answer says no more.
    pub async fn act(
        &self,
        bearer: &Bearer,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(), CallError> {
        self.call(bearer, method, path, body, None).await.map(drop)
    }

    /// Asks by GraphQL. `writes` if the document changes something.
    pub async fn graphql<T: DeserializeOwned>(
        &self,
        bearer: &Bearer,
        document: &str,
        variables: &Value,
        writes: bool,
    ) -> Result<T, CallError> {
        #[derive(Deserialize)]
        struct Failure {
            #[serde(rename = "type")]
            kind: Option<String>,
            #[serde(default)]
            message: String,
        }
        #[derive(Deserialize)]
        struct Answer {
            data: Option<Value>,
            #[serde(default)]
            errors: Vec<Failure>,
        }
        let operation =
            document.split(['(', '{', ' ']).find(|word| !matches!(*word, "query" | "mutation" | ""));
        let body = json!({ "query": document, "variables": variables, "operationName": operation });
        if writes {
            self.pace.write(bearer.lane).await;
        }
        let path = self.addresses.graphql.clone();
        let reply = self.send(bearer, Method::Post, &path, Some(&body), None).await?;
        let answer: Answer = reply.read()?;
        if let Some(failure) = answer.errors.into_iter().next() {
            let words = cut(&failure.message);
            // The kinds that GitHub's GraphQL names (docs.github.com, "Rate limits and query limits for the GraphQL API").
            return Err(match failure.kind.as_deref() {
                Some("NOT_FOUND") => CallError::NotFound(words),
                Some("FORBIDDEN" | "INSUFFICIENT_SCOPES") => CallError::Forbidden(words),
                Some("RATE_LIMITED") => {
                    self.pace.shut_for(bearer.lane, SECONDARY);
                    CallError::Limited(SECONDARY)
                }
                Some("UNPROCESSABLE") => CallError::Conflict(words),
                _ => CallError::Invalid(words),
            });
        }
        serde_json::from_value(answer.data.unwrap_or_default())
            .map_err(|error| CallError::NoAnswer(format!("GitHub's answer is not understood: {error}")))
    }

    async fn call(
        &self,
        bearer: &Bearer,
        method: Method,
        path: &str,
        body: Option<&Value>,
        seen: Option<&Seen>,
    ) -> Result<Reply, CallError> {
        if method != Method::Get {
            self.pace.write(bearer.lane).await;
        }
        let at = format!("{}{path}", self.addresses.rest);
        let known = if method == Method::Get && seen.is_none() { self.known.at(&at) } else { None };
        let seen = known.as_ref().map(|(seen, _)| seen).or(seen);
        let reply = match self.send(bearer, method, &at, body, conditions(seen)).await {
            // Too many: nothing happened, and a short wait is no news.
            Err(CallError::Limited(wait)) if wait <= SHORT => {
                tokio::time::sleep(wait).await;
                self.send(bearer, method, &at, body, conditions(seen)).await
            }
            sent => sent,
        }?;
        if let Some((_, known)) = known.filter(|_| reply.status == 304) {
            return Ok(known);
        }
        if method == Method::Get {
            self.known.keep(&at, &reply);
        }
        self.follow(bearer, method, reply, body).await
    }

    /// A renamed repository says where it is now, for good (301) or for this request (302, 307, 308; docs.github.com,
    /// "Redirects"). What lies elsewhere is read without the token.
    async fn follow(
        &self,
        bearer: &Bearer,
        method: Method,
        mut reply: Reply,
        body: Option<&Value>,
    ) -> Result<Reply, CallError> {
        for _ in 0..REDIRECTS {
            if !matches!(reply.status, 301 | 302 | 307 | 308) {
                return Ok(reply);
            }
            let to = reply.header("location").unwrap_or_default().to_owned();
            reply = match to.strip_prefix(&self.addresses.origin).filter(|path| path.starts_with('/')) {
                Some(path) => self.send(bearer, method, path, body, None).await?,
                None if method == Method::Get && is_plain(&to, &self.addresses.origin) => {
                    self.elsewhere(&to).await?
                }
                None => {
                    return Err(CallError::Conflict(cut(&format!("it is at {to} now, which is elsewhere"))));
                }
            };
        }
        Err(CallError::NoAnswer("GitHub sends from one place to the next".to_owned()))
    }

    async fn elsewhere(&self, address: &str) -> Result<Reply, CallError> {
        let sent = self.crab._get(address).await.map_err(|error| lost(&error))?;
        let reply = read(sent).await?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        Err(CallError::NotFound(format!("what GitHub keeps elsewhere is gone ({})", reply.status)))
    }

    async fn send(
        &self,
        bearer: &Bearer,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: Option<HeaderMap>,
    ) -> Result<Reply, CallError> {
        if let Some(wait) = self.pace.shut(bearer.lane) {
            if wait > SHORT {
                return Err(CallError::Limited(wait));
            }
            tokio::time::sleep(wait).await;
        }
        let crab = self.with(bearer)?;
        let sent = async {
            match method {
                Method::Get => crab._get_with_headers(path, headers).await,
                Method::Post => crab._post(path, body).await,
                Method::Patch => crab._patch(path, body).await,
                Method::Put => crab._put(path, body).await,
                Method::Delete => crab._delete(path, body).await,
            }
        };
        let sent = tokio::time::timeout(PATIENCE * 2, sent).await;
        let sent = sent.map_err(|_| CallError::NoAnswer("GitHub did not answer in time".to_owned()))?;
        let reply = read(sent.map_err(|error| lost(&error))?).await?;
        self.judge(bearer.lane, reply)
    }

    fn with(&self, bearer: &Bearer) -> Result<Octocrab, CallError> {
        let Some(token) = &bearer.token else { return Ok(self.crab.clone()) };
        self.crab
            .user_access_token(token.expose_secret().to_owned())
            .map_err(|error| CallError::Unreachable(error.to_string()))
    }

    fn judge(&self, lane: Lane, reply: Reply) -> Result<Reply, CallError> {
        let used_up = reply.header("x-ratelimit-remaining") == Some("0");
        let status = reply.status;
        if matches!(status, 403 | 429)
            && let Some(wait) = limited(&reply, used_up)
        {
            self.pace.shut_for(lane, wait);
            tracing::warn!(lane, wait_s = wait.as_secs(), "GitHub takes no more requests for now");
            return Err(CallError::Limited(wait));
        }
        if used_up && let Some(wait) = until_reset(&reply) {
            // This one still counted: the next would not.
            self.pace.shut_for(lane, wait);
        }
        if matches!(status, 200..=304 | 307 | 308) {
            return Ok(reply);
        }
        let words = words(&reply);
        Err(match status {
            401 => CallError::Unauthorized(words),
            403 => CallError::Forbidden(words),
            404 | 410 => CallError::NotFound(words),
            405 | 409 => CallError::Conflict(words),
            400 | 422 => CallError::Invalid(words),
            429 => CallError::Limited(SECONDARY),
            _ => CallError::NoAnswer(format!("GitHub answered {status}: {words}")),
        })
    }
}

/// How long to wait, if this answer says that there were too many requests (docs.github.com, "Rate limits for the REST API",
/// "Exceeding the rate limit").
fn limited(reply: &Reply, used_up: bool) -> Option<Duration> {
    if let Some(seconds) = reply.header("retry-after").and_then(|text| text.trim().parse().ok()) {
        return Some(Duration::from_secs(seconds));
    }
    if used_up {
        return until_reset(reply);
    }
    let secondary = words(reply).to_ascii_lowercase().contains("secondary rate limit");
    (secondary || reply.status == 429).then_some(SECONDARY)
}

fn until_reset(reply: &Reply) -> Option<Duration> {
    let reset: i64 = reply.header("x-ratelimit-reset")?.parse().ok()?;
    let left = reset.saturating_sub(Timestamp::now().as_second());
    Some(Duration::from_secs(u64::try_from(left).unwrap_or_default().max(1)))
}

fn conditions(seen: Option<&Seen>) -> Option<HeaderMap> {
    let etag = HeaderValue::from_str(&seen?.0).ok()?;
    let name: HeaderName = header::IF_NONE_MATCH;
    Some(HeaderMap::from_iter([(name, etag)]))
}

/// The query of the next page (docs.github.com, "Using pagination in the REST API"). Only that is taken: the place is ours.
fn next_page(reply: &Reply) -> Option<String> {
    let links = reply.header("link")?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let address = next.split('<').nth(1)?.split('>').next()?;
    address.split_once('?').map(|(_, query)| query.to_owned())
}

/// Whether it is safe to read without a token: encrypted, or where the API itself is not.
fn is_plain(address: &str, origin: &str) -> bool {
    address.starts_with("https://") || (address.starts_with("http://") && origin.starts_with("http://"))
}

async fn read(
    response: http::Response<http_body_util::combinators::BoxBody<bytes::Bytes, octocrab::Error>>,
) -> Result<Reply, CallError> {
    let (parts, body) = response.into_parts();
    let body = tokio::time::timeout(PATIENCE * 2, Limited::new(body, ANSWER).collect()).await;
    let body = body
        .map_err(|_| CallError::NoAnswer("GitHub's answer did not end".to_owned()))?
        .map_err(|error| CallError::NoAnswer(format!("GitHub's answer was cut short: {error}")))?;
    Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body: body.to_bytes().to_vec() })
}

/// A request that got no answer. Only where no connection was made is it sure that nothing was sent.
fn lost(error: &octocrab::Error) -> CallError {
    let text = chain(error);
    let lower = text.to_ascii_lowercase();
    let unsent = [
        "connection refused",
        "dns error",
        "failed to lookup",
        "network is unreachable",
        "tcp connect error",
    ];
    if unsent.iter().any(|words| lower.contains(words)) {
        CallError::Unreachable(cut(&text))
    } else {
        CallError::NoAnswer(format!("GitHub did not answer: {}", cut(&text)))
    }
}

/// GitHub's words: its message, and what is wrong with which field.
fn words(reply: &Reply) -> String {
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        message: String,
        #[serde(default)]
        errors: Vec<Value>,
    }
    let Ok(said) = serde_json::from_slice::<Said>(&reply.body) else {
        return cut(&String::from_utf8_lossy(&reply.body));
    };
    let mut parts = vec![said.message];
    for error in said.errors {
        let text = |key: &str| error.get(key).and_then(Value::as_str);
        parts.push(match (error.as_str(), text("message")) {
            (Some(words), _) | (None, Some(words)) => words.to_owned(),
            (None, None) => {
                format!("{} {}", text("field").unwrap_or_default(), text("code").unwrap_or_default())
            }
        });
    }
    parts.retain(|part| !part.trim().is_empty());
    cut(&parts.join("; "))
}

/// Others' words: one line, and not a long one.
fn cut(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(WORDS).filter(|c| !c.is_control()).collect();
    short.trim_end_matches('.').to_owned()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    text
}
