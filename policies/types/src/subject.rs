//! Everything an approval binds, and its digest. What cannot be bound is refused, never approved loosely.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Action, Binding, FeatureId, InstanceName, PersonId, Requirement, RunId};

/// Largest canonical form of a subject, in bytes (`approvals.md`: an input over 64 KiB is refused).
pub const MAX_SUBJECT: usize = 64 * 1024;

/// All that is bound. Rebuilt by the executor from what it is about to do, and compared by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// What would be done.
    pub action: Action,
    /// What it is bound to: tool, arguments, target, policies. The approvals' store asks for it; a subject of before has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// The team that asks.
    pub instance: InstanceName,
    /// For which feature.
    pub feature: FeatureId,
    /// In which run.
    pub run: RunId,
    /// On whose behalf: none of them may decide.
    pub requesters: Vec<PersonId>,
    /// The quorum that was asked for.
    pub requirement: Requirement,
}

/// SHA-256 of a subject's canonical JSON (RFC 8785), as lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Digest(String);

impl Digest {
    /// All 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits in fours, as it stands on a card: `9be1 40c7 d2aa`.
    pub fn short(&self) -> String {
        let digits: Vec<char> = self.0.chars().take(12).collect();
        digits.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a subject cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// It has no canonical JSON.
    #[error("what is to be approved has no canonical form")]
    Canonical(#[source] serde_json::Error),
    /// It holds a number that canonical JSON can't tell from another.
    #[error(
        "what is to be approved holds the number {number}, which can't be bound exactly: give it as text"
    )]
    Inexact {
        /// As it was given.
        number: String,
    },
    /// Over [`MAX_SUBJECT`].
    #[error("what is to be approved takes {size} bytes, more than the {MAX_SUBJECT} that can be bound")]
    TooLarge {
        /// Bytes.
        size: usize,
    },
}

impl Subject {
    /// The digest that votes name and that is compared before anything happens.
    pub fn digest(&self) -> Result<Digest, SubjectError> {
        let value = serde_json::to_value(self).map_err(SubjectError::Canonical)?;
        Binding::is_exact(&value)?;
        let bytes = serde_json_canonicalizer::to_vec(&value).map_err(SubjectError::Canonical)?;
        if bytes.len() > MAX_SUBJECT {
            return Err(SubjectError::TooLarge { size: bytes.len() });
        }
        Ok(Digest(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}
