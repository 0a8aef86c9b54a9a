//! Old rows go to segment files and, much later, those files go as well. The note of a segment with its first and last hash
//! stays for ever, so that the chain still hangs together.

use std::{
    fs::File,
    io::{BufReader, BufWriter, ErrorKind},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use qd_sqlite::Db;
use rusqlite::{Connection, params};
use serde_json::{Map, json};

use crate::{
    About, Actor, AuditError, Countersignature, Damage, Entry, Fault, Head, Kind, Row, RowHash, append,
    chain,
    file::{Reader, Writer, stored_rows},
    head,
    rows::{COLUMNS, Found, decode},
    verify,
    walk::{Walk, fault},
};

/// Most rows of a segment: about 20 MiB, and a moment's work in the writer's transaction.
const MOST_ROWS: u64 = 50_000;

/// How long rows stay where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days in the database; then they go to a segment file.
    pub archive_days: u32,
    /// Days in all; then the segment file goes. `None`: for ever.
    pub keep_days: Option<u32>,
}

impl Default for Retention {
    /// Ninety days in the database, and for ever in files.
    fn default() -> Self {
        Self { archive_days: 90, keep_days: None }
    }
}

/// What an archiving did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archived {
    /// Segment files that were written.
    pub written: Vec<PathBuf>,
    /// Segment files that were dropped.
    pub dropped: Vec<PathBuf>,
}

/// The note of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The hash of the row before its first.
    pub(crate) previous: RowHash,
    /// The hash of its last row.
    pub(crate) hash: RowHash,
    /// When its newest row was written, milliseconds since 1970.
    newest: i64,
    /// The file's name in the folder of segments.
    file: String,
    pub(crate) dropped_at: Option<i64>,
}

/// Moves rows that are old enough to segment files in `folder`, and drops segment files that were kept long enough. Each is
/// noted in the chain, under `actor`. May be called at any time, and again after it was interrupted. A broken chain is left
/// as it is.
pub async fn archive(
    db: &Db,
    folder: &Path,
    retention: Retention,
    actor: &Actor,
    now: Timestamp,
) -> Result<Archived, AuditError> {
    let mut done = Archived::default();
    let before = days_before(now, retention.archive_days);
    loop {
        let to = folder.to_owned();
        let Some(segment) = db.read(move |c| write_segment(c, &to, before)).await? else { break };
        done.written.push(folder.join(&segment.file));
        let actor = actor.clone();
        db.write(move |tx| close(tx, &segment, actor, now)).await?;
    }
    let Some(keep_days) = retention.keep_days else { return Ok(done) };
    let before = days_before(now, keep_days.max(retention.archive_days));
    let old = db
        .read(move |c| {
            let mut old = segments(c)?;
            old.retain(|segment| segment.dropped_at.is_none());
            // Only from the beginning: an export has no holes.
            let fresh = old.iter().position(|segment| segment.newest >= before).unwrap_or(old.len());
            old.truncate(fresh);
            Ok::<_, AuditError>(old)
        })
        .await?;
    for segment in old {
        let path = folder.join(&segment.file);
        let actor = actor.clone();
        // The note first: a file that is gone without one would look like theft.
        db.write(move |tx| drop_segment(tx, &segment, actor, now)).await?;
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(AuditError::File { path, doing: "removed", source });
            }
            _ => done.dropped.push(path),
        }
    }
    Ok(done)
}

fn days_before(now: Timestamp, days: u32) -> i64 {
    let span = SignedDuration::from_hours(24 * i64::from(days));
    now.checked_sub(span).unwrap_or(Timestamp::MIN).as_millisecond()
}

