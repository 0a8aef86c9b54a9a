//! The handle. Cheap to clone; all writes go through the database's one writer.

use std::{
    path::Path,
    sync::{Arc, RwLock},
};

use jiff::Timestamp;
use qd_board::{Feature, Run, Situation, Why};
use qd_sqlite::{Db, DbError};
use qd_types::{FeatureId, Stage};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::{StoreError, rows, schema};

/// What the store has to know of the configuration to say what is true now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The board's prefix: `A`.
    pub prefix: String,
    /// Runs at once.
    pub slots: u32,
    /// Whether the team has an agent.
    pub has_agent: bool,
    /// Repair rounds that a run is allowed.
    pub repair_rounds: u32,
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
}

/// The board's rows.
#[derive(Clone)]
pub struct Store {
    pub(crate) db: Db,
    settings: Arc<RwLock<Arc<Settings>>>,
}

impl Store {
    /// Opens or makes `board.db` at `path`.
    pub fn open(path: &Path, settings: Settings) -> Result<Self, StoreError> {
        Ok(Self {
            db: Db::open(path, schema::MIGRATIONS)?,
            settings: Arc::new(RwLock::new(Arc::new(settings))),
        })
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        match self.settings.read() {
            Ok(guard) => Arc::clone(&guard),
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }

    /// Puts new settings in force; rows that were derived from the old ones follow with their next change.
    pub fn set_settings(&self, settings: Settings) {
        let mut guard = match self.settings.write() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        };
        *guard = Arc::new(settings);
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
        let (id, settings) = (id.clone(), self.settings());
        self.read(move |c| snapshot(c, &settings, rows::feature_by_id(c, &id)?, now)).await
    }

    /// Features of a stage (or of all), newest first, at most `limit`.
    pub async fn snapshots(
        &self,
        stage: Option<Stage>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Snapshot>, StoreError> {
        let settings = self.settings();
        self.read(move |c| {
            let features = match stage {
                Some(stage) => rows::features(
                    c,
                    "WHERE stage = ?1 ORDER BY number DESC LIMIT ?2",
                    (stage.as_str(), limit as i64),
                )?,
                None => rows::features(c, "ORDER BY number DESC LIMIT ?1", [limit as i64])?,
            };
            features.into_iter().map(|feature| snapshot(c, &settings, feature, now)).collect()
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
    settings: &Settings,
    feature: Feature,
    now: Timestamp,
) -> Result<Snapshot, StoreError> {
    // Most features of a big board never ran and wait for nothing: they cost no further query.
    let rests = feature.stage == Stage::Backlog && feature.version == 1;
    let run = if rests { None } else { rows::newest_run(c, &feature.id)? };
    let unmet = if feature.stage == Stage::Ready { rows::unmet(c, &feature.id)? } else { Vec::new() };
    let card = if feature.stage == Stage::Review { rows::open_approval(c, &feature.id)? } else { None };
    let slot_free = feature.stage == Stage::Ready && running(c)? < settings.slots;
    let approval = card.as_ref().map(|card| &card.approval);
    let situation = Situation {
        feature: &feature,
        run: run.as_ref(),
        unmet: &unmet,
        approval,
        slot_free,
        has_agent: settings.has_agent,
        repair_rounds: settings.repair_rounds,
        now,
    };
    let why = situation.why();
    Ok(Snapshot { asks: approval.is_some(), feature, run, why })
}
