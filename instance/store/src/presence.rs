//! How the team says that it is there: its hello, its beats, and what holds of it now. All are living states: a bot that was
//! away hears each once.

use jiff::Timestamp;
use qd_sqlite::outbox::{self, Waiting};
use qd_types::Stage;
use qd_wire::v1::{BoardDigest, Heartbeat, Hello, Report, Sentence, Snapshot, StageCount};
use rusqlite::Connection;

use crate::{Store, StoreError, executor, limits, report, rows, store, store::Lens, switches};

impl Store {
    /// Says what the team is.
    pub async fn hello(&self, hello: Hello, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |c| report::push(c, Some("hello"), now, &Report::Hello(Box::new(hello)))).await
    }

    /// Says that the team is there, with its board in numbers. `refuses` is why nothing new starts, if anything of the machine
    /// keeps it from that.
    pub async fn beat(
        &self,
        beat_seconds: u32,
        refuses: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lens = self.lens();
        self.write(move |c| self::beat(c, &lens, beat_seconds, refuses, now)).await
    }

    /// How much waits for the bot.
    pub async fn outbox(&self) -> Result<Waiting, StoreError> {
        self.read(|c| Ok(outbox::weigh(c, rows::BOT)?)).await
    }
}

/// See [`Store::beat`].
pub(crate) fn beat(
    c: &Connection,
    lens: &Lens,
    beat_seconds: u32,
    refuses: Option<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let board = digest(c, lens, refuses)?;
    let beat = Heartbeat { at: now, beat_seconds, runs: store::running(c)?, board };
    report::push(c, Some("heartbeat"), now, &Report::Heartbeat(Box::new(beat)))
}

fn digest(c: &Connection, lens: &Lens, refuses: Option<String>) -> Result<BoardDigest, StoreError> {
    let mut statement = c.prepare_cached("SELECT stage, count(*) FROM features GROUP BY stage")?;
    let mut rows = statement.query([])?;
    let mut stages = Vec::new();
    while let Some(row) = rows.next()? {
        let stage: Stage = rows::parse("features", &row.get::<_, String>(0)?)?;
        stages.push(StageCount { stage, features: row.get::<_, i64>(1)?.unsigned_abs() });
    }
    stages.sort_by_key(|count| count.stage);
    let held: i64 = c
        .prepare_cached(
            "SELECT count(*) FROM features WHERE held IS NOT NULL AND stage NOT IN ('done', 'cancelled')",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(BoardDigest {
        stages,
        held: u32::try_from(held).unwrap_or(u32::MAX),
        asks: u32::try_from(executor::open_keys(c)?.len()).unwrap_or(u32::MAX),
        paused: switches::paused(c)?.map(|pause| Sentence::from(pause.sentence())),
        refuses: refuses.map(Into::into),
        waiting: outbox::waiting(c, rows::BOT)?,
        limits: Some(limits::told(c, lens)?),
    })
}

/// All that holds now, by name: what the bot knows beside it is over.
pub(crate) fn snapshot(c: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let names = |sql: &str| -> Result<Vec<String>, StoreError> {
        let mut statement = c.prepare_cached(sql)?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<Result<_, rusqlite::Error>>()?)
    };
    let features = names("SELECT id FROM features WHERE stage <> 'done' ORDER BY number")?;
    let snapshot = Snapshot {
        features: features.iter().map(|id| rows::parse("features", id)).collect::<Result<_, _>>()?,
        alerts: names("SELECT key FROM alerts ORDER BY key")?,
        approvals: executor::open_keys(c)?,
    };
    report::push(c, Some("snapshot"), now, &Report::Snapshot(snapshot))
}
