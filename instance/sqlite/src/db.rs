//! A database file: its lock, its migrations, its one writer and its few readers. Not a query builder:
//! the SQL stands where the rows are understood.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use tokio::sync::{oneshot, watch};

use crate::{
    readers::Readers,
    writer::{Job, Writer},
};

/// Page cache of each connection, in KiB. A process has up to twenty connections, and the system keeps the file's pages
/// in memory as well: SQLite's usual 2,000 KiB each would be most of what a process takes.
const CACHE_KIB: i64 = 512;

/// Prepared statements that each connection keeps. A filing alone uses about forty; with fewer than a round of work
/// needs, each would be prepared anew.
const STATEMENTS: usize = 192;

/// How long a lock is waited for. A process that is killed while it starts another one is gone before its lock is: the
/// other one holds whatever its parent held, until it has become the program that it was started for.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// How long the others that share a file may take to open it, one after the other.
const OPENING_WAIT: Duration = Duration::from_secs(10);
const LOCK_LOOK: Duration = Duration::from_millis(5);

/// A step from one version of the schema to the next. Forward only; the version is its place in the list.
pub type Migration = &'static str;

/// Why the database did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// Another process has it open.
    #[error("{} is in use by process {holder}: stop that one first, or give this one another state folder", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// Process id, or "unknown".
        holder: String,
    },
    /// The file can't be opened or made.
    #[error("{} can't be opened", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// Made by a newer program.
    #[error("{} has schema version {found}, this program knows up to {known}: use the newer program", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// SQLite refused.
    #[error("the database refused: {0}")]
    Sql(#[source] Arc<rusqlite::Error>),
    /// Another process took the database over; this one must not write any more.
    #[error("another process took over the database")]
    Superseded,
    /// The writer has stopped.
    #[error("the database is closed")]
    Closed,
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(Arc::new(error))
    }
}

/// An open database. Clones share it; the lock is let go with the last one.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    readers: Readers,
    generation: u64,
    _lock: File,
}

/// Who may have a file open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// One process.
    Alone,
    /// As many as share it.
    Shared,
}

impl Db {
    /// Opens or makes the file, takes its lock, for which it waits up to a second, brings its schema up to date and raises its generation.
    pub fn open(path: &Path, migrations: &[Migration]) -> Result<Self, DbError> {
        Self::opened(path, migrations, Sharing::Alone)
    }

    /// The same for several processes at once, each of which opens it so: their transactions come one after the other. What
    /// a process remembers of the file another one may have changed, and [`Db::commits`] tells of this process's alone.
    pub fn shared(path: &Path, migrations: &[Migration]) -> Result<Self, DbError> {
        Self::opened(path, migrations, Sharing::Shared)
    }

    fn opened(path: &Path, migrations: &[Migration], sharing: Sharing) -> Result<Self, DbError> {
        let io = |source: std::io::Error| DbError::Open { path: path.to_owned(), source: Arc::new(source) };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let lock = take_lock(path, "lock", sharing, LOCK_WAIT)?;
        // Of those that share it, one at a time brings it up to date.
        let _opening = match sharing {
            Sharing::Alone => None,
            Sharing::Shared => Some(take_lock(path, "opening", Sharing::Alone, OPENING_WAIT)?),
        };
        let mut connection =
            connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        migrate(path, &mut connection, migrations)?;
        // The fence is against a process that runs now and sees the number at once: a machine that stops takes that one with
        // it, so nobody waits for the disk.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let generation = generation(&connection, sharing)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer: Writer::start(connection, generation).map_err(io)?,
                readers: Readers::new(path.to_owned()),
                generation,
                _lock: lock,
            }),
        })
    }

    /// How often this file has been opened for writing: the fence against an older process.
    pub fn generation(&self) -> u64 {
        self.inner.generation
    }

    /// Ticks after every commit. A hint to look, nothing more.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.inner.writer.commits()
    }

    /// Runs `job` in a transaction of its own making: all or nothing. Returns after the commit is durable.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        self.inner.writer.submit(Box::new(WriteJob { job: Some(job), outcome: None, answer })).await?;
        result.await.map_err(|_| DbError::Closed)?
    }

    /// Runs `query` on a read-only connection. It sees everything that was committed before it began.
    pub async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.inner.readers.read(query).await
    }
}

struct WriteJob<T, E, F> {
    job: Option<F>,
    outcome: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for WriteJob<T, E, F>
where
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    T: Send,
    E: From<DbError> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let Some(job) = self.job.take() else { return false };
        let outcome = job(connection);
        let kept = outcome.is_ok();
        self.outcome = Some(outcome);
        kept
    }

    fn finish(self: Box<Self>, committed: Result<(), DbError>) {
        let result = match (self.outcome, committed) {
            (Some(Ok(_)) | None, Err(error)) => Err(error.into()),
            (Some(outcome), _) => outcome,
            (None, Ok(())) => Err(DbError::Closed.into()),
        };
        if self.answer.send(result).is_err() {
            tracing::debug!("a caller left before its write was answered");
        }
    }
}

/// A connection that only reads, beside the process that writes: it takes no lock and migrates nothing. For what has to
/// look at a file without asking that process, such as a proof of what it wrote.
pub fn read_only(path: &Path) -> Result<Connection, DbError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, DbError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A plan must not hang on what is bound: with partial indexes SQLite would prepare a kept statement anew for each
    // value (https://www.sqlite.org/qpsg.html).
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

#[allow(clippy::disallowed_methods, reason = "opening a database blocks as a whole, and seldom waits here")]
fn take_lock(path: &Path, extension: &str, sharing: Sharing, wait: Duration) -> Result<File, DbError> {
    use rustix::fs::FlockOperation::{NonBlockingLockExclusive, NonBlockingLockShared};
    let lock_path = path.with_extension(extension);
    let operation = match sharing {
        Sharing::Alone => NonBlockingLockExclusive,
        Sharing::Shared => NonBlockingLockShared,
    };
    let io = |source: std::io::Error| DbError::Open { path: lock_path.clone(), source: Arc::new(source) };
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(io)?;
    let begun = Instant::now();
    while rustix::fs::flock(&lock, operation).is_err() {
        if begun.elapsed() < wait {
            std::thread::sleep(LOCK_LOOK);
            continue;
        }
        let holder = std::fs::read_to_string(&lock_path).unwrap_or_default();
        let holder = if holder.trim().is_empty() { "unknown" } else { holder.trim() }.to_owned();
        return Err(DbError::Locked { path: path.to_owned(), holder });
    }
    lock.set_len(0).map_err(io)?;
    if sharing == Sharing::Alone {
        lock.write_all(std::process::id().to_string().as_bytes()).map_err(io)?;
    }
    Ok(lock)
}

fn migrate(path: &Path, connection: &mut Connection, migrations: &[Migration]) -> Result<(), DbError> {
    let found: usize =
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? as usize;
    if found > migrations.len() {
        return Err(DbError::Newer { path: path.to_owned(), found, known: migrations.len() });
    }
    for (index, migration) in migrations.iter().enumerate().skip(found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Raises it, which shuts out whoever had the file before; those that share it leave it as it is.
fn generation(connection: &Connection, sharing: Sharing) -> Result<u64, DbError> {
    let raise = match sharing {
        Sharing::Alone => "UPDATE SET number = number + 1",
        Sharing::Shared => "NOTHING",
    };
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS generation (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
         INSERT INTO generation VALUES (1, 1) ON CONFLICT DO {raise};"
    ))?;
    let number: i64 = connection.query_row("SELECT number FROM generation", [], |row| row.get(0))?;
    Ok(number as u64)
}
