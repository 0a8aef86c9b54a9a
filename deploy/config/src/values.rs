//! What the schema says about a value: unknown keys, each with the nearest known one, and wrong values, each with what
//! is wanted. Not serde's own errors: they stop at the first problem, know no line, and speak of `u32`.

use std::{net::SocketAddr, sync::LazyLock};

use qd_types::{InstanceName, PersonId, RepositoryName};
use serde_json::Value;

use crate::{Config, Snowflake};

/// Sorted: whether serde_json keeps an order of its own depends on what else is in the binary.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default();
    schema.sort_all_objects();
    schema
});

/// The JSON Schema of the file.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// Something that is wrong, and where.
pub(crate) struct Finding {
    pub(crate) path: Vec<String>,
    pub(crate) text: String,
}

/// Everything in a layer that the schema does not allow.
pub(crate) fn wrong(layer: &toml::Value) -> Vec<Finding> {
    let mut found = Vec::new();
    Node::root().walk(layer, &mut Vec::new(), &mut found);
    found
}

/// Keys without a default that the merged layers do not have.
pub(crate) fn missing(merged: &toml::Value) -> Vec<Finding> {
    let mut found = Vec::new();
    Node::root().missing(merged, &mut Vec::new(), &mut found);
    found
}

/// What a variable or a flag gives to a key: text stays text, all else is read as a TOML value.
pub(crate) fn typed(path: &[String], text: &str) -> toml::Value {
    let kind = Node::at(path).map_or(Kind::Any, |node| node.kind());
    let literal = match kind {
        Kind::Text | Kind::Choice(_) => true,
        Kind::Secret => !text.trim_start().starts_with('{'),
        Kind::Whole | Kind::YesNo | Kind::List | Kind::Table | Kind::Any => false,
    };
    let parsed = || {
        let mut table = format!("v = {text}").parse::<toml::Table>().ok().filter(|table| table.len() == 1)?;
        table.remove("v")
    };
    let parsed = if literal { None } else { parsed() };
    parsed.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// How many parts of `path` lead to the first list on it that it goes into.
pub(crate) fn into_list(path: &[String]) -> Option<usize> {
    (1..path.len()).find(|parts| {
        let node = path.get(..*parts).and_then(Node::at);
        matches!(node.map(|node| node.kind()), Some(Kind::List))
    })
}

/// The nearest of the known words, if one is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, known)| distance * 2 <= known.len().max(word.len()))
        .min()
        .map(|(_, known)| known)
}

enum Kind<'a> {
    Secret,
    Choice(Vec<&'a str>),
    Text,
    Whole,
    YesNo,
    List,
    Table,
    Any,
}

/// A place in the schema, with references and options resolved.
#[derive(Clone, Copy)]
struct Node<'a> {
    schema: &'a Value,
    /// Name of the last reference on the way: the type.
    name: &'a str,
    /// First sentence of the description.
    about: &'a str,
}

