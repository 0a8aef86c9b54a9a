//! GitHub's own description of its API (npm package `@octokit/openapi`), for checking what is asked and what is answered. The
//! test command fetches it and says where it is in `QUARTERDECK_GITHUB_API`; where it is absent that is said, and in CI it is
//! a failure.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Mutex,
};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::routes;
use crate::openapi;

/// Where in the folder of the package it lies.
const FILE: &str = "generated/api.github.com.json";
/// Where the description contradicts GitHub's own answers: an account is there a person and an enterprise at once, and what
/// a single installation has is missing in the list.
const MISTAKEN: [(&str, &str); 3] = [
    ("/app/installations", "/account"),
    ("/app/installations", "/client_id"),
    // The documentation has this permission ("Permissions required for GitHub Apps"), the description has not.
    ("/app/installations", "/permissions/merge_queues"),
];
/// Where the schemas lie in it.
const SCHEMAS: &str = "#/components/schemas/";

pub(super) struct Description {
    /// What the fake's routes use of it.
    document: Value,
    validators: Mutex<HashMap<String, Validator>>,
}

impl std::fmt::Debug for Description {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Description")
    }
}

impl Description {
    pub(super) fn find() -> Option<Self> {
        let named = std::env::var_os("QUARTERDECK_GITHUB_API").map(|folder| PathBuf::from(folder).join(FILE));
        let file = named.filter(|file| file.is_file());
        let Some(file) = file else {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI has GitHub's description: cargo xtask test fetches it and sets QUARTERDECK_GITHUB_API"
            );
            eprintln!(
                "unchecked against GitHub's description: set QUARTERDECK_GITHUB_API to the folder of the npm package \
                 @octokit/openapi"
            );
            return None;
        };
        Some(Self { document: pruned(&file), validators: Mutex::default() })
    }

    /// What is wrong with a request.
    pub(super) fn request(
        &self,
        method: &str,
        template: &str,
        query: &BTreeMap<String, String>,
        body: Option<&Value>,
    ) -> Vec<String> {
        let item = &self.document["paths"][template];
        let operation = &item[method.to_ascii_lowercase()];
        if operation.is_null() {
            // GraphQL has no place in it.
            let known = template == "/graphql";
            return if known { vec![] } else { vec![format!("the description has no {method} {template}")] };
        }
        let mut wrong = Vec::new();
        let parameters: BTreeMap<&str, &Value> = [&item["parameters"], &operation["parameters"]]
            .into_iter()
            .flat_map(|list| list.as_array().into_iter().flatten())
            .map(|parameter| openapi::resolved(&self.document, parameter))
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| Some((parameter["name"].as_str()?, parameter)))
            .collect();
        for (name, value) in query {
            let Some(parameter) = parameters.get(name.as_str()) else {
                wrong.push(format!("unknown parameter {name}"));
                continue;
            };
            let allowed = parameter["schema"]["enum"].as_array();
            if allowed.is_some_and(|allowed| !allowed.iter().any(|it| it == value)) {
                wrong.push(format!("parameter {name} may not be {value}"));
            }
        }
        let wanted = openapi::resolved(&self.document, &operation["requestBody"]);
        let schema = &wanted["content"]["application/json"]["schema"];
        match body {
            // An empty object says nothing.
            Some(body) if schema.is_null() && *body != json!({}) => wrong.push("takes no body".to_owned()),
            Some(body) if !schema.is_null() => {
                wrong.extend(self.invalid(&format!("{method} {template}"), schema, body));
                wrong.extend(openapi::unknown(&self.document, schema, body));
            }
            None if wanted["required"] == true => wrong.push("a body is required".to_owned()),
            _ => {}
        }
        wrong
    }

    /// What is wrong with the fake's own answer.
    pub(super) fn answer(
        &self,
        method: &str,
        template: &str,
        status: u16,
        body: Option<&Value>,
    ) -> Vec<String> {
        let operation = &self.document["paths"][template][method.to_ascii_lowercase()];
        if operation.is_null() {
            return vec![];
        }
        let told = openapi::resolved(&self.document, &operation["responses"][status.to_string()]);
        if told.is_null() {
            return vec![format!("the description has no status {status}")];
        }
        let schema = &told["content"]["application/json"]["schema"];
        match body {
            Some(body) if !schema.is_null() => {
                let mut wrong = self.invalid(&format!("{method} {template} {status}"), schema, body);
                wrong.extend(openapi::unknown(&self.document, schema, body));
                let mistaken = MISTAKEN.iter().filter(|(route, _)| *route == template);
                let ends: Vec<&str> = mistaken.map(|(_, end)| *end).collect();
                wrong.retain(|text| !ends.iter().any(|end| text.ends_with(end)));
                wrong
            }
            _ => vec![],
        }
    }

    /// What is wrong with a webhook's payload.
    pub(super) fn payload(&self, event: &str, payload: &Value) -> Vec<String> {
        let named = |action: &str| format!("{event}-{action}").replace('_', "-");
        let name = payload["action"].as_str().map_or_else(|| event.replace('_', "-"), named);
        let operation = &self.document["x-webhooks"][&name]["post"];
        if operation.is_null() {
            return vec![format!("the description has no webhook {name}")];
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        self.invalid(&format!("webhook {name}"), schema, payload)
    }

    fn invalid(&self, name: &str, schema: &Value, body: &Value) -> Vec<String> {
        let mut validators = self.validators.lock().unwrap();
        let validator = validators.entry(name.to_owned()).or_insert_with(|| {
            let mut used = BTreeSet::new();
            references(&self.document, schema, &mut used);
            let schemas: Map<String, Value> = used
                .iter()
                .filter_map(|name| name.strip_prefix(SCHEMAS))
                .map(|name| (name.to_owned(), self.document["components"]["schemas"][name].clone()))
                .collect();
            let root = json!({"allOf": [schema], "components": {"schemas": schemas}});
            // What OpenAPI 3.0 takes from JSON Schema is of draft 4.
            // The addresses of GitHub's own bots (`41898282+github-actions[bot]@…`) are none by that format.
            let options = jsonschema::options()
                .with_draft(Draft::Draft4)
                .with_format("email", |address: &str| address.contains('@'));
            options.build(&root).expect("the description's schemas are valid")
        });
        validator
            .iter_errors(body)
            .map(|error| {
                let text: String = error.to_string().chars().take(300).collect();
                format!("{text} at {}", error.instance_path())
            })
            .collect()
    }
}

