//! Pull requests as rows. The head in a row is the last one written down; `crate::proposals` asks git while one is open.

use qd_core::forge::{NewPullRequest, PullRequest, PullRequestState};
use qd_types::{CommitId, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{count, key, labels, parsed, parsed_if_any, threads};

const COLUMNS: &str =
    "SELECT p.repository, p.number, p.branch, p.target, p.head, p.merged, p.draft, p.milestone,
    t.title, t.body, t.closed_at IS NOT NULL AS closed
    FROM pull_request p JOIN thread t USING (repository, number)";

/// All but the labels.
fn decode(row: &Row<'_>) -> rusqlite::Result<PullRequest> {
    let merged: Option<CommitId> = parsed_if_any(row, "merged")?;
    let state = match (&merged, row.get("closed")?) {
        (Some(_), _) => PullRequestState::Merged,
        (None, true) => PullRequestState::Closed,
        (None, false) => PullRequestState::Open,
    };
    Ok(PullRequest {
        repository: parsed(row, "repository")?,
        number: count(row, "number")?,
        branch: row.get("branch")?,
        target: row.get("target")?,
        title: row.get("title")?,
        body: row.get("body")?,
        state,
        draft: row.get("draft")?,
        head: parsed(row, "head")?,
        merged,
        labels: Vec::new(),
        milestone: row.get("milestone")?,
    })
}

fn with_labels(connection: &Connection, mut row: PullRequest) -> rusqlite::Result<PullRequest> {
    row.labels = labels::of(connection, &row.repository, row.number)?;
    Ok(row)
}

pub(crate) fn get(
    connection: &Connection,
    repository: &RepositoryName,
    number: u64,
) -> rusqlite::Result<Option<PullRequest>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE p.repository = ?1 AND p.number = ?2"))?
        .query_row(params![repository.as_str(), key(number)], decode)
        .optional()?
        .map(|row| with_labels(connection, row))
        .transpose()
}

/// Newest first.
pub(crate) fn all(
    connection: &Connection,
    repository: &RepositoryName,
) -> rusqlite::Result<Vec<PullRequest>> {
    let rows: Vec<PullRequest> = connection
        .prepare_cached(&format!("{COLUMNS} WHERE p.repository = ?1 ORDER BY p.number DESC"))?
        .query_map([repository.as_str()], decode)?
        .collect::<Result<_, _>>()?;
    rows.into_iter().map(|row| with_labels(connection, row)).collect()
}

/// The open one from `branch` to `target`.
pub(crate) fn open_from(
    connection: &Connection,
    repository: &RepositoryName,
    branch: &str,
    target: &str,
) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached(
            "SELECT p.number FROM pull_request p JOIN thread t USING (repository, number)
             WHERE p.repository = ?1 AND p.branch = ?2 AND p.target = ?3 AND t.closed_at IS NULL",
        )?
        .query_row(params![repository.as_str(), branch, target], |row| row.get::<_, i64>(0))
        .optional()
        .map(|number| number.map(i64::unsigned_abs))
}

/// Whether an open pull request comes from this branch or goes to it.
pub(crate) fn uses_branch(
    connection: &Connection,
    repository: &RepositoryName,
    branch: &str,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM pull_request p JOIN thread t USING (repository, number)
             WHERE p.repository = ?1 AND (p.branch = ?2 OR p.target = ?2) AND t.closed_at IS NULL",
        )?
        .exists(params![repository.as_str(), branch])
}

pub(crate) fn insert(
    connection: &Connection,
    new: &NewPullRequest,
    head: &CommitId,
) -> rusqlite::Result<u64> {
    let kind = threads::Kind::PullRequest;
    let number = threads::open(connection, &new.repository, kind, &new.title, &new.body, &new.marker)?;
    connection
        .prepare_cached(
            "INSERT INTO pull_request (repository, number, branch, target, head, draft, milestone)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            new.repository.as_str(),
            key(number),
            new.branch,
            new.target,
            head.as_str(),
            new.draft,
            new.milestone
        ])?;
    labels::set(connection, &new.repository, number, &new.labels)?;
    Ok(number)
}

/// Makes it a draft, or ready.
pub(crate) fn set_draft(
    connection: &Connection,
    repository: &RepositoryName,
    number: u64,
    draft: bool,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE pull_request SET draft = ?3 WHERE repository = ?1 AND number = ?2")?
        .execute(params![repository.as_str(), key(number), draft])?;
    Ok(())
}

/// Closes it with the head that it had, without merging.
pub(crate) fn close(
    connection: &Connection,
    repository: &RepositoryName,
    number: u64,
    head: &CommitId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE pull_request SET head = ?3 WHERE repository = ?1 AND number = ?2")?
        .execute(params![repository.as_str(), key(number), head.as_str()])?;
    threads::close(connection, repository, number)
}
