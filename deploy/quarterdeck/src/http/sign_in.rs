//! Who calls. On the Unix socket it is the person whose computer it is, or whoever shows a token; on TCP a token is
//! needed, as a header or as the cookie that the sign-in link sets. A page of another site can't act through it.

use std::sync::{Arc, RwLock};

use axum::{
    Extension, Router,
    extract::{Query, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use qd_api::Problem;
use qd_team::{Caller, ProblemResponse};
use qd_types::{Person, PersonId};
use serde::Deserialize;

use super::Tokens;

/// Which way a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A browser, or a program with a token.
    Tcp,
    /// The command line of this user.
    Socket,
}

/// What is known about people at the door.
#[derive(Clone)]
pub struct Guard {
    inner: Arc<Known>,
}

struct Known {
    people: RwLock<Arc<People>>,
    cookie: String,
}

/// Who is let in now.
struct People {
    tokens: Tokens,
    me: Person,
}

impl Guard {
    /// `me` is who the person at this computer is; `port` keeps the cookies of two fleets on one host apart.
    pub fn new(tokens: Tokens, me: Person, port: u16) -> Self {
        let people = RwLock::new(Arc::new(People { tokens, me }));
        Self { inner: Arc::new(Known { people, cookie: format!("quarterdeck_{port}") }) }
    }

    /// From now on these people are let in, with the roles that they have there.
    pub fn admit(&self, tokens: Tokens, me: Person) {
        let people = Arc::new(People { tokens, me });
        match self.inner.people.write() {
            Ok(mut guard) => *guard = people,
            Err(poisoned) => *poisoned.into_inner() = people,
        }
    }

    fn people(&self) -> Arc<People> {
        match self.inner.people.read() {
            Ok(guard) => Arc::clone(&guard),
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }

    /// The link by which a person signs in, relative to the address.
    pub fn sign_in_path(&self, person: &PersonId) -> Option<String> {
        self.people().tokens.of(person).map(|token| format!("/sign-in?token={token}"))
    }

    fn by_header(&self, headers: &HeaderMap) -> Option<Person> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        self.people().tokens.person(value.strip_prefix("Bearer ")?).cloned()
    }

    fn by_cookie(&self, headers: &HeaderMap) -> Option<Person> {
        let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
        let mine = cookies
            .split(';')
            .map(str::trim)
            .find_map(|pair| pair.strip_prefix(self.inner.cookie.as_str())?.strip_prefix('='))?;
        self.people().tokens.person(mine).cloned()
    }
}

/// The router behind the door, with the sign-in link beside it.
pub(super) fn guarded(router: Router, guard: Guard) -> Router {
    Router::new()
        .route("/sign-in", get(sign_in))
        .route("/health", get(|| async { "ok\n" }))
        .with_state(guard.clone())
        .merge(router.layer(middleware::from_fn_with_state(guard, check)))
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

async fn sign_in(State(guard): State<Guard>, Query(Token { token }): Query<Token>) -> Response {
    if guard.people().tokens.person(&token).is_none() {
        return (StatusCode::FORBIDDEN, "This link is not valid any more. Start again from the terminal.\n")
            .into_response();
    }
    let cookie =
        format!("{}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000", guard.inner.cookie);
    let headers = [(header::SET_COOKIE, cookie), (header::REFERRER_POLICY, "no-referrer".to_owned())];
    // A redirect would be the same navigation that another site began, and a strict cookie would not be sent with it.
    let page = "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=\"0;url=/\"><title>Quarterdeck</title><p><a href=\"/\">Go on</a>";
    (headers, Html(page)).into_response()
}

async fn check(
    State(guard): State<Guard>,
    Extension(door): Extension<Door>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let asset = request.uri().path().starts_with("/assets/");
    let person = match (guard.by_header(headers), door) {
        (Some(person), _) => Some((person, "api")),
        (None, Door::Socket) => Some((guard.people().me.clone(), "cli")),
        (None, Door::Tcp) => match guard.by_cookie(headers) {
            Some(_) if is_unsafe(request.method()) && !same_origin(headers) => {
                return refuse("That came from another page.", "Open the board and try again.")
                    .into_response();
            }
            Some(person) => Some((person, "board")),
            None => None,
        },
    };
    match person {
        Some((person, surface)) => {
            request.extensions_mut().insert(person.clone());
            request.extensions_mut().insert(Caller { person, agent: None, surface: surface.into() });
            next.run(request).await
        }
        None if asset => next.run(request).await,
        None => unknown(request.uri(), headers),
    }
}

fn is_unsafe(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Whether the browser says that the request comes from our own page. Anything else is a no.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => site == "same-origin",
        (None, Some(origin), Some(host)) => origin
            .parse::<Uri>()
            .ok()
            .and_then(|uri| uri.authority().map(|a| a.as_str() == host))
            .unwrap_or(false),
        _ => false,
    }
}

fn refuse(detail: &str, hint: &str) -> ProblemResponse {
    let (kind, hint) = ("forbidden".into(), Some(hint.into()));
    ProblemResponse(Problem { kind, status: 403, detail: detail.into(), hint })
}

fn unknown(uri: &Uri, headers: &HeaderMap) -> Response {
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page {
        let page = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
                    <title>Quarterdeck: sign in</title><h1>Who are you?</h1>\
                    <p>Open the sign-in link that the terminal shows, or run <code>quarterdeck url</code>.";
        return (StatusCode::UNAUTHORIZED, Html(page)).into_response();
    }
    tracing::debug!(path = uri.path(), "a request without a token");
    ProblemResponse(Problem {
        kind: "unauthorized".into(),
        status: 401,
        detail: "A token is needed.".into(),
        hint: Some("Authorization: Bearer TOKEN; quarterdeck url shows it.".into()),
    })
    .into_response()
}

/// The first page there is.
pub fn home(to: &str) -> Router {
    let to = to.to_owned();
    Router::new().route("/", get(move || async move { Redirect::temporary(&to) }))
}