/// Writes the oldest rows, up to the first that is not older than `before`. Nothing is noted yet.
fn write_segment(connection: &Connection, folder: &Path, before: i64) -> Result<Option<Segment>, AuditError> {
    let _snapshot = verify::snapshot(connection)?;
    let start = archived_to(connection)?;
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM audit_chain WHERE at < ?1 ORDER BY seq LIMIT ?2"))?;
    let mut rows = statement.query(params![before, MOST_ROWS.cast_signed()])?;
    let mut walk = Walk::new(start.clone(), Vec::new());
    let mut old: Vec<Row> = Vec::new();
    while let Some(row) = rows.next()? {
        let found = decode(row);
        // A clock that was set back leaves an old row among newer ones: the segment ends before that gap.
        if let Found::Row(row) = &found {
            if row.seq > walk.at.seq + 1 && exists(connection, walk.at.seq + 1)? {
                break;
            }
            old.push(row.clone());
        }
        let mut one = Some(found);
        walk.follow(&mut || Ok(one.take()))?.map_err(|fault| AuditError::Broken(Box::new(fault)))?;
    }
    let Some(newest) = old.iter().map(|row| row.at).max() else { return Ok(None) };
    // The note of the last archiving alone is not worth a file, or there would be one a day for ever.
    if old.iter().all(|row| row.kind == Kind::Archive.as_str()) {
        return Ok(None);
    }
    let chain = &start.chain;
    let segment = Segment {
        first: start.seq + 1,
        last: walk.at.seq,
        previous: start.hash,
        hash: walk.at.hash,
        newest,
        file: format!("audit-{chain}-{:012}-{:012}.jsonl", start.seq + 1, walk.at.seq),
        dropped_at: None,
    };
    let mut signatures = head::signatures(connection)?;
    signatures.retain(|signed| (segment.first..=segment.last).contains(&signed.head.seq));
    let path = folder.join(&segment.file);
    let failed = |source| AuditError::File { path: path.clone(), doing: "written", source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let unfinished = path.with_extension("part");
    let out = BufWriter::new(File::create(&unfinished).map_err(failed)?);
    let mut writer = Writer::begin(out, start, &signatures)?;
    for row in old {
        writer.row(row)?;
    }
    let file = writer.end()?.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&unfinished, &path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(Some(segment))
}

fn exists(connection: &Connection, seq: u64) -> Result<bool, AuditError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM audit_chain WHERE seq = ?1)")?
        .query_row([seq.cast_signed()], |row| row.get(0))?)
}

/// The last row that is in a segment.
fn archived_to(connection: &Connection) -> Result<Head, AuditError> {
    let chain = chain::head(connection)?.chain;
    let last = segments(connection)?.pop();
    let (seq, hash) = last.map_or((0, RowHash::genesis(&chain)), |segment| (segment.last, segment.hash));
    Ok(Head { chain, seq, hash })
}

/// Notes the segment and deletes its rows.
fn close(tx: &Connection, segment: &Segment, actor: Actor, now: Timestamp) -> Result<(), AuditError> {
    tx.prepare_cached(
        "INSERT INTO audit_segments (first, last, previous, hash, newest, file, archived_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        segment.first.cast_signed(),
        segment.last.cast_signed(),
        segment.previous,
        segment.hash,
        segment.newest,
        segment.file,
        now.as_millisecond(),
    ])?;
    tx.prepare_cached("DELETE FROM audit_chain WHERE seq BETWEEN ?1 AND ?2")?
        .execute(params![segment.first.cast_signed(), segment.last.cast_signed()])?;
    note(tx, segment, "went to", actor, now)
}

fn drop_segment(tx: &Connection, segment: &Segment, actor: Actor, now: Timestamp) -> Result<(), AuditError> {
    tx.prepare_cached("UPDATE audit_segments SET dropped_at = ?2 WHERE first = ?1")?
        .execute(params![segment.first.cast_signed(), now.as_millisecond()])?;
    note(tx, segment, "were dropped with", actor, now)
}

fn note(
    tx: &Connection,
    segment: &Segment,
    did: &str,
    actor: Actor,
    at: Timestamp,
) -> Result<(), AuditError> {
    let Segment { first, last, file, hash, .. } = segment;
    let mut payload = Map::new();
    payload.insert("text".into(), json!(format!("rows {first} to {last} {did} {file}")));
    payload.insert("hash".into(), json!(hash));
    append(tx, &Entry { kind: Kind::Archive, actor, about: About::default(), at, payload })?;
    Ok(())
}

