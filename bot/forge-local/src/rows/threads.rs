//! What pull requests and issues share: the number, the texts, the marker, open or closed.

use jiff::Timestamp;
use qd_core::forge::Marker;
use qd_types::RepositoryName;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::key;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PullRequest,
    Issue,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::PullRequest => "pull_request",
            Self::Issue => "issue",
        }
    }
}

/// Takes the next number of the repository.
pub(crate) fn open(
    connection: &Connection,
    repository: &RepositoryName,
    kind: Kind,
    title: &str,
    body: &str,
    marker: &Marker,
) -> rusqlite::Result<u64> {
    let number: i64 = connection
        .prepare_cached(
            "INSERT INTO thread (repository, number, kind, title, body, marker, opened_at)
             SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM thread WHERE repository = ?1
             RETURNING number",
        )?
        .query_row(
            params![
                repository.as_str(),
                kind.as_str(),
                title,
                body,
                marker.0,
                Timestamp::now().as_millisecond()
            ],
            |row| row.get(0),
        )?;
    Ok(number.unsigned_abs())
}

/// The number of the one that carries the marker.
pub(crate) fn find(
    connection: &Connection,
    repository: &RepositoryName,
    kind: Kind,
    marker: &Marker,
) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT number FROM thread WHERE repository = ?1 AND kind = ?2 AND marker = ?3")?
        .query_row(params![repository.as_str(), kind.as_str(), marker.0], |row| row.get::<_, i64>(0))
        .optional()
        .map(|number| number.map(i64::unsigned_abs))
}

/// Whether there is one of either kind.
pub(crate) fn exists(
    connection: &Connection,
    repository: &RepositoryName,
    number: u64,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM thread WHERE repository = ?1 AND number = ?2")?
        .exists(params![repository.as_str(), key(number)])
}

/// Closes it; the first time counts.
pub(crate) fn close(
    connection: &Connection,
    repository: &RepositoryName,
    number: u64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE thread SET closed_at = ?3 WHERE repository = ?1 AND number = ?2 AND closed_at IS NULL",
        )?
        .execute(params![repository.as_str(), key(number), Timestamp::now().as_millisecond()])?;
    Ok(())
}
