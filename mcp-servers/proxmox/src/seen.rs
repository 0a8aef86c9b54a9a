//! What reads have in common: a tool of one function, rows of chosen columns, others' words marked as data.

use std::{marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use qd_guard::{Call, Caller, Fault, Look, Quoted, Spec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::cluster::Cluster;

/// Longest list.
const MOST: usize = 500;

/// Longest text in a row, in characters.
const TEXT: usize = 300;

/// A read.
#[async_trait]
pub(crate) trait Reading: Send + Sync + 'static {
    /// Its arguments.
    type Input: DeserializeOwned + JsonSchema + Send + Sync;
    /// Its result.
    type Output: Serialize + JsonSchema + Send;

    /// What it is.
    fn spec() -> Spec;

    /// Reads.
    async fn read(cluster: &Cluster, caller: &Caller, input: Self::Input) -> Result<Self::Output, Fault>;
}

/// A read as a tool.
pub(crate) struct Seeing<R>(Arc<Cluster>, PhantomData<fn() -> R>);

impl<R> Seeing<R> {
    pub(crate) fn new(cluster: &Arc<Cluster>) -> Self {
        Self(cluster.clone(), PhantomData)
    }
}

#[async_trait]
impl<R: Reading> Look for Seeing<R> {
    type Input = R::Input;
    type Output = R::Output;

    fn spec(&self) -> Spec {
        R::spec()
    }

    async fn look(&self, call: &Call, input: R::Input) -> Result<R::Output, Fault> {
        R::read(&self.0, &call.caller, input).await
    }
}

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

/// Rows, as Proxmox names their columns.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Map<String, Value>>,
    /// How many there are beyond these.
    pub(crate) left_out: usize,
}

impl Rows {
    pub(crate) fn of<'a>(rows: impl IntoIterator<Item = &'a Value>, columns: &[&str]) -> Self {
        let mut rows: Vec<Map<String, Value>> = rows.into_iter().map(|row| pick(row, columns)).collect();
        let left_out = rows.len().saturating_sub(MOST);
        rows.truncate(MOST);
        Self { rows, left_out }
    }
}

/// One thing, as Proxmox names its parts.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Facts {
    pub(crate) facts: Map<String, Value>,
}

/// These columns of a row; all of them if none is named.
pub(crate) fn pick(row: &Value, columns: &[&str]) -> Map<String, Value> {
    let fields = row.as_object().into_iter().flatten();
    let wanted = fields.filter(|(name, _)| columns.is_empty() || columns.contains(&name.as_str()));
    wanted.map(|(name, value)| (name.clone(), shown(value))).collect()
}

/// A value as it is shown: a text that is more than a name is marked as somebody else's words, and cut.
pub(crate) fn shown(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._:/@;,=+!-".contains(c);
            if text.len() <= TEXT && text.chars().all(plain) {
                return value.clone();
            }
            serde_json::to_value(Quoted::new(text, TEXT)).unwrap_or_default()
        }
        Value::Array(list) => Value::Array(list.iter().take(MOST).map(shown).collect()),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), shown(value))).collect(),
        other => other.clone(),
    }
}
