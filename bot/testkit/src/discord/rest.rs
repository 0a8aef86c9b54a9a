//! The door: who asks, how often, and whether it is said as Discord wants it. What a request does is in `routes`.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{FromRequest as _, Multipart, Path, Request, State, ws::WebSocketUpgrade},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use serde_json::{Value, json};

use super::{
    Shared, TOKEN,
    buckets::Found,
    files::{self, Upload},
    gateway, routes,
};

/// Largest body: the attachment limit, and some.
const LARGEST: usize = 12 << 20;

/// A request, taken apart.
pub(super) struct Asked {
    pub(super) method: String,
    /// Without `/api/v10`.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
    /// Name and text.
    pub(super) files: Vec<(String, String)>,
    /// The same, as bytes.
    pub(super) uploads: Vec<Upload>,
}

/// Why it was not done: the status, Discord's code and its words.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) u16, pub(super) u32, pub(super) String);

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/gateway-ws", any(socket))
        .route("/gateway-ws/", any(socket))
        .route("/attachments/{id}/{name}", get(files::serve))
        .route("/given/{*path}", get(attachment))
        .fallback(rest)
        .with_state(shared)
}

async fn socket(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    if shared.world().shut {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    upgrade.on_upgrade(move |socket| gateway::serve(shared, socket))
}

/// What people attached: it needs no token. <https://docs.discord.com/developers/reference#cdn-formatting>
async fn attachment(State(shared): State<Arc<Shared>>, Path(path): Path<String>) -> Response {
    match shared.world().given.get(&path) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some((kind, bytes)) => ([(header::CONTENT_TYPE, kind.clone())], bytes.clone()).into_response(),
    }
}

async fn rest(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let authorised = is_authorised(request.headers());
    let asked = match take(request).await {
        Ok(asked) => asked,
        Err(problem) => {
            shared.change(|world| world.complain(problem.clone()));
            return refuse(&Refusal(400, 50_109, problem), None);
        }
    };
    let name = format!("{} {}", asked.method, asked.path);
    let (route, major) = route(&asked);
    let (found, fault) = shared.change(|world| {
        let now = world.clock();
        (world.buckets.take(&route, &major, now), world.faults.pop_front())
    });
    let result = if found.over.is_some() {
        shared.change(|world| world.requests.push(format!("{name} 429")));
        return limited(&found);
    } else if let Some(status) = fault {
        Err(Refusal(status, 0, "a fault, as a test wanted it".to_owned()))
    } else if !authorised
        && !asked.path.starts_with("/interactions/")
        && !asked.path.starts_with("/webhooks/")
    {
        Err(Refusal(401, 0, "401: Unauthorized".to_owned()))
    } else {
        checked(&shared, &asked).and_then(|()| shared.change(|world| routes::handle(world, &asked)))
    };
    let status = match &result {
        Ok(None) => 204,
        Ok(Some(_)) => 200,
        Err(Refusal(status, ..)) => *status,
    };
    shared.change(|world| world.requests.push(format!("{name} {status}")));
    match result {
        Ok(None) => respond(StatusCode::NO_CONTENT, None, Some(&found)),
        Ok(Some(answer)) => respond(StatusCode::OK, Some(&answer), Some(&found)),
        Err(refusal) => refuse(&refusal, Some(&found)),
    }
}

fn is_authorised(headers: &HeaderMap) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|value| value == &format!("Bot {TOKEN}"))
}

