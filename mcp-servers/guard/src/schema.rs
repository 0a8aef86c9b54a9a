//! JSON Schemas of tools: made from the types, closed, and compiled when they are first needed: a server starts without.
//! A field that the schema does not name is refused, whether or not the type says so.

use std::sync::OnceLock;

use jsonschema::{PatternOptions, Validator};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The argument that every tool that changes something takes besides its own.
pub const DRY_RUN: &str = "dry_run";

/// Arguments as they have to be.
pub(crate) struct Arguments {
    /// As clients see it.
    pub(crate) schema: Map<String, Value>,
    /// Whether an argument is to be repeated in a header of the HTTP request (SEP-2243: `x-mcp-header`).
    pub(crate) in_headers: bool,
    validator: OnceLock<Result<Validator, String>>,
}

/// Whether a property, or one within it, has `x-mcp-header`.
fn names_headers(schema: &Map<String, Value>) -> bool {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| {
        let each = properties.values().filter_map(Value::as_object);
        each.into_iter().any(|property| property.contains_key("x-mcp-header") || names_headers(property))
    })
}

impl Arguments {
    /// Of a type. `changes`: with `dry_run`. The error is a sentence about the type.
    pub(crate) fn of<T: JsonSchema>(changes: bool) -> Result<Self, String> {
        let settings = SchemaSettings::draft2020_12().for_deserialize();
        let schema = settings.into_generator().into_root_schema_for::<T>().to_value();
        Self::closed(schema, changes)
    }

    /// From somebody else's schema, which is compiled at once.
    pub(crate) fn new(schema: Value, changes: bool) -> Result<Self, String> {
        let arguments = Self::closed(schema, changes)?;
        arguments.compiles()?;
        Ok(arguments)
    }

    /// Whether anything can be held against it. The error is a sentence about the schema.
    pub(crate) fn compiles(&self) -> Result<(), String> {
        self.validator().as_ref().map(|_| ()).map_err(Clone::clone)
    }

    fn validator(&self) -> &Result<Validator, String> {
        self.validator.get_or_init(|| compiled(&Value::Object(self.schema.clone())))
    }

    fn closed(mut schema: Value, changes: bool) -> Result<Self, String> {
        close(&mut schema)?;
        let Value::Object(mut schema) = schema else {
            return Err("its arguments take anything: name them in a struct".to_owned());
        };
        schema.remove("title");
        if schema.get("type") != Some(&Value::from("object")) || schema.contains_key("oneOf") {
            return Err("its arguments are not a struct with named fields".to_owned());
        }
        if changes {
            let fields = schema.entry("properties").or_insert_with(|| json!({}));
            let Some(fields) = fields.as_object_mut() else {
                return Err("its properties are not an object".to_owned());
            };
            let text = "Say what would happen, and do nothing.";
            let dry_run = json!({ "type": "boolean", "default": false, "description": text });
            if fields.insert(DRY_RUN.to_owned(), dry_run).is_some() {
                return Err(format!("its own argument {DRY_RUN} is one that every tool has"));
            }
        }
        let in_headers = names_headers(&schema);
        Ok(Self { schema, in_headers, validator: OnceLock::new() })
    }

    /// The names of the arguments.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let fields = self.schema.get("properties").and_then(Value::as_object);
        fields.into_iter().flat_map(|fields| fields.keys().map(String::as_str))
    }

    /// What is said of an argument, and whether a call needs it.
    pub(crate) fn about(&self, name: &str) -> (Option<&str>, bool) {
        let field = self.schema.get("properties").and_then(|fields| fields.get(name));
        let required = self.schema.get("required").and_then(Value::as_array);
        let is_required = required.is_some_and(|names| names.iter().any(|one| one == name));
        (field.and_then(|field| field.get("description")).and_then(Value::as_str), is_required)
    }

    /// What does not fit, in words; the first three of it.
    pub(crate) fn unfit(&self, arguments: &Value) -> Option<String> {
        let validator = match self.validator() {
            Ok(validator) => validator,
            // What can't be held against its schema fits nothing.
            Err(problem) => return Some(problem.clone()),
        };
        let said: Vec<String> = validator
            .iter_errors(arguments)
            .take(3)
            .map(|error| match error.instance_path().to_string() {
                path if path.is_empty() => error.to_string(),
                path => format!("{path}: {error}"),
            })
            .collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// What a type comes to as a result. It has to be an object: older clients take nothing else.
pub(crate) fn result<T: JsonSchema>() -> Result<Map<String, Value>, String> {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    match settings.into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(mut schema) if schema.get("type") == Some(&Value::from("object")) => {
            schema.remove("title");
            Ok(schema)
        }
        _ => Err("its result is not a struct with named fields".to_owned()),
    }
}

/// Whether a result's schema is one. The error is a sentence about it.
pub(crate) fn result_compiles(schema: &Map<String, Value>) -> Result<(), String> {
    compiled(&Value::Object(schema.clone())).map(drop)
}

