//! The transport over HTTP: reports in by POST, orders out as server-sent events. It carries bytes to the gate, and knows no
//! more of them than how many there may be.
//!
//! | route | what it takes | what it gives |
//! | --- | --- | --- |
//! | `GET /wire/v1/card` | nothing | the bot's public keys and its clock |
//! | `POST /wire/v1/join` | a sealed call | a signed answer |
//! | `POST /wire/v1/call` | lines: a signed call, then signed reports; plain or zstd | a signed answer |
//! | `GET /wire/v1/orders` | a signed call in `Quarterdeck-Call`, and `Last-Event-ID` | events, each a signed order |
//!
//! What is too large, too slow or too much is refused with a reason, as what is not signed is.

use std::{convert::Infallible, io::Read as _, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures_util::{Stream, stream};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use qd_wire::{
    call::Unheard,
    port::{Gate as _, Reader},
    v1::Ack,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use crate::HubGate;

/// The largest body, as it travels and unpacked, in bytes.
const LARGEST: (usize, u64) = (8 * 1024 * 1024, 32 * 1024 * 1024);
/// How long a body may take to arrive.
const ARRIVES: Duration = Duration::from_secs(30);
/// The head of a call, in bytes: a signed call for orders is in it.
const HEAD: usize = 64 * 1024;
/// Connections at once, if nothing else is said: an instance has two, one for its calls and one for its orders.
pub const CONNECTIONS: usize = 4096;
/// Connections that are told at once that there is no place, and how long that may take.
const REFUSALS: usize = 64;
const REFUSES: Duration = Duration::from_secs(2);
/// Between two tries to take a connection.
const AGAIN: Duration = Duration::from_millis(100);
/// How often a word goes out while there are no orders: proxies close what is silent, mostly after a minute.
const ALIVE: Duration = Duration::from_secs(15);

/// The routes.
pub fn router(gate: HubGate) -> Router {
    Router::new()
        .route("/wire/v1/card", get(card))
        .route("/wire/v1/join", post(join))
        .route("/wire/v1/call", post(call))
        .route("/wire/v1/orders", get(orders))
        .with_state(gate)
}

/// Serves the routes until the task is dropped, over so many connections at once. Whoever comes when there is no place is told
/// so, and where to have more of them.
pub async fn serve(listener: TcpListener, gate: HubGate, connections: usize) {
    let (places, refusals) = (Arc::new(Semaphore::new(connections)), Arc::new(Semaphore::new(REFUSALS)));
    let service = TowerToHyperService::new(router(gate));
    let mut open = JoinSet::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection of an instance can't be taken");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        while open.try_join_next().is_some() {}
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            open.spawn(serve_one(stream, service.clone(), place));
        } else if let Ok(turn) = Arc::clone(&refusals).try_acquire_owned() {
            open.spawn(refuse(stream, connections, turn));
        } else {
            tracing::debug!("a connection is closed without a word: too many are told already");
        }
    }
}

async fn serve_one(stream: TcpStream, service: TowerToHyperService<Router>, place: OwnedSemaphorePermit) {
    let mut http = http1::Builder::new();
    // One that is silent between two calls, or sends their head by the letter, is closed.
    http.timer(TokioTimer::new()).header_read_timeout(ARRIVES).max_buf_size(HEAD);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection of an instance ended");
    }
    drop(place);
}

/// Says why there is no place, and closes.
async fn refuse(mut stream: TcpStream, connections: usize, turn: OwnedSemaphorePermit) {
    let refused = Unheard::failed(format!(
        "the bot has {connections} connections open, which is hub.connections: try again later, or have its owner raise that"
    ));
    let body = serde_json::to_string(&refused).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    let said = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // What was asked is read to its end: a connection that is closed before that takes the answer with it.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    if let Ok(Err(error)) = tokio::time::timeout(REFUSES, said).await {
        tracing::debug!(%error, "nobody hears that there is no place");
    }
    drop(turn);
}

fn unheard(status: StatusCode, unheard: Unheard) -> Response {
    (status, Json(unheard)).into_response()
}

fn answered(answer: Result<Vec<u8>, Unheard>) -> Response {
    match answer {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(refused) => unheard(StatusCode::FORBIDDEN, refused),
    }
}

async fn card(State(gate): State<HubGate>) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(gate.card())).into_response()
}

async fn join(State(gate): State<HubGate>, request: Request) -> Response {
    let bytes = match body(request).await {
        Ok(bytes) => bytes,
        Err(response) => return response,
    };
    let Ok(sealed) = std::str::from_utf8(&bytes) else {
        return unheard(StatusCode::BAD_REQUEST, Unheard::failed("it is no text"));
    };
    answered(gate.join(sealed.trim()).await)
}

