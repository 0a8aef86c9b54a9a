//! Pages before the door: signing in with a link or a passphrase, and taking up an invitation.

use std::net::SocketAddr;

use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};
use qd_people::{LEAST_CHARACTERS, TokenKind};
use qd_types::PersonId;
use secrecy::SecretString;
use serde::Deserialize;

use super::{roster::SIGNED_IN, routes::refused};
use crate::http::{Guard, same_origin};

/// What these pages may load, and where their forms go.
const POLICY: &str = "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'";

/// Where a link signs in.
pub fn sign_in_url(address: SocketAddr, token: &str) -> String {
    format!("http://{address}/sign-in?token={token}")
}

/// Where an invitation is taken up.
pub fn join_url(address: SocketAddr, token: &str) -> String {
    format!("http://{address}/join?token={token}")
}

fn page(status: StatusCode, title: &str, head: Markup, body: Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Quarterdeck" }
                link rel="icon" href="/assets/mark.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/look.css";
                (head)
            }
            body { main { div.page.one { section.panel { h1 { (title) } (body) } } } }
        }
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The address may hold a token: nobody else is told.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, page).into_response()
}

/// Who is there: asks for a name and a passphrase. `trouble` is what was wrong with the last try.
pub fn sign_in_page(status: StatusCode, next: &str, trouble: Option<&str>) -> Response {
    let body = html! {
        @if let Some(trouble) = trouble { p role="alert" { (trouble) } }
        form.stack method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            label { "Name" input name="person" autocomplete="username" required autofocus; }
            label { "Passphrase" input type="password" name="passphrase" autocomplete="current-password" required; }
            button.primary { "Sign in" }
        }
        p.soft {
            "Without a passphrase: open the sign-in link that the terminal shows, or run " code { "quarterdeck url" }
            ". It reads and works; a vote needs the passphrase."
        }
    };
    page(status, "Who are you?", html! {}, body)
}

fn join_page(status: StatusCode, token: &str, trouble: Option<&str>) -> Response {
    let body = html! {
        p { "Choose a passphrase. You vote with it, here and in a terminal. It has at least " (LEAST_CHARACTERS)
            " characters: four or five words make a good one." }
        @if let Some(trouble) = trouble { p role="alert" { (trouble) } }
        form.stack method="post" action="/join" {
            input type="hidden" name="token" value=(token);
            label { "Passphrase" input type="password" name="passphrase" autocomplete="new-password"
                minlength=(LEAST_CHARACTERS) required autofocus; }
            label { "The same again" input type="password" name="again" autocomplete="new-password" required; }
            button.primary { "Set it and go on" }
        }
    };
    page(status, "Welcome", html! {}, body)
}

/// Signed in. A redirect would be the same navigation that another site began, and a strict cookie would not be sent
/// with it.
fn go_on(guard: &Guard, token: &str, next: &str) -> Response {
    let next = local(next);
    let head = html! { meta http-equiv="refresh" content=(format!("0;url={next}")); };
    let mut response = page(StatusCode::OK, "Signed in", head, html! { p { a href=(next) { "Go on" } } });
    let mut cookie = format!("{}={token}; Path=/; HttpOnly; SameSite=Strict", guard.cookie());
    // What votes is not put into the browser's store of cookies, where everything that runs as this user could read it.
    if TokenKind::of(token) != Some(TokenKind::Session) {
        cookie.push_str(&format!("; Max-Age={}", SIGNED_IN.as_secs()));
    }
    match cookie.parse() {
        Ok(value) => {
            response.headers_mut().insert(header::SET_COOKIE, value);
            response
        }
        Err(_) => sign_in_page(StatusCode::FORBIDDEN, next, Some("This link is not whole.")),
    }
}

/// A path of ours, and never an address of somebody else's.
fn local(next: &str) -> &str {
    let ours = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if ours { next } else { "/" }
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    token: Option<String>,
    #[serde(default)]
    next: String,
}

pub(crate) async fn sign_in(State(guard): State<Guard>, Query(asked): Query<Asked>) -> Response {
    let Some(token) = asked.token else { return sign_in_page(StatusCode::OK, &asked.next, None) };
    match guard.roster().by_token(&token).await {
        Ok(Some(_)) => go_on(&guard, &token, &asked.next),
        Ok(None) => {
            let text = "This link is not valid any more. quarterdeck url shows another one.";
            sign_in_page(StatusCode::FORBIDDEN, &asked.next, Some(text))
        }
        Err(error) => refused(&error).into_response(),
    }
}

#[derive(Deserialize)]
pub(crate) struct Known {
    person: String,
    passphrase: String,
    #[serde(default)]
    next: String,
}

pub(crate) async fn sign_in_with_passphrase(
    State(guard): State<Guard>,
    headers: HeaderMap,
    Form(Known { person, passphrase, next }): Form<Known>,
) -> Response {
    if !same_origin(&headers) {
        return sign_in_page(StatusCode::FORBIDDEN, &next, Some("That came from another page."));
    }
    let wrong = |text: &str| sign_in_page(StatusCode::FORBIDDEN, &next, Some(text));
    let Ok(person) = person.trim().parse::<PersonId>() else {
        return wrong("That is not the passphrase.");
    };
    match guard.roster().sign_in(&person, SecretString::from(passphrase), "page", SIGNED_IN).await {
        Ok(token) => go_on(&guard, &token, &next),
        Err(error) => wrong(&refused(&error).0.detail),
    }
}

#[derive(Deserialize)]
pub(crate) struct Invited {
    token: String,
}

pub(crate) async fn join(Query(Invited { token }): Query<Invited>) -> Response {
    join_page(StatusCode::OK, &token, None)
}

#[derive(Deserialize)]
pub(crate) struct Joining {
    token: String,
    passphrase: String,
    again: String,
}

pub(crate) async fn take_up(
    State(guard): State<Guard>,
    headers: HeaderMap,
    Form(Joining { token, passphrase, again }): Form<Joining>,
) -> Response {
    let wrong = |text: &str| join_page(StatusCode::FORBIDDEN, &token, Some(text));
    if !same_origin(&headers) {
        return wrong("That came from another page.");
    }
    if passphrase != again {
        return wrong("The two are not the same.");
    }
    let passphrase = SecretString::from(passphrase);
    let profile = match guard.roster().accept(token.clone(), passphrase).await {
        Ok(profile) => profile,
        Err(error) => return wrong(&refused(&error).0.detail),
    };
    // Who holds the invitation just chose the passphrase: no need to ask for it again.
    let kind = TokenKind::Session;
    match guard.roster().make_token(&profile.id, kind, "page", SIGNED_IN).await {
        Ok(token) => go_on(&guard, &token, "/"),
        Err(error) => wrong(&refused(&error).0.detail),
    }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn signing_in_leads_nowhere_else() {
        assert_eq!(local("/teams/alpha/inbox?id=A"), "/teams/alpha/inbox?id=A");
        for foreign in
            ["", "//evil.test", "https://evil.test", "/\\evil.test", "/ a", "/\t/evil.test", "javascript:x"]
        {
            assert_eq!(local(foreign), "/", "{foreign:?}");
        }
    }
}
