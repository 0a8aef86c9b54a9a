//! Keys that the schema does not know, each with the nearest one that it does.

use serde_json::Value;

use crate::Config;

/// The JSON Schema of the file.
pub fn schema() -> Value {
    serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default()
}

/// A key that is not known: its path, and the nearest known one.
pub(crate) struct Unknown {
    pub(crate) path: Vec<String>,
    pub(crate) nearest: Option<String>,
}

/// All unknown keys of a layer.
pub(crate) fn unknown(layer: &toml::Value) -> Vec<Unknown> {
    let schema = schema();
    let mut found = Vec::new();
    walk(&schema, &schema, layer, &mut Vec::new(), &mut found);
    found
}

fn resolve<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    while let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        match root.pointer(reference.trim_start_matches('#')) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

fn walk(root: &Value, schema: &Value, value: &toml::Value, path: &mut Vec<String>, found: &mut Vec<Unknown>) {
    let schema = resolve(root, schema);
    match value {
        toml::Value::Table(table) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let any = schema.get("additionalProperties").filter(|any| any.is_object());
            if properties.is_none() && any.is_none() {
                return;
            }
            for (key, inner) in table {
                path.push(key.clone());
                match (properties.and_then(|known| known.get(key)), any) {
                    (Some(known), _) => walk(root, known, inner, path, found),
                    (None, Some(any)) => walk(root, any, inner, path, found),
                    (None, None) => {
                        let known = properties.into_iter().flat_map(|known| known.keys());
                        let nearest = known
                            .map(|known| (strsim::damerau_levenshtein(key, known), known))
                            .filter(|(distance, known)| *distance <= known.len().max(4) / 2)
                            .min()
                            .map(|(_, known)| known.clone());
                        found.push(Unknown { path: path.clone(), nearest });
                    }
                }
                path.pop();
            }
        }
        toml::Value::Array(items) => {
            let Some(each) = schema.get("items") else { return };
            for (index, inner) in items.iter().enumerate() {
                path.push(index.to_string());
                walk(root, each, inner, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}