async fn call(State(gate): State<HubGate>, request: Request) -> Response {
    let bytes = match body(request).await {
        Ok(bytes) => bytes,
        Err(response) => return response,
    };
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let Some(call) = lines.next() else {
        return unheard(StatusCode::BAD_REQUEST, Unheard::failed("there is no call in it"));
    };
    let reports: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    answered(gate.call(call, &reports).await)
}

/// The whole body, unpacked, if it is not too large and not too slow.
async fn body(request: Request) -> Result<Vec<u8>, Response> {
    let packed = match request.headers().get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => false,
        Some(b"zstd") => true,
        Some(_) => {
            let refused = Unheard::failed("a body is plain or packed with zstd");
            return Err(unheard(StatusCode::UNSUPPORTED_MEDIA_TYPE, refused));
        }
    };
    let (largest, unpacked) = LARGEST;
    let read = tokio::time::timeout(ARRIVES, axum::body::to_bytes(request.into_body(), largest)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let refused = Unheard::failed(format!("the body can't be read, it may be too large: {error}"));
            return Err(unheard(StatusCode::PAYLOAD_TOO_LARGE, refused));
        }
        Err(_) => {
            let refused = Unheard::failed("the body took longer than 30 seconds");
            return Err(unheard(StatusCode::REQUEST_TIMEOUT, refused));
        }
    };
    if !packed {
        return Ok(bytes.into());
    }
    let mut plain = Vec::new();
    let read = zstd::stream::read::Decoder::new(bytes.as_ref())
        .and_then(|decoder| decoder.take(unpacked + 1).read_to_end(&mut plain));
    match read {
        Ok(read) if read as u64 <= unpacked => Ok(plain),
        Ok(_) => {
            let refused = Unheard::failed("the body is too large when it is unpacked");
            Err(unheard(StatusCode::PAYLOAD_TOO_LARGE, refused))
        }
        Err(error) => {
            let refused = Unheard::failed(format!("the body can't be unpacked: {error}"));
            Err(unheard(StatusCode::BAD_REQUEST, refused))
        }
    }
}

async fn orders(State(gate): State<HubGate>, headers: HeaderMap) -> Response {
    let Some(call) = headers.get("quarterdeck-call") else {
        return unheard(StatusCode::BAD_REQUEST, Unheard::failed("the header Quarterdeck-Call is missing"));
    };
    let mut reader = match gate.open(call.as_bytes()).await {
        Ok(reader) => reader,
        Err(refused) => return unheard(StatusCode::FORBIDDEN, refused),
    };
    // Who comes back by the stream's own way says only what it was sent: nothing is acknowledged by that.
    let last = headers.get("last-event-id").and_then(|value| place(value.to_str().ok()?));
    if let Some(last) = last.filter(|last| last.epoch == reader.sent.epoch && last.seq > reader.sent.seq) {
        reader.sent = last;
    }
    let events = Sse::new(events(gate, reader)).keep_alive(KeepAlive::new().interval(ALIVE));
    // Without these, a proxy may keep what it should pass on.
    let headers = [("cache-control", "no-store, no-transform"), ("x-accel-buffering", "no")];
    (headers, events).into_response()
}

/// The place that an event's id names.
fn place(text: &str) -> Option<Ack> {
    let (epoch, seq) = text.split_once('.')?;
    Some(Ack { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
}

fn events(gate: HubGate, reader: Reader) -> impl Stream<Item = Result<Event, Infallible>> {
    let batches = stream::unfold(Some((gate, reader)), |state| async move {
        let (gate, mut reader) = state?;
        match gate.orders(&mut reader).await {
            Ok(lines) => {
                let event = |(Ack { epoch, seq }, line): (Ack, Vec<u8>)| {
                    let id = format!("{epoch}.{seq}");
                    Ok(Event::default().id(id).event("order").data(String::from_utf8_lossy(&line)))
                };
                Some((stream::iter(lines.into_iter().map(event).collect::<Vec<_>>()), Some((gate, reader))))
            }
            Err(refused) => {
                let text = serde_json::to_string(&refused).unwrap_or_default();
                let last = vec![Ok(Event::default().event("refused").data(text))];
                Some((stream::iter(last), None))
            }
        }
    });
    futures_util::StreamExt::flatten(batches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_by_its_place() {
        assert_eq!(place("3.17"), Some(Ack { epoch: 3, seq: 17 }));
        assert_eq!(place("3"), None);
        assert_eq!(place("3.x"), None);
    }
}
