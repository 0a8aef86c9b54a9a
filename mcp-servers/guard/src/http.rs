//! Streamable HTTP. Whoever asks has a bearer token, and each caller has sessions of their own: another one's token finds
//! none of them. Pages in a browser are refused unless their origin is listed, so is every name but the loopback's: a name
//! that was made to point here (DNS rebinding) is not one of ours.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::{
    Caller, Guard, Session, StoreError,
    screen::{MAX_MESSAGE, screen},
};

/// Connections at once. Clients hold one or two each.
const CONNECTIONS: usize = 256;

/// Callers whose sessions are kept; the longest idle goes first.
const CALLERS: usize = 256;

/// Longest token that is looked at, in bytes.
pub(crate) const MAX_TOKEN: usize = 8 * 1024;

type Answer = Response<BoxBody<Bytes, Infallible>>;
type Service = StreamableHttpService<Session, LocalSessionManager>;

/// Whose token it is.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// The caller, as the token stands now; `None` if nobody's, or not any more. A request without a token is nobody's, unless
    /// this says otherwise.
    async fn caller(&self, token: Option<&str>) -> Result<Option<Caller>, StoreError>;
}

/// Where and for whom it is served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names that it answers to, with or without a port. The loopback's by default.
    pub hosts: Vec<String>,
    /// Pages that may call, as `https://app.example.com:443`. None by default.
    pub origins: Vec<String>,
    /// Address of the metadata that says where tokens come from (RFC 9728), if another server has it.
    pub metadata: Option<String>,
    /// Where tokens come from, for use over a network: the metadata is served here.
    pub protected: Option<Protected>,
    /// How long a client may take to send a head, and again a body. Slower ones hold a connection for nothing.
    pub patience: Duration,
}

/// The metadata of a protected resource (RFC 9728): clients learn from it where to get a token. Whoever issues tokens is
/// somebody else; whose a token is, [`Tokens`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// The address by which clients know this server, and the audience of its tokens: `https://tools.example.com/mcp`.
    pub resource: String,
    /// Addresses of the issuers.
    pub issuers: Vec<String>,
    /// Scopes that a client may ask them for.
    pub scopes: Vec<String>,
}

/// Where a client looks for the metadata first.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

impl Protected {
    /// The metadata's own address: the well-known part stands between host and path.
    pub fn address(&self) -> String {
        let (scheme, rest) = self.resource.split_once("://").unwrap_or(("https", &self.resource));
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        format!("{scheme}://{host}{WELL_KNOWN}{}", path.trim_end_matches('/'))
    }

    fn document(&self) -> String {
        json!({
            "resource": self.resource, "authorization_servers": self.issuers, "scopes_supported": self.scopes,
            "bearer_methods_supported": ["header"],
        })
        .to_string()
    }
}

impl Default for Settings {
    fn default() -> Self {
        let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        let patience = Duration::from_secs(10);
        Self { hosts, origins: Vec::new(), metadata: None, protected: None, patience }
    }
}

