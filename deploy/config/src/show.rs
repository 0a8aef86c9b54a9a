//! The configuration as it holds, key by key, with where each value came from. Secrets are not shown.

use serde_json::Value;

use crate::{Loaded, Origin};

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowRow {
    /// `runs.repair_rounds`.
    pub key: String,
    /// JSON.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// All keys, sorted.
pub fn show(loaded: &Loaded) -> Vec<ShowRow> {
    let mut rows = Vec::new();
    let mut value = serde_json::to_value(&loaded.config).unwrap_or_default();
    value.sort_all_objects();
    flatten(&value, String::new(), &mut |key, value| {
        let origin = loaded.origins.get(&key).cloned().unwrap_or(Origin::Default);
        rows.push(ShowRow { key, value: value.to_string(), origin });
    });
    rows
}

fn flatten(value: &Value, key: String, row: &mut impl FnMut(String, &Value)) {
    let below = |part: &str| if key.is_empty() { part.to_owned() } else { format!("{key}.{part}") };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, inner) in fields {
                flatten(inner, below(name), row);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, inner) in items.iter().enumerate() {
                flatten(inner, below(&index.to_string()), row);
            }
        }
        leaf => row(key, leaf),
    }
}
