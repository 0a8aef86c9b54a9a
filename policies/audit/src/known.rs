//! Whose signatures count: keys by name, as they were enrolled here. Each executor lists its own key too, so that it is known
//! beside its chain, from a file that the other side does not write.

use ed25519_dalek::VerifyingKey;
use rusqlite::{Connection, params};

use crate::{AuditError, Signer};

const T: &str = "audit_signers";

/// Lists a key as one of `name`: `bot`, or an instance's. A key that is listed stays, so that what it signed can be
/// verified after its owner has another one.
pub fn enrol(tx: &Connection, name: &str, key: &[u8; 32]) -> Result<(), AuditError> {
    // A statement that writes would tick, and who enrols does so at every start.
    let known: bool = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM audit_signers WHERE name = ?1 AND key = ?2)")?
        .query_row(params![name, key], |row| row.get(0))?;
    if !known {
        tx.prepare_cached("INSERT INTO audit_signers (name, key) VALUES (?1, ?2)")?
            .execute(params![name, key])?;
    }
    Ok(())
}

/// All keys that are listed, by name.
pub fn signers(connection: &Connection) -> Result<Vec<Signer>, AuditError> {
    let mut statement =
        connection.prepare_cached("SELECT name, key FROM audit_signers ORDER BY name, key")?;
    let mut rows = statement.query([])?;
    let mut signers = Vec::new();
    while let Some(row) = rows.next()? {
        let key: [u8; 32] = row.get(1)?;
        let key = VerifyingKey::from_bytes(&key)
            .map_err(|error| AuditError::Corrupt { table: T, problem: error.to_string() })?;
        signers.push(Signer { name: row.get(0)?, key });
    }
    Ok(signers)
}
