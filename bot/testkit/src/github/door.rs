//! The door: who asks, how often, whether it is said as GitHub's description wants it; and how it is answered. What a request
//! does is in `routes`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    Shared,
    access::{Caller, Needs},
    faults::Fault,
    keys,
    limits::Standing,
    routes::{self, Answer, Ask, Refusal, Reply, Route},
    smart,
    world::World,
};

/// Largest body: what git pushes in the tests, and some.
const LARGEST: usize = 256 << 20;
/// Of a list, where nothing else is asked for; and at most.
/// <https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>
const PAGE: usize = 30;
const LARGEST_PAGE: usize = 100;
/// Where GitHub Enterprise Server has the same API.
/// <https://docs.github.com/en/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api>
const ENTERPRISE: &str = "/api/v3";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(enter).with_state(shared)
}

/// A path's part as it is meant.
pub(super) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A request, taken apart.
struct Asked {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    raw_query: String,
    headers: HeaderMap,
    body: Option<Value>,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Media types that answers are asked for in. <https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#media-types>
const FORMS: [&str; 5] =
    ["", "*/*", "application/json", "application/vnd.github+json", "application/vnd.github.text-match+json"];

/// What goes back.
struct Told {
    status: u16,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
}

async fn enter(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if path.contains(".git/") {
        return smart::serve(shared, request).await;
    }
    if let Some(rest) = path.strip_prefix("/_logs/") {
        return log(&shared, rest);
    }
    let asked = match take(request).await {
        Ok(asked) => asked,
        Err(problem) => {
            shared.change(|world| world.complain(problem.clone()));
            return respond(Told { status: 400, body: Some(json!({"message": problem})), headers: vec![] });
        }
    };
    // Git and the lock block: not on the thread that listens.
    let worker = shared.clone();
    let done = tokio::task::spawn_blocking(move || {
        worker.change_with(|shared, world| answer(shared, world, &asked))
    });
    let (told, fault) = done.await.unwrap();
    match fault {
        Some(Fault::Timeout(pause)) => {
            tokio::time::sleep(pause).await;
            respond(Told { status: 502, body: None, headers: vec![] })
        }
        Some(Fault::Slow(pause)) => {
            tokio::time::sleep(pause).await;
            respond(told)
        }
        // A body that ends in an error cuts the wire.
        Some(Fault::AnswerLost) => {
            let lost = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("lost")) });
            Response::new(Body::from_stream(lost))
        }
        _ => respond(told),
    }
}

