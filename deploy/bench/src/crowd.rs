//! Instances as many as one bot should have, each with connections of its own, which speak as the product does: joined with a
//! token, reports by POST and packed with zstd, orders as server-sent events. What they say is signed beforehand, so that the
//! processor's time is the bot's.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use jiff::{Timestamp, tz::TimeZone};
use qd_types::{FeatureId, InstanceName, Stage};
use qd_wire::{
    call::{Answer, Asking, Call, Card, JOIN, NewKeys, Said, Token},
    sealed::{SealingKey, seal},
    signed::{BOT, Header, Kind, Signed as Envelope, hex, unhex},
    v1::{Ack, Cost, Hello, Kind as _, Order, Report, WIRE},
};
use tokio::{net::TcpStream, sync::mpsc};

use crate::{Failure, distil};

/// Features of each instance that change.
const FEATURES: u64 = 4;
/// What has to be in an order for it to be the one that is waited for.
pub const PROBE: &str = "Probe";
/// Longest wait for an order.
const PATIENCE: Duration = Duration::from_secs(5);

type Sender = SendRequest<Full<Bytes>>;

/// An instance.
pub struct Remote {
    /// Its name.
    pub name: InstanceName,
    fleet: String,
    bot: SocketAddr,
    key: SigningKey,
    seq: u64,
    calls: Option<Sender>,
    orders: Option<mpsc::Receiver<Instant>>,
}

/// A call and the reports beside it, signed, and what is acknowledged of them.
pub struct Signed {
    /// The call.
    pub call: Vec<u8>,
    /// The reports, in order.
    pub reports: Vec<Vec<u8>>,
    /// The number of the last.
    pub last: u64,
}

/// The same, packed for HTTP.
pub struct Batch {
    body: Bytes,
    last: u64,
}

async fn connect(to: SocketAddr) -> Result<Sender, Failure> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn whole(response: Response<Incoming>) -> Result<Vec<u8>, Failure> {
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status == StatusCode::OK {
        return Ok(body.to_vec());
    }
    Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into())
}

fn request(method: Method, path: &str) -> hyper::http::request::Builder {
    Request::builder().method(method).uri(path).header("host", "bot")
}

fn answer(bytes: &[u8]) -> Result<Said, Failure> {
    let signed = Envelope::from_bytes(bytes)?;
    Ok(serde_json::from_str::<Answer>(&signed.payload)?.said)
}

/// Another secret for each instance and purpose, the same each time.
pub fn secret(purpose: u8, number: u32) -> [u8; 32] {
    let mut secret = [purpose; 32];
    for (byte, part) in secret.iter_mut().zip(number.to_be_bytes()) {
        *byte = part;
    }
    secret
}

/// All up to the last has to be acknowledged.
pub fn acknowledged(said: &[u8], last: u64) -> Result<(), Failure> {
    match answer(said)? {
        Said::Ack(Ack { seq, .. }) if seq == last => Ok(()),
        other => Err(format!("{other:?}, where {last} was sent").into()),
    }
}

impl Remote {
    /// Joins the fleet of the bot at an address.
    pub async fn join(bot: SocketAddr, token: &Token, number: u32) -> Result<Self, Failure> {
        let mut calls = connect(bot).await?;
        let card = request(Method::GET, "/wire/v1/card").body(Full::default())?;
        let card: Card = serde_json::from_slice(&whole(calls.send_request(card).await?).await?)?;
        let secret = secret(7, number);
        let (key, sealing) = (SigningKey::from_bytes(&secret), SealingKey::new(&secret)?);
        let (name, fleet) = (token.instance.clone(), card.fleet);
        let remote = Self { name, fleet, bot, key, seq: 0, calls: None, orders: None };
        let public = hex(&remote.key.verifying_key().to_bytes());
        let keys = NewKeys { signing: public, sealing: hex(&sealing.public()), proof: None };
        let call = remote.call(Call::Join { secret: token.secret.clone(), keys })?;
        let to: [u8; 32] = unhex(&card.sealing).and_then(|key| key.try_into().ok()).ok_or("no key")?;
        let body = Full::from(seal(&to, JOIN, &call)?);
        // The answer before is read; that its connection knows so, too, is waited for.
        calls.ready().await?;
        let joined = calls.send_request(request(Method::POST, "/wire/v1/join").body(body)?).await?;
        match answer(&whole(joined).await?)? {
            Said::Done => Ok(remote),
            other => Err(format!("{} did not join: {other:?}", remote.name).into()),
        }
    }

    fn sign(&self, kind: Kind, place: Ack, payload: String) -> Result<Vec<u8>, Failure> {
        let header = Header {
            version: WIRE,
            kind,
            fleet: self.fleet.clone(),
            from: self.name.to_string(),
            to: BOT.into(),
            key: String::new(),
            epoch: place.epoch,
            seq: place.seq,
            at: Timestamp::now(),
        };
        Ok(Envelope::new(&header, payload, &self.key)?.to_bytes()?)
    }

