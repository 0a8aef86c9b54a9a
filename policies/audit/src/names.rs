//! Who is who: people and their pseudonyms, beside the chain. A pseudonym is random, not a hash of the name, so that
//! nobody can guess their way back once the entry is erased.

use std::{fmt, str::FromStr};

use qd_types::{IdError, PersonId};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    AuditError,
    hash::{from_hex, to_hex},
};

/// Bytes of randomness in a pseudonym. A clash is refused by the table.
const BYTES: usize = 8;

/// Bytes of a pseudonym as text.
pub(crate) const LENGTH: usize = 2 + 2 * BYTES;

/// The name of a person in the chain: `p-` and 16 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym(String);

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Pseudonym {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.strip_prefix("p-").map(from_hex::<BYTES>) {
            Some(Ok(_)) => Ok(Self(text.to_owned())),
            _ => Err(IdError {
                kind: "a pseudonym",
                text: text.to_owned(),
                want: "p- and 16 lower-case hex digits",
            }),
        }
    }
}

/// A person's pseudonym; made when it is first asked for. To be called in the transaction that appends.
pub fn pseudonym(tx: &Connection, person: &PersonId) -> Result<Pseudonym, AuditError> {
    let known: Option<String> = tx
        .prepare_cached("SELECT pseudonym FROM audit_names WHERE person = ?1")?
        .query_row([person.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return known.parse().map_err(|error: IdError| AuditError::Corrupt {
            table: "audit_names",
            problem: error.to_string(),
        });
    }
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(AuditError::Random)?;
    let fresh = Pseudonym(format!("p-{}", to_hex(&bytes)));
    tx.prepare_cached("INSERT INTO audit_names (person, pseudonym) VALUES (?1, ?2)")?
        .execute(params![person.as_str(), fresh.0])?;
    Ok(fresh)
}

/// Who stands behind a pseudonym; `None` after they were erased.
pub fn name_of(connection: &Connection, pseudonym: &Pseudonym) -> Result<Option<PersonId>, AuditError> {
    let name: Option<String> = connection
        .prepare_cached("SELECT person FROM audit_names WHERE pseudonym = ?1")?
        .query_row([&pseudonym.0], |row| row.get(0))
        .optional()?;
    name.map(|name| name.parse())
        .transpose()
        .map_err(|error: IdError| AuditError::Corrupt { table: "audit_names", problem: error.to_string() })
}

/// Forgets who stands behind a pseudonym. The chain stays as it is, and valid. Says whether there was an entry.
pub fn erase(tx: &Connection, person: &PersonId) -> Result<bool, AuditError> {
    // Deleted content is otherwise left in the file until its page is used again.
    tx.pragma_update(None, "secure_delete", true)?;
    Ok(tx.prepare_cached("DELETE FROM audit_names WHERE person = ?1")?.execute([person.as_str()])? > 0)
}
