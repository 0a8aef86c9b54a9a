//! The writer thread. An actor that owns the only writing connection; not an async task, because SQLite blocks.

use rusqlite::Connection;
use tokio::sync::{mpsc, watch};

use crate::DbError;

/// Jobs in one transaction, and waiting for one: past that, callers wait for a place. At 256 the fsync is a
/// small part of the transaction's time, and a caller's wait stays in the low milliseconds.
const BATCH: usize = 256;

/// Work for the writer.
pub(crate) trait Job: Send {
    /// Inside the transaction, in a savepoint. `false` rolls this job back, and this job alone.
    fn run(&mut self, connection: &Connection) -> bool;
    /// After the commit, or its failure.
    fn finish(self: Box<Self>, committed: Result<(), DbError>);
}

pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    commits: watch::Receiver<u64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, generation: u64) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(BATCH);
        let (tick, commits) = watch::channel(0);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || run(&connection, generation, queue, &tick))?;
        Ok(Self { jobs: Some(jobs), commits, thread: Some(thread) })
    }

    pub(crate) async fn submit(&self, job: Box<dyn Job>) -> Result<(), DbError> {
        let jobs = self.jobs.as_ref().ok_or(DbError::Closed)?;
        jobs.send(job).await.map_err(|_| DbError::Closed)
    }

    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }
}

impl Drop for Writer {
    /// The queue is worked off before the lock is let go.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the database's writer thread ended in a panic");
        }
    }
}

fn run(
    connection: &Connection,
    generation: u64,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    tick: &watch::Sender<u64>,
) {
    let mut batch: Vec<Box<dyn Job>> = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
        let committed = commit(connection, generation, &mut batch);
        if committed.is_ok() {
            tick.send_modify(|count| *count += 1);
        } else if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
        for job in batch.drain(..) {
            job.finish(committed.clone());
        }
    }
}

fn commit(connection: &Connection, generation: u64, batch: &mut [Box<dyn Job>]) -> Result<(), DbError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let current: i64 =
        connection.prepare_cached("SELECT number FROM generation")?.query_row([], |row| row.get(0))?;
    if current as u64 != generation {
        return Err(DbError::Superseded);
    }
    for job in batch.iter_mut() {
        connection.prepare_cached("SAVEPOINT job")?.execute([])?;
        if !job.run(connection) {
            connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
        }
        connection.prepare_cached("RELEASE job")?.execute([])?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}
