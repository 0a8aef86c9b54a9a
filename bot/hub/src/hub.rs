//! The hub itself: one lock around the core's state, so that events are handled one after the other, each in one
//! transaction.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_approvals::SurfaceKey;
use qd_core::{
    Event, FleetState, Pipeline, Rules, Spoken,
    chat::{Chat, Commands, Given},
    forge::Forge,
    presence,
};
use qd_sqlite::{Db, outbox};
use qd_types::{ApprovalId, CommitId, InstanceName, Person, PersonId};
use qd_wire::v1::{Ack, Envelope, Order, Report};
use rusqlite::Connection;
use tokio::sync::Mutex;

use crate::{
    HubError, before,
    chat::Voice,
    heads, keep,
    keeper::{self, Keeper},
    schema,
    turn::Turn,
    uplink,
};

/// How long a call for orders is held while there are none.
const HOLD: Duration = Duration::from_secs(20);
/// How long a person's command waits for what an instance says to it.
const HEARD: Duration = Duration::from_secs(3);
/// How often the clocks of approvals are looked at.
const SWEEP: Duration = Duration::from_secs(20);
/// How often it is looked who is heard: a word is late by no more than this.
const LOOK: Duration = Duration::from_secs(2);

/// The bot's hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) key: Arc<SurfaceKey>,
    state: Mutex<State>,
    pub(crate) voice: std::sync::Mutex<Voice>,
    pub(crate) forge: Arc<dyn Forge>,
    pub(crate) chat: Arc<dyn Chat>,
}

struct State {
    /// `None` after a transaction that failed: what is in memory may be ahead of the rows, which are then read anew.
    fleet: Option<FleetState>,
    rules: Rules,
    keeper: Arc<Keeper>,
    received: HashMap<InstanceName, Ack>,
}

impl Hub {
    /// Opens or makes `bot.db` at `path`, with everything that was known when it was closed. The key that signs what people
    /// vote in chat lies beside it.
    pub async fn open(
        path: &Path,
        rules: Rules,
        forge: Arc<dyn Forge>,
        chat: Arc<dyn Chat>,
    ) -> Result<Self, HubError> {
        let db = Db::open(path, schema::MIGRATIONS)?;
        let key = Arc::new(SurfaceKey::open(&path.with_file_name("surface.key"))?);
        let own = Arc::clone(&key);
        let keys = db
            .write(move |c| {
                heads::begin(c, &own)?;
                keeper::keys(c)
            })
            .await?;
        let keeper = Arc::new(Keeper::new(&rules, Arc::clone(&key), keys));
        let voice = std::sync::Mutex::new(Voice::new(rules.distil.budget));
        let state = State { fleet: None, rules, keeper, received: HashMap::new() };
        let hub = Self { inner: Arc::new(Inner { db, key, state: Mutex::new(state), voice, forge, chat }) };
        let mut state = hub.inner.state.lock().await;
        hub.turn(&mut state, |turn| {
            before::carry_over(turn)?;
            turn.wake()
        })
        .await?;
        drop(state);
        Ok(hub)
    }

    /// Carries out effects until the task is dropped: acts at the forge, messages to chat, clocks.
    pub async fn run(self) {
        tokio::join!(
            crate::forge::run(self.clone()),
            crate::chat::run(self.clone()),
            self.clone().show_heads(),
            self.clone().look(),
            self.sweep()
        );
    }

