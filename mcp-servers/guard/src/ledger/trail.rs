//! Rows of the trail. Those of reads are written in groups by a task of their own, so that nobody waits for the disk to
//! look at something; they are lost only with the machine, and only the last few.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use qd_approvals::inert;
use qd_audit::{About, Actor, Entry, Kind};
use qd_sqlite::{Db, DbError};
use rusqlite::Connection;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::{Clock, LedgerError, store};
use crate::{Event, Noted, StoreError, Wanted, Who, Whose};

/// Rows that may wait. More than a second's worth of the fastest client; then a caller waits for the disk.
const WAITING: usize = 4096;

/// Rows in one transaction.
const GROUP: usize = 256;

/// How long a group waits for more rows: what has to be on disk before a call goes on does not wait behind each row of a
/// call that is over.
const GATHERS: Duration = Duration::from_millis(4);

/// A transaction, as far as rows are appended in it.
pub(super) struct Rows<'c>(pub(super) &'c Connection);

impl Rows<'_> {
    /// Appends a row. People stand in it under pseudonyms.
    pub(super) fn append(&self, event: &Event, at: Timestamp) -> Result<(), LedgerError> {
        let mut payload = event.payload.clone();
        let mut names = Vec::new();
        for person in event.caller.requesters() {
            names.push(Value::from(qd_audit::pseudonym(self.0, &person)?.to_string()));
        }
        payload.insert("on_behalf".to_owned(), Value::Array(names));
        let actor = match &event.caller.who {
            Who::Agent { run, .. } => Actor::Agent(run.clone()),
            Who::Person { person, .. } => Actor::Person(qd_audit::pseudonym(self.0, &person.id)?),
            Who::Service { team, name, .. } => {
                payload.insert("service".to_owned(), Value::from(name.as_str()));
                Actor::Team(team.clone())
            }
        };
        let run = event.caller.own_run().cloned();
        let about = About {
            feature: run.as_ref().map(|run| run.feature().clone()),
            run,
            call: Some(event.call.clone()),
            approval: event.approval.clone(),
            ..About::default()
        };
        qd_audit::append(self.0, &Entry { kind: event.kind, actor, about, at, payload })?;
        Ok(())
    }

    /// Appends a row as it is.
    pub(super) fn entry(&self, entry: &Entry) -> Result<(), LedgerError> {
        qd_audit::append(self.0, entry)?;
        Ok(())
    }

    /// A person's name in the chain.
    pub(super) fn person(&self, id: &qd_types::PersonId) -> Result<Actor, LedgerError> {
        Ok(Actor::Person(qd_audit::pseudonym(self.0, id)?))
    }
}

/// Rows from the end of the chain that are looked at for those that somebody wants.
const LOOKED_AT: i64 = 20_000;

/// Longest text of a row that is read, in characters.
const TEXT: usize = 400;

/// A row with what its payload says.
struct Read {
    noted: Noted,
    service: Option<String>,
}