/// Every `$ref` below a value, and below what they name.
fn references(document: &Value, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str)
                && found.insert(name.to_owned())
                && let Some(target) = name.strip_prefix('#').and_then(|pointer| document.pointer(pointer))
            {
                references(document, target, found);
            }
            fields.values().for_each(|inner| references(document, inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(document, inner, found)),
        _ => {}
    }
}

/// The part that the fake's routes and webhooks use, as JSON Schema.
fn pruned(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).expect("GitHub's description can be read");
    let mut whole: Value = serde_json::from_str(&text).expect("GitHub's description is JSON");
    let mut paths = Map::new();
    for template in routes::all().map(|route| route.template).collect::<BTreeSet<_>>() {
        if let Some(item) = whole["paths"].as_object_mut().and_then(|paths| paths.remove(template)) {
            paths.insert(template.to_owned(), item);
        }
    }
    let hooks = whole["x-webhooks"].take();
    let used_hooks: Map<String, Value> = match hooks {
        Value::Object(hooks) => hooks.into_iter().filter(|(name, _)| is_told(name)).collect(),
        _ => Map::new(),
    };
    let (mut paths, mut hooks) = (Value::Object(paths), Value::Object(used_hooks));
    let mut used = BTreeSet::new();
    references(&whole, &paths, &mut used);
    references(&whole, &hooks, &mut used);
    let mut document = json!({"components": {"schemas": {}, "parameters": {}, "responses": {}}});
    for name in used {
        let parts: Vec<&str> = name.split('/').collect();
        let [_, _, kind, part] = parts.as_slice() else { continue };
        let mut target = whole["components"][*kind][*part].take();
        nullable(&mut target);
        document["components"][*kind][*part] = target;
    }
    nullable(&mut paths);
    nullable(&mut hooks);
    (document["paths"], document["x-webhooks"]) = (paths, hooks);
    document
}

/// The events that the fake sends.
fn is_told(name: &str) -> bool {
    const TOLD: [&str; 19] = [
        "issues",
        "issue-comment",
        "pull-request",
        "push",
        "check-suite",
        "check-run",
        "status",
        "workflow-run",
        "workflow-job",
        "milestone",
        "label",
        "repository",
        "installation",
        "deployment",
        "deployment-status",
        "release",
        "merge-group",
        "ping",
        "installation-repositories",
    ];
    TOLD.iter().any(|told| name.starts_with(told))
}

/// Examples go; what may be null says so as JSON Schema does.
/// <https://spec.openapis.org/oas/v3.0.3#schema-object>
fn nullable(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("example");
            fields.remove("examples");
            fields.values_mut().for_each(nullable);
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.remove("nullable");
                let schema = value.take();
                *value = json!({"anyOf": [schema, {"type": "null"}]});
            }
        }
        Value::Array(items) => items.iter_mut().for_each(nullable),
        _ => {}
    }
}
