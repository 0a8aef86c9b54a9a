//! GitHub's webhook: a delivery is verified over its bytes, kept, and answered; what it means is worked off afterwards. The
//! answer says no more than that it is kept: GitHub gives up after ten seconds and never tries again by itself
//! (docs.github.com, "Best practices for using webhooks", "Handling failed webhook deliveries").

mod asked;
mod comment;
mod excerpt;
mod facts;
mod payload;
mod read;
mod route;
mod signature;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use qd_core::inbox::{Delivery, Inbox, InboxError, Taken};

pub use comment::commands;
pub use facts::{FactError, Facts, Level, People, Reaction, RedJob, roles};
pub(crate) use payload::{Issue, Named, User};
pub(crate) use read::text as text_of;
pub(crate) use route::Delay;
pub use route::{Hearing, Worker};
pub use signature::{NoSecret, Verifier};

/// Where GitHub delivers to.
pub const PATH: &str = "/github/webhooks";

/// The largest payload that GitHub sends, in bytes (docs.github.com, "Webhook events and payloads", "Payload cap": 25 MB).
const LARGEST: usize = 25 * 1024 * 1024;
/// How long a payload may take to arrive: GitHub itself waits for ten seconds in all.
const ARRIVES: Duration = Duration::from_secs(10);
/// Longest id or name of an event, in bytes: a GUID has 36.
const WORD: usize = 64;

/// The endpoint. It takes nothing that is not signed.
#[derive(Clone)]
pub struct Endpoint {
    verifier: Verifier,
    inbox: Arc<dyn Inbox>,
}

impl Endpoint {
    /// An endpoint that keeps deliveries there.
    pub fn new(verifier: Verifier, inbox: Arc<dyn Inbox>) -> Self {
        Self { verifier, inbox }
    }

    /// Its route, [`PATH`].
    pub fn router(self) -> Router {
        Router::new().route(PATH, post(deliver)).with_state(self)
    }

    /// Takes what was posted: the status, and a word for whoever looks at the delivery at GitHub.
    pub async fn take(&self, headers: &HeaderMap, body: Vec<u8>) -> (StatusCode, String) {
        let header = |name: &str| headers.get(name).map(|value| value.as_bytes());
        if !self.verifier.is_signed(header("x-hub-signature-256"), &body) {
            tracing::warn!(bytes = body.len(), "a delivery is not signed as GitHub's are");
            return (
                StatusCode::UNAUTHORIZED,
                "the signature is missing or is not over these bytes".to_owned(),
            );
        }
        let word = |name: &str| header(name).and_then(word).map(str::to_owned);
        let (Some(id), Some(kind)) = (word("x-github-delivery"), word("x-github-event")) else {
            let missing = "X-GitHub-Delivery or X-GitHub-Event is missing, or is no plain word";
            return (StatusCode::BAD_REQUEST, missing.to_owned());
        };
        match self.inbox.take(Delivery { id, kind, body }).await {
            Ok(Taken::New) => (StatusCode::ACCEPTED, "kept".to_owned()),
            Ok(Taken::Again) => (StatusCode::OK, "known".to_owned()),
            Err(full @ InboxError::Full { .. }) => (StatusCode::SERVICE_UNAVAILABLE, full.to_string()),
            Err(error) => {
                tracing::error!(%error, "a delivery could not be kept");
                (StatusCode::INTERNAL_SERVER_ERROR, "it could not be kept".to_owned())
            }
        }
    }
}

/// A plain word of a header.
fn word(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (!text.is_empty() && text.len() <= WORD && text.bytes().all(plain)).then_some(text)
}

async fn deliver(State(endpoint): State<Endpoint>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(ARRIVES, axum::body::to_bytes(body, LARGEST)).await;
    match read {
        Ok(Ok(body)) => endpoint.take(&parts.headers, body.into()).await.into_response(),
        Ok(Err(_)) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "the payload is cut short, or larger than 25 MB").into_response()
        }
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the payload took longer than 10 seconds").into_response(),
    }
}

/// Any bytes as a delivery that was signed, and any text as a comment: for fuzzing. Says what a payload means.
pub fn understand(kind: &str, body: &[u8]) -> String {
    match serde_json::from_slice::<payload::Payload>(body) {
        Ok(payload) => {
            let meaning = read::meaning(kind, &payload);
            if let read::Meaning::Comment { body, .. } | read::Meaning::Review { body, .. } = &meaning {
                commands(body, "quarterdeck");
            }
            meaning.short()
        }
        Err(error) => format!("not read: {error}"),
    }
}
