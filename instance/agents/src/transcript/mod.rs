//! What happened in a run, word for word: one JSON Lines file with a header, version 1.
//!
//! ```text
//! {"transcript":1,"run":"A-1.1","agent":"scripted","started":"2026-11-20T09:00:00Z"}
//! {"at":"2026-11-20T09:00:01.25Z","kind":"output","text":"Reading the code."}
//! ```
//! A long one is rotated: its older parts are compressed, see `parts`.
//!
//! Not a source of truth: nothing is decided from it. So an entry is handed to the system at once, but not synced, and
//! a reader takes a torn last line or foreign bytes as they come.

mod markdown;
mod parts;
mod read;
mod write;

use std::{io, path::PathBuf};

use jiff::Timestamp;
use qd_types::RunId;
use serde::{Deserialize, Serialize};

pub use markdown::{export, markdown, summary};
pub use read::{Page, end, header, newest, read};
pub use write::{Limits, Transcript};

/// The version of the file's format that this crate writes and reads.
pub const VERSION: u32 = 1;

/// The first line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format, [`VERSION`].
    pub transcript: u32,
    /// Whose transcript it is.
    pub run: RunId,
    /// The agent's name.
    pub agent: String,
    /// When the transcript was begun.
    pub started: Timestamp,
    /// How many bytes of the transcript stand in older parts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(from: &u64) -> bool {
    *from == 0
}

impl Header {
    /// A header for a file that begins now.
    pub fn new(run: RunId, agent: &str) -> Self {
        Self { transcript: VERSION, run, agent: agent.to_owned(), started: Timestamp::now(), from: 0 }
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A line that the agent wrote to its standard output.
    Output,
    /// A line that the agent wrote to its standard error.
    ErrorOutput,
    /// What the agent was told.
    Prompt,
    /// What the instance has to say: started, stopped, limit reached.
    System,
    /// How a check ended.
    Check,
    /// What the agent thinks, as far as it tells, and its plan.
    Thought,
    /// A tool that the agent uses.
    Tool,
    /// What the agent asked for, and what it was told.
    Permission,
}

impl Kind {
    /// The name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::ErrorOutput => "error_output",
            Self::Prompt => "prompt",
            Self::System => "system",
            Self::Check => "check",
            Self::Thought => "thought",
            Self::Tool => "tool",
            Self::Permission => "permission",
        }
    }
}

/// One line of the file after the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was written.
    pub at: Timestamp,
    /// What it is.
    pub kind: Kind,
    /// Its text: no control characters but newlines and tabs, no known secret, bounded.
    pub text: String,
}

/// Why a transcript could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// The file system refused.
    #[error("transcript {path}: cannot {doing}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The first line is no header of this version.
    #[error(
        "transcript {path}: its first line is not a header of version {VERSION}; move the file away to go on"
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; none if the version is another one.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The file belongs to another run.
    #[error("transcript {path} belongs to run {found}, not to {wanted}")]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: RunId,
        /// Whose it should be.
        wanted: RunId,
    },
}
