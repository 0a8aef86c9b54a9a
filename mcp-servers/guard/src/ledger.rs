//! Approvals and trail in one database of a state folder, so that what people decided and what was done about it survive
//! the server and the machine.
//!
//! | in the folder | what it is |
//! | --- | --- |
//! | `guard.db` | requests, votes, effects, the trail; the sessions of one server share it |
//! | `votes/` | where another process, a terminal say, puts signed votes; see [`inbox`] |
//! | `carried/` | a lock for each effect that is under way, of the process that carries it out |

mod carried;
pub mod inbox;
mod trail;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_approvals::{
    ApprovalError, Authorised, Directory, EffectState, Executor, Outcome, Probe, SignedVote, SpendRefusal,
    Terms, WHOLE, authorise,
};
use qd_audit::{AuditError, Kind};
use qd_sqlite::{Db, DbError, Migration};
use qd_types::{ApprovalId, Subject};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::{Approvals, Asked, Asking, Event, Noted, Standing, StoreError, Trail, Wanted};

/// Time between two looks at the clocks of all requests.
const SWEEP: Duration = Duration::from_secs(20);

/// Longest that [`Approvals::moved`] waits: votes come as files, and nobody calls.
const LOOK: Duration = Duration::from_millis(500);

/// The wall clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The tables, in the order in which they came.
const MIGRATIONS: [Migration; 4] =
    [qd_approvals::SCHEMA, qd_audit::SCHEMA, qd_approvals::SCHEMA_TERMS, qd_audit::WITNESSES];

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database.
    #[error("the guard's database can't be used: {0}")]
    Db(#[from] DbError),
    /// The approvals.
    #[error(transparent)]
    Approvals(#[from] ApprovalError),
    /// The trail.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A folder.
    #[error("the folder {} can't be made or read: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The real adapter of [`Approvals`] and [`Trail`].
pub struct Ledger {
    db: Db,
    executor: Executor,
    people: RwLock<Directory>,
    clock: Clock,
    folder: PathBuf,
    swept: Mutex<Option<Instant>>,
    /// One at a time takes votes: each is answered once.
    taking: tokio::sync::Mutex<()>,
    carried: carried::Carried,
    writer: trail::Writer,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens a state folder, or makes it; other processes may have it open as well. `executor` names the first half of every id, and the chain; `people` are those
    /// whose votes count. Has to be called within a tokio runtime.
    pub async fn open(
        folder: &Path,
        executor: Executor,
        people: Directory,
        clock: Clock,
    ) -> Result<Self, LedgerError> {
        let votes = inbox::folder(folder);
        let failed = |path: &Path, source| LedgerError::Folder { path: path.to_owned(), source };
        std::fs::create_dir_all(&votes).map_err(|source| failed(&votes, source))?;
        let carried = carried::Carried::below(folder).map_err(|source| failed(folder, source))?;
        let db = Db::shared(&folder.join("guard.db"), &MIGRATIONS)?;
        let chain = executor.name.clone();
        db.write(move |c| qd_audit::begin(c, &chain)).await.map_err(LedgerError::Audit)?;
        let writer = trail::Writer::start(db.clone(), clock.clone());
        let people = RwLock::new(people);
        let (folder, swept) = (folder.to_owned(), Mutex::new(None));
        let taking = tokio::sync::Mutex::default();
        Ok(Self { db, executor, people, clock, folder, swept, taking, carried, writer })
    }

    /// From now on these people's votes count.
    pub fn set_people(&self, people: Directory) {
        *self.people.write().unwrap_or_else(PoisonError::into_inner) = people;
    }

    /// Returns when everything that was taken for the trail is written.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.writer.flush().await
    }

    /// Takes the votes that came and looks at the clocks. For whoever serves, every second: also while no client asks.
    pub async fn tend(&self) -> Result<(), StoreError> {
        self.take_votes().await?;
        self.sweep().await
    }

    /// Takes a vote from whichever surface; what is returned is for whoever gave it, alone.
    pub async fn cast(&self, vote: SignedVote) -> Result<String, StoreError> {
        self.with("Taking a vote", move |a, c, now| inbox::cast(a, c, &vote, now)).await
    }

    fn people(&self) -> Directory {
        self.people.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One transaction.
    async fn with<T, F>(&self, doing: &'static str, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&qd_approvals::Approvals<'_>, &trail::Rows<'_>, Timestamp) -> Result<T, LedgerError>
            + Send
            + 'static,
    {
        let (executor, people, now) = (self.executor.clone(), self.people(), (self.clock)());
        let done = self.db.write(move |c| {
            let approvals = qd_approvals::Approvals::at(c, &executor, &people, now)?;
            job(&approvals, &trail::Rows(c), now)
        });
        done.await.map_err(|error: LedgerError| store(doing, error))
    }

    /// Takes the votes that lie in the folder.
    async fn take_votes(&self) -> Result<(), StoreError> {
        let _taking = self.taking.lock().await;
        // Whoever else shares the folder and takes them now answers them.
        let failed = |error: std::io::Error| store("Taking votes", error);
        let Some(_alone) = inbox::alone(&self.folder).map_err(failed)? else { return Ok(()) };
        for file in inbox::waiting(&self.folder) {
            let answer = match inbox::read(&file) {
                Ok(vote) => self.cast(vote).await?,
                Err(problem) => format!("This is no vote: {problem}."),
            };
            inbox::answer(&file, &answer);
        }
        Ok(())
    }

    /// Looks at the clocks of all requests, every now and then.
    async fn sweep(&self) -> Result<(), StoreError> {
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.is_some_and(|at| at.elapsed() < SWEEP) {
                return Ok(());
            }
            *swept = Some(Instant::now());
        }
        let swept = self.with("Looking at the clocks", |a, _, _| Ok(a.sweep()?)).await?;
        for news in swept {
            tracing::info!(?news, "an approval's time passed");
        }
        Ok(())
    }
}

fn store(doing: &'static str, error: impl std::fmt::Display) -> StoreError {
    StoreError { doing, problem: error.to_string() }
}

/// A payload of the trail.
pub(crate) fn payload(fields: Value) -> Map<String, Value> {
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[async_trait]
impl Approvals for Ledger {
    async fn ask(&self, asking: Asking) -> Result<Asked, StoreError> {
        let (executor, people, now) = (self.executor.clone(), self.people(), (self.clock)());
        let done = self.db.write(move |c| {
            let approvals = qd_approvals::Approvals::at(c, &executor, &people, now)?;
            let asked = approvals.ask(qd_approvals::Ask {
                subject: asking.subject.clone(),
                items: Vec::new(),
                words: None,
                places: Vec::new(),
                waiter: Some(asking.call.clone()),
                terms: Terms::from(&asking.terms),
                fresh: ulid::Ulid::generate(),
            })?;
            let id = match asked {
                qd_approvals::Asked::Refused(refusal) => return Ok(Asked::Refused(refusal.to_string())),
                qd_approvals::Asked::Already(id) => return Ok(Asked::Stands(id)),
                qd_approvals::Asked::Opened(id) | qd_approvals::Asked::Queued(id) => id,
            };
            let record = approvals.show(&id)?;
            let text = format!("asked people: {}", asking.subject.title());
            let fields = json!({
                "text": text, "digest": record.approval.digest, "requirement": asking.terms.requirement.describe(),
                "tool": asking.subject.binding.as_ref().and_then(|binding| binding.tool.as_ref()),
            });
            let event = Event {
                kind: Kind::Request,
                caller: asking.caller,
                call: asking.call,
                approval: Some(id.clone()),
                payload: payload(fields),
            };
            trail::Rows(c).append(&event, now)?;
            Ok(Asked::Stands(id))
        });
        done.await.map_err(|error: LedgerError| store("Asking people", error))
    }

    async fn standing(&self, id: &ApprovalId) -> Result<Option<Standing>, StoreError> {
        self.tend().await?;
        let (executor, people, now, id) = (self.executor.clone(), self.people(), (self.clock)(), id.clone());
        let read = self.db.read(move |c| {
            let approvals = qd_approvals::Approvals::reading(c, &executor, &people, now)?;
            if !approvals.exists(&id)? {
                return Ok(None);
            }
            let record = approvals.show(&id)?;
            let effect = approvals.effect(&id, WHOLE)?.map(|effect| (effect.state, effect.outcome));
            Ok(Some(Standing {
                state: record.state(),
                subject: record.approval.subject.clone(),
                reason: record.reason.clone(),
                queued: record.queued,
                left_ms: record.left_ms,
                id,
                effect,
            }))
        });
        read.await.map_err(|error: LedgerError| store("Looking at an approval", error))
    }

    async fn authorise(&self, id: &ApprovalId, rebuilt: Subject) -> Result<Authorised, StoreError> {
        let (people, now) = (self.people(), (self.clock)());
        const DOING: &str = "Spending a grant";
        // The act is the call that was approved: its key is the approval's own.
        let act = format!("call {id}");
        if !self.carried.begin(id).map_err(|error| store(DOING, error))? {
            return Ok(Authorised::Refused(SpendRefusal::Begun { effect: act }));
        }
        let spent = authorise(&self.db, &self.executor, &people, (id, WHOLE), rebuilt, &act, now).await;
        if !matches!(spent, Ok(Authorised::Go(_))) {
            self.carried.let_go(id);
        }
        spent.map_err(|error| store(DOING, error))
    }

    async fn finish(&self, id: &ApprovalId, outcome: Outcome, event: Event) -> Result<(), StoreError> {
        let ended = id.clone();
        let job = move |a: &qd_approvals::Approvals<'_>, rows: &trail::Rows<'_>, now| {
            if a.finish(&ended, WHOLE, &outcome)? {
                rows.append(&event, now)?;
            }
            Ok(())
        };
        let finished = self.with("Noting what came of it", job).await;
        self.carried.let_go(id);
        finished
    }

    async fn withdraw(&self, id: &ApprovalId, reason: &str) -> Result<bool, StoreError> {
        let (id, reason) = (id.clone(), reason.to_owned());
        self.with("Withdrawing a request", move |a, _, _| Ok(a.withdraw(&id, &reason)?)).await
    }

    async fn interrupted(&self) -> Result<Vec<ApprovalId>, StoreError> {
        const DOING: &str = "Looking for what was cut short";
        let under_way = |effect: &qd_approvals::Effect| effect.state == EffectState::UnderWay;
        let (executor, people, now) = (self.executor.clone(), self.people(), (self.clock)());
        let read = self
            .db
            .read(move |c| Ok(qd_approvals::Approvals::reading(c, &executor, &people, now)?.interrupted()?));
        let found = read.await.map_err(|error: LedgerError| store(DOING, error))?;
        let mut cut_short = Vec::new();
        for effect in found.into_iter().filter(under_way) {
            // What another session carries out is no crash.
            if self.carried.look_at(&effect.approval).map_err(|error| store(DOING, error))? {
                cut_short.push(effect.approval);
            }
        }
        Ok(cut_short)
    }

    async fn probed(&self, id: &ApprovalId, probe: Probe) -> Result<(), StoreError> {
        let looked_at = id.clone();
        let job = move |a: &qd_approvals::Approvals<'_>, _: &trail::Rows<'_>, _| {
            Ok(a.probed(&looked_at, WHOLE, &probe)?)
        };
        let noted = self.with("Noting what a look said", job).await;
        self.carried.let_go(id);
        noted.map(drop)
    }

    async fn moved(&self) {
        let mut commits = self.db.commits();
        commits.mark_unchanged();
        let _ = tokio::time::timeout(LOOK, commits.changed()).await;
    }
}

#[async_trait]
impl Trail for Ledger {
    async fn durable(&self, event: Event) -> Result<(), StoreError> {
        let job =
            move |_: &qd_approvals::Approvals<'_>, rows: &trail::Rows<'_>, now| rows.append(&event, now);
        self.with("Writing to the trail", job).await
    }

    async fn grouped(&self, event: Event) -> Result<(), StoreError> {
        self.writer.take(event).await
    }

    async fn newest(&self, wanted: Wanted) -> Result<Vec<Noted>, StoreError> {
        self.flush().await?;
        let read = self.db.read(move |c| trail::newest(c, &wanted));
        read.await.map_err(|error: LedgerError| store("Reading the trail", error))
    }
}