/// A job's log, where its route sent to: plain text, for as long as the address says.
fn log(shared: &Shared, rest: &str) -> Response {
    let world = shared.world();
    let parts: Vec<u64> = rest.split('/').filter_map(|part| part.parse().ok()).collect();
    let job = match parts.as_slice() {
        [repo, job, until] if world.now().as_second() <= i64::try_from(*until).unwrap_or(0) => {
            world.repos.get(repo).and_then(|repo| repo.jobs.get(job))
        }
        _ => None,
    };
    match job {
        Some(job) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], job.log.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn take(request: Request) -> Result<Asked, String> {
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let path = path.strip_prefix("/api/graphql").map_or(path.clone(), |_| "/graphql".to_owned());
    let path = path.strip_prefix(ENTERPRISE).unwrap_or(&path).trim_end_matches('/').to_owned();
    let Query(query) =
        Query::<Vec<(String, String)>>::try_from_uri(request.uri()).map_err(|error| error.to_string())?;
    let raw_query = request.uri().query().unwrap_or_default().to_owned();
    let headers = request.headers().clone();
    let bytes = to_bytes(request.into_body(), LARGEST).await.map_err(|error| error.to_string())?;
    let body = match bytes.is_empty() {
        true => None,
        false => Some(serde_json::from_slice(&bytes).map_err(|error| format!("{method} {path}: {error}"))?),
    };
    Ok(Asked { method, path, query: query.into_iter().collect(), raw_query, headers, body })
}

fn answer(shared: &Shared, world: &mut World, asked: &Asked) -> (Told, Option<Fault>) {
    let path = named(world, &asked.path);
    let Some((route, params)) = routes::find(&asked.method, &path) else {
        world.complain(format!("{} {}: the fake has no such route", asked.method, asked.path));
        return (refused(&Refusal::not_found(), vec![]), None);
    };
    let name = format!("{} {}", route.method, route.template);
    *world.calls.entry(name.clone()).or_insert(0) += 1;
    let fault = world.faults.take(&name);
    let told = match &fault {
        Some(Fault::Status(status)) => refused(&Refusal::said(*status, "Server Error"), vec![]),
        Some(Fault::Secondary(after)) => secondary(*after),
        Some(Fault::Timeout(_)) => refused(&Refusal::said(502, "Server Error"), vec![]),
        _ => carried_out(shared, world, asked, route, params),
    };
    world.requests.push(format!("{} {} {}", asked.method, asked.path, told.status));
    (told, fault)
}

/// The path with a repository's name where it has the id.
fn named(world: &World, path: &str) -> String {
    let Some(rest) = path.strip_prefix("/repositories/") else { return path.to_owned() };
    let (id, rest) =
        rest.split_once('/').map_or((rest, String::new()), |(id, rest)| (id, format!("/{rest}")));
    let repo = id.parse().ok().and_then(|id: u64| world.repos.get(&id));
    repo.map_or_else(|| path.to_owned(), |repo| format!("/repos/{}{rest}", repo.full_name()))
}

fn carried_out(
    shared: &Shared,
    world: &mut World,
    asked: &Asked,
    route: &Route,
    params: BTreeMap<&'static str, String>,
) -> Told {
    let now = world.now();
    // <https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#user-agent>
    if asked.header("user-agent").is_none_or(str::is_empty) {
        world.complain(format!("{} {}: no User-Agent", asked.method, asked.path));
        return refused(&Refusal::said(403, "Request forbidden by administrative rules."), vec![]);
    }
    let caller = match world.caller(asked.header("authorization")) {
        Ok(caller) => caller,
        Err(refusal) => return refused(&refusal, vec![]),
    };
    let who = World::counted(&caller);
    let standing = world.limits.count(&who, now);
    if standing.used > standing.limit {
        let message = format!("API rate limit exceeded for {who}.");
        return refused(&Refusal::said(403, &message), limit_headers(standing));
    }
    if route.creates
        && let Some(after) = world.limits.content(&who, now)
    {
        return secondary(u64::try_from(after).unwrap_or(1));
    }
    let wrong = shared
        .description
        .as_ref()
        .map(|known| known.request(&asked.method, route.template, &asked.query, asked.body.as_ref()));
    if let Some(wrong) = wrong.filter(|wrong| !wrong.is_empty()) {
        let text = format!("{} {}: {}", asked.method, asked.path, wrong.join("; "));
        world.complain(text.clone());
        return refused(&Refusal::said(422, &text), limit_headers(standing));
    }
    let result = entered(world, asked, route, params, caller);
    let mut told = match result {
        Ok(reply) => shown(world, asked, reply),
        Err(refusal) => moved(world, asked, &refusal).unwrap_or_else(|| refused(&refusal, accepted(route))),
    };
    if told.status < 300
        && let Some(known) = &shared.description
    {
        let wrong = known.answer(&asked.method, route.template, told.status, told.body.as_ref());
        for text in wrong {
            world.complain(format!("answer to {} {}: {text}", asked.method, asked.path));
        }
    }
    if asked.method == "GET" && told.status == 200 {
        let etag = keys::etag(&told.body.as_ref().map(Value::to_string).unwrap_or_default());
        if asked
            .header("if-none-match")
            .is_some_and(|known| known.trim_start_matches("W/") == etag.trim_start_matches("W/"))
        {
            world.limits.give_back(&who);
            (told.status, told.body) = (304, None);
        }
        told.headers.push(("etag", etag));
    }
    told.headers.extend(limit_headers(world.limits.standing(&who, now)));
    told
}

/// What a handler says; before that, whether it is asked at all.
fn entered(
    world: &mut World,
    asked: &Asked,
    route: &Route,
    params: BTreeMap<&'static str, String>,
    caller: Caller,
) -> Answer {
    let found = match (params.get("owner"), params.get("repo")) {
        (Some(owner), Some(name)) => world.find(owner, name).filter(|id| world.repos.contains_key(id)),
        _ => None,
    };
    world.admit(&caller, route.needs, found)?;
    if let (Some(id), Some(owner), Some(name)) = (found, params.get("owner"), params.get("repo"))
        && !world.repo(id).full_name().eq_ignore_ascii_case(&format!("{owner}/{name}"))
    {
        return Err(Refusal { status: 301, message: id.to_string(), errors: None });
    }
    let actor = world.actor_of(&caller);
    let body = asked.body.clone().unwrap_or(Value::Null);
    let (query, accept) = (asked.query.clone(), asked.header("accept").unwrap_or_default().to_owned());
    if !FORMS.contains(&accept.as_str()) {
        world.complain(format!("{} {}: the fake does not know the form {accept}", asked.method, asked.path));
        return Err(Refusal::said(415, "Unsupported 'Accept' header."));
    }
    let mut ask = Ask { world, caller, actor, params, query, accept, body, repo: found.unwrap_or(0) };
    (route.handle)(&mut ask)
}

/// A repository that has another name now: 301, and 307 for what is more than reading.
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects>
fn moved(world: &World, asked: &Asked, refusal: &Refusal) -> Option<Told> {
    let id = (refusal.status == 301).then_some(&refusal.message)?;
    let rest = asked.path.splitn(5, '/').nth(4).map(|rest| format!("/{rest}")).unwrap_or_default();
    let query = if asked.raw_query.is_empty() { String::new() } else { format!("?{}", asked.raw_query) };
    let url = world.api(&format!("/repositories/{id}{rest}{query}"));
    let status = if asked.method == "GET" { 301 } else { 307 };
    let body = json!({"message": "Moved Permanently", "url": url, "documentation_url": DOCUMENTATION});
    Some(Told { status, body: Some(body), headers: vec![("location", url)] })
}

const DOCUMENTATION: &str = "https://docs.github.com/rest";

fn refused(refusal: &Refusal, headers: Vec<(&'static str, String)>) -> Told {
    let mut body = json!({"message": refusal.message, "documentation_url": DOCUMENTATION,
        "status": refusal.status.to_string()});
    if let Some(errors) = &refusal.errors {
        body["errors"] = errors.clone();
    }
    Told { status: refusal.status, body: Some(body), headers }
}

/// What would have been enough.
/// <https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps>
fn accepted(route: &Route) -> Vec<(&'static str, String)> {
    let Needs::Repo(any) = route.needs else { return vec![] };
    let names: Vec<String> = any.iter().map(|(name, level)| format!("{name}={}", level.name())).collect();
    vec![("x-accepted-github-permissions", names.join("; "))]
}

/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>
fn secondary(after: u64) -> Told {
    let words = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    refused(&Refusal::said(403, words), vec![("retry-after", after.to_string())])
}

fn limit_headers(standing: Standing) -> Vec<(&'static str, String)> {
    vec![
        ("x-ratelimit-limit", standing.limit.to_string()),
        ("x-ratelimit-remaining", standing.remaining().to_string()),
        ("x-ratelimit-used", standing.used.to_string()),
        ("x-ratelimit-reset", standing.reset.to_string()),
        ("x-ratelimit-resource", "core".to_owned()),
    ]
}

fn shown(world: &mut World, asked: &Asked, reply: Reply) -> Told {
    match reply {
        Reply::Json(status, body) => Told { status, body: Some(body), headers: vec![] },
        Reply::Empty => Told { status: 204, body: None, headers: vec![] },
        Reply::Found(url) => Told { status: 302, body: None, headers: vec![("location", url)] },
        Reply::List(name, items) => page(world, asked, name, items),
    }
}

/// A page of a list, with its `Link`.
fn page(world: &mut World, asked: &Asked, name: Option<&'static str>, mut items: Vec<Value>) -> Told {
    world.listed(&mut items);
    let number =
        |name: &str, usual: usize| asked.query.get(name).map_or(Some(usual), |text| text.parse().ok());
    let (size, page) = (number("per_page", PAGE).unwrap_or(PAGE), number("page", 1).unwrap_or(1).max(1));
    if size > LARGEST_PAGE || size == 0 {
        world.complain(format!("{} {}: per_page is from 1 to {LARGEST_PAGE}", asked.method, asked.path));
    }
    let size = size.clamp(1, LARGEST_PAGE);
    let (total, last) = (items.len(), items.len().div_ceil(size).max(1));
    let shown: Vec<Value> = items.into_iter().skip((page - 1) * size).take(size).collect();
    let mut links = Vec::new();
    let mut link = |to: usize, rel: &str| {
        let mut query: Vec<String> = asked
            .query
            .iter()
            .filter(|(name, _)| *name != "page")
            .map(|(name, value)| {
                let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
                format!("{name}={value}")
            })
            .collect();
        query.push(format!("page={to}"));
        links.push(format!("<{}?{}>; rel=\"{rel}\"", world.api(&asked.path), query.join("&")));
    };
    if page > 1 {
        link(page - 1, "prev");
        link(1, "first");
    }
    if page < last {
        link(page + 1, "next");
        link(last, "last");
    }
    let headers = if links.is_empty() { vec![] } else { vec![("link", links.join(", "))] };
    let body = match name {
        Some("items") => json!({"total_count": total, "incomplete_results": false, "items": shown}),
        Some(name) => json!({"total_count": total, name: shown}),
        None => Value::Array(shown),
    };
    Told { status: 200, body: Some(body), headers }
}

fn respond(told: Told) -> Response {
    let status = StatusCode::from_u16(told.status).unwrap();
    let text = told.body.map(|body| body.to_string()).unwrap_or_default();
    let mut response = (status, Body::from(text)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    for (name, value) in told.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
    }
    response
}
