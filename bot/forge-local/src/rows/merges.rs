//! A merge as rows: first the intent, then the fact. Whether the ref moved in between is git's to say.

use qd_types::{CommitId, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{count, issues, key, parsed, pull_requests, threads};
use crate::closing;

/// A commit that is about to become the target branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) repository: RepositoryName,
    pub(crate) number: u64,
    pub(crate) head: CommitId,
    pub(crate) made: CommitId,
}

pub(crate) fn pending(
    connection: &Connection,
    repository: &RepositoryName,
) -> rusqlite::Result<Option<Intent>> {
    connection
        .prepare_cached("SELECT number, head, made FROM merge_intent WHERE repository = ?1")?
        .query_row([repository.as_str()], |row| {
            Ok(Intent {
                repository: repository.clone(),
                number: count(row, "number")?,
                head: parsed(row, "head")?,
                made: parsed(row, "made")?,
            })
        })
        .optional()
}

/// Every repository with an intent.
pub(crate) fn unsettled(connection: &Connection) -> rusqlite::Result<Vec<RepositoryName>> {
    connection
        .prepare_cached("SELECT repository FROM merge_intent ORDER BY repository")?
        .query_map([], |row| parsed(row, "repository"))?
        .collect()
}

/// Fails if another intent of the repository is not settled yet.
pub(crate) fn intend(connection: &Connection, intent: &Intent) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO merge_intent VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        intent.repository.as_str(),
        key(intent.number),
        intent.head.as_str(),
        intent.made.as_str()
    ])?;
    Ok(())
}

/// The ref moved: the intent becomes the merge, and the issues that it closes are closed.
pub(crate) fn fulfil(connection: &Connection, intent: &Intent) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE pull_request SET merged = ?3 WHERE repository = ?1 AND number = ?2")?
        .execute(params![intent.repository.as_str(), key(intent.number), intent.made.as_str()])?;
    pull_requests::close(connection, &intent.repository, intent.number, &intent.head)?;
    if let Some(row) = pull_requests::get(connection, &intent.repository, intent.number)? {
        for number in closing::issues(&row.body) {
            // What is no issue here is a word of the text.
            if issues::get(connection, &intent.repository, number)?.is_some() {
                threads::close(connection, &intent.repository, number)?;
            }
        }
    }
    drop_intent(connection, &intent.repository)
}

/// The ref did not move and will not.
pub(crate) fn drop_intent(connection: &Connection, repository: &RepositoryName) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM merge_intent WHERE repository = ?1")?
        .execute([repository.as_str()])?;
    Ok(())
}
