//! Asking providers: again where it helps, somebody else where that is configured, and only as long as nothing was passed
//! on to the agent.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{HeaderMap, Request, Response, StatusCode, body::Incoming, http::response::Parts};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use jiff::{Timestamp, fmt::rfc2822};

use crate::{
    call::Call,
    event::{Next, Trouble},
    gateway::Settings,
    meter::Outcome,
    providers::{ProviderError, Target},
    refusal::Refusal,
    runs::Clock,
};

/// The most of an error's body that is read. They are a few hundred bytes.
const ERROR_LIMIT: usize = 64 * 1024;
/// How long an error's body is waited for.
const ERROR_TIME: Duration = Duration::from_secs(10);
/// Connections to one provider that wait for the next request, and how long.
const IDLE_CONNECTIONS: usize = 64;
const IDLE_TIME: Duration = Duration::from_secs(60);
/// Waits double up to here.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

pub(crate) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    clock: Clock,
}

/// What a provider said in the end.
pub(crate) enum Reply {
    /// An answer that is still coming.
    Coming(Response<Incoming>),
    /// An error, whole.
    Error(Parts, Bytes),
}

/// What went wrong with one attempt.
enum Failure {
    Answer(Parts, Bytes),
    Unreachable,
    Silent,
}

impl Upstream {
    pub(crate) fn new(clock: Clock, connect: Duration) -> Result<Self, ProviderError> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(connect));
        http.enforce_http(false);
        let ring = rustls::crypto::ring::default_provider();
        let builder = HttpsConnectorBuilder::new();
        let builder = match builder.with_provider_and_native_roots(ring.clone()) {
            Ok(builder) => builder,
            Err(error) => {
                tracing::info!(%error, "the system has no root certificates: Mozilla's are used");
                let builder = HttpsConnectorBuilder::new().with_provider_and_webpki_roots(ring);
                builder.map_err(|error| ProviderError::Tls(error.to_string()))?
            }
        };
        let https = builder.https_or_http().enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_timer(TokioTimer::new())
            .build(https);
        Ok(Self { client, clock })
    }

    /// Asks one target after the other. `make` builds the request for a target. Without a call, nobody counts, and there
    /// is one attempt. Returns whom the reply is from.
    pub(crate) async fn ask(
        &self,
        settings: &Settings,
        call: &mut Option<Call>,
        targets: &[Target],
        make: impl Fn(&Target) -> Option<Request<Full<Bytes>>>,
    ) -> Result<(Reply, Target), Refusal> {
        let mut patience = settings.patience;
        let mut targets = targets.iter().peekable();
        while let Some(target) = targets.next() {
            let mut attempt = 0;
            loop {
                attempt += 1;
                let failed = match self.once(settings, call, target, &make).await? {
                    Ok(reply) => return Ok((reply, target.clone())),
                    Err(failure) => failure,
                };
                let Some(trouble) = trouble_of(&failed) else {
                    return finish(call, target, failed, settings);
                };
                let Some(metered) = call else { return finish(call, target, failed, settings) };
                let pause = self.pause(&failed, attempt, settings);
                if repeats(trouble) && attempt < settings.attempts && pause <= patience {
                    patience = patience.saturating_sub(pause);
                    metered.tell(target, trouble, Next::Retry { after: pause });
                    tokio::time::sleep(pause).await;
                    continue;
                }
                if let Some(next) = targets.peek() {
                    let (provider, model) = (next.provider.name.clone(), next.model.clone());
                    metered.tell(target, trouble, Next::Fallback { provider, model });
                    break;
                }
                metered.tell(target, trouble, Next::GivenUp);
                return finish(call, target, failed, settings);
            }
        }
        Err(Refusal::Body("there is nobody to ask".to_owned()))
    }

    async fn once(
        &self,
        settings: &Settings,
        call: &mut Option<Call>,
        target: &Target,
        make: impl Fn(&Target) -> Option<Request<Full<Bytes>>>,
    ) -> Result<Result<Reply, Failure>, Refusal> {
        let request = make(target).ok_or_else(|| Refusal::Body("its path is none".to_owned()))?;
        let sent = hyper::body::Body::size_hint(request.body()).lower();
        if let Some(call) = call {
            call.ask(target, usize::try_from(sent).unwrap_or(usize::MAX));
        }
        let answered = tokio::time::timeout(settings.silence, self.client.request(request)).await;
        let response = match answered {
            Err(_) => {
                if let Some(call) = call {
                    call.no_answer();
                }
                return Ok(Err(Failure::Silent));
            }
            Ok(Err(error)) => {
                tracing::warn!(provider = target.provider.name, %error, "a provider can't be reached");
                match call {
                    Some(call) if error.is_connect() => call.not_sent(),
                    Some(call) => call.no_answer(),
                    None => {}
                }
                return Ok(Err(Failure::Unreachable));
            }
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        if let Some(call) = call {
            call.status(status.as_u16());
        }
        if status.as_u16() < 400 {
            return Ok(Ok(Reply::Coming(response)));
        }
        let (parts, body) = response.into_parts();
        let body = tokio::time::timeout(ERROR_TIME, Limited::new(body, ERROR_LIMIT).collect()).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        let failure = Failure::Answer(parts, body);
        Ok(match (trouble_of(&failure), failure) {
            (None, Failure::Answer(parts, body)) => Ok(Reply::Error(parts, body)),
            (_, failure) => Err(failure),
        })
    }

    /// How long to wait before the next attempt: as the provider wishes, else a little longer each time.
    fn pause(&self, failure: &Failure, attempt: u32, settings: &Settings) -> Duration {
        if let Failure::Answer(parts, _) = failure
            && let Some(wish) = retry_after(&parts.headers, (self.clock)())
        {
            return wish;
        }
        let pause = settings.pause.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
        // Up to a quarter more, so that not all come back at once.
        let mut random = [0; 1];
        let share = getrandom::fill(&mut random).map_or(0, |()| u32::from(random[0]));
        pause + pause * share / 1024
    }
}

