//! The handle. Cheap to clone; all writes go through the database's one writer.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, RwLock},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use qd_board::{
    Budget, Clash, Feature, Run, Situation, Waits, Why,
    schedule::{self, Hold},
};
use qd_sqlite::{Db, DbError};
use qd_types::{FeatureId, InstanceName, Spent, Stage};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::{StoreError, clashes, executor, report, resting, rows, scheduling, schema, spending};

/// What the store has to know of the configuration to say what is true now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the team is known by: its audit trail is the trail of this name.
    pub instance: InstanceName,
    /// The board's prefix: `A`.
    pub prefix: String,
    /// Runs at once.
    pub slots: u32,
    /// Features in review, from which on nothing new starts.
    pub reviews: Option<u32>,
    /// Repair rounds that a run is allowed.
    pub repair_rounds: u32,
    /// Rungs of the ladder that failed features climb.
    pub rungs: usize,
    /// The first pause before a failed run is tried again; none leaves it to the kind of failure.
    pub retry_pause: Option<Duration>,
    /// What a question from afar may cost; none if no agent could look into one.
    pub question: Option<Budget>,
    /// The fleet's time zone: quiet hours, due dates and sentences are in it.
    pub zone: TimeZone,
}

/// What rows are read through: the configuration, and what the scheduler last said.
#[derive(Debug, Clone)]
pub(crate) struct Lens {
    pub(crate) settings: Settings,
    pub(crate) holds: Arc<HashMap<FeatureId, Hold>>,
}

/// A feature with everything its card shows.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The feature.
    pub feature: Feature,
    /// Its newest run.
    pub run: Option<Run>,
    /// What is true now.
    pub why: Why,
    /// Whether its newest run waits for a person's approval.
    pub asks: bool,
    /// Other open branches that it can't be merged with.
    pub clashes: Vec<Clash>,
    /// What all its runs have spent on models, if they were metered.
    pub spent: Option<Spent>,
}

/// The board's rows.
#[derive(Clone)]
pub struct Store {
    pub(crate) db: Db,
    lens: Arc<RwLock<Arc<Lens>>>,
}

impl Store {
    /// Opens or makes `board.db` at `path`.
    pub fn open(path: &Path, settings: Settings) -> Result<Self, StoreError> {
        Ok(Self {
            db: Db::open(path, schema::MIGRATIONS)?,
            lens: Arc::new(RwLock::new(Arc::new(Lens { settings, holds: Arc::default() }))),
        })
    }

    pub(crate) fn lens(&self) -> Arc<Lens> {
        match self.lens.read() {
            Ok(guard) => Arc::clone(&guard),
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }

    fn swap(&self, change: impl FnOnce(&mut Lens)) {
        let mut guard = match self.lens.write() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        };
        let mut lens = Lens::clone(&guard);
        change(&mut lens);
        *guard = Arc::new(lens);
    }

    /// Puts new settings in force; rows that were derived from the old ones follow with their next change.
    pub fn set_settings(&self, settings: Settings) {
        self.swap(|lens| lens.settings = settings);
    }

    /// What the scheduler says of the ready features now. Those of which it says something else than before are
    /// reported anew.
    pub async fn set_holds(&self, holds: HashMap<FeatureId, Hold>, now: Timestamp) -> Result<(), StoreError> {
        let before = Arc::clone(&self.lens().holds);
        let differs = |id: &&FeatureId| before.get(*id) != holds.get(*id);
        let mut changed: Vec<FeatureId> = holds.keys().filter(differs).cloned().collect();
        changed.extend(before.keys().filter(|id| !holds.contains_key(*id)).cloned());
        if changed.is_empty() {
            return Ok(());
        }
        self.swap(|lens| lens.holds = Arc::new(holds));
        let lens = self.lens();
        self.write(move |c| changed.iter().try_for_each(|id| report::feature(c, &lens, id, now))).await
    }

