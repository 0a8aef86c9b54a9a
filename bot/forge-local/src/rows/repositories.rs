//! The configured repositories. Where their git directories are is not stored: it follows from the name.

use std::path::PathBuf;

use qd_types::RepositoryName;
use rusqlite::{Connection, OptionalExtension as _, params};

/// A repository of the forge.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(crate) name: RepositoryName,
    pub(crate) target: String,
    pub(crate) source: Option<PathBuf>,
}

pub(crate) fn get(connection: &Connection, name: &RepositoryName) -> rusqlite::Result<Option<Repository>> {
    connection
        .prepare_cached("SELECT target, source FROM repository WHERE name = ?1")?
        .query_row([name.as_str()], |row| {
            Ok(Repository {
                name: name.clone(),
                target: row.get("target")?,
                source: row.get::<_, Option<String>>("source")?.map(PathBuf::from),
            })
        })
        .optional()
}

/// What the configuration says now replaces what it said before.
pub(crate) fn put(connection: &Connection, repository: &Repository) -> rusqlite::Result<()> {
    let source = repository.source.as_ref().map(|path| path.to_string_lossy().into_owned());
    connection
        .prepare_cached(
            "INSERT INTO repository VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET target = excluded.target, source = excluded.source",
        )?
        .execute(params![repository.name.as_str(), repository.target, source])?;
    Ok(())
}
