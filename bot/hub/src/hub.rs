//! The hub itself: one lock around the core's state, so that events are handled one after the other, each in one
//! transaction.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_approvals::SurfaceKey;
use qd_core::{
    Event, FleetState, Pipeline, Rules, Spoken,
    chat::{Chat, Choice, Commands, Completes, Given, Scope},
    choices,
    forge::Forge,
    links::Links,
    machines::Machines,
    presence, text,
};
use qd_sqlite::{Db, outbox};
use qd_types::{ApprovalId, CommitId, Identity, InstanceName, Person, PersonId};
use qd_wire::{
    call::NewKeys,
    v1::{Ack, Envelope, Order},
};
use rusqlite::Connection;
use tokio::sync::Mutex;

use crate::{
    HubError, before,
    bells::Bells,
    chat::Voice,
    heads,
    inbox::Waits,
    intake::Intake,
    keep,
    keeper::{self, Keeper},
    machines,
    own_keys::{self, OwnKeys},
    schema,
    turn::Turn,
    uplink::{self, Calls},
};

/// How long a call for orders is held while there are none.
const HOLD: Duration = Duration::from_secs(20);
/// How long a person's command waits for what an instance says to it.
pub(crate) const HEARD: Duration = Duration::from_secs(3);
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
    own: RwLock<OwnKeys>,
    pub(crate) state: Mutex<State>,
    /// Whose keys count. Beside the lock of the state, which whoever verifies a signature does not wait for.
    keeper: RwLock<Arc<Keeper>>,
    pub(crate) intake: Intake,
    pub(crate) waits: Waits,
    bells: Bells,
    calls: Arc<std::sync::Mutex<Calls>>,
    pub(crate) voice: std::sync::Mutex<Voice>,
    pub(crate) forge: Arc<dyn Forge>,
    pub(crate) chat: Arc<dyn Chat>,
    /// Whoever makes machines, if anybody does.
    pub(crate) machines: OnceLock<Arc<dyn Machines>>,
    /// Whoever keeps which accounts are whose, if people link them here.
    pub(crate) links: OnceLock<Arc<dyn Links>>,
}

pub(crate) struct State {
    /// `None` after a transaction that failed: what is in memory may be ahead of the rows, which are then read anew.
    fleet: Option<FleetState>,
    rules: Rules,
    /// Up to where reports of each instance are kept.
    pub(crate) received: HashMap<InstanceName, Ack>,
}