/// Serves until `stop`. The listener says where: on the loopback, unless whoever runs it wants otherwise.
pub async fn serve(
    listener: TcpListener,
    guard: Guard,
    tokens: Arc<dyn Tokens>,
    settings: Settings,
    stop: CancellationToken,
) {
    let changes = guard.changes();
    let front = Front { guard, tokens, settings, stop: stop.clone(), changes, kept: Mutex::default() };
    let front = Arc::new(front);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, mostly: it passes.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop.cancelled() => return,
        };
        let front = front.clone();
        tokio::spawn(async move {
            connection(stream, front).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, front: Arc<Front>) {
    // An answer is several small pieces: none waits for the other side to say that it has the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let (stop, patience) = (front.stop.clone(), front.settings.patience);
    let service = service_fn(move |request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.answer(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stop.cancelled() => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

struct Kept {
    service: Service,
    /// As of which change of the policies its caller may have this server.
    asked: u64,
    stop: CancellationToken,
    used: Instant,
}

struct Front {
    guard: Guard,
    tokens: Arc<dyn Tokens>,
    settings: Settings,
    stop: CancellationToken,
    /// How often the policies changed.
    changes: watch::Receiver<u64>,
    kept: Mutex<HashMap<String, Kept>>,
}

impl Front {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if let Some(document) = self.metadata(&request) {
            return document;
        }
        let caller = match self.whose(&request).await {
            Ok(caller) => caller,
            Err(refused) => return refused,
        };
        let request = match screened(request, self.settings.patience).await {
            Ok(request) => request,
            Err(refused) => return refused,
        };
        let mut service = match self.service(caller) {
            Ok(service) => service,
            Err(why) => return plain(StatusCode::FORBIDDEN, &why),
        };
        let Ok(answer) = service.call(request).await;
        answer
    }

    /// What anybody may know: where tokens come from.
    fn metadata(&self, request: &Request<Incoming>) -> Option<Answer> {
        let protected = self.settings.protected.as_ref()?;
        let asked = request.method() == Method::GET && request.uri().path().starts_with(WELL_KNOWN);
        asked.then(|| {
            let mut answer = plain(StatusCode::OK, &protected.document());
            let json = hyper::header::HeaderValue::from_static("application/json");
            answer.headers_mut().insert(CONTENT_TYPE, json);
            answer
        })
    }

    async fn whose(&self, request: &Request<Incoming>) -> Result<Caller, Answer> {
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && token.len() <= MAX_TOKEN)
            .map(|(_, token)| token.trim());
        let token = token.filter(|token| !token.is_empty());
        match self.tokens.caller(token).await {
            Ok(Some(caller)) => Ok(caller),
            Ok(None) if token.is_none() => {
                let text = "Send your token as a bearer token. `quarterdeck mcp token` makes one.";
                Err(self.unknown(text, false))
            }
            Ok(None) => Err(self.unknown("This token is nobody's here, or not any more.", true)),
            Err(error) => {
                tracing::error!(%error, "tokens can't be looked up");
                Err(plain(StatusCode::SERVICE_UNAVAILABLE, "Tokens can't be looked up. Try again later."))
            }
        }
    }

    fn unknown(&self, text: &str, has_token: bool) -> Answer {
        let mut answer = plain(StatusCode::UNAUTHORIZED, text);
        let own = || self.settings.protected.as_ref().map(Protected::address);
        let address = self.settings.metadata.clone().or_else(own);
        let said = [
            has_token.then(|| "error=\"invalid_token\"".to_owned()),
            address.map(|address| format!("resource_metadata=\"{address}\"")),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        let challenge = format!("Bearer {}", said.join(", "));
        let challenge = challenge.trim_end();
        if let Ok(challenge) = challenge.parse() {
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        answer
    }

    /// The caller's own service. Another scope or other roles are another caller here: no session outgrows its token. Whom
    /// policy does not let have this server is refused, with the reason; that is asked anew whenever the policies change.
    fn service(&self, caller: Caller) -> Result<Service, String> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{caller:?}");
        let asked = *self.changes.borrow();
        if let Some(one) = kept.get_mut(&key).filter(|one| one.asked == asked) {
            one.used = Instant::now();
            return Ok(one.service.clone());
        }
        if let Err(why) = self.guard.admits(&caller) {
            if let Some(gone) = kept.remove(&key) {
                gone.stop.cancel();
            }
            return Err(why);
        }
        if let Some(one) = kept.get_mut(&key) {
            (one.asked, one.used) = (asked, Instant::now());
            return Ok(one.service.clone());
        }
        if kept.len() >= CALLERS {
            let idle = kept.iter().min_by_key(|(_, one)| one.used).map(|(key, _)| key.clone());
            if let Some(gone) = idle.and_then(|key| kept.remove(&key)) {
                gone.stop.cancel();
            }
        }
        let stop = self.stop.child_token();
        let config = StreamableHttpServerConfig::default()
            .with_allowed_hosts(self.settings.hosts.clone())
            .with_allowed_origins(self.settings.origins.clone())
            .enforce_origin_validation()
            .with_max_request_body_bytes(MAX_MESSAGE)
            .with_cancellation_token(stop.clone());
        let guard = self.guard.clone();
        let session = move || Ok(Session::new(guard.clone(), caller.clone()));
        let service = Service::new(session, Arc::default(), config);
        kept.insert(key, Kept { service: service.clone(), asked, stop, used: Instant::now() });
        Ok(service)
    }
}

/// The request with its body as the screen lets it.
async fn screened(request: Request<Incoming>, patience: Duration) -> Result<Request<Full<Bytes>>, Answer> {
    let (mut head, body) = request.into_parts();
    if head.method != Method::POST {
        return Ok(Request::from_parts(head, Full::default()));
    }
    let body = match tokio::time::timeout(patience, Limited::new(body, MAX_MESSAGE).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("A message takes at most {MAX_MESSAGE} bytes.");
            return Err(plain(StatusCode::PAYLOAD_TOO_LARGE, &text));
        }
        Ok(Err(_)) => return Err(plain(StatusCode::BAD_REQUEST, "The message did not come to its end.")),
        Err(_) => return Err(plain(StatusCode::REQUEST_TIMEOUT, "The message took too long.")),
    };
    head.headers.remove(CONTENT_LENGTH);
    let body = Bytes::from(screen(&body).into_owned());
    Ok(Request::from_parts(head, Full::new(body)))
}

fn plain(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text.to_owned())).boxed());
    *answer.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer
}
