//! Labels and what carries them. A label is made when it is first used, and keeps the spelling of that first use.

use qd_types::RepositoryName;
use rusqlite::{Connection, params};

use super::key;

/// Replaces the labels of an issue or a pull request.
pub(crate) fn set(
    connection: &Connection,
    repository: &RepositoryName,
    number: u64,
    labels: &[String],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM thread_label WHERE repository = ?1 AND number = ?2")?
        .execute(params![repository.as_str(), key(number)])?;
    let mut make = connection.prepare_cached("INSERT INTO label VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    let mut give =
        connection.prepare_cached("INSERT INTO thread_label VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    for label in labels {
        make.execute(params![repository.as_str(), label])?;
        give.execute(params![repository.as_str(), key(number), label])?;
    }
    Ok(())
}

/// Sorted.
pub(crate) fn of(
    connection: &Connection,
    repository: &RepositoryName,
    number: u64,
) -> rusqlite::Result<Vec<String>> {
    let mut labels: Vec<String> = connection
        .prepare_cached(
            "SELECT l.name FROM thread_label i JOIN label l ON l.repository = i.repository AND l.name = i.label
             WHERE i.repository = ?1 AND i.number = ?2",
        )?
        .query_map(params![repository.as_str(), key(number)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    labels.sort();
    Ok(labels)
}
