//! The hub itself: one lock around the core's state, so that events are handled one after the other, each in one
//! transaction.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_core::{
    Event, FleetState, Handled, Moment, Rules,
    chat::{Chat, Commands},
    forge::Forge,
    handle,
};
use qd_sqlite::{
    Db,
    outbox::{self, Receipt},
};
use qd_types::{InstanceName, Person};
use qd_wire::v1::{Ack, Envelope, Order, Report};
use rusqlite::Connection;
use tokio::sync::Mutex;

use crate::{HubError, json, keep, schema};

/// Orders handed out at once.
const ORDERS: usize = 64;
/// How long a call for orders is held while there are none.
const HOLD: Duration = Duration::from_secs(20);

/// The bot's hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Db,
    state: Mutex<State>,
    pub(crate) forge: Arc<dyn Forge>,
    pub(crate) chat: Arc<dyn Chat>,
}

struct State {
    fleet: FleetState,
    received: HashMap<InstanceName, Ack>,
}

impl Hub {
    /// Opens or makes `bot.db` at `path`, with everything that was known when it was closed.
    pub async fn open(
        path: &Path,
        rules: Rules,
        forge: Arc<dyn Forge>,
        chat: Arc<dyn Chat>,
    ) -> Result<Self, HubError> {
        let db = Db::open(path, schema::MIGRATIONS)?;
        let fleet = db.read(move |c| keep::load(c, rules)).await?;
        let state = Mutex::new(State { fleet, received: HashMap::new() });
        Ok(Self { inner: Arc::new(Inner { db, state, forge, chat }) })
    }

    /// Carries out effects until the task is dropped: acts at the forge, messages to chat.
    pub async fn run(self) {
        tokio::join!(crate::forge::run(self.clone()), crate::chat::run(self));
    }

    /// Puts new rules in force.
    pub async fn set_rules(&self, rules: Rules) {
        self.inner.state.lock().await.fleet.rules = rules;
    }

    /// Looks at what the bot knows.
    pub async fn look<T>(&self, view: impl FnOnce(&FleetState) -> T) -> T {
        view(&self.inner.state.lock().await.fleet)
    }

    /// Takes reports of an instance, in order; answers with what is committed. Reports that were seen are skipped.
    pub async fn receive(&self, from: &InstanceName, batch: Vec<Envelope<Report>>) -> Result<Ack, HubError> {
        let mut state = self.inner.state.lock().await;
        let mut known = self.received(&mut state, from).await?;
        let now = Timestamp::now();
        let (mut handled, mut taken) = (Vec::new(), Vec::new());
        for envelope in batch {
            let same = envelope.epoch == known.epoch;
            if envelope.epoch < known.epoch || (same && envelope.seq <= known.seq) {
                continue;
            }
            let expected = if same { known.seq + 1 } else { 1 };
            if envelope.seq != expected {
                // What came before the gap is kept; the sender starts again from there.
                tracing::warn!(instance = %from, seq = envelope.seq, expected, "a report is missing");
                break;
            }
            known = Ack { epoch: envelope.epoch, seq: envelope.seq };
            taken.push(known);
            let event = Event::Report { instance: from.clone(), report: Box::new(envelope.body) };
            handled.push(handle(&mut state.fleet, event, moment(now)));
        }
        if taken.is_empty() {
            return Ok(known);
        }
        let peer = from.clone();
        let written = self.inner.db.write(move |c| {
            for (ack, handled) in taken.iter().zip(&handled) {
                match outbox::receive(c, peer.as_str(), ack.epoch, ack.seq)? {
                    Receipt::New => keep::keep(c, &handled.effects, now)?,
                    Receipt::Seen => {}
                    Receipt::Gap => {
                        let (_, seq) = outbox::received(c, peer.as_str())?;
                        let instance = peer.to_string();
                        return Err(HubError::Gap { instance, seq: ack.seq, expected: seq + 1 });
                    }
                }
            }
            Ok(())
        });
        self.settle(&mut state, written.await).await?;
        state.received.insert(from.clone(), known);
        Ok(known)
    }

