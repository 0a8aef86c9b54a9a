//! Errors as people and programs read them: a kind, a sentence, and what to do.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use qd_api::Problem;
use qd_engine::Refusal;
use qd_store::StoreError;

/// Where the shape of every request is found.
const DESCRIBED: &str = "openapi.json at the root of this API describes every request.";
/// What a reader of a problem of ours can do.
const LOG: &str = "The instance's log says why.";

fn problem(kind: &str, status: u16, detail: impl Into<String>, hint: Option<&str>) -> Problem {
    Problem { kind: kind.into(), status, detail: detail.into(), hint: hint.map(str::to_owned) }
}

/// The store's no as a problem.
pub(crate) fn from_store(error: StoreError) -> Problem {
    match error {
        StoreError::NoSuch { ref what } => {
            let list = match what.split(' ').next() {
                Some("run") => "quarterdeck run list shows what there is.",
                Some("approval") => "quarterdeck approvals shows what there is.",
                Some("operation") => "quarterdeck operation list shows what there is.",
                Some("recurring") => "quarterdeck recurring list shows what there is.",
                _ => "quarterdeck feature list shows what there is.",
            };
            not_found(capital(&format!("{error}.")), list)
        }
        StoreError::Refused(refused) => self::refused(refused.reason),
        StoreError::Stale { .. } => problem(
            "stale",
            409,
            capital(&format!("{error}.")),
            Some("Look at it again and repeat the edit."),
        ),
        StoreError::Field(field) => invalid(format!("{field}.")),
        StoreError::Corrupt { .. } | StoreError::Db(_) | StoreError::Approvals(_) | StoreError::Audit(_) => {
            tracing::error!(%error, "the store failed");
            problem("internal", 500, "The board could not be read or written.", Some(LOG))
        }
    }
}

pub(crate) fn internal(doing: &str, error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(%error, doing, "a request failed");
    problem("internal", 500, format!("{} failed: {error}.", capital(doing)), Some(LOG))
}

pub(crate) fn not_found(detail: impl Into<String>, hint: &str) -> Problem {
    problem("not-found", 404, detail, Some(hint))
}

pub(crate) fn forbidden(detail: impl Into<String>) -> Problem {
    problem("forbidden", 403, detail, Some("Ask somebody who may."))
}

/// Somebody votes while an agent runs that could be them.
pub(crate) fn exposed() -> Problem {
    let hint = "Vote when it has ended, or in Discord or on GitHub. sandbox.kind puts walls around agents; \
                approvals.local_votes_beside_unsandboxed_agents says what counts meanwhile.";
    let detail =
        "An agent runs that could act as you on this machine, so votes that are given here do not count now.";
    problem("exposed", 409, detail, Some(hint))
}

/// Somebody votes who only claims to be who they are.
pub(crate) fn unproven() -> Problem {
    let hint = "In a terminal, quarterdeck approve and deny ask for your passphrase; in the browser, sign in with it at \
                /sign-in.";
    problem("unproven", 403, "A vote needs proof of who you are.", Some(hint))
}

/// A policy's no: its reason, and what would help.
pub(crate) fn denied(refusal: Refusal) -> Problem {
    problem("forbidden", 403, refusal.reason, Some(&refusal.help))
}

/// People have to agree first, and were asked. `who` decides.
pub(crate) fn asked(key: &str, who: &str) -> Problem {
    let hint = format!("quarterdeck approvals show {key} has all of it. It is done when they agree.");
    problem("asked", 409, format!("People have to agree first: {who}. They were asked."), Some(&hint))
}

/// What was sent can be read, and is wrong.
pub(crate) fn invalid(detail: impl Into<String>) -> Problem {
    problem("invalid", 422, detail, Some("Correct it and try again."))
}

pub(crate) fn refused(detail: impl Into<String>) -> Problem {
    problem("refused", 409, detail, Some("Look at where it stands now."))
}

/// A path, a query or a body that can't be read.
pub(crate) fn unreadable(detail: impl Into<String>) -> Problem {
    let mut detail = detail.into();
    if !detail.ends_with('.') {
        detail.push('.');
    }
    problem("invalid", 422, detail, Some(DESCRIBED))
}

/// A body of more than `most` bytes; `what` is it.
pub(crate) fn too_large(what: &str, most: usize) -> Problem {
    let detail = format!("The {what} is larger than {} MiB.", most >> 20);
    problem("too-large", 413, detail, Some("Send less: long texts belong into the repository."))
}

/// A body that does not say that it is JSON.
pub(crate) fn wrong_type() -> Problem {
    let detail = "The body has to be JSON, and to say so.";
    problem("unsupported-media-type", 415, detail, Some("Send it with Content-Type: application/json."))
}

/// A sentence begins with a capital letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A problem as an answer, RFC 9457.
pub struct ProblemResponse(pub Problem);

impl ProblemResponse {
    pub(crate) fn no_such_path(path: &str) -> Self {
        Self(not_found(format!("There is nothing at {path}."), DESCRIBED))
    }

    pub(crate) fn no_such_method(method: &str, path: &str) -> Self {
        let hint = "The Allow header names what it takes; openapi.json at the root of this API says more.";
        let detail = format!("{path} does not take {method}.");
        Self(problem("method-not-allowed", 405, detail, Some(hint)))
    }
}

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
