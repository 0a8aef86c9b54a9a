//! Boards as files: what is written, what is read, and what an import would make of it. Pure: text to values and back.
//! Ids in a file are the file's own; the store maps them to those of the board.

mod json;
mod markdown;
mod plan;
mod tokens;

use std::{fmt, str::FromStr};

use qd_types::{FeatureId, IdError, InstanceName, RepositoryName, Stage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use json::read as read_json;
pub use markdown::{read as read_markdown, write as write_markdown};
pub use plan::{Link, Plan, Planned};

use crate::{Comment, FieldError, Wanted};

/// The version of the JSON document that this program writes and reads.
pub const VERSION: u32 = 1;
/// Most features of one import.
pub const MAX_ITEMS: usize = 10_000;

/// How a file is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Everything that people said about the features, and their comments.
    #[default]
    Json,
    /// Task lists, as people write them.
    Markdown,
}

impl Format {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Markdown => "markdown",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let found = [Self::Json, Self::Markdown].into_iter().find(|format| format.as_str() == text);
        found.ok_or(IdError { kind: "a format", text: text.to_owned(), want: "json or markdown" })
    }
}

/// A board in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// [`VERSION`].
    pub version: u32,
    /// The team whose board it is.
    pub team: InstanceName,
    /// By number.
    pub features: Vec<Exported>,
}

/// A feature in a file: what people said about it, and where it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exported {
    /// Its id on the board that it comes from.
    pub id: FeatureId,
    /// Where it stood.
    pub stage: Stage,
    /// Where the work is done.
    pub repository: RepositoryName,
    /// What people said about it.
    #[serde(flatten)]
    pub wanted: Wanted,
    /// Oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<Comment>,
}

/// What a file holds, as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The team whose board it was written from, if it says so.
    pub team: Option<InstanceName>,
    /// In the file's order.
    pub items: Vec<Item>,
    /// What was left out, in sentences.
    pub notes: Vec<String>,
}

/// A feature as a file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where in the file: "line 4", "features[3] (A-7)".
    pub place: String,
    /// Its id in the file.
    pub id: Option<FeatureId>,
    /// The item that it is a part of, by its index, where the file says so without an id.
    pub parent: Option<usize>,
    /// Where it stood.
    pub stage: Stage,
    /// Where the work is done, if the file says so.
    pub repository: Option<RepositoryName>,
    /// What is wanted; its epic and dependencies are ids of the file.
    pub wanted: Wanted,
    /// Oldest first.
    pub comments: Vec<Comment>,
}

/// What an import filed, or would file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The new features, in the file's order.
    pub filed: Vec<Filed>,
    /// What is on the board already.
    pub skipped: Vec<Skipped>,
    /// What was left out, in sentences.
    pub notes: Vec<String>,
}

/// A feature that an import filed, or would file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Filed {
    /// Where in the file.
    pub place: String,
    /// Its id on the board.
    pub id: FeatureId,
    /// Its title.
    pub title: String,
    /// Where it is filed.
    pub stage: Stage,
}

/// An item that is on the board already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// Where in the file.
    pub place: String,
    /// Its id on the board.
    pub id: FeatureId,
    /// Its title in the file.
    pub title: String,
    /// Why it is skipped, in a few words.
    pub why: String,
}

/// Reads a file in this format.
pub fn read(format: Format, text: &str) -> Result<Batch, FieldError> {
    let text = text.trim_start_matches('\u{feff}');
    let batch = match format {
        Format::Json => json::read(text)?,
        Format::Markdown => markdown::read(text)?,
    };
    if batch.items.is_empty() {
        let want = match format {
            Format::Json => "a list \"features\" with at least one feature",
            Format::Markdown => "at least one line like - [ ] What is wanted",
        };
        return Err(refuse(format!("holds no feature: it needs {want}")));
    }
    if batch.items.len() > MAX_ITEMS {
        return Err(refuse(format!("holds {} features, {MAX_ITEMS} fit: split it", batch.items.len())));
    }
    Ok(batch)
}

fn refuse(problem: impl Into<String>) -> FieldError {
    FieldError { field: "import", problem: problem.into() }
}

#[cfg(test)]
mod tests;
