//! What the gateway itself says no to, in the words that the agent's client library understands. Every sentence that an
//! agent, or a person in its transcript, reads from us is built here.

use hyper::{HeaderMap, StatusCode, header::HeaderValue};
use serde::Serialize;

use crate::{
    budget::{Scope, Standing},
    meter::MeterError,
    route::Shape,
    runs::TokenError,
};

/// Why a request goes no further.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("no provider is called {0}: the base URL is the gateway's address and a provider's name")]
    Provider(String),
    #[error(
        "the gateway does not pass on {method} {path}: only calls that it can count, and lists of models"
    )]
    Path { method: String, path: String },
    #[error("the request is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the request can't be taken: {0}")]
    Body(String),
    #[error("the request did not arrive in time")]
    Slow,
    #[error("{}", budget_sentence(.scope, .standing))]
    Budget { scope: Scope, standing: Standing },
    #[error("{0}")]
    Meter(#[from] MeterError),
    #[error("provider {provider} can't be reached")]
    Unreachable { provider: String },
    #[error("provider {provider} did not answer within {seconds} s")]
    Silent { provider: String, seconds: u64 },
    #[error("provider {provider} does not take the gateway's key: a person has to set another")]
    KeyRefused { provider: String },
}

fn budget_sentence(scope: &Scope, standing: &Standing) -> String {
    match standing {
        Standing::Unpriced(priced) => format!(
            "the price of model {} ({}) is unknown, and the budget of {scope} is in money: \
             a person has to set a price, or a limit in tokens",
            priced.model, priced.list
        ),
        Standing::Reached(amount) | Standing::Warned(amount) => {
            format!(
                "the budget of {scope} is used up ({amount}): a person has to raise it before this goes on"
            )
        }
        Standing::Free => format!("the budget of {scope} refuses"),
    }
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Token(_) => StatusCode::UNAUTHORIZED,
            Self::Provider(_) | Self::Path { .. } => StatusCode::NOT_FOUND,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            // Not 429, which clients repeat: nothing gets better by waiting.
            Self::Budget { .. } => StatusCode::PAYMENT_REQUIRED,
            Self::Meter(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable { .. } | Self::KeyRefused { .. } => StatusCode::BAD_GATEWAY,
            Self::Silent { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Whether the same request may be taken later, by itself.
    fn passes(&self) -> bool {
        matches!(self, Self::Slow | Self::Meter(_) | Self::Unreachable { .. } | Self::Silent { .. })
    }

    /// The headers, beside the type: the makers' own libraries heed `x-should-retry`.
    pub(crate) fn headers(&self) -> HeaderMap {
        let again = HeaderValue::from_static(if self.passes() { "true" } else { "false" });
        let mut headers = HeaderMap::new();
        headers.insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-should-retry", again);
        headers
    }

    /// The body, as a provider of that shape would word it.
    pub(crate) fn body(&self, shape: Shape) -> String {
        let message = format!("Quarterdeck: {self}");
        let body = match shape {
            Shape::OpenAi => {
                let (kind, code) = self.openai();
                serde_json::to_string(&OpenAi { error: OpenAiError { message, kind, param: None, code } })
            }
            Shape::Anthropic => {
                let error = AnthropicError { kind: self.anthropic(), message };
                serde_json::to_string(&Anthropic { kind: "error", error })
            }
            Shape::Gemini => {
                let (code, status) = (self.status().as_u16(), self.gemini());
                serde_json::to_string(&Gemini { error: GeminiError { code, message, status } })
            }
        };
        body.unwrap_or_default()
    }

    fn openai(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Token(_) => ("invalid_request_error", Some("invalid_api_key")),
            Self::Budget { .. } => ("insufficient_quota", Some("insufficient_quota")),
            Self::Provider(_) | Self::Path { .. } => ("invalid_request_error", Some("unknown_url")),
            Self::TooLarge { .. } | Self::Body(_) => ("invalid_request_error", None),
            Self::Slow
            | Self::Meter(_)
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::KeyRefused { .. } => ("server_error", None),
        }
    }

    fn anthropic(&self) -> &'static str {
        match self {
            Self::Token(_) => "authentication_error",
            Self::Budget { .. } => "billing_error",
            Self::Provider(_) | Self::Path { .. } => "not_found_error",
            Self::TooLarge { .. } => "request_too_large",
            Self::Body(_) => "invalid_request_error",
            Self::Slow | Self::Silent { .. } => "timeout_error",
            Self::Meter(_) | Self::Unreachable { .. } | Self::KeyRefused { .. } => "api_error",
        }
    }

    fn gemini(&self) -> &'static str {
        match self {
            Self::Token(_) => "UNAUTHENTICATED",
            Self::Budget { .. } => "RESOURCE_EXHAUSTED",
            Self::Provider(_) | Self::Path { .. } => "NOT_FOUND",
            Self::TooLarge { .. } | Self::Body(_) => "INVALID_ARGUMENT",
            Self::Slow | Self::Silent { .. } => "DEADLINE_EXCEEDED",
            Self::Meter(_) | Self::Unreachable { .. } => "UNAVAILABLE",
            Self::KeyRefused { .. } => "FAILED_PRECONDITION",
        }
    }
}

#[derive(Serialize)]
struct OpenAi {
    error: OpenAiError,
}

#[derive(Serialize)]
struct OpenAiError {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

#[derive(Serialize)]
struct Anthropic {
    #[serde(rename = "type")]
    kind: &'static str,
    error: AnthropicError,
}

#[derive(Serialize)]
struct AnthropicError {
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Gemini {
    error: GeminiError,
}

#[derive(Serialize)]
struct GeminiError {
    code: u16,
    message: String,
    status: &'static str,
}
