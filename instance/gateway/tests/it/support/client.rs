//! An agent's end: plain HTTP/1.1, over TCP or a Unix socket, whole or piece by piece.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Response, StatusCode, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

pub(crate) type Request = hyper::Request<Full<Bytes>>;

#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// What came, and whether it ended well.
    pub(crate) body: String,
    pub(crate) whole: bool,
}

impl Answered {
    /// Status and body, for a snapshot.
    pub(crate) fn shown(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.body)
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, String)], body: &[u8]) -> Request {
    let mut request = hyper::Request::builder().method(method).uri(path).header("host", "gateway");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()
}

/// An answer that is still coming, and the task that holds its connection.
pub(crate) struct Coming {
    pub(crate) response: Response<Incoming>,
    connection: tokio::task::JoinHandle<()>,
}

impl Coming {
    /// The next piece. `None` is the end, be it a good one or not.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let frame = self.response.frame().await?.ok()?;
        Some(String::from_utf8(frame.into_data().ok()?.to_vec()).unwrap())
    }

    /// The client goes away.
    pub(crate) fn hang_up(self) {
        self.connection.abort();
    }
}

pub(crate) async fn open<S>(stream: S, request: Request) -> Coming
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(async move {
        let _ = connection.await;
    });
    Coming { response: sender.send_request(request).await.unwrap(), connection }
}

pub(crate) async fn send(address: SocketAddr, request: Request) -> Answered {
    finish(open(TcpStream::connect(address).await.unwrap(), request).await).await
}

pub(crate) async fn finish(coming: Coming) -> Answered {
    let (head, mut body) = coming.response.into_parts();
    let (mut bytes, mut whole) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => whole = false,
        }
    }
    Answered { status: head.status, headers: head.headers, body: String::from_utf8(bytes).unwrap(), whole }
}
