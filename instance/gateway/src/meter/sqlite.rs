//! Books in SQLite. Sums are held in memory and read from the rows at the start; rows are written behind, in order, by
//! one task. A call has places for both of its rows before it begins, so closing it never waits and never loses one.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use qd_sqlite::{Db, DbError};
use rusqlite::{Connection, Row, params, types::Type};
use tokio::{
    sync::mpsc::{self, OwnedPermit},
    task::JoinHandle,
};

use super::{Change, Meter, MeterError, Outcome, Record, Sum, Ticket, totals::Totals};
use crate::{
    budget::{Scope, Spent},
    money::MicroDollars,
    prices::Priced,
    usage::{Reading, Usage},
};

const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// Rows that may wait: two for each call that is under way, and some that the disk has not seen yet.
const WAITING: usize = 4_096;
/// Rows of one transaction.
const BATCH: usize = 256;
/// How long a new call waits for the books before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries of a disk that refuses.
const PAUSE: Duration = Duration::from_millis(500);

/// Books in a database file of their own.
pub struct SqliteMeter {
    db: Db,
    shared: Arc<Shared>,
    rows: mpsc::Sender<Entry>,
    writer: JoinHandle<()>,
}

struct Shared {
    totals: Mutex<Totals>,
    next: AtomicU64,
    /// The disk refuses; no call begins until it takes rows again.
    stuck: AtomicBool,
}

struct Entry {
    call: u64,
    closed: bool,
    record: Record,
}

struct Open {
    call: u64,
    place: OwnedPermit<Entry>,
    shared: Arc<Shared>,
}

impl SqliteMeter {
    /// Opens or makes the file and reads its sums. Needs a tokio runtime.
    pub async fn open(path: &Path) -> Result<Self, DbError> {
        let db = Db::open(path, MIGRATIONS)?;
        let (totals, next) = db.read(read_totals).await?;
        let shared = Arc::new(Shared {
            totals: Mutex::new(totals),
            next: AtomicU64::new(next),
            stuck: AtomicBool::new(false),
        });
        let (rows, waiting) = mpsc::channel(WAITING);
        let writer = tokio::spawn(write_behind(db.clone(), waiting, Arc::clone(&shared)));
        Ok(Self { db, shared, rows, writer })
    }

    /// The newest calls, newest first.
    pub async fn newest(&self, limit: u32) -> Result<Vec<Record>, DbError> {
        self.db
            .read(move |connection| {
                let mut statement =
                    connection.prepare_cached("SELECT * FROM call ORDER BY call DESC LIMIT ?1")?;
                let records = statement.query_map([limit], record_of)?.collect::<Result<_, _>>()?;
                Ok::<_, DbError>(records)
            })
            .await
    }

    /// All calls in sums by run, day and model, and by whether their price was known.
    pub async fn sums(&self) -> Result<Vec<Sum>, MeterError> {
        self.db.read(read_sums).await.map_err(|error: DbError| MeterError(error.to_string()))
    }

    /// Waits until every row is on disk. Calls that are still open keep it waiting: end them first.
    pub async fn close(self) {
        let Self { db, rows, writer, .. } = self;
        drop(rows);
        if writer.await.is_err() {
            tracing::error!("the writer of model calls ended in a panic");
        }
        drop(db);
    }
}

#[async_trait]
impl Meter for SqliteMeter {
    fn spent(&self, scope: &Scope) -> Spent {
        self.shared.totals.lock().unwrap_or_else(PoisonError::into_inner).spent(scope)
    }

    async fn open(&self, record: Record) -> Result<Box<dyn Ticket>, MeterError> {
        let behind = |why: &str| MeterError(why.to_owned());
        if self.shared.stuck.load(Ordering::Relaxed) {
            return Err(behind("the disk takes no rows; look at its space and at the log"));
        }
        let places = async {
            let first = self.rows.clone().reserve_owned().await?;
            Ok::<_, mpsc::error::SendError<()>>((first, self.rows.clone().reserve_owned().await?))
        };
        let places = tokio::time::timeout(PATIENCE, places).await;
        let (first, place) = places
            .map_err(|_| behind("too many rows wait for the disk; try again later"))?
            .map_err(|_| behind("its writer has ended"))?;
        let call = self.shared.next.fetch_add(1, Ordering::Relaxed);
        first.send(Entry { call, closed: false, record });
        Ok(Box::new(Open { call, place, shared: Arc::clone(&self.shared) }))
    }
}

impl Ticket for Open {
    fn close(self: Box<Self>, record: Record) -> Vec<Change> {
        let changes = self.shared.totals.lock().unwrap_or_else(PoisonError::into_inner).add(&record);
        self.place.send(Entry { call: self.call, closed: true, record });
        changes
    }
}

async fn write_behind(db: Db, mut waiting: mpsc::Receiver<Entry>, shared: Arc<Shared>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let mut entries = Arc::new(std::mem::take(&mut batch));
        while let Err(error) = write(&db, &entries).await {
            shared.stuck.store(true, Ordering::Relaxed);
            tracing::error!(%error, rows = entries.len(), "model calls can't be recorded; no new ones begin");
            if matches!(error, DbError::Superseded | DbError::Closed) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        shared.stuck.store(false, Ordering::Relaxed);
        if let Some(entries) = Arc::get_mut(&mut entries) {
            batch = std::mem::take(entries);
            batch.clear();
        }
    }
}

async fn write(db: &Db, entries: &Arc<Vec<Entry>>) -> Result<(), DbError> {
    let entries = Arc::clone(entries);
    db.write(move |connection| entries.iter().try_for_each(|entry| insert(connection, entry))).await
}

