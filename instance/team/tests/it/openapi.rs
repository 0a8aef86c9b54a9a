//! The document that describes the API.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Api;

/// Every operation: path, method, what is said of it.
pub fn operations() -> Vec<(String, String, &'static Value)> {
    let paths = qd_team::document()["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &'static Value)| {
        let path = path.clone();
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (path.clone(), method.to_ascii_uppercase(), operation))
    };
    paths.iter().flat_map(methods).collect()
}

/// With its keys in order, whatever order a map of this build keeps.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: std::collections::BTreeMap<_, _> =
                map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            ordered.into_iter().collect()
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_committed_document_is_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/reference/openapi.json");
    let code = serde_json::to_string_pretty(&sorted(qd_team::document())).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &code).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == code,
        "docs/src/reference/openapi.json is stale: UPDATE_SCHEMA=1 cargo nextest run -p qd-team"
    );
}

#[tokio::test]
async fn the_document_is_served() {
    let answer = Api::new().await.json("GET", "/openapi.json", "").await;
    assert_eq!((answer.status, &answer.body), (200, qd_team::document()));
}

#[test]
fn every_operation_says_what_it_does_takes_and_answers() {
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations() {
        let at = format!("{method} {path}");
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(summary.ends_with('.') && summary.len() < 80, "{at}: {summary:?}");
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{at}: its name is taken");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{at}");
        let responses = operation["responses"].as_object().unwrap();
        let problem = &responses["default"]["content"]["application/problem+json"]["schema"]["$ref"];
        assert_eq!(problem, "#/components/schemas/Problem", "{at}");
        let good = responses.iter().find(|(status, _)| status.starts_with('2')).unwrap().1;
        let content = good["content"].as_object().unwrap();
        assert!(content.values().all(|body| body.get("schema").is_some()), "{at}: {content:?}");
        let described: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path" && parameter["required"] == true)
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let words: BTreeSet<&str> =
            path.split('/').filter_map(|word| word.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(described, words, "{at}: the parameters of its path");
    }
}

#[test]
fn every_field_says_what_it_is() {
    let mut bare = Vec::new();
    for (name, schema) in qd_team::document()["components"]["schemas"].as_object().unwrap() {
        for (field, value) in schema["properties"].as_object().into_iter().flatten() {
            if value["description"].as_str().is_none_or(str::is_empty) {
                bare.push(format!("{name}.{field}"));
            }
        }
    }
    assert!(bare.is_empty(), "{bare:?}");
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| walk(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(qd_team::document(), &mut found);
    let lost = found.iter().find(|reference| {
        reference.strip_prefix('#').and_then(|pointer| qd_team::document().pointer(pointer)).is_none()
    });
    assert_eq!(lost, None);
}

#[test]
fn what_is_filed_and_edited_has_its_real_shape() {
    let schema = |name: &str| &qd_team::document()["components"]["schemas"][name];
    let new = schema("NewFeature");
    assert_eq!(new["required"], serde_json::json!(["title"]));
    assert_eq!(new["additionalProperties"], false);
    let edit = schema("EditFeature");
    assert_eq!((edit.get("required"), &edit["additionalProperties"]), (None, &Value::Bool(false)));
    let fields = |schema: &Value| schema["properties"].as_object().unwrap().keys().cloned().collect();
    let (mut filed, mut edited): (BTreeSet<String>, BTreeSet<String>) = (fields(new), fields(edit));
    assert!(filed.remove("ready") && filed.remove("repository") && edited.remove("version"));
    assert_eq!(filed, edited);
    insta::assert_snapshot!(sorted(&edit["properties"]["due"]), @r#"{"description":"The day it is due.","type":["string","null"]}"#);
    insta::assert_snapshot!(sorted(&edit["properties"]["priority"]), @r#"{"anyOf":[{"format":"uint8","maximum":4,"minimum":0,"type":"integer"},{"type":"null"}],"description":"0 (most urgent) to 4."}"#);
}
