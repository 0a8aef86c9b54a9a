//! A provider that is stricter than any real one: it takes nothing but its own key, in the one header where its shape has
//! it, and it fails the test when it sees anything of the run. What it answers is a script.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, Request, Response,
    body::{Body, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::mpsc};

/// A request that came through.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A part of an answer.
#[derive(Clone)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// Silence, before the head if it comes first.
    Wait(Duration),
    /// The connection breaks.
    Cut,
}

/// An answer.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) pieces: Vec<Piece>,
}

impl Reply {
    pub(crate) fn json(text: &str) -> Self {
        Self::new(200, "application/json", vec![Piece::Bytes(text.into())])
    }

    pub(crate) fn stream(pieces: &[&str]) -> Self {
        let pieces = pieces.iter().map(|piece| Piece::Bytes(piece.as_bytes().to_vec())).collect();
        Self::new(200, "text/event-stream; charset=utf-8", pieces)
    }

    pub(crate) fn error(status: u16, text: &str) -> Self {
        Self::new(status, "application/json", vec![Piece::Bytes(text.into())])
    }

    fn new(status: u16, kind: &str, pieces: Vec<Piece>) -> Self {
        Self { status, headers: vec![("content-type", kind.to_owned())], pieces }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn first(mut self, piece: Piece) -> Self {
        self.pieces.insert(0, piece);
        self
    }

    pub(crate) fn then(mut self, piece: Piece) -> Self {
        self.pieces.push(piece);
        self
    }
}

#[derive(Clone)]
pub(crate) struct Upstream {
    inner: Arc<Inner>,
}

struct Inner {
    address: SocketAddr,
    key: &'static str,
    token: String,
    script: Mutex<VecDeque<Reply>>,
    seen: Mutex<Vec<Seen>>,
    wrong: Mutex<Vec<String>>,
    /// Ticks when an answer was taken to its end, or its reader went away.
    ended: Mutex<Vec<bool>>,
}

impl Upstream {
    pub(crate) async fn start(key: &'static str, token: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Arc::new(Inner {
            address: listener.local_addr().unwrap(),
            key,
            token,
            script: Mutex::default(),
            seen: Mutex::default(),
            wrong: Mutex::default(),
            ended: Mutex::default(),
        });
        let upstream = Self { inner };
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let upstream = serving.clone();
                let service = service_fn(move |request| {
                    let upstream = upstream.clone();
                    async move { Ok::<_, Infallible>(upstream.answer(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        upstream
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// The next answers, in order. The last one stays.
    pub(crate) fn plays(&self, replies: impl IntoIterator<Item = Reply>) {
        *self.inner.script.lock().unwrap() = replies.into_iter().collect();
    }

    /// What came through. Fails if anything was there that must not be.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let wrong = self.inner.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "the upstream saw {wrong:#?}");
        self.inner.seen.lock().unwrap().clone()
    }

    /// For each answer that is over, whether it was taken to its end.
    pub(crate) fn ended(&self) -> Vec<bool> {
        self.inner.ended.lock().unwrap().clone()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Pieces> {
        let (head, body) = request.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let seen = Seen {
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: head.headers,
            body,
        };
        self.inner.wrong.lock().unwrap().extend(self.wrong(&seen));
        self.inner.seen.lock().unwrap().push(seen);
        let reply = {
            let mut script = self.inner.script.lock().unwrap();
            if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
        };
        let reply = reply.unwrap_or_else(|| Reply::error(404, "nothing is scripted"));
        let mut pieces: VecDeque<Piece> = reply.pieces.into();
        while let Some(Piece::Wait(time)) = pieces.front() {
            tokio::time::sleep(*time).await;
            pieces.pop_front();
        }
        let (sender, receiver) = mpsc::channel(1);
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            let mut whole = true;
            for piece in pieces {
                let sent = match piece {
                    Piece::Wait(time) => {
                        tokio::select! {
                            () = tokio::time::sleep(time) => Ok(()),
                            () = sender.closed() => Err(()),
                        }
                    }
                    Piece::Bytes(bytes) => sender.send(Ok(Bytes::from(bytes))).await.map_err(|_| ()),
                    Piece::Cut => {
                        // What was sent before is on its way first.
                        tokio::time::sleep(Duration::from_millis(30)).await;
                        sender.send(Err(Broken)).await.map_err(|_| ())
                    }
                };
                whole &= sent.is_ok();
            }
            inner.ended.lock().unwrap().push(whole);
        });
        let mut response = Response::builder().status(reply.status);
        for (name, value) in reply.headers {
            response = response.header(name, value);
        }
        response.body(Pieces(receiver)).unwrap()
    }

    fn wrong(&self, seen: &Seen) -> Vec<String> {
        let mut wrong = vec![];
        let expected = if seen.path.ends_with("/messages") || seen.path.ends_with("count_tokens") {
            ("x-api-key", self.inner.key.to_owned())
        } else if seen.path.starts_with("/v1beta") {
            ("x-goog-api-key", self.inner.key.to_owned())
        } else {
            ("authorization", format!("Bearer {}", self.inner.key))
        };
        for name in ["authorization", "x-api-key", "x-goog-api-key"] {
            let given: Vec<_> =
                seen.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
            let good = if name == expected.0 { given == [expected.1.as_str()] } else { given.is_empty() };
            if !good {
                wrong.push(format!("{name}: {given:?}"));
            }
        }
        for name in ["cookie", "accept-encoding", "content-encoding", "openai-organization", "connection"] {
            if seen.headers.contains_key(name) {
                wrong.push(format!("the header {name}"));
            }
        }
        if format!("{seen:?}").contains(&self.inner.token) {
            wrong.push("the run's token".to_owned());
        }
        if seen.query.as_deref().is_some_and(|query| query.contains("key=")) {
            wrong.push("a key in the query".to_owned());
        }
        let length = seen.headers.get("content-length").map(|length| length.to_str().unwrap().to_owned());
        if !seen.body.is_empty() && length != Some(seen.body.len().to_string()) {
            wrong.push(format!("content-length {length:?} for {} bytes", seen.body.len()));
        }
        if !seen.body.is_empty() && serde_json::from_str::<serde_json::Value>(&seen.body).is_err() {
            wrong.push(format!("no JSON: {}", seen.body));
        }
        wrong
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the script says that it breaks here")]
struct Broken;

struct Pieces(mpsc::Receiver<Result<Bytes, Broken>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
