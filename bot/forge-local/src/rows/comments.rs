//! Comments on pull requests and issues, one per marker and thread.

use jiff::Timestamp;
use qd_core::forge::{Comment, Marker};
use qd_types::RepositoryName;
use rusqlite::{Connection, Row, params};

use super::{count, key, timestamp};

fn decode(row: &Row<'_>) -> rusqlite::Result<Comment> {
    Ok(Comment { id: count(row, "id")?, body: row.get("body")?, at: timestamp(row, "at")? })
}

/// Writes it, or edits the one with the marker. A clock that went back does not take `at` back.
pub(crate) fn put(
    connection: &Connection,
    repository: &RepositoryName,
    number: u64,
    marker: &Marker,
    body: &str,
) -> rusqlite::Result<Comment> {
    connection
        .prepare_cached(
            "INSERT INTO comment (repository, number, marker, body, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (repository, number, marker)
             DO UPDATE SET body = excluded.body, at = max(at, excluded.at)
             RETURNING id, body, at",
        )?
        .query_row(
            params![repository.as_str(), key(number), marker.0, body, Timestamp::now().as_millisecond()],
            decode,
        )
}

/// Oldest first.
pub(crate) fn of(
    connection: &Connection,
    repository: &RepositoryName,
    number: u64,
) -> rusqlite::Result<Vec<Comment>> {
    connection
        .prepare_cached("SELECT id, body, at FROM comment WHERE repository = ?1 AND number = ?2 ORDER BY id")?
        .query_map(params![repository.as_str(), key(number)], decode)?
        .collect()
}