fn finish(
    call: &mut Option<Call>,
    target: &Target,
    failure: Failure,
    settings: &Settings,
) -> Result<(Reply, Target), Refusal> {
    let provider = target.provider.name.clone();
    let (outcome, reply) = match failure {
        Failure::Answer(parts, _) if parts.status == StatusCode::UNAUTHORIZED => {
            (Outcome::Refused, Err(Refusal::KeyRefused { provider }))
        }
        Failure::Answer(parts, body) => (Outcome::Refused, Ok((Reply::Error(parts, body), target.clone()))),
        Failure::Unreachable => (Outcome::Unreachable, Err(Refusal::Unreachable { provider })),
        Failure::Silent => {
            let seconds = settings.silence.as_secs();
            (Outcome::TimedOut, Err(Refusal::Silent { provider, seconds }))
        }
    };
    if let Some(call) = call {
        call.finish(outcome);
    }
    reply
}

/// `None` is the agent's own mistake.
fn trouble_of(failure: &Failure) -> Option<Trouble> {
    let (parts, body) = match failure {
        Failure::Unreachable => return Some(Trouble::Unreachable),
        Failure::Silent => return Some(Trouble::Silent),
        Failure::Answer(parts, body) => (parts, body),
    };
    // OpenAI says with one status both that we are too fast and that the account is empty.
    let is_empty = || memchr::memmem::find(body, b"insufficient_quota").is_some();
    match parts.status.as_u16() {
        401 | 403 => Some(Trouble::KeyRefused),
        402 => Some(Trouble::Unpaid),
        429 if is_empty() => Some(Trouble::Unpaid),
        429 => Some(Trouble::RateLimited),
        503 | 529 => Some(Trouble::Overloaded),
        408 | 500.. => Some(Trouble::Outage),
        _ => None,
    }
}

/// Whether the same may go better a little later.
fn repeats(trouble: Trouble) -> bool {
    matches!(trouble, Trouble::Unreachable | Trouble::Outage | Trouble::Overloaded | Trouble::RateLimited)
}

/// A provider's wish, in any of the ways in which it is said.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let seconds = |text: &str, unit: f64| {
        text.trim().parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
    };
    if let Some(wish) = text("retry-after-ms").and_then(|text| seconds(text, 1e-3)) {
        return Some(wish);
    }
    let wish = text("retry-after")?;
    seconds(wish, 1.0).or_else(|| {
        let then = rfc2822::DateTimeParser::new().parse_timestamp(wish).ok()?;
        Some(Duration::try_from(then.duration_since(now)).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::{HeaderMap, header::HeaderValue};

    use super::retry_after;

    #[test]
    fn a_wish_is_read_in_every_way() {
        let wish = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            retry_after(&headers, "1994-11-06T08:49:30Z".parse().unwrap())
        };
        assert_eq!(wish("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wish("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(wish("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(wish("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(wish("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT"), Some(Duration::ZERO));
        assert_eq!(wish("retry-after", "-3"), None);
        assert_eq!(wish("retry-after", "soon"), None);
    }
}
