//! Errors as people and programs read them: a kind, a sentence, and what to do.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use qd_api::Problem;
use qd_store::StoreError;

fn problem(kind: &str, status: u16, detail: impl Into<String>, hint: Option<&str>) -> Problem {
    Problem { kind: kind.into(), status, detail: detail.into(), hint: hint.map(str::to_owned) }
}

/// The store's no as a problem.
pub(crate) fn from_store(error: StoreError) -> Problem {
    match error {
        StoreError::NoSuch { .. } => {
            let detail = capital(&format!("{error}."));
            problem("not-found", 404, detail, Some("quarterdeck feature list shows what there is."))
        }
        StoreError::Refused(refused) => problem("refused", 409, refused.reason, None),
        StoreError::Stale { .. } => problem(
            "stale",
            409,
            capital(&format!("{error}.")),
            Some("Look at it again and repeat the edit."),
        ),
        StoreError::Field(field) => problem("invalid", 422, format!("{field}."), None),
        StoreError::Corrupt { .. } | StoreError::Db(_) => {
            tracing::error!(%error, "the store failed");
            problem(
                "internal",
                500,
                "The board could not be read or written.",
                Some("The instance's log says why."),
            )
        }
    }
}

pub(crate) fn internal(doing: &str, error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(%error, doing, "a request failed");
    problem("internal", 500, format!("{} failed: {error}.", capital(doing)), None)
}

pub(crate) fn not_found(detail: impl Into<String>, hint: &str) -> Problem {
    problem("not-found", 404, detail, Some(hint))
}

pub(crate) fn forbidden(detail: impl Into<String>) -> Problem {
    problem("forbidden", 403, detail, None)
}

pub(crate) fn invalid(detail: impl Into<String>) -> Problem {
    problem("invalid", 422, detail, None)
}

pub(crate) fn refused(detail: impl Into<String>) -> Problem {
    problem("refused", 409, detail, None)
}

/// A sentence begins with a capital letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A problem as an answer, RFC 9457.
pub struct ProblemResponse(pub Problem);

impl From<Problem> for ProblemResponse {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}