    async fn sweep(self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            if let Err(error) = self.process(Event::Tick, |_| Ok(())).await {
                tracing::error!(%error, "the clocks of approvals can't be looked at");
            }
        }
    }

    /// Looks who is heard. Where nobody is heard otherwise than before, nothing is written.
    async fn look(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Timestamp::now();
            let due = match &mut self.inner.state.lock().await.fleet {
                Some(fleet) => {
                    let due = presence::due(fleet, now);
                    presence::looked(fleet, now);
                    due
                }
                None => false,
            };
            if due && let Err(error) = self.process(Event::Look, |_| Ok(())).await {
                tracing::error!(%error, "who is heard can't be noted");
            }
        }
    }

    /// Puts new rules in force.
    pub async fn set_rules(&self, rules: Rules) -> Result<(), HubError> {
        let mut state = self.inner.state.lock().await;
        if let Some(fleet) = &mut state.fleet {
            fleet.rules = rules.clone();
        }
        self.inner.voice.lock().unwrap_or_else(PoisonError::into_inner).budget = rules.distil.budget;
        state.rules = rules;
        self.renew(&mut state).await
    }

    /// A workflow or a deployment ran on a commit of a default branch: `passed` or not, and where to look.
    pub async fn ran(
        &self,
        pipeline: Pipeline,
        commit: CommitId,
        passed: bool,
        url: Option<String>,
    ) -> Result<(), HubError> {
        self.process(Event::Ran { pipeline, commit, passed, url }, |_| Ok(())).await.map(drop)
    }

    /// Chat has other channels: cards that are open are shown where they belong, and where they stood and are gone, elsewhere.
    pub async fn chat_changed(&self) -> Result<(), HubError> {
        self.within(keeper::show_again).await
    }

    /// On what a person voted that is not decided yet, in words.
    pub async fn votes_of(&self, person: &PersonId) -> Result<Vec<String>, HubError> {
        let person = person.clone();
        self.within(move |turn| keeper::votes_of(turn, &person)).await
    }

    /// A person is shut out: what they voted on and is not decided goes on without them. Done again at each start, and
    /// whenever rules come, for everybody whom the rules do not name.
    pub async fn drop_votes(&self, person: &PersonId) -> Result<(), HubError> {
        let person = person.clone();
        self.within(move |turn| keeper::drop_votes(turn, &person)).await
    }

    /// Votes that are signed with this key are votes that the instance took; what it signed with another one counts no more,
    /// on nothing that is open.
    ///
    /// # Errors
    /// If the key was withdrawn, or is another instance's.
    pub async fn enrol(&self, instance: &InstanceName, public: [u8; 32]) -> Result<(), HubError> {
        let mut state = self.inner.state.lock().await;
        let (instance, now) = (instance.clone(), Timestamp::now());
        self.inner.db.write(move |c| keeper::enrol(c, &instance, &public, now)).await?;
        self.renew(&mut state).await
    }

    /// Changes keys in one transaction, and goes by them at once: what a key that is gone signed counts no more.
    pub(crate) async fn change_keys<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection, Timestamp) -> Result<T, HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        let mut state = self.inner.state.lock().await;
        let now = Timestamp::now();
        let done = self.inner.db.write(move |c| job(c, now)).await?;
        self.renew(&mut state).await?;
        Ok(done)
    }

    async fn renew(&self, state: &mut State) -> Result<(), HubError> {
        let keys = self.inner.db.read(keeper::keys).await?;
        state.keeper = Arc::new(Keeper::new(&state.rules, Arc::clone(&self.inner.key), keys));
        self.turn(state, keeper::count_again).await
    }

    pub(crate) async fn keeper(&self) -> Arc<Keeper> {
        Arc::clone(&self.inner.state.lock().await.keeper)
    }

    /// One transaction in which events are handled.
    pub(crate) async fn within<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Turn<'_>) -> Result<T, HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        let mut state = self.inner.state.lock().await;
        self.turn(&mut state, job).await
    }

    /// One transaction: all of it, or nothing, in memory as on disk.
    async fn turn<T: Send + 'static>(
        &self,
        state: &mut State,
        job: impl FnOnce(&mut Turn<'_>) -> Result<T, HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        let (keeper, rules) = (Arc::clone(&state.keeper), state.rules.clone());
        let (known, now) = (state.fleet.take(), Timestamp::now());
        let done = self.inner.db.write(move |c| {
            let mut fleet = match known {
                Some(fleet) => fleet,
                None => keep::load(c, rules, &keeper, now)?,
            };
            let done = job(&mut Turn {
                c,
                fleet: &mut fleet,
                keeper: &keeper,
                now,
                fresh: &ulid::Ulid::generate,
                awaits: None,
            })?;
            Ok((fleet, done))
        });
        match done.await {
            Ok((fleet, done)) => {
                state.fleet = Some(fleet);
                Ok(done)
            }
            Err(error) => {
                state.received.clear();
                Err(error)
            }
        }
    }

    /// Takes reports of an instance, in order; answers with what is committed. Reports that were seen are skipped.
    pub async fn receive(&self, from: &InstanceName, batch: Vec<Envelope<Report>>) -> Result<Ack, HubError> {
        let mut state = self.inner.state.lock().await;
        let known = self.received(&mut state, from).await?;
        let (known, taken) = uplink::next(from, known, batch);
        if taken.is_empty() {
            return Ok(known);
        }
        let peer = from.clone();
        self.turn(&mut state, move |turn| uplink::apply(turn, &peer, taken)).await?;
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

    /// Orders for an instance that come after what it has, which is thereby acknowledged. Waits a while if there are none.
    pub async fn orders(&self, to: &InstanceName, after: Ack) -> Result<Vec<Envelope<Order>>, HubError> {
        self.acknowledged(to, after).await?;
        self.orders_after(to, after).await
    }

    /// An instance has the orders up to here. If that does not fit what it was sent, one of the two has lost rows: a new epoch
    /// begins.
    pub async fn acknowledged(&self, by: &InstanceName, ack: Ack) -> Result<(), HubError> {
        let peer = by.clone();
        let look = move |c: &Connection| {
            let fits = outbox::agrees(c, peer.as_str(), ack.epoch, ack.seq)?;
            Ok::<_, HubError>(fits && outbox::waiting(c, peer.as_str())? == 0)
        };
        // Most often there is nothing to note, and a read is cheaper than a write.
        if self.inner.db.read(look).await? {
            return Ok(());
        }
        let peer = by.clone();
        self.inner.db.write(move |c| uplink::agree(c, &peer, ack)).await
    }

    /// Orders for an instance after those that it was sent, whether it has them or not. Waits a while if there are none; so many
    /// are under way at once. Nothing is acknowledged by it.
    pub async fn orders_after(&self, to: &InstanceName, sent: Ack) -> Result<Vec<Envelope<Order>>, HubError> {
        let mut commits = self.inner.db.commits();
        let deadline = tokio::time::Instant::now() + HOLD;
        loop {
            commits.borrow_and_update();
            let peer = to.clone();
            let due = move |c: &Connection| {
                Ok::<_, HubError>(outbox::due(c, peer.as_str(), sent.epoch, sent.seq, uplink::ORDERS)?)
            };
            if self.inner.db.read(due).await? {
                let peer = to.clone();
                let mut orders = self.inner.db.write(move |c| uplink::shipped(c, &peer)).await?;
                orders.retain(|order| order.epoch != sent.epoch || order.seq > sent.seq);
                return Ok(orders);
            }
            match tokio::time::timeout_at(deadline, commits.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(HubError::Db(qd_sqlite::DbError::Closed)),
                Err(_) => return Ok(Vec::new()),
            }
        }
    }

    /// Takes a command. If it is a word on what an instance keeps, the answer is the instance's, if that comes soon.
    async fn said(&self, from: &Person, given: &Given, text: &str) -> Result<String, HubError> {
        let mut commits = self.inner.db.commits();
        commits.borrow_and_update();
        let (person, given, text) = (from.clone(), given.clone(), text.to_owned());
        let (missed, reply, awaits) = self
            .within(move |turn| {
                // First what they were not there to hear.
                let missed = turn.happens(Event::Collect { person: person.id.clone(), of: None })?;
                let reply = turn.happens(Event::Command { person, given, text })?;
                Ok((missed, reply, turn.awaits.take()))
            })
            .await?;
        qd_failpoint::reached("command_noted");
        if awaits.is_some() {
            qd_failpoint::reached("word_noted");
        }
        let heard = match awaits {
            Some(approval) => self.heard(&mut commits, &from.id, approval).await?,
            None => None,
        };
        let said = heard.or(reply).into_iter();
        Ok(missed.into_iter().chain(said).collect::<Vec<_>>().join("\n"))
    }

    /// What an instance says to a person's word, if it says so while they wait. If not, the card says it, and a word that did
    /// not count is told with the next answer that they get.
    async fn heard(
        &self,
        commits: &mut tokio::sync::watch::Receiver<u64>,
        person: &PersonId,
        approval: ApprovalId,
    ) -> Result<Option<String>, HubError> {
        let deadline = tokio::time::Instant::now() + HEARD;
        loop {
            let there = {
                let state = self.inner.state.lock().await;
                let fleet = state.fleet.as_ref();
                let found = fleet.and_then(|fleet| fleet.foreign.get(&approval.key()));
                matches!(found.and_then(|found| found.words.get(person)), Some(Spoken::Heard { .. }))
            };
            if there {
                let event = Event::Collect { person: person.clone(), of: Some(approval) };
                return self.process(event, |_| Ok(())).await;
            }
            match tokio::time::timeout_at(deadline, commits.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(None),
            }
        }
    }

    /// Handles an event that did not come from an instance; `also` is written in the same transaction.
    pub(crate) async fn process(
        &self,
        event: Event,
        also: impl FnOnce(&Connection) -> Result<(), HubError> + Send + 'static,
    ) -> Result<Option<String>, HubError> {
        self.within(move |turn| {
            also(turn.c)?;
            turn.happens(event)
        })
        .await
    }
}

#[async_trait]
impl Commands for Hub {
    async fn command(&self, from: &Person, given: &Given, text: &str) -> String {
        qd_failpoint::reached("command_heard");
        match self.said(from, given, text).await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::error!(%error, "a command could not be handled");
                "That could not be stored, so nothing happened. Try again.".to_owned()
            }
        }
    }

    async fn show_again(&self) {
        if let Err(error) = self.chat_changed().await {
            tracing::error!(%error, "what is open could not be shown again");
        }
    }
}