/// The newest of the rows that are wanted. What people said names the approval and no tool: its tool is the one of the row
/// that asked them. Rows that went to a segment file are not read.
pub(super) fn newest(c: &Connection, wanted: &Wanted) -> Result<Vec<Noted>, LedgerError> {
    let sql =
        "SELECT at, kind, actor, run, call, approval, payload FROM audit_chain ORDER BY seq DESC LIMIT ?1";
    let mut statement = c.prepare_cached(sql).map_err(DbError::from)?;
    let rows = statement.query_map([LOOKED_AT], read).map_err(DbError::from)?;
    let rows: Vec<Read> = rows.collect::<Result<_, _>>().map_err(DbError::from)?;
    let asked: BTreeMap<String, (String, Option<String>)> = rows
        .iter()
        .filter(|row| row.noted.kind == Kind::Request.as_str() && !row.noted.tool.is_empty())
        .filter_map(|row| Some((row.noted.approval.clone()?, (row.noted.tool.clone(), row.service.clone()))))
        .collect();
    let run = match &wanted.whose {
        Whose::Run(run) => Some(run.to_string()),
        Whose::Service(_) | Whose::Everybody => None,
    };
    let found = rows.into_iter().filter_map(|Read { mut noted, mut service }| {
        if noted.tool.is_empty() {
            (noted.tool, service) = asked.get(noted.approval.as_ref()?)?.clone();
        }
        let is_theirs = match &wanted.whose {
            Whose::Run(_) => noted.run.is_some() && noted.run == run,
            Whose::Service(name) => service.as_ref() == Some(name),
            Whose::Everybody => true,
        };
        (is_theirs && wanted.tools.contains(&noted.tool)).then_some(noted)
    });
    Ok(found.take(wanted.limit).collect())
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Read> {
    let payload: String = row.get(6)?;
    // What can't be read is still a row: that something is wrong with it, the chain's verification says.
    let payload: Value = serde_json::from_str(&payload).unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let tool = payload.get("tool");
    let tool = text(tool).or_else(|| text(tool.and_then(|tool| tool.get("name"))));
    let traces = payload.get("traces").and_then(Value::as_array);
    let at: i64 = row.get(0)?;
    let noted = Noted {
        at: Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| at.to_string()),
        kind: row.get(1)?,
        who: row.get(2)?,
        text: inert::plain(&text(payload.get("text")).unwrap_or_default(), TEXT),
        tool: tool.unwrap_or_default(),
        run: row.get(3)?,
        call: row.get(4)?,
        approval: row.get(5)?,
        traces: traces.into_iter().flatten().filter_map(|id| text(Some(id))).collect(),
    };
    Ok(Read { noted, service: text(payload.get("service")) })
}

enum Job {
    Row(Box<Event>, Timestamp),
    Flush(oneshot::Sender<()>),
}

/// The task that writes groups.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    clock: Clock,
    /// A group could not be written: nothing more is taken, so that nothing more happens.
    broken: Arc<AtomicBool>,
}

impl Writer {
    pub(super) fn start(db: Db, clock: Clock) -> Self {
        let (jobs, queue) = mpsc::channel(WAITING);
        let broken = Arc::new(AtomicBool::new(false));
        tokio::spawn(run(db, queue, broken.clone()));
        Self { jobs, clock, broken }
    }

    pub(super) async fn take(&self, event: Event) -> Result<(), StoreError> {
        self.send(Job::Row(Box::new(event), (self.clock)())).await
    }

    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        self.send(Job::Flush(done)).await?;
        written.await.map_err(|_| broken())?;
        self.whole()
    }

    async fn send(&self, job: Job) -> Result<(), StoreError> {
        self.whole()?;
        self.jobs.send(job).await.map_err(|_| broken())
    }

    fn whole(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::Relaxed) { Err(broken()) } else { Ok(()) }
    }
}

fn broken() -> StoreError {
    store(
        "Writing to the trail",
        "an earlier row could not be written; look at the server's log, and restart it",
    )
}

async fn run(db: Db, mut queue: mpsc::Receiver<Job>, broken: Arc<AtomicBool>) {
    let mut group = Vec::new();
    while queue.recv_many(&mut group, GROUP).await > 0 {
        if !group.iter().any(|job| matches!(job, Job::Flush(_))) {
            tokio::time::sleep(GATHERS).await;
            while group.len() < GROUP
                && let Ok(job) = queue.try_recv()
            {
                group.push(job);
            }
        }
        let (mut rows, mut waiting) = (Vec::new(), Vec::new());
        for job in group.drain(..) {
            match job {
                Job::Row(event, at) => rows.push((event, at)),
                Job::Flush(done) => waiting.push(done),
            }
        }
        let written = db.write(move |c| -> Result<(), LedgerError> {
            rows.iter().try_for_each(|(event, at)| Rows(c).append(event, *at))
        });
        if let Err(error) = written.await {
            tracing::error!(%error, "the trail can't be written: no further call is taken");
            broken.store(true, Ordering::Relaxed);
            return;
        }
        for done in waiting {
            let _ = done.send(());
        }
    }
}