fn insert(connection: &Connection, entry: &Entry) -> Result<(), DbError> {
    let Record { charged, priced, reading, .. } = &entry.record;
    let record = &entry.record;
    let counted = reading.counted().and_then(|usage| serde_json::to_string(&usage).ok());
    let detail = if let Outcome::Failed(detail) = &record.outcome { Some(detail) } else { None };
    let reading = match reading {
        Reading::Whole(_) => "whole",
        Reading::Partial(_) => "partial",
        Reading::Unknown => "unknown",
    };
    connection
        .prepare_cached(
            "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
             ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)",
        )?
        .execute(params![
            whole(entry.call),
            entry.closed,
            record.at.as_millisecond(),
            record.day.to_string(),
            record.run.to_string(),
            record.provider,
            record.endpoint.name(),
            priced.list,
            priced.model,
            record.answered,
            reading,
            counted,
            whole(charged.input),
            whole(charged.cached),
            whole(charged.cache_write),
            whole(charged.cache_write_hour),
            whole(charged.output),
            whole(charged.reasoning),
            record.cost.map(|cost| whole(cost.0)),
            record.outcome.name(),
            detail,
            record.status,
            record.attempts,
            whole(record.sent),
            whole(record.received),
            record.first_byte_ms.map(whole),
            whole(record.total_ms),
        ])?;
    Ok(())
}

/// SQLite's whole numbers end at half of ours.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read_totals(connection: &Connection) -> Result<(Totals, u64), DbError> {
    let mut totals = Totals::default();
    for sum in read_sums(connection)? {
        totals.add_many(&sum.run, sum.day, sum.calls, &sum.charged, sum.cost, &sum.priced);
    }
    let next: i64 =
        connection.query_row("SELECT coalesce(max(call), 0) + 1 FROM entry", [], |row| row.get(0))?;
    Ok((totals, next.unsigned_abs()))
}

fn read_sums(connection: &Connection) -> Result<Vec<Sum>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT run, day, list, model, cost IS NULL AS unpriced, count(*) AS calls,
                sum(reading <> 'whole') AS estimated, sum(input) AS input,
                sum(cached) AS cached, sum(cache_write) AS cache_write, sum(cache_write_hour) AS cache_write_hour,
                sum(output) AS output, sum(reasoning) AS reasoning, sum(cost) AS cost
         FROM call GROUP BY run, day, list, model, unpriced",
    )?;
    let sums = statement.query_map([], |row| {
        Ok(Sum {
            run: parsed(row, "run")?,
            day: parsed(row, "day")?,
            priced: priced_of(row)?,
            calls: number(row, "calls")?,
            estimated: number(row, "estimated")?,
            charged: charged_of(row)?,
            cost: row.get::<_, Option<i64>>("cost")?.map(|cost| MicroDollars(cost.unsigned_abs())),
        })
    })?;
    Ok(sums.collect::<Result<_, _>>()?)
}

fn record_of(row: &Row<'_>) -> rusqlite::Result<Record> {
    let detail: Option<String> = row.get("detail")?;
    let counted: Option<String> = row.get("counted")?;
    let usage =
        counted.map(|text| serde_json::from_str::<Usage>(&text).map_err(|error| bad("counted", error)));
    let usage = usage.transpose()?.unwrap_or_default();
    let at = jiff::Timestamp::from_millisecond(row.get("at")?).map_err(|error| bad("at", error))?;
    let reading = match row.get::<_, String>("reading")?.as_str() {
        "whole" => Reading::Whole(usage),
        "partial" => Reading::Partial(usage),
        _ => Reading::Unknown,
    };
    let outcome = match row.get::<_, String>("outcome")?.as_str() {
        "answered" => Outcome::Answered,
        "refused" => Outcome::Refused,
        "failed" => Outcome::Failed(detail.unwrap_or_default()),
        "cut" => Outcome::Cut,
        "cancelled" => Outcome::Cancelled,
        "timed_out" => Outcome::TimedOut,
        "unreachable" => Outcome::Unreachable,
        _ => Outcome::Open,
    };
    let endpoint = serde_json::Value::String(row.get("endpoint")?);
    Ok(Record {
        at,
        day: parsed(row, "day")?,
        run: parsed(row, "run")?,
        provider: row.get("provider")?,
        endpoint: serde_json::from_value(endpoint).map_err(|error| bad("endpoint", error))?,
        priced: priced_of(row)?,
        answered: row.get("answered")?,
        reading,
        charged: charged_of(row)?,
        cost: row.get::<_, Option<i64>>("cost")?.map(|cost| MicroDollars(cost.unsigned_abs())),
        outcome,
        status: row.get("status")?,
        attempts: row.get("attempts")?,
        sent: number(row, "sent")?,
        received: number(row, "received")?,
        first_byte_ms: row.get::<_, Option<i64>>("first_byte_ms")?.map(i64::unsigned_abs),
        total_ms: number(row, "total_ms")?,
    })
}

fn charged_of(row: &Row<'_>) -> rusqlite::Result<Usage> {
    Ok(Usage {
        input: number(row, "input")?,
        cached: number(row, "cached")?,
        cache_write: number(row, "cache_write")?,
        cache_write_hour: number(row, "cache_write_hour")?,
        output: number(row, "output")?,
        reasoning: number(row, "reasoning")?,
    })
}

fn priced_of(row: &Row<'_>) -> rusqlite::Result<Priced> {
    Ok(Priced { list: row.get("list")?, model: row.get("model")? })
}

fn number(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

fn parsed<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get::<_, String>(column)?.parse().map_err(|error| bad(column, error))
}

fn bad(column: &str, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    tracing::error!(column, %error, "a row of the model calls makes no sense");
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}
