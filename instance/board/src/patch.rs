//! Edits as merge patches (RFC 7396): what is left out stays, `null` clears, an object such as a budget is patched within.

use serde_json::{Map, Value};

/// Patches the fields of something as it stands.
pub(crate) fn merge(whole: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (field, value) in patch {
        match (whole.get_mut(&field), value) {
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
            (_, Value::Null) => {
                whole.remove(&field);
            }
            (_, value) => {
                whole.insert(field, value);
            }
        }
    }
}
