//! The search over features, runs, decisions, comments and documents. What people type is words, never a query language.

use std::collections::BTreeMap;

use qd_board::{FieldError, Hit, HitKind};
use qd_types::RepositoryName;
use rusqlite::params;

use crate::{Store, StoreError, rows};

/// A document of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// From the root.
    pub path: String,
    /// The id of its content.
    pub blob: String,
    /// Its content.
    pub text: String,
}

impl Store {
    /// What holds all of these words, the last of which may be cut short; best first, at most `limit`.
    pub async fn search(
        &self,
        text: &str,
        kind: Option<HitKind>,
        limit: usize,
    ) -> Result<Vec<Hit>, StoreError> {
        let query = query(text)?;
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT kind, place, title, snippet(search, 3, '', '', ' … ', 16) FROM search
                 WHERE search MATCH ?1 AND (?2 IS NULL OR kind = ?2) ORDER BY bm25(search, 0, 0, 4.0, 1.0) LIMIT ?3",
            )?;
            let mut rows = statement.query(params![query, kind.map(HitKind::as_str), limit as i64])?;
            let mut hits = Vec::new();
            while let Some(row) = rows.next()? {
                let snippet: String = row.get(3)?;
                hits.push(Hit {
                    kind: rows::parse("search", &row.get::<_, String>(0)?)?,
                    place: row.get(1)?,
                    title: row.get(2)?,
                    snippet: snippet.split_whitespace().collect::<Vec<_>>().join(" "),
                });
            }
            Ok(hits)
        })
        .await
    }

    /// The documents of a repository that are in the search, by path, with the ids of their content.
    pub async fn documents(
        &self,
        repository: &RepositoryName,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let name = repository.clone();
        self.read(move |c| {
            let mut statement = c.prepare_cached("SELECT path, blob FROM documents WHERE repository = ?1")?;
            let found = statement.query_map([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Takes over what changed in a repository's documents.
    pub async fn change_documents(
        &self,
        repository: &RepositoryName,
        gone: Vec<String>,
        new: Vec<Document>,
    ) -> Result<(), StoreError> {
        let name = repository.clone();
        self.write(move |c| {
            for path in gone.iter().chain(new.iter().map(|document| &document.path)) {
                c.prepare_cached("DELETE FROM documents WHERE repository = ?1 AND path = ?2")?
                    .execute(params![name.as_str(), path])?;
            }
            for Document { path, blob, text } in &new {
                c.prepare_cached(
                    "INSERT INTO documents (repository, path, blob, text) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![name.as_str(), path, blob, text])?;
            }
            Ok(())
        })
        .await
    }
}

/// Each word in quotes, so that none is an operator; the last one matches what begins so.
fn query(text: &str) -> Result<String, StoreError> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(16)
        .map(|word| format!("\"{word}\""))
        .collect();
    if words.is_empty() {
        let problem = "holds no word: say what to look for".to_owned();
        return Err(FieldError { field: "search", problem }.into());
    }
    Ok(format!("{}*", words.join(" ")))
}
