//! Issues as rows.

use qd_core::forge::{Issue, NewIssue};
use qd_types::RepositoryName;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{count, key, labels, parsed, threads};

const COLUMNS: &str =
    "SELECT i.repository, i.number, i.milestone, t.title, t.body, t.closed_at IS NULL AS open
    FROM issue i JOIN thread t USING (repository, number)";

/// All but the labels.
fn decode(row: &Row<'_>) -> rusqlite::Result<Issue> {
    Ok(Issue {
        repository: parsed(row, "repository")?,
        number: count(row, "number")?,
        title: row.get("title")?,
        body: row.get("body")?,
        open: row.get("open")?,
        labels: Vec::new(),
        milestone: row.get("milestone")?,
    })
}

fn with_labels(connection: &Connection, mut issue: Issue) -> rusqlite::Result<Issue> {
    issue.labels = labels::of(connection, &issue.repository, issue.number)?;
    Ok(issue)
}

pub(crate) fn get(
    connection: &Connection,
    repository: &RepositoryName,
    number: u64,
) -> rusqlite::Result<Option<Issue>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE i.repository = ?1 AND i.number = ?2"))?
        .query_row(params![repository.as_str(), key(number)], decode)
        .optional()?
        .map(|issue| with_labels(connection, issue))
        .transpose()
}

/// Newest first.
pub(crate) fn all(connection: &Connection, repository: &RepositoryName) -> rusqlite::Result<Vec<Issue>> {
    let issues: Vec<Issue> = connection
        .prepare_cached(&format!("{COLUMNS} WHERE i.repository = ?1 ORDER BY i.number DESC"))?
        .query_map([repository.as_str()], decode)?
        .collect::<Result<_, _>>()?;
    issues.into_iter().map(|issue| with_labels(connection, issue)).collect()
}

pub(crate) fn insert(connection: &Connection, new: &NewIssue) -> rusqlite::Result<u64> {
    let kind = threads::Kind::Issue;
    let number = threads::open(connection, &new.repository, kind, &new.title, &new.body, &new.marker)?;
    connection.prepare_cached("INSERT INTO issue VALUES (?1, ?2, ?3)")?.execute(params![
        new.repository.as_str(),
        key(number),
        new.milestone
    ])?;
    labels::set(connection, &new.repository, number, &new.labels)?;
    Ok(number)
}
