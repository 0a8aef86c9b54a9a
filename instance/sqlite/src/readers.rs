//! The reader threads. Each owns a read-only connection for its life, so that what a query allocates and what a
//! connection caches stays with few threads: an allocator that keeps memory for each thread would otherwise keep it for
//! every thread that ever read. The first is started by the first read, more only when reads overlap.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{DbError, db::connect};

/// Readers at once: reads are short, and two cores gain nothing from more.
const READERS: usize = 4;

type Job = Box<dyn FnOnce(Result<&Connection, DbError>) + Send>;

pub(crate) struct Readers {
    path: PathBuf,
    jobs: Option<mpsc::Sender<Job>>,
    queue: Arc<Mutex<mpsc::Receiver<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        let (jobs, queue) = mpsc::channel();
        Self {
            path,
            jobs: Some(jobs),
            queue: Arc::new(Mutex::new(queue)),
            threads: Mutex::default(),
            permits: Arc::new(Semaphore::new(READERS)),
        }
    }

    pub(crate) async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let closed = |_| DbError::Closed;
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?;
        let (answer, result) = oneshot::channel();
        self.staff(READERS - self.permits.available_permits())?;
        let job = move |connection: Result<&Connection, DbError>| {
            let turn: OwnedSemaphorePermit = permit;
            let outcome = connection.map_err(E::from).and_then(query);
            // Before the answer: whoever reads again at once finds this thread free, and starts no other.
            drop(turn);
            if answer.send(outcome).is_err() {
                tracing::debug!("a caller left before its read was answered");
            }
        };
        let jobs = self.jobs.as_ref().ok_or(DbError::Closed)?;
        jobs.send(Box::new(job)).map_err(|_| DbError::Closed)?;
        result.await.map_err(|_| DbError::Closed)?
    }

    /// Starts a thread if there are fewer than reads under way.
    fn staff(&self, reads: usize) -> Result<(), DbError> {
        let mut threads = self.threads.lock().map_err(|_| DbError::Closed)?;
        if threads.len() < reads {
            let (path, queue) = (self.path.clone(), Arc::clone(&self.queue));
            let started = std::thread::Builder::new().name("sqlite-reader".into()).spawn(move || {
                run(|| connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY), &queue);
            });
            let io = |source| DbError::Open { path: self.path.clone(), source: Arc::new(source) };
            threads.push(started.map_err(io)?);
        }
        Ok(())
    }
}

impl Drop for Readers {
    /// No connection is left open when the lock is let go.
    fn drop(&mut self) {
        self.jobs = None;
        let threads = self.threads.get_mut().map(std::mem::take).unwrap_or_default();
        for thread in threads {
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a reader thread of the database ended in a panic");
            }
        }
    }
}

fn run(open: impl Fn() -> Result<Connection, DbError>, queue: &Mutex<mpsc::Receiver<Job>>) {
    let mut kept = None;
    // The lock is held while waiting: whoever has it takes the next job.
    while let Ok(job) = queue.lock().map_err(|_| mpsc::RecvError).and_then(|queue| queue.recv()) {
        let opened = match kept.take() {
            Some(connection) => Ok(connection),
            None => open(),
        };
        // What panics has a caller who is told that there is no answer; the connection may be half-way in something.
        let whole = catch_unwind(AssertUnwindSafe(|| job(opened.as_ref().map_err(Clone::clone))));
        kept = opened.ok().filter(|_| whole.is_ok());
    }
}
