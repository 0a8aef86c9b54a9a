//! What both fakes ask of the description that their service gives of its API.

use serde_json::Value;

/// How deep unknown fields are looked for.
const DEEPEST: usize = 16;

/// What a `$ref` names; anything else is itself.
pub(crate) fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"].as_str().and_then(|name| name.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

/// Fields that the schema does not name. Alternatives are taken together: which one is meant is the validator's.
pub(crate) fn unknown(document: &Value, schema: &Value, body: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    below(document, &[schema], body, "", 0, &mut wrong);
    wrong
}

fn below(
    document: &Value,
    schemas: &[&Value],
    value: &Value,
    place: &str,
    depth: usize,
    wrong: &mut Vec<String>,
) {
    if depth > DEEPEST {
        return;
    }
    let mut flat = Vec::new();
    for schema in schemas {
        flatten(document, schema, &mut flat, 0);
    }
    match value {
        Value::Object(fields) => {
            let open = flat.iter().any(|schema| {
                schema["additionalProperties"].is_object() || schema["additionalProperties"] == true
            });
            let objects = flat.iter().any(|schema| schema["properties"].is_object());
            for (name, inner) in fields {
                let known: Vec<&Value> =
                    flat.iter().map(|it| &it["properties"][name]).filter(|it| !it.is_null()).collect();
                if !known.is_empty() {
                    below(document, &known, inner, &format!("{place}/{name}"), depth + 1, wrong);
                } else if objects && !open {
                    wrong.push(format!("unknown field {place}/{name}"));
                }
            }
        }
        Value::Array(items) => {
            let known: Vec<&Value> = flat.iter().map(|it| &it["items"]).filter(|it| !it.is_null()).collect();
            for (index, item) in items.iter().enumerate() {
                below(document, &known, item, &format!("{place}/{index}"), depth + 1, wrong);
            }
        }
        _ => {}
    }
}

fn flatten<'a>(document: &'a Value, schema: &'a Value, flat: &mut Vec<&'a Value>, depth: usize) {
    if depth > DEEPEST {
        return;
    }
    let found = resolved(document, schema);
    if !std::ptr::eq(found, schema) {
        return flatten(document, found, flat, depth + 1);
    }
    flat.push(schema);
    for word in ["allOf", "oneOf", "anyOf"] {
        for inner in schema[word].as_array().into_iter().flatten() {
            flatten(document, inner, flat, depth + 1);
        }
    }
}