    fn call(&self, call: Call) -> Result<Vec<u8>, Failure> {
        let asking = serde_json::to_string(&Asking { nonce: "00".repeat(16), call })?;
        self.sign(Kind::Call, Ack { epoch: 0, seq: 0 }, asking)
    }

    /// A call with these reports; to be shipped after all that were made before.
    fn signed(&mut self, reports: &[Report]) -> Result<Signed, Failure> {
        let call = self.call(Call::Ship)?;
        let mut beside = Vec::with_capacity(reports.len());
        for report in reports {
            self.seq += 1;
            let place = Ack { epoch: 1, seq: self.seq };
            beside.push(self.sign(Kind::Report, place, serde_json::to_string(report)?)?);
        }
        Ok(Signed { call, reports: beside, last: self.seq })
    }

    fn packed(&mut self, reports: &[Report]) -> Result<Batch, Failure> {
        let Signed { call, reports, last } = self.signed(reports)?;
        let lines = [vec![call], reports].concat().join(&b'\n');
        Ok(Batch { body: zstd::stream::encode_all(lines.as_slice(), 1)?.into(), last })
    }

    /// What an instance says of itself first.
    pub fn hello(&mut self) -> Result<Batch, Failure> {
        let now = Timestamp::now();
        let takes = Order::kinds().into_iter().collect();
        let hello = Hello { version: "bench".into(), wire: WIRE, takes, at: now, beat_seconds: 30 };
        self.packed(&[Report::Hello(Box::new(hello)), distil::beat(now)])
    }

    /// So many reports of a day's work, packed for HTTP.
    pub fn batch(&mut self, reports: u64) -> Result<Batch, Failure> {
        let work = self.work(reports)?;
        self.packed(&work)
    }

    /// So many reports of a day's work, signed.
    pub fn signed_batch(&mut self, reports: u64) -> Result<Signed, Failure> {
        let work = self.work(reports)?;
        self.signed(&work)
    }

    /// A beat, a cost, and changes of features.
    fn work(&self, reports: u64) -> Result<Vec<Report>, Failure> {
        let now = Timestamp::now();
        let day = now.to_zoned(TimeZone::UTC).date();
        let mut all = vec![distil::beat(now), Report::Cost(Cost { day, spent: distil::spent(self.seq) })];
        for number in 2..reports {
            let feature: FeatureId = format!("A-{}", number % FEATURES + 1).parse()?;
            let change = i64::try_from(self.seq + number)?;
            all.push(Report::Feature(distil::feature(&feature, Stage::Running, change % 20)));
        }
        Ok(all)
    }

    /// Connects for calls, unless it is connected.
    pub async fn connected(&mut self) -> Result<(), Failure> {
        if self.calls.as_ref().is_none_or(Sender::is_closed) {
            self.calls = Some(connect(self.bot).await?);
        }
        Ok(())
    }

    /// Ships a batch, which has to be acknowledged as a whole.
    pub async fn ship(&mut self, batch: Batch) -> Result<(), Failure> {
        let calls = self.calls.as_mut().ok_or("not connected")?;
        calls.ready().await?;
        let request = request(Method::POST, "/wire/v1/call").header("content-encoding", "zstd");
        let response = calls.send_request(request.body(Full::new(batch.body))?).await?;
        acknowledged(&whole(response).await?, batch.last)
    }

    /// Opens its stream of orders, which then notes when each arrives that says [`PROBE`].
    pub async fn listen(&mut self) -> Result<(), Failure> {
        let call = self.call(Call::Orders { after: Ack { epoch: 0, seq: 0 } })?;
        let request = request(Method::GET, "/wire/v1/orders")
            .header("accept", "text/event-stream")
            .header("quarterdeck-call", call);
        let mut sender = connect(self.bot).await?;
        let response = sender.send_request(request.body(Full::default())?).await?;
        if response.status() != StatusCode::OK {
            whole(response).await?;
            return Err("no stream of orders".into());
        }
        let (came, orders) = mpsc::channel(64);
        let mut body = response.into_body();
        tokio::spawn(async move {
            // The connection lives as long as its sender.
            let _sender = sender;
            while let Some(Ok(frame)) = body.frame().await {
                let said = frame.data_ref().map(|data| String::from_utf8_lossy(data).contains(PROBE));
                if said == Some(true) && came.send(Instant::now()).await.is_err() {
                    return;
                }
            }
        });
        self.orders = Some(orders);
        Ok(())
    }

    /// When the order came that is waited for.
    pub async fn ordered(&mut self) -> Result<Instant, Failure> {
        let orders = self.orders.as_mut().ok_or("it does not listen")?;
        let came = tokio::time::timeout(PATIENCE, orders.recv()).await;
        Ok(came.map_err(|_| "no order came")?.ok_or("the stream of orders ended")?)
    }
}
