//! The instance's end: a call is published for good and its answer awaited; orders are read by a durable consumer, and each is
//! acknowledged once the instance has asked for what comes after it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as Lock, PoisonError},
    time::Duration,
};

use async_nats::{
    Client, HeaderMap, Message,
    jetstream::{self, Context, consumer::PullConsumer},
};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use qd_types::InstanceName;
use qd_wire::{
    call::Card,
    port::{Carrier, CarryError},
    v1::Ack,
};
use tokio::{
    sync::{Mutex, oneshot, watch},
    time::Instant,
};

use crate::{
    ASKS, CARD, JOIN, Names, NatsError, ORDERS, PLACE, PROCESS, REFUSED, Server, TOKEN, fresh, names::token,
    server::Trouble,
};

/// How long an answer is waited for.
const CALL: Duration = Duration::from_secs(30);
/// How long orders are waited for at once.
const HOLD: Duration = Duration::from_secs(20);
/// How long the bot is believed to send orders, without being asked again.
const OPEN: Duration = Duration::from_secs(60);
/// Orders read at once.
const AT_ONCE: usize = 64;

type Answers = Arc<Lock<HashMap<String, oneshot::Sender<Message>>>>;

/// A bot behind a NATS server.
pub struct NatsCarrier {
    client: Client,
    context: Context,
    server: Server,
    trouble: Trouble,
    names: Names,
    instance: String,
    answers: Answers,
    /// Which process of the bot answered last.
    process: watch::Receiver<Option<String>>,
    reading: Mutex<Reading>,
    listening: tokio::task::JoinHandle<()>,
}

/// How far the orders are read.
#[derive(Default)]
struct Reading {
    consumer: Option<PullConsumer>,
    /// When the bot was last asked for orders, and which of its processes has known since.
    opened: Option<(Instant, Option<String>)>,
    /// The last that was handed out.
    last: Option<Ack>,
    /// What was handed out and may not be kept yet.
    unkept: Vec<(Ack, jetstream::Message)>,
}

impl NatsCarrier {
    /// The way of `instance` to the bot of `fleet`.
    ///
    /// # Errors
    /// If a name does not fit. A server that is away is waited for.
    pub async fn connect(server: &Server, fleet: &str, instance: &InstanceName) -> Result<Self, NatsError> {
        Self::open(server, fleet, instance, false).await
    }

    /// The same, for what is done once and not tried again.
    ///
    /// # Errors
    /// Also if the server is away, or does not know the user.
    pub async fn connect_now(
        server: &Server,
        fleet: &str,
        instance: &InstanceName,
    ) -> Result<Self, NatsError> {
        Self::open(server, fleet, instance, true).await
    }

    async fn open(
        server: &Server,
        fleet: &str,
        instance: &InstanceName,
        at_once: bool,
    ) -> Result<Self, NatsError> {
        let names = Names::new(fleet)?;
        let instance = token(instance.as_str())?.to_owned();
        let trouble = Trouble::default();
        let client = server.connect(&trouble, at_once).await?;
        let context = jetstream::new(client.clone());
        let mut heard =
            client.subscribe(names.answer(&instance, "*")).await.map_err(|error| server.failed(error))?;
        let answers = Answers::default();
        let waiting = Arc::clone(&answers);
        let (noted, process) = watch::channel(None);
        let listening = tokio::spawn(async move {
            while let Some(message) = heard.next().await {
                let from = header(&message, PROCESS).map(str::to_owned);
                noted.send_if_modified(|known| {
                    let other = from.is_some() && *known != from;
                    if other {
                        known.clone_from(&from);
                    }
                    other
                });
                let token = message.subject.rsplit('.').next().unwrap_or_default().to_owned();
                let waits = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
                // Nobody waits for it any more: the call is made again.
                if let Some(waits) = waits
                    && waits.send(message).is_err()
                {
                    tracing::debug!(token, "an answer came too late");
                }
            }
        });
        let (server, reading) = (server.clone(), Mutex::default());
        Ok(Self { client, context, server, trouble, names, instance, answers, process, reading, listening })
    }

    /// Publishes a call for good.
    async fn publish(&self, token: &str, payload: Vec<u8>, asks: Option<&str>) -> Result<(), CarryError> {
        let largest = self.client.server_info().max_payload;
        if largest > 0 && payload.len() > largest {
            let size = payload.len();
            return Err(CarryError::Away(format!(
                "a call of {size} bytes is more than the NATS server at {} takes: set max_payload in its configuration to 8MB",
                self.server.url
            )));
        }
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", token);
        headers.insert(TOKEN, token);
        if let Some(asks) = asks {
            headers.insert(ASKS, asks);
        }
        let sent = self.context.publish_with_headers(self.names.up(&self.instance), headers, payload.into());
        let failed = |error| self.away(self.server.not_stored(&error));
        sent.await.map_err(failed)?.await.map_err(failed)?;
        Ok(())
    }

    /// Why it does not work now.
    fn away(&self, found: NatsError) -> CarryError {
        away(self.trouble.explain(found))
    }

    fn broken(&self, error: impl std::fmt::Display) -> CarryError {
        self.away(self.server.failed(error))
    }

