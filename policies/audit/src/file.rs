//! JSON Lines: a header, the signatures, the rows, and a last line that says where it ends. An export and an archived
//! segment are the same format, and each can be verified on its own. There is one way to write a line, and any other is a
//! change.

use std::{
    io::{BufRead, Read as _, Write},
    path::Path,
};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::{
    AuditError, Countersignature, Damage, Fault, Head, Report, Row, RowHash, Signer, archive, chain, head,
    rows::{COLUMNS, Found, decode},
    verify,
    walk::{Walk, fault},
};

/// The version of the format.
const FORMAT: u32 = 1;

/// Longest line, in bytes: a payload and what is around it.
const LONGEST: u64 = 2 * crate::MAX_PAYLOAD as u64;

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    Header(Header),
    Signature(Countersignature),
    Row(Row),
    End(Head),
}

/// The first line: which rows, and what they follow.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    chain: String,
    /// The number of the first row.
    first: u64,
    /// The hash of the row before it.
    previous: RowHash,
}

/// Writes a file line by line.
pub(crate) struct Writer<W> {
    out: W,
    at: Head,
}

impl<W: Write> Writer<W> {
    /// Begins a file with the rows after `at`; of `signatures` those that it will hold rows for.
    pub(crate) fn begin(out: W, at: Head, signatures: &[Countersignature]) -> Result<Self, AuditError> {
        let header = Header { format: FORMAT, chain: at.chain.clone(), first: at.seq + 1, previous: at.hash };
        let mut writer = Self { out, at };
        writer.line(&Line::Header(header))?;
        for signed in signatures {
            writer.line(&Line::Signature(signed.clone()))?;
        }
        Ok(writer)
    }

    pub(crate) fn row(&mut self, row: Row) -> Result<(), AuditError> {
        self.at.seq = row.seq;
        self.at.hash = row.hash;
        self.line(&Line::Row(row))
    }

    /// The last line. Returns what was written to.
    pub(crate) fn end(mut self) -> Result<W, AuditError> {
        self.line(&Line::End(self.at.clone()))?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, line: &Line) -> Result<(), AuditError> {
        let mut text = serde_json::to_vec(line).map_err(AuditError::Canonical)?;
        text.push(b'\n');
        Ok(self.out.write_all(&text)?)
    }
}

/// Reads a file line by line.
pub(crate) struct Reader<R> {
    lines: R,
    number: u64,
    /// The first row, read while looking for the last signature.
    ahead: Option<Found>,
    /// The row before the first.
    pub(crate) start: Head,
    /// Signatures on its rows, not checked.
    pub(crate) signatures: Vec<Countersignature>,
    /// Where it says that it ends; known after the last row.
    pub(crate) end: Option<Head>,
}

impl<R: BufRead> Reader<R> {
    /// Reads up to the first row. The inner error is what is wrong with the file.
    pub(crate) fn open(lines: R) -> Result<Result<Self, Fault>, AuditError> {
        let nothing = Head { chain: String::new(), seq: 0, hash: RowHash::genesis("") };
        let mut reader =
            Self { lines, number: 0, ahead: None, start: nothing, signatures: Vec::new(), end: None };
        let not = |problem: &str| Ok(Err(fault(0, Damage::File(problem.to_owned()))));
        match reader.line()? {
            Some(Ok(Line::Header(header))) if header.format == FORMAT && header.first > 0 => {
                let genesis = RowHash::genesis(&header.chain);
                if header.first == 1 && header.previous != genesis {
                    return not("its first row is not the beginning of the chain that it names");
                }
                reader.start = Head { chain: header.chain, seq: header.first - 1, hash: header.previous };
            }
            _ => return not("its first line is not the header of an audit export"),
        }
        loop {
            match reader.found()? {
                Some(Ok(Line::Signature(signed))) => reader.signatures.push(signed),
                other => {
                    reader.ahead = reader.row(other);
                    return Ok(Ok(reader));
                }
            }
        }
    }

    /// The next row; `None` after the last.
    pub(crate) fn next_row(&mut self) -> Result<Option<Found>, AuditError> {
        if let Some(row) = self.ahead.take() {
            return Ok(Some(row));
        }
        let line = self.found()?;
        Ok(self.row(line))
    }

