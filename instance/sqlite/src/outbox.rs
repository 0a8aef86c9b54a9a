//! Rows to be shipped, and what was received: at least once, in order, deduplicated by (peer, epoch, seq).
//! Not a queue in memory: it survives everything that the database survives.

use std::cmp::Ordering;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::DbError;

/// The tables, to be part of a migration of whoever ships or receives.
pub const SCHEMA: &str = "
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    peer TEXT NOT NULL,
    living TEXT,
    seq INTEGER,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX outbox_seq ON outbox (peer, seq) WHERE seq IS NOT NULL;
CREATE UNIQUE INDEX outbox_living ON outbox (peer, living) WHERE seq IS NULL AND living IS NOT NULL;
CREATE INDEX outbox_unshipped ON outbox (peer, id) WHERE seq IS NULL;
CREATE TABLE outbox_peer (
    peer TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    acked INTEGER NOT NULL
);
CREATE TABLE inbox_peer (
    peer TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL
);
";

/// Bytes that are on their way at once; a single row may be more.
const ON_THE_WAY: i64 = 1024 * 1024;

/// What was received and is not understood here, as of a newer version: kept as it came, to be a part of a later migration.
pub const UNREAD: &str = "
CREATE TABLE inbox_unread (
    peer TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (peer, epoch, seq)
) WITHOUT ROWID;
";

/// Rows that are kept of each peer, the newest.
const MOST_UNREAD: i64 = 1000;

/// A row that has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    /// The sender's epoch with this peer.
    pub epoch: u64,
    /// From 1, without gaps.
    pub seq: u64,
    /// When it was written, milliseconds since 1970.
    pub at: i64,
    /// What it says, JSON.
    pub body: String,
}

/// What to do with something received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Next in order: it is noted as received, apply it in this transaction.
    New,
    /// Seen before: acknowledge again, do nothing.
    Seen,
    /// Something before it is missing: refuse it, the sender starts from what is acknowledged.
    Gap,
}

/// Puts a row into the outbox. With `living`, an unshipped row of the same key is replaced: the newest state wins.
pub fn push(
    connection: &Connection,
    peer: &str,
    living: Option<&str>,
    at: i64,
    body: &str,
) -> Result<(), DbError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO outbox (peer, living, at, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (peer, living) WHERE seq IS NULL AND living IS NOT NULL
         DO UPDATE SET at = excluded.at, body = excluded.body",
    )?;
    statement.execute(params![peer, living, at, body])?;
    Ok(())
}

/// How much waits to be shipped or acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Rows.
    pub rows: u64,
    /// Bytes of what they say.
    pub bytes: u64,
}