/// A result that was too long for an answer.
fn cut() -> Value {
    json!({
        "type": "object",
        "properties": {
            "begins": { "type": "string", "description": "How the result's JSON begins." },
            "size": { "type": "integer", "description": "Bytes of the whole." },
            "whole": { "type": "string", "description": "The resource that holds the whole." }
        },
        "required": ["begins", "size"]
    })
}

/// What a tool that reads answers with.
pub(crate) fn reading(result: Map<String, Value>) -> Map<String, Value> {
    around(result, |result| json!({ "anyOf": [result, cut()] }))
}

/// What a tool that changes something answers with: done, waiting for people, or what would happen.
pub(crate) fn outcome(result: Map<String, Value>) -> Map<String, Value> {
    around(result, |result| {
        json!({
            "properties": {
                "state": { "enum": ["done", "pending", "preview"] },
                "result": { "anyOf": [result, cut()] },
                "approval": { "type": "string", "description": "Ask again with this id." },
                "decide": { "type": "string", "description": "What a person runs to decide." },
                "plan": { "type": "array", "items": { "type": "string" } },
                "target": { "type": "string" },
                "people": { "type": "string", "description": "Who has to agree." }
            },
            "required": ["state"]
        })
    })
}

/// Another schema around one. Its definitions stay at the root, where its references find them.
fn around(mut inner: Map<String, Value>, outer: impl Fn(Value) -> Value) -> Map<String, Value> {
    let definitions = inner.remove("$defs");
    inner.remove("$schema");
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), Value::from("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("type".to_owned(), Value::from("object"));
    if let Value::Object(fields) = outer(Value::Object(inner)) {
        schema.extend(fields);
    }
    schema.extend(definitions.map(|definitions| ("$defs".to_owned(), definitions)));
    schema
}

fn compiled(schema: &Value) -> Result<Validator, String> {
    // The engine that takes linear time: a schema may be somebody else's.
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    options.build(schema).map_err(|error| format!("its schema is none: {error}"))
}

/// Closes every object of a schema: what is not named is refused.
fn close(schema: &mut Value) -> Result<(), String> {
    let Value::Object(node) = schema else { return Ok(()) };
    let combined = ["allOf", "anyOf", "oneOf", "$ref"].iter().find(|word| node.contains_key(**word));
    if let (Some(word), true) = (combined, node.contains_key("properties")) {
        return Err(format!(
            "its arguments combine fields with {word}: name them in one struct, without flatten"
        ));
    }
    let is_object = node.get("type") == Some(&Value::from("object")) || node.contains_key("properties");
    if is_object && combined.is_none() {
        node.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    for (word, inner) in node {
        match word.as_str() {
            "properties" | "$defs" | "patternProperties" => {
                for schema in inner.as_object_mut().into_iter().flat_map(|named| named.values_mut()) {
                    close(schema)?;
                }
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                for schema in inner.as_array_mut().into_iter().flatten() {
                    close(schema)?;
                }
            }
            "items" | "additionalProperties" | "not" => close(inner)?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Inner {
        port: u16,
    }

    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Outer {
        name: String,
        inner: Vec<Inner>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Own {
        dry_run: bool,
    }

    fn unfit(arguments: Value) -> String {
        Arguments::of::<Outer>(true).unwrap().unfit(&arguments).unwrap_or_default()
    }

    #[test]
    fn an_argument_in_a_header_is_found_at_any_depth() {
        let of = |schema: Value| Arguments::new(schema, false).unwrap().in_headers;
        let region = json!({ "type": "string", "x-mcp-header": "Region" });
        let within = json!({ "type": "object", "properties": { "region": region } });
        assert!(of(within.clone()));
        assert!(of(json!({ "type": "object", "properties": { "place": within } })));
        assert!(!of(json!({ "type": "object", "properties": { "region": { "type": "string" } } })));
    }

    #[test]
    fn a_field_that_is_not_named_is_refused_at_any_depth() {
        assert_eq!(unfit(json!({"name": "a", "inner": [{"port": 1}], "dry_run": true})), "");
        insta::assert_snapshot!(unfit(json!({"name": "a", "inner": [], "force": true})), @"Additional properties are not allowed ('force' was unexpected)");
        insta::assert_snapshot!(unfit(json!({"name": "a", "inner": [{"port": 1, "host": "x"}]})), @"/inner/0: Additional properties are not allowed ('host' was unexpected)");
        insta::assert_snapshot!(unfit(json!({"name": 1, "inner": [{"port": 70000}]})), @r#"/name: 1 is not of type "string"; /inner/0/port: 70000 is greater than the maximum of 65535"#);
    }

    #[test]
    fn a_tool_whose_arguments_are_open_is_refused() {
        insta::assert_snapshot!(Arguments::of::<Value>(false).err().unwrap(), @"its arguments are not a struct with named fields");
        insta::assert_snapshot!(Arguments::of::<String>(false).err().unwrap(), @"its arguments are not a struct with named fields");
        insta::assert_snapshot!(Arguments::of::<Own>(true).err().unwrap(), @"its own argument dry_run is one that every tool has");
        insta::assert_snapshot!(result::<u8>().unwrap_err(), @"its result is not a struct with named fields");
    }
}
