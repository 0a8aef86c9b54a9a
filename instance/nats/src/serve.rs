//! The bot's end: it makes the streams, takes calls from a durable consumer, and publishes answers and orders.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Client, HeaderMap,
    jetstream::{
        self, AckKind, Context, Message,
        consumer::{AckPolicy, PullConsumer, pull},
        stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
    },
};
use futures_util::StreamExt as _;
use qd_wire::port::{Gate, Reader};
use tokio::{sync::Semaphore, task::JoinHandle};

use crate::{Names, NatsError, ORDERS, PLACE, REFUSED, Server, TOKEN};

/// The bot's consumer of calls.
const BOT: &str = "bot";
/// Calls under way at once.
const CALLS: usize = 256;
/// How long a call lies: one that is older is refused as stale.
const CALL_AGE: Duration = Duration::from_secs(120);
/// Orders that lie for one instance at most: it is sent no more than a quarter of that before it acknowledges.
const LYING: i64 = 256;
/// How long a call may take before it is given to the bot again.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// How long an order may take before it is given to its instance again: what a process was given that is no more, the next one
/// has after that. An order that comes twice is known by its number.
const ORDER_WAIT: Duration = Duration::from_secs(2);
/// The pause after the server refused something.
const PAUSE: Duration = Duration::from_secs(1);

/// The bot's end of the transport. Cheap to clone.
#[derive(Clone)]
pub struct NatsServer {
    client: Client,
    context: Context,
    names: Names,
    gate: Arc<dyn Gate>,
    calls: PullConsumer,
    readers: Readers,
    room: Arc<Semaphore>,
}

/// Whoever sends orders, by instance.
type Readers = Arc<Mutex<HashMap<String, Reads>>>;

/// They end with the server.
struct Ends(Readers);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Whoever sends one instance its orders; it ends when another one takes its place.
struct Reads(JoinHandle<()>);