impl State {
    /// What the bot knows, unless it has to be read anew.
    pub(crate) fn fleet(&self) -> Option<&FleetState> {
        self.fleet.as_ref()
    }
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
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let (own, keys) = db
            .write(move |c| {
                let own = OwnKeys::open(c, &folder)?;
                heads::begin(c, &own.now)?;
                Ok::<_, HubError>((own, keeper::keys(c)?))
            })
            .await?;
        let keeper = Keeper::new(&rules, Arc::clone(&own.now), &own.public(), keys);
        let (own, keeper) = (RwLock::new(own), RwLock::new(Arc::new(keeper)));
        let voice = std::sync::Mutex::new(Voice::new(rules.distil.budget));
        let state = Mutex::new(State { fleet: None, rules, received: HashMap::new() });
        let calls = Arc::new(std::sync::Mutex::new(Calls::new(Timestamp::now())));
        let (intake, bells, waits) = (Intake::default(), Bells::default(), Waits::default());
        waits.set(db.read(Waits::of).await?);
        let (machines, links) = (OnceLock::new(), OnceLock::new());
        let inner = Inner {
            db,
            own,
            state,
            keeper,
            intake,
            waits,
            bells,
            calls,
            voice,
            forge,
            chat,
            machines,
            links,
        };
        let hub = Self { inner: Arc::new(inner) };
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
        let own = self.own();
        let keeper = Arc::new(Keeper::new(&state.rules, Arc::clone(&own.now), &own.public(), keys));
        *self.inner.keeper.write().unwrap_or_else(PoisonError::into_inner) = keeper;
        self.turn(state, keeper::count_again).await
    }

    /// What the bot signs with, as it stands now.
    pub(crate) fn own(&self) -> OwnKeys {
        self.inner.own.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Signs with the next key in `folder` from now on, and has every instance know; gives who is told.
    pub(crate) async fn rotate_own(
        &self,
        next: SurfaceKey,
        keys: NewKeys,
        folder: &Path,
        by: &PersonId,
    ) -> Result<Vec<InstanceName>, HubError> {
        let mut state = self.inner.state.lock().await;
        let (old, new, by, now) = (self.own().now.public(), next.public(), by.clone(), Timestamp::now());
        let job = move |c: &Connection| own_keys::tell(c, (&old, &new), &keys, &by, now);
        let told = self.inner.db.write(job).await?;
        qd_failpoint::reached("bot_keys_told");
        own_keys::take_over(folder)?;
        self.inner.own.write().unwrap_or_else(PoisonError::into_inner).follow(next, &told);
        self.renew(&mut state).await?;
        self.ring(&told.iter().cloned().collect());
        Ok(told)
    }

    pub(crate) fn keeper(&self) -> Arc<Keeper> {
        Arc::clone(&self.inner.keeper.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Orders for these may be new.
    pub(crate) fn ring(&self, instances: &BTreeSet<InstanceName>) {
        self.inner.bells.ring(instances);
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
    pub(crate) async fn turn<T: Send + 'static>(
        &self,
        state: &mut State,
        job: impl FnOnce(&mut Turn<'_>) -> Result<T, HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        let (keeper, now) = (self.keeper(), Timestamp::now());
        let known = state.fleet.take().ok_or_else(|| state.rules.clone());
        let done = self.inner.db.write(move |c| {
            let mut fleet = match known {
                Ok(fleet) => fleet,
                Err(rules) => keep::load(c, rules, &keeper, now)?,
            };
            let fresh = &ulid::Ulid::generate;
            let mut turn = Turn::new(c, &mut fleet, &keeper, now, fresh);
            let done = job(&mut turn)?;
            let told = turn.told;
            Ok((fleet, told, done))
        });
        match done.await {
            Ok((fleet, told, done)) => {
                state.fleet = Some(fleet);
                self.ring(&told);
                Ok(done)
            }
            Err(error) => {
                state.received.clear();
                Err(error)
            }
        }
    }

    pub(crate) async fn received(&self, state: &mut State, from: &InstanceName) -> Result<Ack, HubError> {
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
        self.acknowledged(to, after, Timestamp::now()).await?;
        self.orders_after(to, after).await
    }

    /// An instance has the orders up to here, as it said then, by the bot's clock. If that does not fit what it was sent, one
    /// of the two has lost rows: a new epoch begins.
    ///
    /// # Errors
    /// [`HubError::Late`] for such a call that is not the newest of this process, or if the database fails.
    pub async fn acknowledged(&self, by: &InstanceName, ack: Ack, said: Timestamp) -> Result<(), HubError> {
        self.agree(by, ack, said).await?;
        if self.own().is_behind(by) {
            let peer = by.clone();
            if !self.inner.db.read(move |c| own_keys::waits(c, &peer)).await? {
                self.inner.own.write().unwrap_or_else(PoisonError::into_inner).caught_up(by);
            }
        }
        Ok(())
    }

    async fn agree(&self, by: &InstanceName, ack: Ack, said: Timestamp) -> Result<(), HubError> {
        let (peer, calls) = (by.clone(), Arc::clone(&self.inner.calls));
        let newer = move || calls.lock().unwrap_or_else(PoisonError::into_inner).newer(&peer, said);
        let peer = by.clone();
        let look = move |c: &Connection| {
            let fits = outbox::agrees(c, peer.as_str(), ack.epoch, ack.seq)?;
            Ok::<_, HubError>(fits && outbox::waiting(c, peer.as_str())? == 0)
        };
        // Most often there is nothing to note, and a read is cheaper than a write.
        if self.inner.db.read(look).await? {
            newer();
            return Ok(());
        }
        let peer = by.clone();
        // Asked in the order in which calls are noted: of two at once, the one that comes second knows of the first.
        self.inner.db.write(move |c| uplink::agree(c, &peer, ack, newer())).await?;
        // Others may be under way now.
        self.ring(&BTreeSet::from([by.clone()]));
        Ok(())
    }

    /// Orders for an instance after those that it was sent, whether it has them or not. Waits a while if there are none; so many
    /// are under way at once. Nothing is acknowledged by it.
    pub async fn orders_after(&self, to: &InstanceName, sent: Ack) -> Result<Vec<Envelope<Order>>, HubError> {
        let mut bell = self.inner.bells.of(to);
        let deadline = tokio::time::Instant::now() + HOLD;
        loop {
            bell.borrow_and_update();
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
            match tokio::time::timeout_at(deadline, bell.changed()).await {
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
        let makes_machines = self.inner.machines.get().is_some();
        let services = self.inner.links.get().map(|links| links.services()).unwrap_or_default();
        let (missed, reply, late) = self
            .within(move |turn| {
                turn.fleet.services = services;
                // First what they were not there to hear.
                let missed = turn.happens(Event::Collect { person: person.id.clone(), of: None })?;
                let reply = turn.happens(Event::Command { person, given, text })?;
                let wanted = turn.wanted.take();
                if let Some(wanted) = wanted.as_ref().filter(|_| makes_machines) {
                    machines::keep(turn.c, wanted)?;
                }
                let (awaits, links) = (turn.awaits.take(), turn.links.take());
                let late = (awaits, wanted, links, turn.accounts.take(), turn.trail.take());
                Ok((missed, reply, late))
            })
            .await?;
        let (awaits, wanted, links, accounts, trail) = late;
        qd_failpoint::reached("command_noted");
        if awaits.is_some() {
            qd_failpoint::reached("word_noted");
        }
        let heard = match (links, wanted, awaits) {
            (Some(hash), _, _) => self.linked(hash).await?,
            (None, Some(wanted), _) => Some(self.of_machines(&mut commits, from, wanted).await?),
            (None, None, Some(approval)) => self.heard(&mut commits, &from.id, approval).await?,
            (None, None, None) => None,
        };
        let story = match trail {
            Some(of) => Some(self.story(of).await?),
            None => None,
        };
        let accounts = match accounts {
            Some(person) => self.accounts(&person).await,
            None => None,
        };
        let said = story.into_iter().chain(heard.or(reply)).chain(accounts);
        Ok(missed.into_iter().chain(said).collect::<Vec<_>>().join("\n"))
    }

    /// What an instance says to a person's word, if it says so while they wait. If not, the card says it, and a word that did
    /// not count is told with the next answer that they get.
    pub(crate) async fn heard(
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
                text::not_stored()
            }
        }
    }

    async fn stranger(&self, account: &Identity, text: &str) -> Option<String> {
        let (identity, text) = (account.clone(), text.to_owned());
        let redeem = move |turn: &mut Turn<'_>| {
            let reply = turn.happens(Event::Stranger { identity, text })?;
            Ok((reply, turn.links.take()))
        };
        let said = async {
            match self.within(redeem).await? {
                (_, Some(hash)) => self.linked(hash).await,
                (reply, None) => Ok(reply),
            }
        };
        said.await.unwrap_or_else(|error: HubError| {
            tracing::error!(%error, "an account could not be linked");
            Some(text::not_stored())
        })
    }

    async fn choices(&self, from: &Person, given: &Given, what: Completes, typed: &str) -> Vec<Choice> {
        if what == Completes::Clusters {
            let machines = self.inner.machines.get().filter(|_| !matches!(given.scope, Scope::Only(_)));
            return choices::of_names(machines.map(|all| all.clusters()).unwrap_or_default(), typed);
        }
        let state = self.inner.state.lock().await;
        let fleet = state.fleet.as_ref();
        fleet.map(|fleet| choices::choices(fleet, from, given, what, typed)).unwrap_or_default()
    }

    async fn show_again(&self) {
        if let Err(error) = self.chat_changed().await {
            tracing::error!(%error, "what is open could not be shown again");
        }
    }
}
