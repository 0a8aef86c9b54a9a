//! How checks of commits stand. The newest of a name replaces what was said before.

use qd_core::forge::{Check, CheckText, Conclusion};
use qd_types::{CommitId, RepositoryName};
use rusqlite::{Connection, params, types::Type};

fn as_str(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Pending => "pending",
        Conclusion::Success => "success",
        Conclusion::Failure => "failure",
    }
}

fn parse(text: &str) -> rusqlite::Result<Conclusion> {
    match text {
        "pending" => Ok(Conclusion::Pending),
        "success" => Ok(Conclusion::Success),
        "failure" => Ok(Conclusion::Failure),
        other => Err(rusqlite::Error::FromSqlConversionFailure(
            1,
            Type::Text,
            format!("{other:?} is not how a check stands").into(),
        )),
    }
}

pub(crate) fn put(
    connection: &Connection,
    repository: &RepositoryName,
    commit: &CommitId,
    checks: &[Check],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO check_run (repository, commit_id, name, conclusion, title, summary, annotations)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET conclusion = excluded.conclusion, title = excluded.title, summary = excluded.summary,
         annotations = excluded.annotations",
    )?;
    for check in checks {
        let conclusion = as_str(check.conclusion);
        let (title, summary) = check.text.as_ref().map(|text| (&text.title, &text.summary)).unzip();
        let annotations = check.text.as_ref().map(|text| text.annotations.as_slice()).unwrap_or_default();
        let annotations = serde_json::to_string(annotations)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        statement.execute(params![
            repository.as_str(),
            commit.as_str(),
            check.name,
            conclusion,
            title,
            summary,
            annotations,
        ])?;
    }
    Ok(())
}

/// By name.
pub(crate) fn of(
    connection: &Connection,
    repository: &RepositoryName,
    commit: &CommitId,
) -> rusqlite::Result<Vec<Check>> {
    connection
        .prepare_cached(
            "SELECT name, conclusion, title, summary, annotations FROM check_run
             WHERE repository = ?1 AND commit_id = ?2 ORDER BY name",
        )?
        .query_map(params![repository.as_str(), commit.as_str()], |row| {
            let (title, summary): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
            let annotations = serde_json::from_str(&row.get::<_, String>(4)?)
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, error.into()))?;
            let text = title.zip(summary).map(|(title, summary)| CheckText { title, summary, annotations });
            Ok(Check { name: row.get(0)?, conclusion: parse(&row.get::<_, String>(1)?)?, text })
        })?
        .collect()
}
