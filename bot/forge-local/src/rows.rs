//! The forge's database, one module per thing. Rows that make no sense can't be decoded; no git in here.

pub(crate) mod checks;
pub(crate) mod comments;
pub(crate) mod issues;
pub(crate) mod labels;
pub(crate) mod merges;
pub(crate) mod milestones;
pub(crate) mod pull_requests;
pub(crate) mod repositories;
pub(crate) mod threads;

use std::{error::Error, str::FromStr};

use jiff::Timestamp;
use qd_sqlite::Migration;
use rusqlite::{Row, types::Type};

/// Forward only: a change is a new entry.
pub(crate) const MIGRATIONS: &[Migration] =
    &[include_str!("schema.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];

fn bad(column: &str, kind: Type, why: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, kind, format!("column {column}: {why}").into())
}

/// A text column that must parse.
pub(crate) fn parsed<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    row.get::<_, String>(column)?.parse().map_err(|why| bad(column, Type::Text, why))
}

/// A text column that must parse if it is there.
pub(crate) fn parsed_if_any<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    match row.get::<_, Option<String>>(column)? {
        Some(text) => text.parse().map(Some).map_err(|why| bad(column, Type::Text, why)),
        None => Ok(None),
    }
}

/// A number that is never negative.
pub(crate) fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|why| bad(column, Type::Integer, why))
}

/// Milliseconds since 1970.
pub(crate) fn timestamp(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(row.get(column)?).map_err(|why| bad(column, Type::Integer, why))
}

/// A number of a thread as SQLite takes it. What is larger than any row is simply not found.
pub(crate) fn key(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