    /// Ticks after every commit.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.db.commits()
    }

    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.db.write(job).await
    }

    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.db.read(query).await
    }

    /// One feature with everything its card shows.
    pub async fn snapshot(&self, id: &FeatureId, now: Timestamp) -> Result<Snapshot, StoreError> {
        let (id, lens) = (id.clone(), self.lens());
        self.read(move |c| snapshot(c, &lens, rows::feature_by_id(c, &id)?, now)).await
    }

    /// Features of a stage (or of all), newest first, at most `limit`.
    pub async fn snapshots(
        &self,
        stage: Option<Stage>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Snapshot>, StoreError> {
        let lens = self.lens();
        self.read(move |c| {
            let features = match stage {
                Some(stage) => rows::features(
                    c,
                    "WHERE stage = ?1 ORDER BY number DESC LIMIT ?2",
                    (stage.as_str(), limit as i64),
                )?,
                None => rows::features(c, "ORDER BY number DESC LIMIT ?1", [limit as i64])?,
            };
            features.into_iter().map(|feature| snapshot(c, &lens, feature, now)).collect()
        })
        .await
    }

    /// How many features are in each stage, in the board's order.
    pub async fn counts(&self) -> Result<Vec<(Stage, u64)>, StoreError> {
        self.read(|c| {
            Stage::ALL
                .into_iter()
                .map(|stage| {
                    let count: i64 = c
                        .prepare_cached("SELECT count(*) FROM features WHERE stage = ?1")?
                        .query_row([stage.as_str()], |row| row.get(0))?;
                    Ok((stage, count as u64))
                })
                .collect()
        })
        .await
    }

    /// Runs under way that take a slot.
    pub async fn running(&self) -> Result<u32, StoreError> {
        self.read(running).await
    }

    /// Rows that the bot has not acknowledged.
    pub async fn unshipped(&self) -> Result<u64, StoreError> {
        self.read(|c| Ok(qd_sqlite::outbox::waiting(c, rows::BOT)?)).await
    }

    /// Waits until a commit happens; an error when the database is closed.
    pub async fn changed(commits: &mut watch::Receiver<u64>) -> Result<(), StoreError> {
        commits.changed().await.map_err(|_| StoreError::Db(DbError::Closed))
    }
}

pub(crate) fn running(c: &Connection) -> Result<u32, StoreError> {
    let count: i64 = c
        .prepare_cached("SELECT count(*) FROM features WHERE stage = 'running'")?
        .query_row([], |row| row.get(0))?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

pub(crate) fn snapshot(
    c: &Connection,
    lens: &Lens,
    feature: Feature,
    now: Timestamp,
) -> Result<Snapshot, StoreError> {
    // Most features of a big board never ran and wait for nothing: they cost no further query.
    let rests = feature.stage == Stage::Backlog && feature.version == 1;
    let run = if rests { None } else { rows::newest_run(c, &feature.id)? };
    let approval = match feature.stage {
        Stage::Running | Stage::Review => match rows::open_approval(c, &feature.id)? {
            Some(card) => Some(card.approval),
            None => executor::open_of(c, &feature.id, now)?,
        },
        _ => None,
    };
    let clashes = match feature.stage {
        Stage::Running | Stage::Review => clashes::of(c, &feature.id)?,
        _ => Vec::new(),
    };
    let hold = if feature.stage == Stage::Ready {
        let candidate = scheduling::candidate(c, feature.clone(), 0)?;
        schedule::own(&candidate).or_else(|| lens.holds.get(&feature.id).cloned())
    } else {
        None
    };
    let approval = approval.as_ref();
    let situation = Situation {
        feature: &feature,
        run: run.as_ref(),
        hold: hold.as_ref(),
        zone: &lens.settings.zone,
        approval,
        repair_rounds: lens.settings.repair_rounds,
        now,
    };
    let mut why = situation.why();
    if let (Some(reason), Some(run)) = (&feature.paused, run.as_ref().filter(|run| run.end.is_none()))
        && (resting::is_stopped(reason) || resting::held_back(c, &run.id, now)?)
    {
        why = Why { waits: Some(Waits::Paused), sentence: reason.clone() };
    } else if approval.is_none()
        && feature.stage == Stage::Running
        && resting::features(c)?.contains(&feature.id)
    {
        why = Why { waits: Some(Waits::Slot), sentence: "Goes on when a slot is free.".to_owned() };
    }
    let spent = if run.is_some() { spending::of_feature(c, &feature.id)? } else { None };
    Ok(Snapshot { asks: approval.is_some(), feature, run, why, clashes, spent })
}