    /// Publishes a call and waits for its answer.
    async fn ask(&self, payload: Vec<u8>, asks: Option<&str>) -> Result<Vec<u8>, CarryError> {
        let token = fresh().map_err(away)?;
        let (answer, answered) = oneshot::channel();
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), answer);
        let asked = async {
            self.publish(&token, payload, asks).await?;
            answered.await.map_err(away)
        };
        let answer = tokio::time::timeout(CALL, asked).await;
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
        let silent = "it took the call, and the bot does not answer: see whether it runs";
        let message = answer.map_err(|_| self.broken(silent))??;
        if header(&message, REFUSED).is_some() {
            return Err(match serde_json::from_slice(&message.payload) {
                Ok(unheard) => CarryError::Unheard(unheard),
                Err(error) => away(error),
            });
        }
        Ok(message.payload.into())
    }

    /// The orders that came after what the instance has; none after a while.
    async fn read(
        &self,
        reading: &mut Reading,
        after: Ack,
        process: &mut watch::Receiver<Option<String>>,
    ) -> Result<Vec<Vec<u8>>, CarryError> {
        let consumer = match &reading.consumer {
            Some(consumer) => consumer.clone(),
            None => {
                let (stream, name) = (self.names.down_stream(), self.instance.clone());
                let found = self.context.get_consumer_from_stream(name, stream).await;
                let found = found.map_err(|error| self.broken(error))?;
                reading.consumer.insert(found).clone()
            }
        };
        let mut waits = HOLD;
        let mut orders = Vec::new();
        // The first is waited for; what is there beside it comes along.
        loop {
            let batch = consumer.batch().max_messages(AT_ONCE - orders.len()).expires(waits);
            let mut batch = match batch.messages().await {
                Ok(batch) => batch,
                Err(error) => return Err(self.broken(error)),
            };
            let first = orders.is_empty();
            let until = Instant::now() + waits;
            loop {
                let message = tokio::select! {
                    message = tokio::time::timeout_at(until, batch.next()) => message,
                    // Another process of the bot has to be asked for orders first.
                    _ = process.changed() => return Ok(orders),
                };
                let Ok(Some(message)) = message else { break };
                let message = message.map_err(|error| self.broken(error))?;
                let Some(place) = place(&message) else {
                    return Err(CarryError::Away("an order came without its place".to_owned()));
                };
                // The server gave it again before it heard that it is kept, or that it is here.
                if is_kept(&place, after) {
                    message.ack().await.map_err(|error| self.broken(error))?;
                    continue;
                }
                if reading.last.is_some_and(|last| is_kept(&place, last)) {
                    reading.unkept.push((place, message));
                    continue;
                }
                reading.last = Some(place);
                orders.push(message.payload.to_vec());
                reading.unkept.push((place, message));
                if first {
                    break;
                }
            }
            if orders.is_empty() || !first || orders.len() == AT_ONCE {
                return Ok(orders);
            }
            waits = Duration::from_millis(5);
        }
    }
}

impl Drop for NatsCarrier {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[async_trait]
impl Carrier for NatsCarrier {
    async fn card(&self) -> Result<Card, CarryError> {
        serde_json::from_slice(&self.ask(Vec::new(), Some(CARD)).await?).map_err(away)
    }

    async fn join(&self, sealed: String) -> Result<Vec<u8>, CarryError> {
        self.ask(sealed.into_bytes(), Some(JOIN)).await
    }

    async fn call(&self, call: Vec<u8>, reports: Vec<Vec<u8>>) -> Result<Vec<u8>, CarryError> {
        let mut payload = call;
        for report in reports {
            payload.push(b'\n');
            payload.extend(report);
        }
        self.ask(payload, None).await
    }

    async fn orders(&self, call: Vec<u8>, after: Ack) -> Result<Vec<Vec<u8>>, CarryError> {
        let mut reading = self.reading.lock().await;
        let mut process = self.process.clone();
        let now = process.borrow_and_update().clone();
        // What the instance has kept is done with; what it was handed and has not kept comes again.
        for (place, message) in std::mem::take(&mut reading.unkept) {
            let kind =
                if is_kept(&place, after) { jetstream::AckKind::Ack } else { jetstream::AckKind::Nak(None) };
            message.ack_with(kind).await.map_err(|error| self.broken(error))?;
        }
        let fits = reading.last.is_none_or(|last| last == after);
        let knows = |(at, by): &(Instant, Option<String>)| at.elapsed() <= OPEN && *by == now;
        if !fits || !reading.opened.as_ref().is_some_and(knows) {
            (reading.opened, reading.last) = (None, None);
            self.ask(call, Some(ORDERS)).await?;
            reading.opened = Some((Instant::now(), process.borrow_and_update().clone()));
        }
        let read = self.read(&mut reading, after, &mut process).await;
        if read.is_err() {
            // Whatever was lost with the server is made anew.
            (reading.consumer, reading.opened) = (None, None);
        }
        read
    }
}

/// Whether whoever has all up to `after` has this.
fn is_kept(place: &Ack, after: Ack) -> bool {
    (place.epoch, place.seq) <= (after.epoch, after.seq)
}

/// The place of an order.
fn place(message: &jetstream::Message) -> Option<Ack> {
    let place = header(message, PLACE)?;
    let (epoch, seq) = place.split_once('.')?;
    Some(Ack { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.headers.as_ref()?.get(name).map(|value| value.as_str())
}

fn away(error: impl std::fmt::Display) -> CarryError {
    CarryError::Away(error.to_string())
}
