//! Proof of a whole database: archived segments, rows, the chain's own note of its end, and the other side's signatures.
//! Streams; a chain of any length takes the memory of a row and of the signatures.

use std::path::Path;

use rusqlite::{Connection, Transaction};

use crate::{
    AuditError, Countersignature, Damage, Fault, Head, RowHash, Signer, archive, chain, head,
    rows::{COLUMNS, decode},
    walk::{Walk, fault},
};

/// What was proven, up to where, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What the first row that was looked at follows; row 0 is the beginning of the chain.
    pub from: Head,
    /// The last row that is as it was written, as far as the chain itself can tell.
    pub to: Head,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that retention dropped, before those: their last hash is left.
    pub dropped: u64,
    /// The last head that the other side signed, among the rows up to `to`. Nothing up to it was changed or removed.
    pub proven: Option<Countersignature>,
    /// Signatures that were not looked at, because no key of their signer was given.
    pub unchecked: usize,
    /// What is wrong first. `None`: nothing.
    pub fault: Option<Fault>,
}

impl Report {
    pub(crate) fn of(from: Head, walk: Walk, checked: Checked, result: Result<(), Fault>) -> Self {
        Self {
            from,
            to: walk.at,
            rows: walk.rows,
            dropped: walk.dropped,
            proven: walk.proven,
            unchecked: checked.unchecked,
            fault: result.err().or(checked.bad),
        }
    }

    /// Nothing could be read.
    pub(crate) fn unreadable(fault: Fault) -> Self {
        let nowhere = Head { chain: String::new(), seq: 0, hash: RowHash::genesis("") };
        Self {
            from: nowhere.clone(),
            to: nowhere,
            rows: 0,
            dropped: 0,
            proven: None,
            unchecked: 0,
            fault: Some(fault),
        }
    }
}

/// Signatures, sorted by what they are worth.
pub(crate) struct Checked {
    pub(crate) valid: Vec<Countersignature>,
    pub(crate) unchecked: usize,
    bad: Option<Fault>,
}

/// Looks at every signature whose signer's key is known. One that does not fit is a fault.
pub(crate) fn check(signatures: Vec<Countersignature>, signers: &[Signer]) -> Checked {
    let mut checked = Checked { valid: Vec::new(), unchecked: 0, bad: None };
    for signed in signatures {
        match signed.check(signers) {
            None => checked.unchecked += 1,
            Some(Ok(())) => checked.valid.push(signed),
            Some(Err(problem)) => {
                let damage = Damage::Signature { by: signed.by, problem };
                checked.bad.get_or_insert(fault(signed.head.seq, damage));
            }
        }
    }
    checked
}

/// One state of the database for several queries, where the caller is in no transaction yet.
pub(crate) fn snapshot(connection: &Connection) -> Result<Option<Transaction<'_>>, AuditError> {
    Ok(if connection.is_autocommit() { Some(connection.unchecked_transaction()?) } else { None })
}

/// Verifies the chain of a database. `segments` is the folder of its archived segments, `signers` are the other side
/// (with old keys too), `witnesses` are signatures that the other side kept ([`crate::witnessed`]): who can write this database can
/// delete signatures from it, but not those.
pub fn verify(
    connection: &Connection,
    segments: &Path,
    signers: &[Signer],
    witnesses: &[Countersignature],
) -> Result<Report, AuditError> {
    let _snapshot = snapshot(connection)?;
    let noted = chain::head(connection)?;
    let start = Head { seq: 0, hash: RowHash::genesis(&noted.chain), chain: noted.chain.clone() };
    let mut signatures = match head::signatures(connection) {
        Ok(signatures) => signatures,
        Err(AuditError::Corrupt { table, problem }) => {
            let damage = Damage::Signature { by: table.to_owned(), problem };
            return Ok(Report::unreadable(fault(0, damage)));
        }
        Err(error) => return Err(error),
    };
    signatures.extend(witnesses.iter().filter(|signed| signed.head.chain == noted.chain).cloned());
    let kept = signatures.clone();
    let mut checked = check(signatures, signers);
    let mut walk = Walk::new(start.clone(), std::mem::take(&mut checked.valid));
    let mut result = archived(connection, segments, &kept, &mut walk)?;
    if result.is_ok() {
        let mut statement =
            connection.prepare_cached(&format!("SELECT {COLUMNS} FROM audit_chain ORDER BY seq"))?;
        let mut rows = statement.query([])?;
        result = walk.follow(&mut || Ok(rows.next()?.map(decode)))?;
    }
    if result.is_ok() {
        result = walk.finish(&noted);
    }
    Ok(Report::of(start, walk, checked, result))
}

fn archived(
    connection: &Connection,
    folder: &Path,
    kept: &[Countersignature],
    walk: &mut Walk,
) -> Result<Result<(), Fault>, AuditError> {
    for segment in archive::segments(connection)? {
        let next = walk.at.seq + 1;
        if segment.first != next || segment.previous != walk.at.hash {
            let problem = "the note of this segment does not follow what is before it";
            return Ok(Err(fault(next, Damage::File(problem.to_owned()))));
        }
        let result = match segment.dropped_at {
            Some(_) => walk.skip(segment.last, segment.hash),
            None => segment.follow(folder, kept, walk)?,
        };
        if let Err(fault) = result {
            return Ok(Err(fault));
        }
    }
    Ok(Ok(()))
}
