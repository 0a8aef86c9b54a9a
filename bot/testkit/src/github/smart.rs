//! Git over HTTP: `git http-backend` behind basic auth, as GitHub takes a token for a password.
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation#about-authentication-as-a-github-app-installation>,
//! <https://git-scm.com/docs/git-http-backend>

use std::{process::Stdio, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::io::AsyncWriteExt as _;

use super::{
    Shared,
    access::Caller,
    git,
    repo::Actor,
    world::{Level, World},
};

/// Largest push of the tests.
const LARGEST: usize = 256 << 20;

/// Somebody who was let in.
struct Admitted {
    repo: u64,
    actor: Actor,
    /// As the lists of those who may pass call them.
    name: String,
}

pub(super) async fn serve(shared: Arc<Shared>, request: Request) -> Response {
    let (request, sent) = request.into_parts();
    let path = request.uri.path().to_owned();
    let query = request.uri.query().unwrap_or_default().to_owned();
    let writes = query.contains("service=git-receive-pack") || path.ends_with("/git-receive-pack");
    let (full, rest) = path.split_once(".git/").unwrap_or((&path, ""));
    let full = full.trim_start_matches('/').to_owned();
    let header = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let admitted = shared.change(|world| {
        let kind = if writes { "git push" } else { "git fetch" };
        *world.calls.entry(kind.to_owned()).or_insert(0) += 1;
        let admitted = admit(world, &full, &format!("{rest}?{query}"), header, writes);
        let status = admitted.as_ref().map_or_else(|response| response.status(), |_| StatusCode::OK);
        world.requests.push(format!("{} {path} {}", request.method, status.as_u16()));
        admitted
    });
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let (root, folder) = {
        let world = shared.world();
        (world.root.clone(), format!("{}.git", admitted.repo))
    };
    let of = |name: &str| request.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or("").to_owned();
    let mut backend = tokio::process::Command::from(git::program());
    backend
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{folder}/{rest}"))
        .env("REQUEST_METHOD", request.method.as_str())
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", of("content-type"))
        .env("HTTP_CONTENT_ENCODING", of("content-encoding"))
        .env("GIT_PROTOCOL", of("git-protocol"))
        .env("REMOTE_USER", &admitted.name)
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("FAKE_ACTOR", &admitted.name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let is_post = request.method == Method::POST;
    let Ok(body) = to_bytes(sent, LARGEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    backend.env("CONTENT_LENGTH", body.len().to_string());
    let mut child = backend.spawn().expect("git is installed");
    let mut stdin = child.stdin.take().unwrap();
    let feed = tokio::spawn(async move { drop(stdin.write_all(&body).await) });
    let out = child.wait_with_output().await.unwrap();
    feed.abort();
    if writes && is_post {
        let actor = admitted.actor;
        let shared = shared.clone();
        let told =
            tokio::task::spawn_blocking(move || shared.change(|world| world.sync(admitted.repo, &actor)));
        told.await.unwrap();
    }
    cgi(&out.stdout)
}

fn admit(
    world: &World,
    full: &str,
    rest: &str,
    header: Option<&str>,
    writes: bool,
) -> Result<Admitted, Box<Response>> {
    let refuse = |status: StatusCode, words: &str| Err(Box::new((status, words.to_owned()).into_response()));
    let ask = || {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
        Err(Box::new((StatusCode::UNAUTHORIZED, challenge, "Authentication required").into_response()))
    };
    let repo = full.split_once('/').and_then(|(owner, name)| world.find(owner, name));
    let repo = repo.filter(|id| world.repos.contains_key(id));
    let Some(header) = header else {
        let open = !writes && repo.is_some_and(|repo| !world.repo(repo).private);
        let Some(repo) = repo.filter(|_| open) else { return ask() };
        return Ok(Admitted { repo, actor: Actor::Person("ghost".to_owned()), name: String::new() });
    };
    let pair = header.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
    let pair = pair.and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((user, token)) = pair.as_deref().and_then(|pair| pair.split_once(':')) else { return ask() };
    let Ok(caller) = world.holder(token) else { return ask() };
    if matches!(caller, Caller::Installation { .. }) && user != "x-access-token" {
        return ask();
    }
    let Some(repo) = repo else { return refuse(StatusCode::NOT_FOUND, "Repository not found.") };
    let level = if writes { Level::Write } else { Level::Read };
    match world.may(&caller, repo, "contents", level) {
        Err(refusal) if refusal.status == 404 => refuse(StatusCode::NOT_FOUND, "Repository not found."),
        Err(_) => refuse(StatusCode::FORBIDDEN, "Write access to repository not granted."),
        Ok(()) => {
            let held = world.repo(repo);
            if !held.full_name().eq_ignore_ascii_case(full) {
                return moved(world, &held.full_name(), rest);
            }
            let actor = world.actor_of(&caller);
            let name = world.bypass_name(&actor);
            Ok(Admitted { repo, actor, name })
        }
    }
}

/// A repository that has another name now.
/// <https://docs.github.com/en/repositories/creating-and-managing-repositories/renaming-a-repository>
fn moved(world: &World, full: &str, rest: &str) -> Result<Admitted, Box<Response>> {
    let place = [(header::LOCATION, world.api(&format!("/{full}.git/{rest}")))];
    Err(Box::new((StatusCode::MOVED_PERMANENTLY, place).into_response()))
}

/// What the program wrote: headers, an empty line, a body.
fn cgi(out: &[u8]) -> Response {
    let Some(at) = out.windows(4).position(|window| window == b"\r\n\r\n") else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = Response::new(Body::from(out[at + 4..].to_vec()));
    for line in String::from_utf8_lossy(&out[..at]).lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(200);
            *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
            continue;
        }
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) else {
            continue;
        };
        response.headers_mut().insert(name, value);
    }
    response
}