/// Gives numbers to unshipped rows, so that at most `limit` of them, of at most a MiB together, have one and are not
/// acknowledged, and returns those, oldest first. The others keep none yet: of a living state the newest alone goes out,
/// however often the way is tried.
pub fn ship(connection: &Connection, peer: &str, limit: usize) -> Result<Vec<Shipped>, DbError> {
    connection
        .prepare_cached("INSERT INTO outbox_peer VALUES (?1, 1, 0, 0) ON CONFLICT DO NOTHING")?
        .execute([peer])?;
    let (epoch, mut last): (i64, i64) = connection
        .prepare_cached("SELECT epoch, last_seq FROM outbox_peer WHERE peer = ?1")?
        .query_row([peer], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let under_way: (i64, i64) = connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM outbox WHERE peer = ?1 AND seq IS NOT NULL",
        )?
        .query_row([peer], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let fresh = fit(connection, peer, limit, under_way)?;
    for id in &fresh {
        last += 1;
        connection.prepare_cached("UPDATE outbox SET seq = ?2 WHERE id = ?1")?.execute(params![id, last])?;
    }
    if !fresh.is_empty() {
        connection
            .prepare_cached("UPDATE outbox_peer SET last_seq = ?2 WHERE peer = ?1")?
            .execute(params![peer, last])?;
    }
    let rows = connection
        .prepare_cached(
            "SELECT seq, at, body FROM outbox WHERE peer = ?1 AND seq IS NOT NULL ORDER BY seq LIMIT ?2",
        )?
        .query_map(params![peer, limit as i64], |row| {
            Ok(Shipped {
                epoch: epoch as u64,
                seq: row.get::<_, i64>(0)? as u64,
                at: row.get(1)?,
                body: row.get(2)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// The oldest rows without a number that may go along with those that are on their way.
fn fit(
    connection: &Connection,
    peer: &str,
    limit: usize,
    (rows, bytes): (i64, i64),
) -> Result<Vec<i64>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, octet_length(body) FROM outbox WHERE peer = ?1 AND seq IS NULL ORDER BY id LIMIT ?2",
    )?;
    let room = (limit as i64 - rows).max(0);
    let mut found = statement.query(params![peer, room])?;
    let (mut fresh, mut full) = (Vec::new(), bytes);
    while let Some(row) = found.next()? {
        full += row.get::<_, i64>(1)?;
        if full > ON_THE_WAY && (rows > 0 || !fresh.is_empty()) {
            break;
        }
        fresh.push(row.get(0)?);
    }
    Ok(fresh)
}

/// Whether two sides know of the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// They do.
    Same,
    /// The peer has lost rows, as one does that is new or was restored.
    PeerLost,
    /// The peer has more than it was sent: this side was restored.
    OwnLost,
}

/// What the peer says that it has, heard before anything is shipped. If one of the two has lost rows, a new epoch begins, what
/// waits is numbered anew, and the sender has to say again all that holds.
pub fn agree(connection: &Connection, peer: &str, epoch: u64, seq: u64) -> Result<Agreement, DbError> {
    connection
        .prepare_cached("INSERT INTO outbox_peer VALUES (?1, 1, 0, 0) ON CONFLICT DO NOTHING")?
        .execute([peer])?;
    if agrees(connection, peer, epoch, seq)? {
        return Ok(Agreement::Same);
    }
    let (ours, last): (i64, i64) = connection
        .prepare_cached("SELECT epoch, last_seq FROM outbox_peer WHERE peer = ?1")?
        .query_row([peer], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let found =
        if (epoch, seq) > (ours as u64, last as u64) { Agreement::OwnLost } else { Agreement::PeerLost };
    if found == Agreement::OwnLost && epoch == ours as u64 {
        drop_received(connection, peer)?;
    }
    connection
        .prepare_cached(
            "DELETE FROM outbox WHERE peer = ?1 AND seq IS NOT NULL AND EXISTS
             (SELECT 1 FROM outbox AS newer WHERE newer.peer = outbox.peer AND newer.living = outbox.living
              AND newer.id > outbox.id)",
        )?
        .execute([peer])?;
    connection.prepare_cached("UPDATE outbox SET seq = NULL WHERE peer = ?1")?.execute([peer])?;
    connection
        .prepare_cached(
            "UPDATE outbox_peer SET epoch = max(epoch, ?2) + 1, last_seq = 0, acked = 0 WHERE peer = ?1",
        )?
        .execute(params![peer, epoch as i64])?;
    Ok(found)
}

/// The peer has more of this epoch than was sent: this database is a copy of before. What has a number here the peer has, and
/// is not told twice. What has none may have been sent since the copy was made, or be new since: it is told, as nothing may be
/// lost.
fn drop_received(connection: &Connection, peer: &str) -> Result<(), DbError> {
    connection.prepare_cached("DELETE FROM outbox WHERE peer = ?1 AND seq IS NOT NULL")?.execute([peer])?;
    Ok(())
}

/// Whether what the peer says that it has fits what it was sent. It only looks.
pub fn agrees(connection: &Connection, peer: &str, epoch: u64, seq: u64) -> Result<bool, DbError> {
    let known = connection
        .prepare_cached("SELECT epoch, last_seq, acked FROM outbox_peer WHERE peer = ?1")?
        .query_row([peer], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)? as u64))
        })
        .optional()?;
    let (ours, last, acked) = known.unwrap_or((1, 0, 0));
    Ok(match epoch.cmp(&ours) {
        // Nothing of this epoch has reached it yet.
        Ordering::Less => acked == 0,
        Ordering::Equal => (acked..=last).contains(&seq),
        Ordering::Greater => false,
    })
}