async fn take(request: Request) -> Result<Asked, String> {
    let method = request.method().to_string();
    let path = request.uri().path();
    let path = path.strip_prefix("/api/v10").ok_or_else(|| format!("{method} {path}: not /api/v10"))?;
    let path = percent(path.trim_end_matches('/'));
    let query = request.uri().query().unwrap_or_default().split('&').filter(|part| !part.is_empty());
    let query = query
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(k, v)| (percent(k), percent(v)))
        .collect();
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (mut body, mut files, mut uploads) = (None, Vec::new(), Vec::new());
    if kind.starts_with("multipart/form-data") {
        let mut parts = Multipart::from_request(request, &()).await.map_err(|error| error.to_string())?;
        while let Some(part) = parts.next_field().await.map_err(|error| error.to_string())? {
            let (name, file) =
                (part.name().unwrap_or_default().to_owned(), part.file_name().map(str::to_owned));
            let bytes = part.bytes().await.map_err(|error| error.to_string())?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match (name.as_str(), file) {
                ("payload_json", _) => {
                    body = Some(serde_json::from_str(&text).map_err(|error| error.to_string())?);
                }
                (name, Some(file)) if name.starts_with("files[") => {
                    let part = name.trim_start_matches("files[").trim_end_matches(']').parse();
                    let part = part.map_err(|_| format!("{method} {path}: unknown part {name}"))?;
                    uploads.push(Upload { part, name: file.clone(), bytes: bytes.to_vec() });
                    files.push((file, text));
                }
                (name, _) => return Err(format!("{method} {path}: unknown part {name}")),
            }
        }
    } else {
        let bytes: Bytes = to_bytes(request.into_body(), LARGEST).await.map_err(|error| error.to_string())?;
        if !bytes.is_empty() {
            body = Some(serde_json::from_slice(&bytes).map_err(|error| format!("{method} {path}: {error}"))?);
        }
    }
    Ok(Asked { method, path, query, body, files, uploads })
}

fn percent(text: &str) -> String {
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits: String = bytes.by_ref().take(2).map(char::from).collect();
            out.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
        } else {
            out.push(byte);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The route with its ids as `{}`, and the major parameter: channel, guild, webhook or interaction.
fn route(asked: &Asked) -> (String, String) {
    let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
    let is_id = |part: &str| {
        !part.is_empty()
            && (part.bytes().all(|b| b.is_ascii_digit()) || !part.is_ascii() || part.starts_with("token-"))
    };
    let shown: Vec<&str> = parts.iter().map(|part| if is_id(part) { "{}" } else { part }).collect();
    (format!("{} /{}", asked.method, shown.join("/")), parts.get(1).copied().unwrap_or_default().to_owned())
}

/// Against the description, where it is at hand. What is wrong is a complaint and a refusal.
fn checked(shared: &Shared, asked: &Asked) -> Result<(), Refusal> {
    let wrong = shared
        .description
        .as_ref()
        .map(|known| known.check(&asked.method, &asked.path, &asked.query, asked.body.as_ref()))
        .unwrap_or_default();
    if wrong.is_empty() {
        return Ok(());
    }
    let text = format!("{} {}: {}", asked.method, asked.path, wrong.join("; "));
    shared.change(|world| world.complain(text.clone()));
    Err(Refusal(400, 50_035, text))
}

fn refuse(refusal: &Refusal, found: Option<&Found>) -> Response {
    let Refusal(status, code, message) = refusal;
    let status = StatusCode::from_u16(*status).unwrap();
    respond(status, Some(&json!({"code": code, "message": message})), found)
}

/// <https://docs.discord.com/developers/topics/rate-limits#exceeding-a-rate-limit>
fn limited(found: &Found) -> Response {
    let global = found.over == Some("global");
    let after = found.reset_after.as_secs_f64();
    let body =
        json!({"message": "You are being rate limited.", "retry_after": after, "global": global, "code": 0});
    let mut response = respond(StatusCode::TOO_MANY_REQUESTS, Some(&body), Some(found));
    let headers = response.headers_mut();
    set(headers, "retry-after", &after.ceil().to_string());
    set(headers, "x-ratelimit-scope", found.over.unwrap_or("user"));
    if global {
        set(headers, "x-ratelimit-global", "true");
    }
    response
}

fn respond(status: StatusCode, body: Option<&Value>, found: Option<&Found>) -> Response {
    let text = body.map(Value::to_string).unwrap_or_default();
    let mut response = (status, Body::from(text)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(found) = found.filter(|found| found.over != Some("global")) {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        set(headers, "x-ratelimit-limit", &found.limit.to_string());
        set(headers, "x-ratelimit-remaining", &found.remaining.to_string());
        set(headers, "x-ratelimit-reset", &format!("{:.3}", (wall + found.reset_after).as_secs_f64()));
        set(headers, "x-ratelimit-reset-after", &format!("{:.3}", found.reset_after.as_secs_f64()));
        let hash =
            found.bucket.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        set(headers, "x-ratelimit-bucket", &format!("{hash:016x}"));
    }
    response
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
}
