//! Milestones. How far one is, is counted when it is read.

use qd_core::forge::Milestone;
use qd_types::RepositoryName;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::count;

const COLUMNS: &str = "SELECT m.title, m.closed_at IS NULL AS open,
    count(t.number) FILTER (WHERE t.closed_at IS NULL) AS open_issues,
    count(t.number) FILTER (WHERE t.closed_at IS NOT NULL) AS closed_issues
    FROM milestone m
    LEFT JOIN (SELECT repository, number, milestone FROM issue
        UNION ALL SELECT repository, number, milestone FROM pull_request) i
        ON i.repository = m.repository AND i.milestone = m.title
    LEFT JOIN thread t ON t.repository = i.repository AND t.number = i.number";

fn decode(row: &Row<'_>) -> rusqlite::Result<Milestone> {
    Ok(Milestone {
        title: row.get("title")?,
        open: row.get("open")?,
        open_issues: count(row, "open_issues")?,
        closed_issues: count(row, "closed_issues")?,
    })
}

/// Made if there is none with that title.
pub(crate) fn open(
    connection: &Connection,
    repository: &RepositoryName,
    title: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO milestone VALUES (?1, ?2, NULL) ON CONFLICT DO NOTHING")?
        .execute(params![repository.as_str(), title])?;
    Ok(())
}

pub(crate) fn get(
    connection: &Connection,
    repository: &RepositoryName,
    title: &str,
) -> rusqlite::Result<Option<Milestone>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE m.repository = ?1 AND m.title = ?2 GROUP BY m.title"))?
        .query_row(params![repository.as_str(), title], decode)
        .optional()
}

/// By title.
pub(crate) fn all(connection: &Connection, repository: &RepositoryName) -> rusqlite::Result<Vec<Milestone>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE m.repository = ?1 GROUP BY m.title ORDER BY m.title"))?
        .query_map([repository.as_str()], decode)?
        .collect()
}