/// Whether [`ship`] would give a row that comes after `(epoch, seq)`. It only looks.
pub fn due(connection: &Connection, peer: &str, epoch: u64, seq: u64, limit: usize) -> Result<bool, DbError> {
    let sql = "SELECT
        (SELECT count(*) FROM outbox WHERE peer = ?1 AND seq IS NOT NULL) < ?4
        AND EXISTS (SELECT 1 FROM outbox WHERE peer = ?1 AND seq IS NULL)
        OR EXISTS (SELECT 1 FROM
            (SELECT seq FROM outbox WHERE peer = ?1 AND seq IS NOT NULL ORDER BY seq LIMIT ?4) AS first
            WHERE first.seq > ?3 OR ?2 <> (SELECT epoch FROM outbox_peer WHERE peer = ?1))";
    let due = connection
        .prepare_cached(sql)?
        .query_row(params![peer, epoch as i64, seq as i64, limit as i64], |row| row.get(0))?;
    Ok(due)
}

/// Keeps something that was received and is not understood. To be called in the transaction that notes it as received.
pub fn keep_unread(
    connection: &Connection,
    peer: &str,
    epoch: u64,
    seq: u64,
    payload: &str,
) -> Result<(), DbError> {
    connection
        .prepare_cached("INSERT INTO inbox_unread VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
        .execute(params![peer, epoch as i64, seq as i64, payload])?;
    connection
        .prepare_cached(
            "DELETE FROM inbox_unread WHERE peer = ?1 AND (epoch, seq) NOT IN
             (SELECT epoch, seq FROM inbox_unread WHERE peer = ?1 ORDER BY epoch DESC, seq DESC LIMIT ?2)",
        )?
        .execute(params![peer, MOST_UNREAD])?;
    Ok(())
}

/// How many rows wait to be shipped or acknowledged.
pub fn waiting(connection: &Connection, peer: &str) -> Result<u64, DbError> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM outbox WHERE peer = ?1")?
        .query_row([peer], |row| row.get(0))?;
    Ok(count as u64)
}

/// How much waits to be shipped or acknowledged. Looks at every row: not to be asked at every step.
pub fn weigh(connection: &Connection, peer: &str) -> Result<Waiting, DbError> {
    let (rows, bytes): (i64, i64) = connection
        .prepare_cached("SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM outbox WHERE peer = ?1")?
        .query_row([peer], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Waiting { rows: rows.unsigned_abs(), bytes: bytes.unsigned_abs() })
}

/// The peer has everything up to `seq`: those rows go. An acknowledgement of another epoch is not ours.
pub fn acknowledge(connection: &Connection, peer: &str, epoch: u64, seq: u64) -> Result<(), DbError> {
    let changed = connection
        .prepare_cached(
            "UPDATE outbox_peer SET acked = ?3 WHERE peer = ?1 AND epoch = ?2 AND ?3 > acked AND ?3 <= last_seq",
        )?
        .execute(params![peer, epoch as i64, seq as i64])?;
    if changed > 0 {
        connection
            .prepare_cached("DELETE FROM outbox WHERE peer = ?1 AND seq <= ?2")?
            .execute(params![peer, seq as i64])?;
    }
    Ok(())
}

/// Notes something as received. To be called in the transaction that applies it.
pub fn receive(connection: &Connection, peer: &str, epoch: u64, seq: u64) -> Result<Receipt, DbError> {
    let (known_epoch, known_seq) = received(connection, peer)?;
    if epoch < known_epoch || (epoch == known_epoch && seq <= known_seq) {
        return Ok(Receipt::Seen);
    }
    let expected = if epoch == known_epoch { known_seq + 1 } else { 1 };
    if seq != expected {
        return Ok(Receipt::Gap);
    }
    connection
        .prepare_cached(
            "INSERT INTO inbox_peer VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq",
        )?
        .execute(params![peer, epoch as i64, seq as i64])?;
    Ok(Receipt::New)
}

/// The epoch and the highest gapless seq received from a peer; zeros before the first.
pub fn received(connection: &Connection, peer: &str) -> Result<(u64, u64), DbError> {
    let row = connection
        .prepare_cached("SELECT epoch, seq FROM inbox_peer WHERE peer = ?1")?
        .query_row([peer], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))
        .optional()?;
    Ok(row.unwrap_or((0, 0)))
}
