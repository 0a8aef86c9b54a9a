//! A small HTTP/1.1 client for the local API, over a Unix socket or loopback TCP. Not a general client:
//! one connection, one request at a time, kept alive.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::DuplexStream,
    net::{TcpStream, UnixStream},
};

use crate::Problem;

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// What is sent and taken, unless said otherwise.
const JSON: &str = "application/json";

/// Where the API is.
#[derive(Debug, Clone)]
pub enum Target {
    /// A Unix socket.
    Socket(PathBuf),
    /// Loopback TCP.
    Tcp(SocketAddr),
    /// This very process.
    Within(Within),
}

/// The API in this process: each call gives a connection, whose other end is served. Who calls is known there.
#[derive(Clone)]
pub struct Within(pub Arc<dyn Fn() -> DuplexStream + Send + Sync>);

impl fmt::Debug for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Within")
    }
}

/// Why there is no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there.
    #[error("nothing answers at {place}")]
    NotRunning {
        /// The socket or address.
        place: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection to {place} broke")]
    Broken {
        /// The socket or address.
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The API said no.
    #[error("{}", problem.detail)]
    Problem {
        /// What it said.
        problem: Problem,
    },
    /// The answer is not what it should be.
    #[error("the answer can't be read")]
    Unreadable(#[source] serde_json::Error),
}

/// A client of one instance.
pub struct Client {
    target: Target,
    prefix: String,
    token: Option<String>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client that connects when it is first used. `team` names the instance behind that address.
    pub fn new(target: Target, team: &str, token: Option<String>) -> Self {
        Self { target, prefix: format!("/teams/{team}/api/v1"), token, sender: None }
    }

    /// A path below the root of the API; empty for the root itself, which has no slash at its end.
    fn at(&self, path: &str) -> String {
        format!("{}/{}", self.prefix, path.trim_start_matches('/')).trim_end_matches('/').to_owned()
    }

    /// GET, decoded.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, None::<&()>).await
    }

    /// POST, decoded.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// PATCH, decoded.
    pub async fn patch<B: Serialize, T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// POST of a file, decoded.
    pub async fn post_file<T: DeserializeOwned>(
        &mut self,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<T, ClientError> {
        let path = self.at(path);
        decoded(&self.answer(Method::POST, &path, bytes).await?)
    }

    /// GET, as text.
    pub async fn text(&mut self, path: &str) -> Result<String, ClientError> {
        let bytes = self.exchange(Method::GET, path, None::<&()>).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn call<B: Serialize, T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, ClientError> {
        decoded(&self.exchange(method, path, body).await?)
    }

    async fn exchange<B: Serialize>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Bytes, ClientError> {
        let body =
            body.map(serde_json::to_vec).transpose().map_err(ClientError::Unreadable)?.unwrap_or_default();
        let path = self.at(path);
        self.answer(method, &path, body).await
    }

    /// The answer's bytes; a problem is an error.
    async fn answer(&mut self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, ClientError> {
        let (status, bytes) = self.send(method, path, body).await?;
        if status.is_success() {
            return Ok(bytes);
        }
        let problem = serde_json::from_slice(&bytes).unwrap_or_else(|_| Problem {
            kind: "internal".into(),
            status: status.as_u16(),
            detail: format!("{path} answered {status}"),
            hint: None,
        });
        Err(ClientError::Problem { problem })
    }

    /// Sends bytes to an absolute path and reads the whole answer.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let response = self.open(method, path, body, JSON, JSON).await?;
        self.whole(response).await
    }

    /// Posts a form to an absolute path, as a page does, and reads the answer as text.
    pub async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<String, ClientError> {
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", quoted(name), quoted(value))).collect();
        let body = pairs.join("&").into_bytes();
        let form = "application/x-www-form-urlencoded";
        let response = self.open(Method::POST, path, body, "text/plain", form).await?;
        let (status, bytes) = self.whole(response).await?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        if status.is_success() {
            return Ok(text);
        }
        let detail = if text.is_empty() { format!("{path} answered {status}") } else { text };
        let problem = Problem { kind: "internal".into(), status: status.as_u16(), detail, hint: None };
        Err(ClientError::Problem { problem })
    }

    /// Reads the whole answer.
    async fn whole(&self, response: Response<Incoming>) -> Result<(StatusCode, Bytes), ClientError> {
        let status = response.status();
        let broken = self.broken();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(broken)?;
        Ok((status, body.to_bytes()))
    }

    /// Opens a stream: the answer's body is read by the caller.
    pub async fn stream(&mut self, path: &str) -> Result<Response<Incoming>, ClientError> {
        let path = self.at(path);
        self.open(Method::GET, &path, Vec::new(), "text/event-stream", JSON).await
    }

    async fn open(
        &mut self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        accept: &str,
        content: &str,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, content);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let broken = self.broken();
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| broken(error.into()))?;
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.connect().await?,
        };
        let broken = self.broken();
        let response = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        let response = response.await.map_err(|error| broken(error.into()))?;
        self.sender = Some(sender);
        Ok(response)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let absent = |source| ClientError::NotRunning { place: self.place(), source };
        match &self.target {
            Target::Socket(path) => self.handshake(UnixStream::connect(path).await.map_err(absent)?).await,
            Target::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(absent)?;
                stream.set_nodelay(true).map_err(absent)?;
                self.handshake(stream).await
            }
            Target::Within(Within(connect)) => self.handshake(connect()).await,
        }
    }

    async fn handshake<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, ClientError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let broken = self.broken();
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(error.into()))?;
        // The connection ends with the sender; its error is the sender's error.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }

    fn place(&self) -> String {
        match &self.target {
            Target::Socket(path) => Path::display(path).to_string(),
            Target::Tcp(address) => address.to_string(),
            Target::Within(_) => "this process".to_owned(),
        }
    }

    fn broken(&self) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> ClientError + use<> {
        let place = self.place();
        move |source| ClientError::Broken { place, source }
    }
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(ClientError::Unreadable)
}

/// A text as a part of a form.
fn quoted(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
