//! Who calls. On the Unix socket it is the person whose computer it is, or whoever shows a token; on TCP a token is
//! needed, as a header or as the cookie that signing in sets. A page of another site can't act through it. A vote needs
//! more: a session, which only a passphrase gives.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use jiff::Timestamp;
use qd_api::Problem;
use qd_approvals::Proof;
use qd_people::{PeopleError, Profile, State as PersonState, TokenKind};
use qd_team::{Caller, ProblemResponse};
use qd_types::PersonId;

use crate::people::{Desk, Roster, doors, lends_to_services, pages, person_at, voucher};

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
    desk: Desk,
    me: PersonId,
    cookie: String,
}

/// What a request has to show.
enum Shown {
    Nothing,
    /// A token, and the surface that it is shown on.
    Token(String, &'static str),
}

impl Guard {
    /// `me` is who the person at this computer is. The port keeps the cookies of two fleets on one host apart.
    pub fn new(desk: Desk, me: PersonId) -> Self {
        let cookie = format!("quarterdeck_{}", desk.address.port());
        Self { inner: Arc::new(Known { desk, me, cookie }) }
    }

    /// People.
    pub fn roster(&self) -> &Roster {
        &self.inner.desk.roster
    }

    /// What the routes of people work with.
    pub fn desk(&self) -> &Desk {
        &self.inner.desk
    }

    /// The name of the cookie.
    pub fn cookie(&self) -> &str {
        &self.inner.cookie
    }

    fn shown(&self, headers: &HeaderMap, door: Door) -> Shown {
        let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
        if let Some(value) = text(header::AUTHORIZATION) {
            let surface = if door == Door::Socket { "cli" } else { "api" };
            return Shown::Token(value.strip_prefix("Bearer ").unwrap_or(value).to_owned(), surface);
        }
        let mine = |pair: &str| Some(pair.trim().strip_prefix(self.cookie())?.strip_prefix('=')?.to_owned());
        match text(header::COOKIE).and_then(|cookies| cookies.split(';').find_map(mine)) {
            Some(token) if door == Door::Tcp => Shown::Token(token, "board"),
            _ => Shown::Nothing,
        }
    }

    /// The active person, and the service account, whom one of our tool servers vouches for.
    async fn vouched(&self, token: &str) -> Result<Option<(Profile, Option<String>)>, PeopleError> {
        let Some(voucher) = voucher::open(self.roster().state(), token, Timestamp::now()) else {
            return Ok(None);
        };
        let known = self.roster().find(&voucher.person).await?;
        Ok(known.filter(|one| one.state == PersonState::Active).map(|one| (one, voucher.service)))
    }

