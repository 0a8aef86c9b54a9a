//! The handle that pages and the API use, and the team's start and end.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use qd_agents::{RunFolder, Stopper};
use qd_api::{Problem, RunView, TeamView};
use qd_approvals::{Key, KeyOwner, Proof, SurfaceKey};
use qd_board::{breaker::Breaker, schedule::Limits};
use qd_store::{Store, StoreError};
use qd_types::{InstanceName, Person, PersonId, RepositoryName, RunId, Verb};
use qd_worktrees::Worktrees;
use tokio::task::JoinSet;

use crate::{
    asked::{self, Change},
    documents, lessons,
    metering::{Metering, MeteringError},
    options::{RepositoryOptions, TeamOptions},
    problem, radar, reconcile, scheduler, spending, trail,
    uplink::{self, Signals, Uplink},
};

/// How long a look at the disk counts.
const WEIGHED: Duration = Duration::from_secs(30);

/// Who asks, and where. Put on the request by the binary's sign-in layer.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The person.
    pub person: Person,
    /// The agent of the team that speaks, on the person's behalf; none if they do so themselves.
    pub agent: Option<String>,
    /// `board`, `cli`, `console`.
    pub surface: String,
    /// How it is known that it is them. Without a passphrase or a signed-in page nobody votes.
    pub proof: Proof,
    /// What people agreed to that is done now in the caller's name.
    pub granted: Option<Verb>,
}

impl Caller {
    /// Whether they proved who they are.
    pub fn is_proven(&self) -> bool {
        matches!(self.proof, Proof::Passphrase | Proof::SignedIn)
    }
}

