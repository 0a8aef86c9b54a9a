//! What people write about a feature, besides the description.

use jiff::Timestamp;
use qd_board::{Comment, FieldError};
use qd_types::{FeatureId, PersonId};
use rusqlite::{Connection, Row, params};

use crate::{Store, StoreError, events, events::Draft, rows};

/// Longest comment, in bytes.
const MAX_COMMENT: usize = 16 * 1024;

pub(crate) fn write(
    c: &Connection,
    author: &PersonId,
    feature: &FeatureId,
    text: String,
    now: Timestamp,
) -> Result<(), StoreError> {
    c.prepare_cached("INSERT INTO comments (feature, author, at, text) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![feature.to_string(), author.as_str(), now.as_millisecond(), text])?;
    let mut event = Draft::new(author.as_str(), "comment", text);
    event.feature = Some(feature.clone());
    events::write(c, &event, now)
}

/// `author`, `at` and `text`, as the first three columns.
pub(crate) fn read(row: &Row<'_>) -> Result<Comment, StoreError> {
    Ok(Comment {
        author: rows::parse("comments", &row.get::<_, String>(0)?)?,
        at: rows::time("comments", row.get(1)?)?,
        text: row.get(2)?,
    })
}

impl Store {
    /// Writes a comment.
    pub async fn comment(
        &self,
        author: &PersonId,
        feature: &FeatureId,
        text: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (author, feature, text) = (author.clone(), feature.clone(), text.trim().to_owned());
        self.write(move |c| {
            rows::feature_by_id(c, &feature)?;
            if text.is_empty() || text.len() > MAX_COMMENT {
                let problem = format!("has {} bytes: 1 to {MAX_COMMENT} fit", text.len());
                return Err(FieldError { field: "comment", problem }.into());
            }
            write(c, &author, &feature, text, now)
        })
        .await
    }

    /// All comments on a feature, oldest first.
    pub async fn comments(&self, feature: &FeatureId) -> Result<Vec<Comment>, StoreError> {
        let id = feature.to_string();
        self.read(move |c| {
            let mut statement =
                c.prepare_cached("SELECT author, at, text FROM comments WHERE feature = ?1 ORDER BY id")?;
            let mut rows = statement.query([id])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(read(row)?);
            }
            Ok(all)
        })
        .await
    }
}