impl<'a> Node<'a> {
    fn root() -> Node<'static> {
        Node::new(&SCHEMA)
    }

    fn at(path: &[String]) -> Option<Node<'static>> {
        path.iter().try_fold(Node::root(), |node, part| match node.kind() {
            Kind::List => part.parse::<usize>().ok().and_then(|_| node.item()),
            _ => node.child(part),
        })
    }

    fn new(place: &'a Value) -> Self {
        let about = place.get("description").and_then(Value::as_str).unwrap_or_default();
        let about = about.split_inclusive('.').next().unwrap_or_default();
        let (mut schema, mut name) = (place, "");
        loop {
            let reference = schema.get("$ref").and_then(Value::as_str);
            let target = reference.and_then(|path| SCHEMA.pointer(path.trim_start_matches('#')));
            let some = schema.get("anyOf").and_then(Value::as_array).and_then(|any| {
                let mut real = any.iter().filter(|each| !is_type(each, "null"));
                real.next().filter(|_| real.next().is_none())
            });
            if let (Some(reference), Some(target)) = (reference, target) {
                name = reference.rsplit('/').next().unwrap_or_default();
                schema = target;
            } else if let Some(some) = some {
                schema = some;
            } else {
                return Self { schema, name, about };
            }
        }
    }

    fn kind(&self) -> Kind<'a> {
        let texts = |place: &'a Value| {
            let one = place.get("const").into_iter();
            one.chain(place.get("enum").and_then(Value::as_array).into_iter().flatten())
                .filter_map(Value::as_str)
        };
        let options = self.schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
        let choices: Vec<&str> = texts(self.schema).chain(options.flat_map(texts)).collect();
        match () {
            () if self.name == "Secret" => Kind::Secret,
            () if !choices.is_empty() => Kind::Choice(choices),
            () if is_type(self.schema, "string") => Kind::Text,
            () if is_type(self.schema, "integer") => Kind::Whole,
            () if is_type(self.schema, "boolean") => Kind::YesNo,
            () if is_type(self.schema, "array") => Kind::List,
            () if is_type(self.schema, "object") => Kind::Table,
            () => Kind::Any,
        }
    }

    fn properties(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let known = self.schema.get("properties").and_then(Value::as_object);
        known.into_iter().flatten().map(|(key, place)| (key.as_str(), place))
    }

    fn child(&self, key: &str) -> Option<Node<'a>> {
        let any = || self.schema.get("additionalProperties").filter(|any| any.is_object());
        let own = self.properties().find(|(known, _)| *known == key).map(|(_, place)| place);
        own.or_else(any).map(Node::new)
    }

    fn item(&self) -> Option<Node<'a>> {
        self.schema.get("items").map(Node::new)
    }

    fn walk(&self, value: &toml::Value, path: &mut Vec<String>, found: &mut Vec<Finding>) {
        let mut say = |what: String| {
            let about = if self.about.is_empty() { String::new() } else { format!(" {}", self.about) };
            found.push(Finding { path: path.clone(), text: format!("{}: {what}.{about}", path.join(".")) });
        };
        match (self.kind(), value) {
            (Kind::Table, toml::Value::Table(table)) => {
                for (key, inner) in table {
                    path.push(key.clone());
                    match self.child(key) {
                        Some(node) => node.walk(inner, path, found),
                        None => found.push(self.unknown(key, path)),
                    }
                    path.pop();
                }
            }
            (Kind::List, toml::Value::Array(items)) => {
                for (index, inner) in items.iter().enumerate() {
                    path.push(index.to_string());
                    if let Some(node) = self.item() {
                        node.walk(inner, path, found);
                    }
                    path.pop();
                }
            }
            (Kind::Secret, toml::Value::String(_))
            | (Kind::YesNo, toml::Value::Boolean(_))
            | (Kind::Any, _) => {}
            (Kind::Secret, value) if is_reference(value) => {}
            // What stands here may be a secret that was written down wrongly: it is not repeated.
            (Kind::Secret, _) => {
                say("this is not a secret: give a text, { env = \"NAME\" } or { file = \"…\" }".into());
            }
            (Kind::Choice(choices), toml::Value::String(text)) if choices.contains(&text.as_str()) => {}
            (Kind::Choice(choices), value) => {
                let near = value.as_str().and_then(|text| nearest(text, choices.iter().copied()));
                let near = near.map_or_else(String::new, |near| format!(" Did you mean {near}?"));
                let (key, choices) = (path.join("."), choices.join(", "));
                let text = format!("{key}: {} is none of {choices}.{near}", shown(value));
                found.push(Finding { path: path.clone(), text });
            }
            (Kind::Text, toml::Value::String(text)) => {
                if let Err(what) = self.text(text) {
                    say(what);
                }
            }
            (Kind::Whole, toml::Value::Integer(number)) => {
                let least = self.schema.get("minimum").and_then(Value::as_i64).unwrap_or(0);
                if *number < least {
                    say(format!("{number} is less than {least}"));
                } else if u32::try_from(*number).is_err() {
                    say(format!("{number} is more than {}", u32::MAX));
                }
            }
            (Kind::Text, value) => say(format!("{} is not a text in quotes", shown(value))),
            (Kind::Whole, value) => say(format!("{} is not a whole number", shown(value))),
            (Kind::YesNo, value) => say(format!("{} is not true or false", shown(value))),
            (Kind::List, value) => say(format!("{} is not a list", shown(value))),
            (Kind::Table, value) => say(format!("{} is not a section", shown(value))),
        }
    }

    /// Texts with a form of their own.
    fn text(&self, text: &str) -> Result<(), String> {
        let refused = |error: qd_types::IdError| error.to_string();
        match self.name {
            "PersonId" => text.parse::<PersonId>().map(|_| ()).map_err(refused),
            "InstanceName" => text.parse::<InstanceName>().map(|_| ()).map_err(refused),
            "Snowflake" => text.parse::<Snowflake>().map(|_| ()).map_err(|error| error.to_string()),
            "RepositoryName" => text.parse::<RepositoryName>().map(|_| ()).map_err(refused),
            _ if self.schema.get("format").and_then(Value::as_str) == Some("socket-address") => {
                let wanted = || format!("{text:?} is not an address and a port, like 127.0.0.1:7717");
                text.parse::<SocketAddr>().map(|_| ()).map_err(|_| wanted())
            }
            _ => Ok(()),
        }
    }

    fn unknown(&self, key: &str, path: &[String]) -> Finding {
        let near = nearest(key, self.properties().map(|(known, _)| known)).map(str::to_owned);
        let elsewhere = || {
            Node::root().properties().find_map(|(section, place)| {
                let there = Node::new(place).properties().any(|(known, _)| known == key);
                there.then(|| format!("{section}.{key}"))
            })
        };
        let near = near.or_else(elsewhere);
        let hint = near.map_or_else(
            || " `quarterdeck config schema` lists the keys.".to_owned(),
            |near| format!(" Did you mean {near}?"),
        );
        let key = if key.is_empty() { "(empty)".to_owned() } else { path.join(".") };
        Finding { path: path.to_vec(), text: format!("unknown key {key}.{hint}") }
    }

    fn missing(&self, value: &toml::Value, path: &mut Vec<String>, found: &mut Vec<Finding>) {
        match value {
            toml::Value::Table(table) if !matches!(self.kind(), Kind::Secret) => {
                let required = self.schema.get("required").and_then(Value::as_array).into_iter().flatten();
                for key in required.filter_map(Value::as_str).filter(|key| !table.contains_key(*key)) {
                    let text = format!("{}: {key} is missing, and has no default.", path.join("."));
                    found.push(Finding { path: path.clone(), text });
                }
                for (key, inner) in table {
                    path.push(key.clone());
                    if let Some(node) = self.child(key) {
                        node.missing(inner, path, found);
                    }
                    path.pop();
                }
            }
            toml::Value::Array(items) => {
                for (index, inner) in items.iter().enumerate() {
                    path.push(index.to_string());
                    if let Some(node) = self.item() {
                        node.missing(inner, path, found);
                    }
                    path.pop();
                }
            }
            _ => {}
        }
    }
}

fn is_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|each| each == name),
        _ => false,
    }
}

/// `{ env = "NAME" }` or `{ file = "…" }`.
fn is_reference(value: &toml::Value) -> bool {
    value.as_table().is_some_and(|table| {
        table.len() == 1
            && table.iter().all(|(key, value)| matches!(key.as_str(), "env" | "file") && value.is_str())
    })
}

fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) if text.chars().count() > 60 => "the text".to_owned(),
        toml::Value::String(text) => format!("{text:?}"),
        toml::Value::Array(_) => "a list".to_owned(),
        toml::Value::Table(_) => "a section".to_owned(),
        other => other.to_string(),
    }
}
