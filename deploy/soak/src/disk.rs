//! A process's disk: a database in memory that can be full, be copied as a backup, and be cut short in any write.

use qd_sqlite::Migration;
use rusqlite::{Connection, backup::Backup, config::DbConfig};

use crate::Broken;

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Kept,
    /// The process is killed before it is committed.
    KilledBefore,
    /// The process is killed when it is committed, and nobody has heard of it.
    KilledAfter,
}

/// How a write ended.
#[derive(Debug)]
pub enum Written<T> {
    /// It is committed.
    Kept(T),
    /// It failed, and nothing of it is there: the disk is full.
    Failed,
    /// The process is no more. What it had committed just before, nobody in it has heard of.
    Killed(Option<T>),
}

/// A database with a schema and no rows, from which disks are made.
pub struct Blank(Connection);

impl Blank {
    /// With all of these migrations.
    ///
    /// # Errors
    /// If a migration fails.
    pub fn new(migrations: &[Migration]) -> Result<Self, Broken> {
        let connection = connect()?;
        for migration in migrations {
            connection.execute_batch(migration)?;
        }
        Ok(Self(connection))
    }

    /// A disk that holds it.
    ///
    /// # Errors
    /// If the copy fails.
    pub fn disk(&self) -> Result<Disk, Broken> {
        Ok(Disk { connection: copy(&self.0)?, full: false, writes: 0 })
    }
}

/// A disk with one database.
pub struct Disk {
    connection: Connection,
    full: bool,
    writes: u64,
}

impl Disk {
    /// Runs `job` in a transaction, whose fate is known.
    ///
    /// # Errors
    /// If the job fails and the disk is not full: something is broken.
    pub fn write<T, E: Into<Broken>>(
        &mut self,
        fate: Fate,
        job: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<Written<T>, Broken> {
        self.writes += 1;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let done = job(&self.connection).map_err(Into::into);
        match (done, fate) {
            (Ok(done), Fate::Kept) => match self.connection.execute_batch("COMMIT") {
                Ok(()) => Ok(Written::Kept(done)),
                Err(error) => self.undo(error.into()).map(|()| Written::Failed),
            },
            (Ok(done), Fate::KilledAfter) => {
                self.connection.execute_batch("COMMIT")?;
                Ok(Written::Killed(Some(done)))
            }
            (Ok(_), Fate::KilledBefore) => {
                self.connection.execute_batch("ROLLBACK")?;
                Ok(Written::Killed(None))
            }
            (Err(error), _) => self.undo(error).map(|()| Written::Failed),
        }
    }

    /// Reads.
    ///
    /// # Errors
    /// Whatever `query` says.
    pub fn read<T, E: Into<Broken>>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, Broken> {
        query(&self.connection).map_err(Into::into)
    }

    /// From now on there is no room for another page, or there is again.
    ///
    /// # Errors
    /// If the database does not take it.
    pub fn set_full(&mut self, full: bool) -> Result<(), Broken> {
        let used: i64 = self.connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let most = if full { used } else { 1 << 30 };
        self.connection.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()))?;
        self.full = full;
        Ok(())
    }

    /// What is on it now, for later.
    ///
    /// # Errors
    /// If the copy fails.
    pub fn backup(&self) -> Result<Self, Broken> {
        Ok(Self { connection: copy(&self.connection)?, full: false, writes: self.writes })
    }

    /// Writes so far.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// Nothing of a write that failed stays. Only a full disk may make one fail.
    fn undo(&self, error: Broken) -> Result<(), Broken> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        if self.full { Ok(()) } else { Err(error) }
    }
}

fn connect() -> Result<Connection, Broken> {
    #[allow(
        clippy::disallowed_methods,
        reason = "a simulated disk is no file, and has no lock and no threads"
    )]
    let connection = Connection::open_in_memory()?;
    connection.set_prepared_statement_cache_capacity(192);
    // As of a real one: without it a kept statement is prepared anew for each value that is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

fn copy(from: &Connection) -> Result<Connection, Broken> {
    let mut to = connect()?;
    let backup = Backup::new(from, &mut to)?;
    while backup.step(-1)? != rusqlite::backup::StepResult::Done {}
    drop(backup);
    Ok(to)
}
