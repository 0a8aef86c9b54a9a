//! The store's transactions for the uplink one by one, on a connection and at a moment that are given: without threads, and
//! without a clock of its own. [`Store`](crate::Store) takes the same steps in its database's writer; the simulation takes
//! them here, and cuts them short wherever it likes.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use qd_board::{NewFeature, Run};
use qd_sqlite::{Migration, outbox};
use qd_types::{PersonId, RepositoryName};
use qd_wire::v1::{Ack, Envelope, ForgeOutcome, ForgeRequest, Order, Report};
use rusqlite::Connection;

use crate::{
    Applied, Keeper, NewRun, Settings, Snapshot, StoreError, executor, features, forge, orders, presence,
    report, rows, runs, schema, store::Lens,
};

/// All versions of the schema, oldest first.
pub const MIGRATIONS: &[Migration] = schema::MIGRATIONS;

/// A store without its database. Each step is to be taken in a transaction that is committed if it succeeds.
pub struct Steps {
    lens: Lens,
}

impl Steps {
    /// With these settings.
    pub fn new(settings: Settings) -> Self {
        Self { lens: Lens { settings, holds: Arc::new(HashMap::new()) } }
    }

    /// See [`Store::add`](crate::Store::add).
    ///
    /// # Errors
    /// If a field can't be taken, or the database fails.
    pub fn add(
        &self,
        c: &Connection,
        author: &PersonId,
        new: NewFeature,
        repository: RepositoryName,
        now: Timestamp,
    ) -> Result<Snapshot, StoreError> {
        features::add(c, &self.lens, author, new.checked()?, repository, now)
    }

    /// See [`Store::open_run`](crate::Store::open_run).
    ///
    /// # Errors
    /// If the feature is not there or not ready, or the database fails.
    pub fn open_run(&self, c: &Connection, new: NewRun, now: Timestamp) -> Result<Run, StoreError> {
        runs::open(c, &self.lens, new, now)
    }

    /// See [`Store::request`](crate::Store::request).
    ///
    /// # Errors
    /// If the database fails.
    pub fn request(&self, c: &Connection, request: ForgeRequest, now: Timestamp) -> Result<(), StoreError> {
        forge::request(c, &self.lens, request, now)
    }

    /// See [`Store::outcome`](crate::Store::outcome).
    ///
    /// # Errors
    /// If the database fails.
    pub fn outcome(&self, c: &Connection, request: &str) -> Result<Option<ForgeOutcome>, StoreError> {
        forge::outcome(c, request)
    }

    /// See [`Store::raise`](crate::Store::raise).
    ///
    /// # Errors
    /// If the database fails.
    pub fn raise(
        &self,
        c: &Connection,
        key: &str,
        text: String,
        over: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        report::raise(c, key, text, over, now)
    }

    /// See [`Store::beat`](crate::Store::beat).
    ///
    /// # Errors
    /// If the database fails.
    pub fn beat(&self, c: &Connection, beat_seconds: u32, now: Timestamp) -> Result<(), StoreError> {
        presence::beat(c, &self.lens, beat_seconds, None, now)
    }

    /// See [`Store::greeted`](crate::Store::greeted).
    ///
    /// # Errors
    /// If the database fails.
    pub fn greeted(
        &self,
        c: &Connection,
        keeper: &Keeper,
        has: Ack,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        executor::greeted(c, &self.lens, keeper, has, now)
    }

    /// See [`Store::unshipped`](crate::Store::unshipped).
    ///
    /// # Errors
    /// If the database fails.
    pub fn unshipped(&self, c: &Connection) -> Result<u64, StoreError> {
        Ok(outbox::waiting(c, rows::BOT)?)
    }

    /// See [`Store::ship`](crate::Store::ship).
    ///
    /// # Errors
    /// If the database fails.
    pub fn ship(&self, c: &Connection, limit: usize) -> Result<Vec<Envelope<Report>>, StoreError> {
        report::ship(c, limit)
    }

    /// See [`Store::acknowledged`](crate::Store::acknowledged).
    ///
    /// # Errors
    /// If the database fails.
    pub fn acknowledged(&self, c: &Connection, ack: Ack) -> Result<(), StoreError> {
        Ok(outbox::acknowledge(c, rows::BOT, ack.epoch, ack.seq)?)
    }

    /// See [`Store::received`](crate::Store::received).
    ///
    /// # Errors
    /// If the database fails.
    pub fn received(&self, c: &Connection) -> Result<Ack, StoreError> {
        forge::received(c)
    }

    /// See [`Store::apply`](crate::Store::apply).
    ///
    /// # Errors
    /// If the database fails.
    pub fn apply(
        &self,
        c: &Connection,
        order: Envelope<Order>,
        repository: Option<RepositoryName>,
        refused: Option<String>,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        orders::take(c, &self.lens, order, repository, refused, now)
    }
}
