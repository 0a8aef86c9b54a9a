//! A secret: given as it is, by the name of an environment variable, or by a file. Shown nowhere.

use std::{borrow::Cow, collections::BTreeMap, fmt, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// A secret of the configuration.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Secret {
    /// The value itself.
    Value(SecretString),
    /// `{ env = "NAME" }`
    Env {
        /// The variable.
        env: String,
    },
    /// `{ file = "…" }`
    File {
        /// The file, relative to the one that names it; its first line counts.
        file: PathBuf,
    },
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("(secret)"),
            Self::Env { env } => write!(f, "{{ env = {env:?} }}"),
            Self::File { file } => write!(f, "{{ file = {file:?} }}"),
        }
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{self:?}"))
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A secret: the value, { env = \"NAME\" } or { file = \"…\" }.",
            "anyOf": [
                { "type": "string" },
                { "type": "object", "properties": { "env": { "type": "string" } }, "required": ["env"], "additionalProperties": false },
                { "type": "object", "properties": { "file": { "type": "string" } }, "required": ["file"], "additionalProperties": false }
            ]
        })
    }
}

/// Why a secret can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    Env(String),
    /// There is nothing in it.
    #[error("{0:?} is empty")]
    Empty(Secret),
    /// The file can't be read.
    #[error("{} can't be read: {source}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Secret {
    /// Whether both say the same. For what a changed file changes; nothing is shown.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(one), Self::Value(other)) => one.expose_secret() == other.expose_secret(),
            (Self::Env { env: one }, Self::Env { env: other }) => one == other,
            (Self::File { file: one }, Self::File { file: other }) => one == other,
            _ => false,
        }
    }

    /// The value. An empty one is refused: it protects nothing, and redacting it would match everywhere.
    pub fn resolve(&self, env: &BTreeMap<String, String>) -> Result<SecretString, SecretError> {
        let value = self.read(env)?;
        if value.expose_secret().is_empty() { Err(SecretError::Empty(self.clone())) } else { Ok(value) }
    }

    fn read(&self, env: &BTreeMap<String, String>) -> Result<SecretString, SecretError> {
        match self {
            Self::Value(value) => Ok(SecretString::from(value.expose_secret().to_owned())),
            Self::Env { env: name } => {
                env.get(name).cloned().map(SecretString::from).ok_or_else(|| SecretError::Env(name.clone()))
            }
            Self::File { file } => std::fs::read_to_string(file)
                .map(|text| SecretString::from(text.lines().next().unwrap_or_default().trim().to_owned()))
                .map_err(|source| SecretError::File { file: file.clone(), source }),
        }
    }
}
