//! Votes that are typed as commands. Chat's commands carry how somebody proved who they are, and nothing unproven counts;
//! whoever has yet to prove it, or to open an approval again, is told the way here.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Extension, Form,
    body::{Body, to_bytes},
    extract::{FromRequest as _, Request},
    http::header,
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use qd_command::{Command, parse};
use qd_core::chat::{Commands, Given};
use qd_team::{Caller, ProblemResponse};
use qd_types::Person;
use serde::Deserialize;

use super::routes::no;

/// Longest form of a command, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// Whether a command decides something.
fn decides(text: &str) -> bool {
    matches!(parse(text), Ok(Command::Approve { .. } | Command::Deny { .. } | Command::Reopen { .. }))
}

/// Commands of a terminal that nobody gave a passphrase in.
pub struct WithoutVotes(pub Arc<dyn Commands>);

#[async_trait]
impl Commands for WithoutVotes {
    async fn command(&self, from: &Person, given: &Given, text: &str) -> String {
        if decides(text) {
            return "A vote needs proof of who you are: quarterdeck approve asks for your passphrase."
                .to_owned();
        }
        self.0.command(from, given, text).await
    }
}

#[derive(Deserialize)]
struct Typed {
    text: String,
}

/// Lets a typed vote through for whoever proved who they are, and every other command for all.
pub async fn proven(Extension(caller): Extension<Caller>, request: Request, next: Next) -> Response {
    if caller.is_proven() || request.uri().path() != "/console/command" {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MOST_BYTES).await else {
        return no("invalid", 400, "The command could not be read.", None).into_response();
    };
    let copy = Request::from_parts(parts.clone(), Body::from(bytes.clone()));
    match Form::<Typed>::from_request(copy, &()).await {
        Ok(Form(Typed { text })) if decides(&text) => {
            let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
            if accept.is_some_and(|accept| accept.contains("text/html")) {
                return Redirect::to("/sign-in?next=/console").into_response();
            }
            if accept == Some("text/plain") {
                return "A vote needs proof of who you are: sign in with your passphrase at /sign-in?next=/console."
                    .into_response();
            }
            let hint = "Sign in with your passphrase at /sign-in?next=/console, or use quarterdeck approve.";
            let refusal: ProblemResponse =
                no("unproven", 403, "A vote needs proof of who you are.", Some(hint));
            refusal.into_response()
        }
        Ok(_) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(rejection) => rejection.into_response(),
    }
}