    fn row(&mut self, line: Option<Result<Line, String>>) -> Option<Found> {
        let problem = match line? {
            Ok(Line::Row(row)) => return Some(Found::Row(row)),
            Ok(Line::End(end)) => {
                self.end = Some(end);
                return None;
            }
            Ok(Line::Header(_) | Line::Signature(_)) => format!("line {} is not a row", self.number),
            Err(problem) => problem,
        };
        Some(Found::Unreadable { problem })
    }

    /// The next line, unless the last one was read.
    fn found(&mut self) -> Result<Option<Result<Line, String>>, AuditError> {
        if self.end.is_some() { Ok(None) } else { self.line() }
    }

    /// The next line, whatever it is.
    fn line(&mut self) -> Result<Option<Result<Line, String>>, AuditError> {
        let mut bytes = Vec::new();
        self.number += 1;
        let number = self.number;
        let problem = |problem: &str| Ok(Some(Err(format!("line {number} {problem}"))));
        if self.lines.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let Some((b'\n', text)) = bytes.split_last() else { return problem("has no end") };
        let Ok(line) = serde_json::from_slice::<Line>(text) else { return problem("can't be read") };
        match serde_json::to_vec(&line) {
            Ok(again) if again == text => Ok(Some(Ok(line))),
            _ => problem("is not written as an export writes it"),
        }
    }

    /// Where the file says that it ends, after its last row. The inner error is what is wrong with its end.
    pub(crate) fn finish(&mut self, walk: &Walk) -> Result<Result<Head, Fault>, AuditError> {
        let not = |problem: &str| Ok(Err(fault(walk.at.seq + 1, Damage::File(problem.to_owned()))));
        let Some(end) = self.end.clone() else { return not("it has no last line: it was cut") };
        match self.line()? {
            Some(_) => not("there is more after its last line"),
            None => Ok(Ok(end)),
        }
    }
}

/// Verifies a file on its own: an export, or an archived segment. Without `signers` its signatures prove nothing.
pub fn verify_file(lines: impl BufRead, signers: &[Signer]) -> Result<Report, AuditError> {
    let mut reader = match Reader::open(lines)? {
        Ok(reader) => reader,
        Err(fault) => return Ok(Report::unreadable(fault)),
    };
    let mut checked = verify::check(std::mem::take(&mut reader.signatures), signers);
    let mut walk = Walk::new(reader.start.clone(), std::mem::take(&mut checked.valid));
    let mut result = walk.follow(&mut || reader.next_row())?;
    if result.is_ok() {
        result = reader.finish(&walk)?.and_then(|end| walk.finish(&end));
    }
    Ok(Report::of(reader.start, walk, checked, result))
}

/// Writes the chain, with the archived segments that are still there, as JSON Lines. Returns the number of rows.
pub fn export(connection: &Connection, segments: &Path, out: impl Write) -> Result<u64, AuditError> {
    let _snapshot = verify::snapshot(connection)?;
    let all = archive::segments(connection)?;
    let mut at = Head { seq: 0, ..chain::head(connection)? };
    at.hash = RowHash::genesis(&at.chain);
    for dropped in all.iter().filter(|segment| segment.dropped_at.is_some()) {
        at.seq = dropped.last;
        at.hash = dropped.hash;
    }
    let first = at.seq;
    let mut signatures = head::signatures(connection)?;
    signatures.retain(|signed| signed.head.seq > first);
    let mut writer = Writer::begin(out, at, &signatures)?;
    let mut rows = 0;
    archive::each_row(connection, segments, &mut |row| {
        rows += 1;
        writer.row(row)
    })?;
    writer.end()?;
    Ok(rows)
}

/// Every row that is still in the database, in order.
pub(crate) fn stored_rows(
    connection: &Connection,
    each: &mut dyn FnMut(Row) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM audit_chain ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match decode(row) {
            Found::Row(row) => each(row)?,
            Found::Unreadable { problem } => {
                return Err(AuditError::Corrupt { table: "audit_chain", problem });
            }
        }
    }
    Ok(())
}