    async fn received(&self, state: &mut State, from: &InstanceName) -> Result<Ack, HubError> {
        if let Some(ack) = state.received.get(from) {
            return Ok(*ack);
        }
        let peer = from.clone();
        let (epoch, seq) =
            self.inner.db.read(move |c| Ok::<_, HubError>(outbox::received(c, peer.as_str())?)).await?;
        Ok(Ack { epoch, seq })
    }

    /// Orders for an instance that come after what it has. Waits a while if there are none.
    pub async fn orders(&self, to: &InstanceName, after: Ack) -> Result<Vec<Envelope<Order>>, HubError> {
        let mut commits = self.inner.db.commits();
        let deadline = tokio::time::Instant::now() + HOLD;
        loop {
            commits.borrow_and_update();
            let orders = self.ship(to, after).await?;
            if !orders.is_empty() {
                return Ok(orders);
            }
            match tokio::time::timeout_at(deadline, commits.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(HubError::Db(qd_sqlite::DbError::Closed)),
                Err(_) => return Ok(Vec::new()),
            }
        }
    }

    async fn ship(&self, to: &InstanceName, after: Ack) -> Result<Vec<Envelope<Order>>, HubError> {
        let peer = to.clone();
        let waits =
            self.inner.db.read(move |c| Ok::<_, HubError>(outbox::waiting(c, peer.as_str())? > 0)).await?;
        if !waits {
            return Ok(Vec::new());
        }
        let peer = to.clone();
        self.inner
            .db
            .write(move |c| {
                outbox::acknowledge(c, peer.as_str(), after.epoch, after.seq)?;
                outbox::ship(c, peer.as_str(), ORDERS)?
                    .into_iter()
                    .map(|row| {
                        let at = Timestamp::from_millisecond(row.at)
                            .map_err(|error| HubError::corrupt("outbox", error))?;
                        let body = json::from_json("outbox", &row.body)?;
                        Ok(Envelope { epoch: row.epoch, seq: row.seq, at, body })
                    })
                    .collect()
            })
            .await
    }

    /// Handles an event that did not come from an instance; `also` is written in the same transaction.
    pub(crate) async fn process(
        &self,
        event: Event,
        also: impl FnOnce(&Connection) -> Result<(), HubError> + Send + 'static,
    ) -> Result<Option<String>, HubError> {
        let mut state = self.inner.state.lock().await;
        let now = Timestamp::now();
        let Handled { effects, reply } = handle(&mut state.fleet, event, moment(now));
        let written = self.inner.db.write(move |c| {
            also(c)?;
            keep::keep(c, &effects, now)
        });
        self.settle(&mut state, written.await).await?;
        Ok(reply)
    }

    /// After a transaction that failed, the state in memory is ahead of the rows: it is read anew.
    async fn settle(&self, state: &mut State, written: Result<(), HubError>) -> Result<(), HubError> {
        let Err(error) = written else { return Ok(()) };
        let rules = state.fleet.rules.clone();
        state.fleet = self.inner.db.read(move |c| keep::load(c, rules)).await?;
        state.received.clear();
        Err(error)
    }
}

fn moment(at: Timestamp) -> Moment {
    Moment { at, fresh: ulid::Ulid::generate() }
}

#[async_trait]
impl Commands for Hub {
    async fn command(&self, from: &Person, surface: &str, text: &str) -> String {
        let event =
            Event::Command { person: from.clone(), surface: surface.to_owned(), text: text.to_owned() };
        match self.process(event, |_| Ok(())).await {
            Ok(reply) => reply.unwrap_or_default(),
            Err(error) => {
                tracing::error!(%error, "a command could not be handled");
                "That could not be stored, so nothing happened. Try again.".to_owned()
            }
        }
    }
}