/// Why a team does not start.
#[derive(Debug, thiserror::Error)]
pub enum TeamError {
    /// The key that signs votes.
    #[error("the key of {team}'s own surfaces can't be had")]
    Key {
        /// Which team.
        team: InstanceName,
        /// Why.
        #[source]
        source: qd_approvals::KeyFileError,
    },
    /// Its rows.
    #[error("the board of {team} can't be opened")]
    Store {
        /// Which team.
        team: InstanceName,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// Its gateway.
    #[error("the metering gateway of {team} can't be started")]
    Metering {
        /// Which team.
        team: InstanceName,
        /// Why.
        #[source]
        source: Box<MeteringError>,
    },
}

/// The merge trains of the repositories, one each, whichever teams of this process work there: two merges at a time would
/// only make each other's base move. Teams of other processes are kept apart by the forge, which merges nothing that was
/// tested on another base.
#[derive(Clone, Default)]
pub struct Trains(Arc<Mutex<HashMap<RepositoryName, Arc<tokio::sync::Mutex<()>>>>>);

impl Trains {
    async fn turn(&self, repository: &RepositoryName) -> tokio::sync::OwnedMutexGuard<()> {
        let train = Arc::clone(lock(&self.0).entry(repository.clone()).or_default());
        train.lock_owned().await
    }
}

/// A running team. Cheap to clone.
#[derive(Clone)]
pub struct Team {
    inner: Arc<Inner>,
}

/// A team, for whom it must not be kept alive by.
#[derive(Clone)]
pub struct WeakTeam(Weak<Inner>);

impl WeakTeam {
    /// The team, while it is there.
    pub fn upgrade(&self) -> Option<Team> {
        self.0.upgrade().map(|inner| Team { inner })
    }
}

struct Inner {
    store: Store,
    key: SurfaceKey,
    /// By what the bot signs what people say in chat.
    bot_keys: RwLock<Vec<Key>>,
    worktrees: Arc<dyn Worktrees>,
    options: RwLock<Arc<TeamOptions>>,
    stoppers: Mutex<HashMap<RunId, Arc<Stopper>>>,
    trains: Trains,
    /// Whether there is a way to the bot.
    linked: AtomicBool,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
    weighed: Mutex<Option<Instant>>,
    circuits: Mutex<Breaker>,
    /// Held by whoever gives out slots.
    slots: tokio::sync::Mutex<()>,
    /// Held by whoever changes a file of lessons.
    lessons: tokio::sync::Mutex<()>,
    runs: Mutex<JoinSet<()>>,
    metering: Mutex<Option<Arc<Metering>>>,
    /// Whether changes of the board may wait for people.
    asked: AtomicBool,
    signals: Signals,
}

pub(crate) type Answer<T> = Result<T, Problem>;

impl Team {
    /// Opens the team's rows. Nothing runs yet.
    pub fn open(
        options: TeamOptions,
        worktrees: Arc<dyn Worktrees>,
        trains: Trains,
    ) -> Result<Self, TeamError> {
        let team = options.name.clone();
        let key = SurfaceKey::open(&options.state.join("surface.key"))
            .map_err(|source| TeamError::Key { team: team.clone(), source })?;
        let store = Store::open(&options.state.join("board.db"), options.settings())
            .map_err(|source| TeamError::Store { team, source })?;
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                key,
                bot_keys: RwLock::default(),
                worktrees,
                options: RwLock::new(Arc::new(options)),
                stoppers: Mutex::new(HashMap::new()),
                trains,
                linked: AtomicBool::new(false),
                tasks: tokio::sync::Mutex::new(JoinSet::new()),
                weighed: Mutex::new(None),
                circuits: Mutex::default(),
                slots: tokio::sync::Mutex::default(),
                lessons: tokio::sync::Mutex::default(),
                runs: Mutex::new(JoinSet::new()),
                metering: Mutex::new(None),
                asked: AtomicBool::new(true),
                signals: Signals::default(),
            }),
        })
    }

    /// For whom the team itself holds.
    pub fn downgrade(&self) -> WeakTeam {
        WeakTeam(Arc::downgrade(&self.inner))
    }

    /// Starts the gateway through which agents reach their models, if one is configured. To be called before
    /// [`Team::start`]: without it, no run of such a team works.
    ///
    /// # Errors
    /// If a provider or its key can't be had, or the books can't be opened.
    pub async fn meter(&self) -> Result<(), TeamError> {
        let options = self.options();
        let Some(metering) = &options.metering else { return Ok(()) };
        let team = || self.name();
        let raises = self.store().raises().await;
        let raises = raises.map_err(|source| TeamError::Store { team: team(), source })?;
        let (metering, events) = Metering::start(&options.state, metering, options.zone.clone(), &raises)
            .await
            .map_err(|source| TeamError::Metering { team: team(), source: Box::new(source) })?;
        *lock(&self.inner.metering) = Some(Arc::new(metering));
        self.inner.tasks.lock().await.spawn(spending::follow(self.clone(), events));
        Ok(())
    }

    /// The gateway, if it works.
    pub(crate) fn metering(&self) -> Option<Arc<Metering>> {
        lock(&self.inner.metering).clone()
    }

    /// Starts to work. Without an uplink it works too: what it has to say waits.
    pub async fn start(&self, uplink: Option<Arc<dyn Uplink>>) {
        // First: nothing is tallied before it is known whose keys count.
        if let Err(error) = self.enrol(Vec::new()).await {
            tracing::error!(%error, "the audit trail can't be begun");
        }
        let mut tasks = self.inner.tasks.lock().await;
        tasks.spawn(reconcile::run(self.clone()));
        tasks.spawn(scheduler::run(self.clone()));
        tasks.spawn(radar::run(self.clone()));
        tasks.spawn(documents::run(self.clone()));
        tasks.spawn(asked::run(self.clone()));
        tasks.spawn(lessons::run(self.clone()));
        tasks.spawn(uplink::beat(self.clone()));
        if let Some(uplink) = uplink {
            self.inner.linked.store(true, Ordering::Relaxed);
            tasks.spawn(uplink::relay_reports(self.clone(), Arc::clone(&uplink)));
            tasks.spawn(trail::show(self.clone()));
            tasks.spawn(uplink::relay_orders(self.clone(), uplink));
        }
    }

    /// Whether it has a way to a bot.
    pub(crate) fn is_linked(&self) -> bool {
        self.inner.linked.load(Ordering::Relaxed)
    }

    /// Ends all tasks and the processes that they started. What was under way goes on after the next start.
    pub async fn shut_down(&self) {
        if self.is_linked() {
            trail::show_last(self).await;
        }
        self.inner.tasks.lock().await.shutdown().await;
        let mut runs = match self.inner.runs.lock() {
            Ok(mut runs) => std::mem::take(&mut *runs),
            Err(poisoned) => std::mem::take(&mut *poisoned.into_inner()),
        };
        runs.shutdown().await;
        let metering = lock(&self.inner.metering).take();
        match metering.map(Arc::into_inner) {
            Some(Some(metering)) => metering.close().await,
            Some(None) => tracing::warn!("the metering gateway is still in use"),
            None => {}
        }
    }

    /// Has the bot's signatures count on the team's audit trail, and on the votes that it takes in chat: those by these keys,
    /// the newest first. Without any, those that counted before do.
    ///
    /// # Errors
    /// If the board can't be written.
    pub async fn enrol(&self, bot: Vec<[u8; 32]>) -> Result<(), TeamError> {
        let (own, team) = (self.surface_key(), self.id());
        let failed = |source| TeamError::Store { team: team.clone(), source };
        self.store().enrol(own, bot).await.map_err(failed)?;
        let keys = self.store().bot_keys().await.map_err(failed)?;
        let key = |(public, revoked)| Key { public, owner: KeyOwner::Bot, revoked };
        let keys = keys.into_iter().map(key).collect();
        match self.inner.bot_keys.write() {
            Ok(mut known) => *known = keys,
            Err(poisoned) => *poisoned.into_inner() = keys,
        }
        Ok(())
    }

    pub(crate) fn bot_keys(&self) -> Vec<Key> {
        match self.inner.bot_keys.read() {
            Ok(known) => known.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    /// Forgets who stands behind a pseudonym in the team's audit trail, which stays as it is.
    ///
    /// # Errors
    /// If the board can't be written.
    pub async fn forget(&self, person: &PersonId) -> Result<(), TeamError> {
        let team = self.id();
        self.store().forget(person).await.map_err(|source| TeamError::Store { team, source })
    }

    pub(crate) fn key(&self) -> &SurfaceKey {
        &self.inner.key
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn worktrees(&self) -> &dyn Worktrees {
        self.inner.worktrees.as_ref()
    }

    /// The turn of a repository's merge train.
    pub(crate) async fn train(&self, repository: &RepositoryName) -> tokio::sync::OwnedMutexGuard<()> {
        self.inner.trains.turn(repository).await
    }

    pub(crate) fn options(&self) -> Arc<TeamOptions> {
        match self.inner.options.read() {
            Ok(guard) => Arc::clone(&guard),
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }

    /// Puts new options in force for what starts from now on: agent, slots, checks, rounds,
    /// repositories. The team's name, prefix and state folder stay as they were started.
    pub fn adopt(&self, new: TeamOptions) {
        let mut guard = match self.inner.options.write() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        };
        let mut options = TeamOptions::clone(&guard);
        options.name = new.name;
        options.repositories = new.repositories;
        options.limits = new.limits;
        options.agents = new.agents;
        options.commands = new.commands;
        options.rules = new.rules;
        options.quiet = new.quiet;
        options.zone = new.zone;
        options.disk = new.disk;
        options.runs = new.runs;
        options.trail = new.trail;
        options.launcher = new.launcher;
        options.walls = new.walls;
        options.sealed = new.sealed;
        options.approvals = new.approvals;
        options.uplink = new.uplink;
        options.walls_expose = new.walls_expose;
        // A gateway that is not there yet, or other providers, wait for the next start.
        if options.metering.is_some() && new.metering.is_some() {
            options.metering = new.metering;
        }
        self.inner.store.set_settings(options.settings());
        *guard = Arc::new(options);
    }

    /// Runs `work` as the one task of `run`; does nothing if it has one.
    pub(crate) fn spawn_run<F>(&self, run: RunId, work: impl FnOnce(Team, RunId, Arc<Stopper>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stopper = {
            let mut stoppers = lock(&self.inner.stoppers);
            if stoppers.contains_key(&run) {
                return;
            }
            let stopper = Arc::new(qd_agents::stop().0);
            stoppers.insert(run.clone(), Arc::clone(&stopper));
            stopper
        };
        let task = work(self.clone(), run.clone(), stopper);
        let team = self.clone();
        let mut runs = lock(&self.inner.runs);
        while runs.try_join_next().is_some() {}
        runs.spawn(async move {
            task.await;
            lock(&team.inner.stoppers).remove(&run);
        });
    }

    pub(crate) fn folder(&self, run: &RunId) -> RunFolder {
        RunFolder::new(&self.options().state, run)
    }

    /// Whether it is time to look at the disk again; whoever is told so looks.
    pub(crate) fn weighs_now(&self) -> bool {
        let mut weighed = lock(&self.inner.weighed);
        let now = weighed.is_none_or(|at| at.elapsed() > WEIGHED);
        if now {
            *weighed = Some(Instant::now());
        }
        now
    }

    /// Nobody else changes a file of lessons while this is held.
    pub(crate) async fn lessons_alone(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.lessons.lock().await
    }

    /// Nobody else gives out slots while this is held.
    pub(crate) async fn slots(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.slots.lock().await
    }

    /// A run that gave its slot to others takes one again. `false` if there is none now.
    pub(crate) async fn take_slot(&self, run: &RunId) -> Result<bool, StoreError> {
        if !self.store().rests(run).await? {
            return Ok(true);
        }
        let _alone = self.slots().await;
        self.store().take_slot(run, self.options().limits.clone()).await
    }

    /// Looks at the circuits, or changes them; whoever changes them keeps them, see `circuits`.
    pub(crate) fn circuits<T>(&self, look: impl FnOnce(&mut Breaker) -> T) -> T {
        look(&mut lock(&self.inner.circuits))
    }

    /// Where an attachment is kept: by its content, under its own name.
    pub(crate) fn attachment_path(&self, file: &qd_board::Attachment) -> PathBuf {
        self.options().state.join("attachments").join(&file.sha256).join(&file.name)
    }

    pub(crate) fn repository(&self, name: &qd_types::RepositoryName) -> Option<RepositoryOptions> {
        self.options().repositories.get(name).cloned()
    }

    /// What it is known by, whatever it is called now.
    pub fn id(&self) -> InstanceName {
        self.options().id.clone()
    }

    /// What it is called now.
    pub fn name(&self) -> InstanceName {
        self.options().name.clone()
    }

    /// What it is, for `caller`.
    pub async fn view(&self, caller: &Caller) -> Answer<TeamView> {
        let options = self.options();
        let store = self.store();
        let seq = store.last_event().await.map_err(problem::from_store)?;
        let read = async {
            Ok::<_, StoreError>((
                store.running().await?,
                store.asks(&caller.person.id, Timestamp::now()).await?,
                store.unshipped().await?,
                store.lowered().await?,
            ))
        };
        let (running, asks, unshipped, lowered) = read.await.map_err(problem::from_store)?;
        let limits = Limits { lowered, ..options.limits.clone() };
        let (slots, lowered) = limits.slots();
        Ok(TeamView {
            name: options.name.clone(),
            you: caller.person.id.clone(),
            running,
            slots,
            lowered: lowered.map(|by| format!("{by} lowered the slots from {} to {slots}.", limits.slots)),
            seq,
            paused: self.paused().await?.map(|pause| pause.sentence()),
            asks,
            unshipped,
            refuses: self.refuses(),
            version: env!("CARGO_PKG_VERSION").into(),
        })
    }

    /// Ends the processes of a run that is to stop.
    pub(crate) fn signal_stop(&self, id: &RunId) {
        if let Some(stopper) = lock(&self.inner.stoppers).get(id) {
            stopper.stop(Duration::from_secs(5));
        }
    }

    /// Stops a run truly: its processes end, its work is kept.
    pub async fn stop(&self, caller: &Caller, id: &RunId) -> Answer<RunView> {
        self.permitted(caller, Verb::RunStop, || Change::StopRun { id: id.clone() }).await?;
        let actor = caller.person.id.as_str();
        self.store().ask_stop(id, actor, Timestamp::now()).await.map_err(problem::from_store)?;
        self.signal_stop(id);
        self.run(id, caller).await
    }

    /// A change of the board waits for people: it is looked at after every commit.
    pub(crate) fn changes_wait(&self) {
        self.inner.asked.store(true, Ordering::Relaxed);
    }

    /// Whether one may wait. Whoever asks looks, and says if it still does.
    pub(crate) fn may_changes_wait(&self) -> bool {
        self.inner.asked.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn signals(&self) -> &Signals {
        &self.inner.signals
    }

    /// Ticks after every change of the board.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.store().commits()
    }

    /// The public half of the key that signs what people vote here.
    pub fn surface_key(&self) -> [u8; 32] {
        self.inner.key.public()
    }

    /// Where everything of the team is kept.
    pub fn state_folder(&self) -> PathBuf {
        self.options().state.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}