    /// Who it is; `None` if nobody is known by what was shown. People who are shut out are nobody.
    async fn caller(&self, shown: Shown, door: Door, path: &str) -> Result<Option<Caller>, PeopleError> {
        let roster = self.roster();
        let known = match shown {
            Shown::Token(token, _) if door == Door::Socket && voucher::is_one(&token) => {
                self.vouched(&token).await?.map(|(profile, service)| (profile, "mcp", Proof::Socket, service))
            }
            Shown::Token(token, surface) => roster.by_token(&token).await?.map(|signed_in| {
                (signed_in.profile, surface, proof(signed_in.kind, door), signed_in.service)
            }),
            Shown::Nothing if door == Door::Socket => {
                let me = roster.find(&self.inner.me).await?;
                me.filter(|me| me.state == PersonState::Active).map(|me| (me, "cli", Proof::Socket, None))
            }
            Shown::Nothing => None,
        };
        let caller = known.map(|(profile, surface, proof, agent)| Caller {
            person: person_at(&profile, path),
            agent,
            surface: surface.into(),
            proof,
            granted: None,
        });
        Ok(caller.filter(|caller| caller.agent.is_none() || lends_to_services(&caller.person)))
    }
}

/// What a service account reaches: the teams' APIs, where each request is its own. Everything else goes by the person alone.
fn is_for_services(path: &str) -> bool {
    let team = path.strip_prefix("/teams/").and_then(|rest| rest.split_once('/'));
    team.is_some_and(|(_, rest)| rest == "api/v1" || rest.starts_with("api/v1/"))
}

/// What is proven by what was shown: a session is what a passphrase gave, at a terminal or on a page. Any other token lies
/// in a file of some program.
fn proof(kind: TokenKind, door: Door) -> Proof {
    match (kind, door) {
        (TokenKind::Session, Door::Socket) => Proof::Passphrase,
        (TokenKind::Session, Door::Tcp) => Proof::SignedIn,
        (TokenKind::Token, _) => Proof::Socket,
    }
}

/// The router behind the door, with the ways to sign in beside it.
pub(super) fn guarded(router: Router, guard: Guard) -> Router {
    Router::new()
        .route("/sign-in", get(pages::sign_in).post(pages::sign_in_with_passphrase))
        .route("/join", get(pages::join).post(pages::take_up))
        .route("/health", get(|| async { "ok\n" }))
        .with_state(guard.clone())
        .merge(doors(guard.inner.desk.clone()))
        .merge(router.layer(middleware::from_fn_with_state(guard, check)))
}

async fn check(
    State(guard): State<Guard>,
    Extension(door): Extension<Door>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let asset = request.uri().path().starts_with("/assets/");
    if asset {
        return next.run(request).await;
    }
    let shown = guard.shown(headers, door);
    let by_cookie = matches!(shown, Shown::Token(_, "board"));
    let caller = match guard.caller(shown, door, request.uri().path()).await {
        Ok(caller) => caller,
        Err(error) => {
            tracing::error!(%error, "nobody can be let in");
            return refuse(
                503,
                "unavailable",
                "Who you are can't be looked up.",
                "The fleet's log says why.",
            );
        }
    };
    let Some(caller) = caller else { return unknown(&guard, door, request.uri(), headers) };
    if caller.agent.is_some() && !is_for_services(request.uri().path()) {
        let hint = "Take your own token: quarterdeck mcp token.";
        return refuse(403, "forbidden", "A service account reaches the APIs of teams alone.", hint);
    }
    if by_cookie && is_unsafe(request.method()) {
        if !same_origin(headers) {
            let hint = "Open the board and try again.";
            return refuse(403, "forbidden", "That came from another page.", hint);
        }
        // A vote of a page that is not signed in with a passphrase would be refused: the way there is shown at once.
        if !caller.is_proven() && request.uri().path().ends_with("/do/vote") {
            return Redirect::to(&format!("/sign-in?next={}", came_from(headers))).into_response();
        }
    }
    request.extensions_mut().insert(caller.person.clone());
    request.extensions_mut().insert(caller.proof.clone());
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn is_unsafe(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// The path of the page that a form was on, as a value in an address.
fn came_from(headers: &HeaderMap) -> String {
    let referer = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let page = referer.and_then(|text| text.parse::<Uri>().ok());
    let path = page.and_then(|uri| uri.path_and_query().map(ToString::to_string));
    crate::verbs::encoded(path.as_deref().unwrap_or("/"))
}

/// Whether the browser says that the request comes from our own page. Anything else is a no.
pub fn same_origin(headers: &HeaderMap) -> bool {
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

fn refuse(status: u16, kind: &str, detail: &str, hint: &str) -> Response {
    let (kind, hint) = (kind.into(), Some(hint.into()));
    ProblemResponse(Problem { kind, status, detail: detail.into(), hint }).into_response()
}

fn unknown(guard: &Guard, door: Door, uri: &Uri, headers: &HeaderMap) -> Response {
    if door == Door::Socket && !headers.contains_key(header::AUTHORIZATION) {
        let detail = format!("{} is shut out.", guard.inner.me);
        return refuse(
            403,
            "forbidden",
            &detail,
            "An owner lets people in: quarterdeck person invite --again.",
        );
    }
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page {
        let next = uri.path_and_query().map_or("/", |path| path.as_str());
        return pages::sign_in_page(StatusCode::UNAUTHORIZED, next, None);
    }
    tracing::debug!(path = uri.path(), "a request without a token");
    let hint = "Authorization: Bearer TOKEN; quarterdeck url shows one.";
    refuse(401, "unauthorized", "A token is needed.", hint)
}

/// The first page there is.
pub fn home(to: &str) -> Router {
    let to = to.to_owned();
    Router::new().route("/", get(move || async move { Redirect::temporary(&to) }))
}

#[cfg(test)]
mod tests {
    use super::{Door, Proof, TokenKind, proof};

    #[test]
    fn a_session_proves_where_it_is_shown_and_no_other_token_does() {
        assert_eq!(proof(TokenKind::Session, Door::Socket), Proof::Passphrase);
        assert_eq!(proof(TokenKind::Session, Door::Tcp), Proof::SignedIn);
        for door in [Door::Socket, Door::Tcp] {
            assert_eq!(proof(TokenKind::Token, door), Proof::Socket);
        }
    }
}
