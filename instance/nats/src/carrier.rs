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
    port::{Carrier, CarryError},
    signed::hex,
    v1::Ack,
};
use tokio::{
    sync::{Mutex, oneshot},
    time::Instant,
};

use crate::{Names, NatsError, ORDERS, PLACE, REFUSED, Server, TOKEN, names::token};

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
    names: Names,
    instance: String,
    answers: Answers,
    reading: Mutex<Reading>,
    listening: tokio::task::JoinHandle<()>,
}

/// How far the orders are read.
#[derive(Default)]
struct Reading {
    consumer: Option<PullConsumer>,
    /// When the bot was last asked for orders.
    opened: Option<Instant>,
    /// The last that was handed out.
    last: Option<Ack>,
    /// What was handed out and may not be kept yet.
    unkept: Vec<(Ack, jetstream::Message)>,
}

impl NatsCarrier {
    /// The way of `instance` to the bot of `fleet`.
    ///
    /// # Errors
    /// If a name does not fit, or the server refuses. One that is away is waited for.
    pub async fn connect(server: &Server, fleet: &str, instance: &InstanceName) -> Result<Self, NatsError> {
        let names = Names::new(fleet)?;
        let instance = token(instance.as_str())?.to_owned();
        let client = server.connect(Names::inbox(&server.user)).await?;
        let context = jetstream::new(client.clone());
        let mut heard =
            client.subscribe(names.answer(&instance, "*")).await.map_err(|error| server.failed(error))?;
        let answers = Answers::default();
        let waiting = Arc::clone(&answers);
        let listening = tokio::spawn(async move {
            while let Some(message) = heard.next().await {
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
        Ok(Self { client, context, names, instance, answers, reading: Mutex::default(), listening })
    }

    /// Publishes a call for good.
    async fn publish(&self, token: &str, payload: Vec<u8>, orders: bool) -> Result<(), CarryError> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", token);
        headers.insert(TOKEN, token);
        if orders {
            headers.insert(ORDERS, "1");
        }
        let sent = self.context.publish_with_headers(self.names.up(&self.instance), headers, payload.into());
        sent.await.map_err(away)?.await.map_err(away)?;
        Ok(())
    }

    /// Publishes a call and waits for its answer.
    async fn ask(&self, payload: Vec<u8>, orders: bool) -> Result<Vec<u8>, CarryError> {
        let token = fresh()?;
        let (answer, answered) = oneshot::channel();
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), answer);
        let asked = async {
            self.publish(&token, payload, orders).await?;
            answered.await.map_err(away)
        };
        let answer = tokio::time::timeout(CALL, asked).await;
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
        let message = answer.map_err(|_| CarryError::Away("the bot does not answer".to_owned()))??;
        if message.headers.as_ref().is_some_and(|headers| headers.get(REFUSED).is_some()) {
            return Err(match serde_json::from_slice(&message.payload) {
                Ok(unheard) => CarryError::Unheard(unheard),
                Err(error) => away(error),
            });
        }
        Ok(message.payload.into())
    }

    /// The orders that came after what the instance has; none after a while.
    async fn read(&self, reading: &mut Reading, after: Ack) -> Result<Vec<Vec<u8>>, CarryError> {
        let consumer = match &reading.consumer {
            Some(consumer) => consumer.clone(),
            None => {
                let (stream, name) = (self.names.down_stream(), self.instance.clone());
                let found = self.context.get_consumer_from_stream(name, stream).await.map_err(away)?;
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
                Err(error) => {
                    reading.consumer = None;
                    return Err(away(error));
                }
            };
            let first = orders.is_empty();
            let until = Instant::now() + waits;
            while let Ok(Some(message)) = tokio::time::timeout_at(until, batch.next()).await {
                let message = message.map_err(away)?;
                let Some(place) = place(&message) else {
                    return Err(CarryError::Away("an order came without its place".to_owned()));
                };
                // The server gave it again before it heard that it is kept, or that it is here.
                if is_kept(&place, after) {
                    message.ack().await.map_err(away)?;
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
    async fn call(&self, call: Vec<u8>, reports: Vec<Vec<u8>>) -> Result<Vec<u8>, CarryError> {
        let mut payload = call;
        for report in reports {
            payload.push(b'\n');
            payload.extend(report);
        }
        let largest = self.client.server_info().max_payload;
        if largest > 0 && payload.len() > largest {
            let size = payload.len();
            return Err(CarryError::Away(format!(
                "a call of {size} bytes is more than the server takes: set max_payload in its configuration to 8 MiB"
            )));
        }
        self.ask(payload, false).await
    }

    async fn orders(&self, call: Vec<u8>, after: Ack) -> Result<Vec<Vec<u8>>, CarryError> {
        let mut reading = self.reading.lock().await;
        // What the instance has kept is done with; what it was handed and has not kept comes again.
        for (place, message) in std::mem::take(&mut reading.unkept) {
            let kind =
                if is_kept(&place, after) { jetstream::AckKind::Ack } else { jetstream::AckKind::Nak(None) };
            message.ack_with(kind).await.map_err(away)?;
        }
        let fits = reading.last.is_none_or(|last| last == after);
        if !fits || reading.opened.is_none_or(|opened| opened.elapsed() > OPEN) {
            (reading.opened, reading.last) = (None, None);
            self.ask(call, true).await?;
            reading.opened = Some(Instant::now());
        }
        self.read(&mut reading, after).await
    }
}

/// Whether whoever has all up to `after` has this.
fn is_kept(place: &Ack, after: Ack) -> bool {
    (place.epoch, place.seq) <= (after.epoch, after.seq)
}

/// The place of an order.
fn place(message: &jetstream::Message) -> Option<Ack> {
    let place = message.headers.as_ref()?.get(PLACE)?.as_str();
    let (epoch, seq) = place.split_once('.')?;
    Some(Ack { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
}

/// 16 random bytes as hex.
fn fresh() -> Result<String, CarryError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(away)?;
    Ok(hex(&bytes))
}

fn away(error: impl std::fmt::Display) -> CarryError {
    CarryError::Away(error.to_string())
}
