//! Beginning a chain and appending to it. Always in the caller's transaction: a change and its audit row are one.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{AuditError, Entry, Head, Row, RowHash};

/// Gives the database's chain its name, the executor's: `bot`, or an instance's. May be called at every start; another
/// name than the chain has is refused.
pub fn begin(tx: &Connection, chain: &str) -> Result<(), AuditError> {
    match stored(tx)? {
        Some(head) if head.chain == chain => Ok(()),
        Some(head) => Err(AuditError::OtherChain { found: head.chain, wanted: chain.to_owned() }),
        None => {
            tx.execute(
                "INSERT INTO audit_head (one, chain, seq, hash) VALUES (1, ?1, 0, ?2)",
                params![chain, RowHash::genesis(chain)],
            )?;
            Ok(())
        }
    }
}

/// Where the chain ends; `seq` is 0 before its first row.
pub fn head(connection: &Connection) -> Result<Head, AuditError> {
    stored(connection)?.ok_or(AuditError::NotBegun)
}

pub(crate) fn stored(connection: &Connection) -> Result<Option<Head>, AuditError> {
    let head = connection
        .prepare_cached("SELECT chain, seq, hash FROM audit_head")?
        .query_row([], |row| {
            Ok(Head { chain: row.get(0)?, seq: row.get::<_, i64>(1)?.cast_unsigned(), hash: row.get(2)? })
        })
        .optional()?;
    Ok(head)
}

/// Appends a row, in the transaction that makes the change it tells of. Returns the row.
pub fn append(tx: &Connection, entry: &Entry) -> Result<Row, AuditError> {
    let head = head(tx)?;
    let about = &entry.about;
    let mut row = Row {
        seq: head.seq + 1,
        at: entry.at.as_millisecond(),
        kind: entry.kind.as_str().to_owned(),
        actor: entry.actor.to_string(),
        issue: about.issue.clone(),
        feature: about.feature.as_ref().map(ToString::to_string),
        run: about.run.as_ref().map(ToString::to_string),
        call: about.call.clone(),
        approval: about.approval.as_ref().map(ToString::to_string),
        payload: entry.canonical()?,
        previous: head.hash,
        hash: head.hash,
    };
    row.hash = row.computed();
    tx.prepare_cached(
        "INSERT INTO audit_chain
             (seq, at, kind, actor, issue, feature, run, call, approval, payload, previous, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        row.seq.cast_signed(),
        row.at,
        row.kind,
        row.actor,
        row.issue,
        row.feature,
        row.run,
        row.call,
        row.approval,
        row.payload,
        row.previous,
        row.hash,
    ])?;
    tx.prepare_cached("UPDATE audit_head SET seq = ?1, hash = ?2")?
        .execute(params![row.seq.cast_signed(), row.hash])?;
    Ok(row)
}