/// The notes of all segments, in order.
pub(crate) fn segments(connection: &Connection) -> Result<Vec<Segment>, AuditError> {
    let found = connection
        .prepare_cached(
            "SELECT first, last, previous, hash, newest, file, dropped_at FROM audit_segments ORDER BY first",
        )?
        .query_map([], |row| {
            Ok(Segment {
                first: row.get::<_, i64>(0)?.cast_unsigned(),
                last: row.get::<_, i64>(1)?.cast_unsigned(),
                previous: row.get(2)?,
                hash: row.get(3)?,
                newest: row.get(4)?,
                file: row.get(5)?,
                dropped_at: row.get(6)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

impl Segment {
    /// Follows the rows of its file, which has to hold exactly what was archived. `kept` are the signatures of the database:
    /// what they are worth is looked at there.
    pub(crate) fn follow(
        &self,
        folder: &Path,
        kept: &[Countersignature],
        walk: &mut Walk,
    ) -> Result<Result<(), Fault>, AuditError> {
        let path = folder.join(&self.file);
        let result = self.follow_file(&path, kept, walk)?;
        Ok(result.map_err(|fault| Fault { file: Some(path), ..fault }))
    }

    fn follow_file(
        &self,
        path: &Path,
        kept: &[Countersignature],
        walk: &mut Walk,
    ) -> Result<Result<(), Fault>, AuditError> {
        let not = |problem: &str| Ok(Err(fault(self.first, Damage::File(problem.to_owned()))));
        let mut reader = match self.open(path)? {
            Some(Ok(reader)) => reader,
            Some(Err(Fault { damage, .. })) => return Ok(Err(fault(self.first, damage))),
            None => return not("it is gone"),
        };
        if reader.start != walk.at {
            return not("it holds other rows than were archived in it");
        }
        if !reader.signatures.iter().all(|signed| kept.contains(signed)) {
            return not("it holds a signature that is not kept in the database");
        }
        if let Err(fault) = walk.follow(&mut || reader.next_row())? {
            return Ok(Err(fault));
        }
        if let Err(fault) = reader.finish(walk)?.and_then(|end| walk.ends_at(&end)) {
            return Ok(Err(fault));
        }
        if walk.at.seq != self.last || walk.at.hash != self.hash {
            return not("it ends with another row than was archived in it");
        }
        Ok(Ok(()))
    }

    /// `None` if the file is gone.
    #[expect(clippy::type_complexity, reason = "what can't be read is told apart from what is wrong")]
    fn open(&self, path: &Path) -> Result<Option<Result<Reader<BufReader<File>>, Fault>>, AuditError> {
        match File::open(path) {
            Ok(file) => Reader::open(BufReader::new(file)).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(AuditError::File { path: path.to_owned(), doing: "read", source }),
        }
    }
}

/// Every row that is at hand, in order: those of the segment files, then those of the database.
pub(crate) fn each_row(
    connection: &Connection,
    folder: &Path,
    each: &mut dyn FnMut(Row) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    for segment in segments(connection)?.into_iter().filter(|segment| segment.dropped_at.is_none()) {
        let path = folder.join(&segment.file);
        let at_file = |fault| AuditError::Broken(Box::new(Fault { file: Some(path.clone()), ..fault }));
        let broken = |damage| at_file(fault(segment.first, damage));
        let mut reader = segment
            .open(&path)?
            .ok_or_else(|| broken(Damage::File("it is gone".to_owned())))?
            .map_err(at_file)?;
        while let Some(found) = reader.next_row()? {
            match found {
                Found::Row(row) => each(row)?,
                Found::Unreadable { problem } => {
                    return Err(broken(Damage::Changed(Some(problem))));
                }
            }
        }
    }
    stored_rows(connection, each)
}
