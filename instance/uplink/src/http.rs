//! The transport over HTTP, from the instance. A call is a POST; orders come on one long answer, which is opened again after
//! every break, sleep and silence.

use std::{collections::VecDeque, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use qd_wire::{
    call::{Card, Unheard},
    port::{Carrier, CarryError},
    v1::Ack,
};
use reqwest::{Client, Response};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::{sync::Mutex, time::Instant};

use crate::{JoinError, way};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a call may take, with its answer.
const CALL: Duration = Duration::from_secs(60);
/// How long orders are waited for at once.
const HOLD: Duration = Duration::from_secs(20);
/// The bot says something every 15 seconds: what is silent for so long is gone, whatever the network says.
const SILENCE: Duration = Duration::from_secs(40);
/// The largest answer, and the largest order, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;

/// A bot at an address.
pub struct HttpCarrier {
    client: Client,
    base: String,
    stream: Mutex<Option<Events>>,
}

/// A stream of orders, as far as it was read.
struct Events {
    response: Response,
    heard: Instant,
    unread: Vec<u8>,
    ready: VecDeque<Vec<u8>>,
}

impl HttpCarrier {
    /// The bot at `url`: `https://bot.example.org`, or `http://…` where the way is trusted to be private. What travels is signed
    /// in either case. The authorities in the file `ca` are believed in place of the system's.
    ///
    /// # Errors
    /// If it is no such address, or no certificate is in the file.
    pub fn new(url: &str, ca: Option<&Path>) -> Result<Self, JoinError> {
        let base = url.trim_end_matches('/').to_owned();
        if !(base.starts_with("https://") || base.starts_with("http://")) {
            let text = format!("{url:?} is no address of a bot, like https://bot.example.org:7718");
            return Err(JoinError::Address(text));
        }
        let believed = match ca {
            Some(ca) => way::read(ca)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(believed);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| JoinError::Address(format!("{url}: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .tcp_keepalive(SILENCE)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| JoinError::Address(format!("{url}: {error}")))?;
        Ok(Self { client, base, stream: Mutex::default() })
    }

    async fn open(&self, call: Vec<u8>, after: Ack) -> Result<Events, CarryError> {
        let asked = self
            .client
            .get(format!("{}/wire/v1/orders", self.base))
            .header("Accept", "text/event-stream")
            .header("Last-Event-ID", format!("{}.{}", after.epoch, after.seq))
            .header("Quarterdeck-Call", call)
            .send();
        let response = match tokio::time::timeout(CALL, asked).await {
            Ok(response) => response.map_err(lost)?,
            Err(_) => return Err(CarryError::Away("the stream of orders does not open".to_owned())),
        };
        if !response.status().is_success() {
            whole(response).await?;
            return Err(CarryError::Away("the stream of orders does not open".to_owned()));
        }
        Ok(Events { response, heard: Instant::now(), unread: Vec::new(), ready: VecDeque::new() })
    }
}

#[async_trait]
impl Carrier for HttpCarrier {
    async fn card(&self) -> Result<Card, CarryError> {
        let sent = self.client.get(format!("{}/wire/v1/card", self.base)).timeout(CALL).send().await;
        let bytes = whole(sent.map_err(lost)?).await?;
        serde_json::from_slice(&bytes).map_err(|_| {
            CarryError::Away(format!(
                "{} answers, but is no bot: is it the address of hub.listen?",
                self.base
            ))
        })
    }

    async fn join(&self, sealed: String) -> Result<Vec<u8>, CarryError> {
        let sent = self.client.post(format!("{}/wire/v1/join", self.base)).timeout(CALL).body(sealed);
        whole(sent.send().await.map_err(lost)?).await
    }

    async fn call(&self, call: Vec<u8>, reports: Vec<Vec<u8>>) -> Result<Vec<u8>, CarryError> {
        let mut plain = call;
        for report in reports {
            plain.push(b'\n');
            plain.extend(report);
        }
        let packed = zstd::stream::encode_all(plain.as_slice(), 1)
            .map_err(|error| CarryError::Away(error.to_string()))?;
        let asked = self
            .client
            .post(format!("{}/wire/v1/call", self.base))
            .header("Content-Encoding", "zstd")
            .timeout(CALL)
            .body(packed);
        whole(asked.send().await.map_err(lost)?).await
    }

    async fn orders(&self, call: Vec<u8>, after: Ack) -> Result<Vec<Vec<u8>>, CarryError> {
        let mut slot = self.stream.lock().await;
        // Taken out: whatever goes wrong, or is cut short here, the next call opens another one.
        let mut events = match slot.take() {
            Some(events) => events,
            None => self.open(call, after).await?,
        };
        let orders = events.next().await?;
        *slot = Some(events);
        Ok(orders)
    }
}

impl Events {
    /// The orders that came; none after a while.
    async fn next(&mut self) -> Result<Vec<Vec<u8>>, CarryError> {
        let until = Instant::now() + HOLD;
        loop {
            if !self.ready.is_empty() {
                return Ok(self.ready.drain(..).collect());
            }
            match tokio::time::timeout_at(until, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    self.heard = Instant::now();
                    self.unread.extend_from_slice(&chunk);
                    self.read()?;
                }
                Ok(Ok(None)) => return Err(CarryError::Away("the stream of orders ended".to_owned())),
                Ok(Err(error)) => return Err(lost(error)),
                Err(_) if self.heard.elapsed() > SILENCE => {
                    return Err(CarryError::Away("the stream of orders fell silent".to_owned()));
                }
                Err(_) => return Ok(Vec::new()),
            }
        }
    }

    /// Takes the events that are whole out of what was read.
    fn read(&mut self) -> Result<(), CarryError> {
        while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
            let rest = self.unread.split_off(end + 2);
            let event = std::mem::replace(&mut self.unread, rest);
            let (mut name, mut data) = (Vec::new(), Vec::new());
            for line in event.split(|byte| *byte == b'\n') {
                if let Some(text) = field(line, b"event:") {
                    name = text.to_vec();
                } else if let Some(text) = field(line, b"data:") {
                    data.extend_from_slice(text);
                }
            }
            match name.as_slice() {
                b"order" => self.ready.push_back(data),
                b"refused" => return Err(refused(&data)),
                // A word that only says that the bot is there.
                _ => {}
            }
        }
        if self.unread.len() > LARGEST {
            return Err(CarryError::Away("an order is larger than 8 MiB".to_owned()));
        }
        Ok(())
    }
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let text = line.strip_prefix(name)?;
    Some(text.strip_prefix(b" ").unwrap_or(text))
}

/// The body of a good answer; what a bad one says.
async fn whole(mut response: Response) -> Result<Vec<u8>, CarryError> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(CarryError::Away("the answer is larger than 8 MiB".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    Err(match refused(&body) {
        CarryError::Away(_) => CarryError::Away(format!("{status} came back, and not from a bot")),
        unheard => unheard,
    })
}

fn refused(body: &[u8]) -> CarryError {
    match serde_json::from_slice::<Unheard>(body) {
        Ok(unheard) => CarryError::Unheard(unheard),
        Err(error) => CarryError::Away(error.to_string()),
    }
}

/// What broke, with its cause; not the address, which the reader knows.
fn lost(error: reqwest::Error) -> CarryError {
    use std::error::Error as _;
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    CarryError::Away(text)
}
