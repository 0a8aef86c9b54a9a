//! Ids as newtypes that parse: not bare strings, so that a malformed one cannot travel past the edge.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not an id. Names the kind, the text, and what a good one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {kind}: {want}")]
pub struct IdError {
    /// The kind of id, with its article: "a feature id".
    pub kind: &'static str,
    /// What was given.
    pub text: String,
    /// What a well-formed one looks like.
    pub want: &'static str,
}

/// Longest name of an instance, person or repository, in bytes: it ends up in branch names and file paths.
pub const MAX_NAME: usize = 64;

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $want:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError { kind: $kind, text: text.to_owned(), want: $want })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A team: `alpha`.
    InstanceName, "a team's name", "lower-case letters, digits, - and _, at most 64, like alpha", is_name
);
text_id!(
    /// A person of the fleet: `ines`.
    PersonId, "a person's name", "lower-case letters, digits, - and _, at most 64, like ines", is_name
);
text_id!(
    /// A repository as the configuration names it: `billing`.
    RepositoryName, "a repository's name", "lower-case letters, digits, - and _, at most 64, like billing", is_name
);
text_id!(
    /// A git object id of a commit, full length, lower-case hex (40 for SHA-1, 64 for SHA-256).
    CommitId, "a commit id", "40 or 64 lower-case hex digits",
    |text| matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
);

impl CommitId {
    /// The first seven digits, as people read it.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

/// A feature on one board: the board's prefix and a number, `A-142`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct FeatureId {
    prefix: String,
    number: u32,
}

impl FeatureId {
    /// `prefix` is 1 to 8 upper-case letters; `number` counts from 1.
    pub fn new(prefix: &str, number: u32) -> Result<Self, IdError> {
        let good = (1..=8).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_uppercase());
        if good && number > 0 {
            Ok(Self { prefix: prefix.to_owned(), number })
        } else {
            Err(IdError { kind: "a feature id", text: format!("{prefix}-{number}"), want: "like A-142" })
        }
    }

    /// The board's prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The number on that board, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl fmt::Display for FeatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.prefix, self.number)
    }
}

impl FromStr for FeatureId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError { kind: "a feature id", text: text.to_owned(), want: "like A-142" };
        let (prefix, number) = text.rsplit_once('-').ok_or_else(bad)?;
        if number.starts_with('0') || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        Self::new(&prefix.to_ascii_uppercase(), number.parse().map_err(|_| bad())?).map_err(|_| bad())
    }
}

/// One attempt at a feature: `A-142.2` is the second run of A-142.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct RunId {
    feature: FeatureId,
    attempt: u32,
}

impl RunId {
    /// The `attempt`-th run of a feature, from 1.
    pub fn new(feature: FeatureId, attempt: u32) -> Self {
        Self { feature, attempt: attempt.max(1) }
    }

    /// The feature it works on.
    pub fn feature(&self) -> &FeatureId {
        &self.feature
    }

    /// Which run of that feature, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.feature, self.attempt)
    }
}

impl FromStr for RunId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError { kind: "a run id", text: text.to_owned(), want: "like A-142.2" };
        let (feature, attempt) = text.rsplit_once('.').ok_or_else(bad)?;
        if attempt.starts_with('0') || !attempt.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        Ok(Self::new(feature.parse().map_err(|_| bad())?, attempt.parse().map_err(|_| bad())?))
    }
}

macro_rules! string_form {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}
string_form!(FeatureId);
string_form!(RunId);
string_form!(ApprovalId);

/// An approval: who executes it, and a ULID: `bot/01K…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ApprovalId {
    executor: String,
    ulid: ulid::Ulid,
}

impl ApprovalId {
    /// `executor` is `bot` or an instance's name.
    pub fn new(executor: &str, ulid: ulid::Ulid) -> Result<Self, IdError> {
        if is_name(executor) {
            Ok(Self { executor: executor.to_owned(), ulid })
        } else {
            Err(IdError { kind: "an approval id", text: format!("{executor}/{ulid}"), want: "executor/ULID" })
        }
    }

    /// Who executes what is approved.
    pub fn executor(&self) -> &str {
        &self.executor
    }

    /// The part that is unique, as it stands in paths and buttons.
    pub fn key(&self) -> String {
        self.ulid.to_string()
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.executor, self.ulid)
    }
}

impl FromStr for ApprovalId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError { kind: "an approval id", text: text.to_owned(), want: "executor/ULID" };
        let (executor, ulid) = text.split_once('/').ok_or_else(bad)?;
        Self::new(executor, ulid::Ulid::from_string(ulid).map_err(|_| bad())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<T: FromStr<Err = IdError> + fmt::Display>(input: &str, expect: Option<&str>) {
        let got = input.parse::<T>().ok().map(|id| id.to_string());
        assert_eq!(got.as_deref(), expect, "{input:?}");
    }

    #[test]
    fn ids_parse_or_are_refused() {
        check::<FeatureId>("A-142", Some("A-142"));
        check::<FeatureId>("a-1", Some("A-1"));
        check::<FeatureId>("A-0", None);
        check::<FeatureId>("A-01", None);
        check::<FeatureId>("A-+1", None);
        check::<FeatureId>("-1", None);
        check::<RunId>("A-142.2", Some("A-142.2"));
        check::<RunId>("A-142", None);
        check::<RunId>("A-142.0", None);
        check::<InstanceName>("alpha", Some("alpha"));
        check::<InstanceName>("../alpha", None);
        check::<InstanceName>("-alpha", None);
        check::<CommitId>("4f2a91c", None);
        check::<CommitId>(&"a".repeat(40), Some(&"a".repeat(40)));
        check::<CommitId>(&"A".repeat(40), None);
        check::<ApprovalId>("bot/01ARZ3NDEKTSV4RRFFQ69G5FAV", Some("bot/01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        check::<ApprovalId>("01ARZ3NDEKTSV4RRFFQ69G5FAV", None);
    }

    proptest! {
        #[test]
        fn ids_survive_their_text(prefix in "[A-Z]{1,8}", number in 1..u32::MAX, attempt in 1..u32::MAX) {
            let run = RunId::new(FeatureId::new(&prefix, number).unwrap(), attempt);
            prop_assert_eq!(run.to_string().parse::<RunId>().unwrap(), run);
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = (text.parse::<RunId>(), text.parse::<FeatureId>(), text.parse::<ApprovalId>(), text.parse::<CommitId>());
        }
    }
}
