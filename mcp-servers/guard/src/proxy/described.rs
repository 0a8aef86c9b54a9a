//! A tool, as a third-party server describes it: all of what a client would see, and all of it hashed.

use rmcp::model::Tool;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Longest description of a tool that anybody could be asked to trust, in bytes of JSON.
const MAX_DESCRIPTION: usize = 64 * 1024;

/// A description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// Its name there.
    pub name: String,
    /// Its name for people.
    pub title: Option<String>,
    /// What it says it does.
    pub description: String,
    /// Schema of its arguments.
    pub input: Value,
    /// Schema of its results, if it has one.
    pub output: Option<Value>,
    /// What it says about what it does.
    pub annotations: Annotated,
}

/// MCP's annotations, where there are any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annotated {
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// It may undo or overwrite.
    pub destructive: Option<bool>,
    /// Twice is as once.
    pub idempotent: Option<bool>,
    /// It reaches out.
    pub open_world: Option<bool>,
}

impl Described {
    pub(super) fn of(tool: &Tool) -> Self {
        let hints = tool.annotations.as_ref();
        Self {
            name: tool.name.to_string(),
            title: tool.title.clone().or_else(|| hints.and_then(|hints| hints.title.clone())),
            description: tool.description.as_deref().unwrap_or_default().to_owned(),
            input: Value::Object(tool.input_schema.as_ref().clone()),
            output: tool.output_schema.as_ref().map(|schema| Value::Object(schema.as_ref().clone())),
            annotations: Annotated {
                read_only: hints.and_then(|hints| hints.read_only_hint),
                destructive: hints.and_then(|hints| hints.destructive_hint),
                idempotent: hints.and_then(|hints| hints.idempotent_hint),
                open_world: hints.and_then(|hints| hints.open_world_hint),
            },
        }
    }

    /// SHA-256 of its canonical JSON, as lower-case hex. `None` if it has none.
    pub fn hash(&self) -> Option<String> {
        let bytes = serde_json_canonicalizer::to_vec(self).ok()?;
        Some(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Whether it says too much of itself to be looked at.
    pub(super) fn is_too_long(&self) -> bool {
        serde_json::to_vec(self).map_or(true, |text| text.len() > MAX_DESCRIPTION)
    }

    /// All of it as lines, for people and for differences.
    pub(super) fn lines(&self) -> Vec<String> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}
