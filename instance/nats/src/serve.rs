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
use qd_wire::{
    call::Unheard,
    port::{Gate, Reader},
};
use tokio::{sync::Semaphore, task::JoinHandle};

use crate::{
    ASKS, CARD, JOIN, Names, NatsError, ORDERS, PLACE, PROCESS, REFUSED, Server, TOKEN, fresh,
    server::Trouble,
};

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
    server: Server,
    trouble: Trouble,
    names: Names,
    gate: Arc<dyn Gate>,
    /// What tells this process from the one before.
    process: String,
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
    /// The bot's end for `fleet`. A server that is away is waited for.
    ///
    /// # Errors
    /// If the fleet's name can't be a part of a subject, or the key or the certificates can't be used.
    pub async fn open(server: &Server, fleet: &str, gate: Arc<dyn Gate>) -> Result<Self, NatsError> {
        let (names, trouble) = (Names::new(fleet)?, Trouble::default());
        let process = fresh().map_err(|error| NatsError::Key(error.to_string()))?;
        let client = server.connect(&trouble, false).await?;
        let context = jetstream::new(client.clone());
        let (server, readers, room) = (server.clone(), Arc::default(), Arc::new(Semaphore::new(CALLS)));
        Ok(Self { client, context, server, trouble, names, gate, process, readers, room })
    }

    /// Makes or finds the streams, and the consumer of calls.
    async fn streams(&self) -> Result<PullConsumer, NatsError> {
        let (context, names) = (&self.context, &self.names);
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
        let failed = |error| self.server.not_made(&error);
        let up = context.get_or_create_stream(up).await.map_err(failed)?;
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
        context.get_or_create_stream(down).await.map_err(failed)?;
        let consumer = pull::Config {
            durable_name: Some(BOT.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: CALLS as i64,
            ..pull::Config::default()
        };
        up.get_or_create_consumer(BOT, consumer).await.map_err(|error| self.server.failed(error))
    }

    /// Takes calls until the task is dropped.
    pub async fn run(self) {
        let _ends = Ends(Arc::clone(&self.readers));
        let mut said = None;
        loop {
            if let Err(error) = self.take(&mut said).await {
                let error = self.trouble.explain(error);
                // Once, and not with every try.
                if said.as_ref() != Some(&error) {
                    tracing::warn!(%error, "teams are not heard over NATS");
                }
                said = Some(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Takes calls until that fails. `said` is forgotten once it works.
    async fn take(&self, said: &mut Option<NatsError>) -> Result<(), NatsError> {
        let calls = self.streams().await?;
        let stream = calls.stream().max_messages_per_batch(CALLS).messages().await;
        let mut messages = stream.map_err(|error| self.server.failed(error))?;
        tracing::info!(server = self.server.url, "teams are heard over NATS");
        *said = None;
        while let Some(message) = messages.next().await {
            let message = message.map_err(|error| self.server.failed(error))?;
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
            let answered = match header(ASKS).map(|asks| asks.as_str()) {
                Some(CARD) => {
                    serde_json::to_vec(&self.gate.card()).map_err(|error| Unheard::failed(error.to_string()))
                }
                Some(JOIN) => self.gate.join(&String::from_utf8_lossy(call)).await,
                Some(ORDERS) => self.open_orders(&sender, call).await.map(|()| Vec::new()),
                Some(other) => Err(Unheard::failed(format!("nothing is asked by {other:?}"))),
                None => {
                    let reports: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
                    self.gate.call(call, &reports).await
                }
            };
            let mut headers = HeaderMap::new();
            headers.insert(PROCESS, self.process.as_str());
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
    async fn open_orders(&self, sender: &str, call: &[u8]) -> Result<(), Unheard> {
        let reader = self.gate.open(call).await?;
        if reader.instance != sender {
            let problem = format!("{} asks for orders on the subject of {sender}", reader.instance);
            return Err(Unheard::failed(problem));
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
        made.map_err(|error| Unheard::failed(error.to_string()))?;
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