impl Drop for Reads {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl NatsServer {
    /// Makes or finds the streams of `fleet`.
    ///
    /// # Errors
    /// If the server can't be reached or refuses.
    pub async fn open(server: &Server, fleet: &str, gate: Arc<dyn Gate>) -> Result<Self, NatsError> {
        let names = Names::new(fleet)?;
        let client = server.connect(Names::inbox(&server.user)).await?;
        let context = jetstream::new(client.clone());
        let failed = |problem: String| server.failed(problem);
        let up = Config {
            name: names.up_stream(),
            subjects: vec![names.up("*")],
            retention: RetentionPolicy::WorkQueue,
            max_age: CALL_AGE,
            max_messages_per_subject: 64,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            duplicate_window: CALL_AGE,
            num_replicas: 1,
            ..Config::default()
        };
        let up = context.get_or_create_stream(up).await.map_err(|error| failed(error.to_string()))?;
        let down = Config {
            name: names.down_stream(),
            subjects: vec![names.down("*")],
            max_messages_per_subject: LYING,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            duplicate_window: CALL_AGE,
            num_replicas: 1,
            ..Config::default()
        };
        context.get_or_create_stream(down).await.map_err(|error| failed(error.to_string()))?;
        let consumer = pull::Config {
            durable_name: Some(BOT.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: CALLS as i64,
            ..pull::Config::default()
        };
        let calls =
            up.get_or_create_consumer(BOT, consumer).await.map_err(|error| failed(error.to_string()))?;
        let (readers, room) = (Arc::default(), Arc::new(Semaphore::new(CALLS)));
        Ok(Self { client, context, names, gate, calls, readers, room })
    }

    /// Takes calls until the task is dropped.
    pub async fn run(self) {
        let _ends = Ends(Arc::clone(&self.readers));
        loop {
            if let Err(error) = self.take().await {
                tracing::warn!(error, "calls can't be taken from the NATS server");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn take(&self) -> Result<(), String> {
        let stream = self.calls.stream().max_messages_per_batch(CALLS).messages().await;
        let mut messages = stream.map_err(|error| error.to_string())?;
        while let Some(message) = messages.next().await {
            let message = message.map_err(|error| error.to_string())?;
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return Ok(()) };
            let server = self.clone();
            tokio::spawn(async move {
                server.answer(message).await;
                drop(room);
            });
        }
        Ok(())
    }

    /// Answers one call. It is acknowledged to the server when it is answered: what the gate took is committed by then.
    async fn answer(&self, message: Message) {
        let sender = self.names.sender(&message.subject).map(str::to_owned);
        let header = |name: &str| message.headers.as_ref().and_then(|headers| headers.get(name));
        let token =
            header(TOKEN).and_then(|token| crate::names::token(token.as_str()).ok()).map(str::to_owned);
        if let (Some(sender), Some(token)) = (sender, token) {
            let mut lines = message.payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let call = lines.next().unwrap_or_default();
            let answered = if header(ORDERS).is_some() {
                self.open_orders(&sender, call).await.map(|()| Vec::new())
            } else {
                let reports: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
                self.gate.call(call, &reports).await
            };
            let mut headers = HeaderMap::new();
            let payload = match answered {
                Ok(bytes) => bytes,
                Err(refused) => {
                    headers.insert(REFUSED, "1");
                    serde_json::to_vec(&refused).unwrap_or_default()
                }
            };
            let to = self.names.answer(&sender, &token);
            if let Err(error) = self.client.publish_with_headers(to, headers, payload.into()).await {
                tracing::warn!(%error, sender, "an answer can't be given");
            }
        } else {
            tracing::warn!(subject = %message.subject, "something came that is no call");
        }
        if let Err(error) = message.ack_with(AckKind::Ack).await {
            tracing::warn!(%error, "a call that was answered comes again");
        }
    }

    /// From now on an instance is sent its orders. Who asks is known by the call's signature, not by the subject; it may
    /// only ask on its own.
    async fn open_orders(&self, sender: &str, call: &[u8]) -> Result<(), qd_wire::call::Unheard> {
        let reader = self.gate.open(call).await?;
        if reader.instance != sender {
            let problem = format!("{} asks for orders on the subject of {sender}", reader.instance);
            return Err(qd_wire::call::Unheard::failed(problem));
        }
        let consumer = pull::Config {
            durable_name: Some(sender.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ORDER_WAIT,
            filter_subject: self.names.down(sender),
            max_ack_pending: LYING,
            ..pull::Config::default()
        };
        let made = self.context.create_consumer_on_stream(consumer, self.names.down_stream()).await;
        made.map_err(|error| qd_wire::call::Unheard::failed(error.to_string()))?;
        let server = self.clone();
        let reads = tokio::spawn(async move { server.send_orders(reader).await });
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).insert(sender.to_owned(), Reads(reads));
        Ok(())
    }

    async fn send_orders(self, mut reader: Reader) {
        let subject = self.names.down(&reader.instance);
        loop {
            let before = reader.clone();
            let orders = match self.gate.orders(&mut reader).await {
                Ok(orders) => orders,
                Err(refused) => {
                    tracing::warn!(
                        instance = reader.instance,
                        refused = refused.refused,
                        "no orders are sent"
                    );
                    return;
                }
            };
            for (place, order) in orders {
                let id = format!("{}.{}", place.epoch, place.seq);
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Msg-Id", format!("{}.{id}", reader.instance).as_str());
                headers.insert(PLACE, id.as_str());
                let sent = self.context.publish_with_headers(subject.clone(), headers, order.into());
                let stored = match sent.await {
                    Ok(stored) => stored.await.map(drop).map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                if let Err(error) = stored {
                    // What was not stored is sent again, and what was is known by its id.
                    tracing::warn!(error, instance = reader.instance, "orders wait for the NATS server");
                    reader = before;
                    tokio::time::sleep(PAUSE).await;
                    break;
                }
            }
        }
    }
}
