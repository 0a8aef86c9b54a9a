//! Discord's own description of its API, for checking what is sent. It lies beside this repository or where
//! `QUARTERDECK_DISCORD` says; where it is absent that is said, and in CI it is a failure.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::openapi;

pub(super) struct Description {
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
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/discord");
        let folder = std::env::var_os("QUARTERDECK_DISCORD").map_or(beside, PathBuf::from);
        let file = folder.join("openapi.json");
        let Ok(text) = std::fs::read_to_string(&file) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI has Discord's description: set QUARTERDECK_DISCORD"
            );
            eprintln!("unchecked: no {}; set QUARTERDECK_DISCORD to the folder with it", file.display());
            return None;
        };
        Some(Self::read(&text))
    }

    /// The one that `QUARTERDECK_DISCORD` names, if it does.
    pub(super) fn named() -> Option<Self> {
        let folder = std::env::var_os("QUARTERDECK_DISCORD").map(PathBuf::from)?;
        std::fs::read_to_string(folder.join("openapi.json")).ok().map(|text| Self::read(&text))
    }

    fn read(text: &str) -> Self {
        let document = serde_json::from_str(text).expect("Discord's description is JSON");
        Self { document, validators: Mutex::default() }
    }

    /// What is wrong with a request, in the order in which it is found. `path` without the version.
    pub(super) fn check(
        &self,
        method: &str,
        path: &str,
        query: &[(String, String)],
        body: Option<&Value>,
    ) -> Vec<String> {
        let Some((template, item)) = self.path(path) else {
            return vec!["the description has no such path".to_owned()];
        };
        let operation = &item[method.to_ascii_lowercase()];
        if operation.is_null() {
            return vec![format!("the description has no {method} for {template}")];
        }
        let mut wrong = Vec::new();
        let parameters: Vec<&str> = [&item["parameters"], &operation["parameters"]]
            .into_iter()
            .flat_map(|list| list.as_array().into_iter().flatten())
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        for (name, _) in query.iter().filter(|(name, _)| !parameters.contains(&name.as_str())) {
            wrong.push(format!("unknown parameter {name}"));
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        match body {
            Some(_) if schema.is_null() => wrong.push("takes no body".to_owned()),
            Some(body) => {
                wrong.extend(self.invalid(&format!("{method} {template}"), schema, body));
                wrong.extend(openapi::unknown(&self.document, schema, body));
            }
            None => {}
        }
        wrong
    }

    /// The most literal path that fits.
    fn path(&self, path: &str) -> Option<(&str, &Value)> {
        let asked: Vec<&str> = path.split('/').collect();
        self.document["paths"]
            .as_object()?
            .iter()
            .filter(|(template, _)| {
                let parts: Vec<&str> = template.split('/').collect();
                parts.len() == asked.len()
                    && parts.iter().zip(&asked).all(|(part, asked)| part.starts_with('{') || part == asked)
            })
            .min_by_key(|(template, _)| template.matches('{').count())
            .map(|(template, item)| (template.as_str(), item))
    }

    fn invalid(&self, name: &str, schema: &Value, body: &Value) -> Vec<String> {
        let mut validators = self.validators.lock().unwrap();
        let validator = validators.entry(name.to_owned()).or_insert_with(|| {
            let root = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema],
                "components": self.document["components"]});
            jsonschema::validator_for(&root).expect("the description's schemas are valid")
        });
        validator.iter_errors(body).map(|error| format!("{} at {}", error, error.instance_path())).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::limits, Description};

    #[test]
    fn the_description_finds_unknown_fields_and_paths() {
        let Some(known) = Description::find() else { return };
        let path = "/channels/1/messages";
        let check = |body| known.check("POST", path, &[], Some(&body));
        assert!(check(json!({"content": "a", "embeds": [{"footer": {"text": "b"}}]})).is_empty());
        assert_eq!(check(json!({"contents": "a"})), ["unknown field /contents"]);
        assert_eq!(
            check(json!({"embeds": [{"footer": {"txt": "b"}}]})).last().unwrap(),
            "unknown field /embeds/0/footer/txt"
        );
        assert!(!check(json!({"content": 7})).is_empty());
        assert_eq!(known.check("GET", "/channel/1", &[], None), ["the description has no such path"]);
        let query = [("limits".to_owned(), "1".to_owned())];
        assert_eq!(known.check("GET", path, &query, None), ["unknown parameter limits"]);
    }

    #[test]
    fn limits_that_the_description_does_not_know_are_kept() {
        let wrong = |body| limits::message(&body, false).join("; ");
        let quiet = json!({"parse": []});
        assert_eq!(wrong(json!({"content": "a", "allowed_mentions": quiet})), "");
        assert_eq!(
            wrong(json!({"content": "ä".repeat(2001), "allowed_mentions": quiet})),
            "content: 2001, at most 2000"
        );
        assert_eq!(wrong(json!({"content": "a"})), "content without allowed_mentions");
        assert_eq!(wrong(json!({})), "an empty message");
        let button = json!({"type": 2, "style": 1, "label": "a", "custom_id": "b".repeat(101)});
        let rows = vec![json!({"type": 1, "components": [button]}); 6];
        let found = wrong(json!({"components": rows}));
        assert!(
            found.contains("action rows: 6, at most 5") && found.contains("custom_id: 101, at most 100"),
            "{found}"
        );
        let fields = vec![json!({"name": "a", "value": "b"}); 26];
        assert_eq!(wrong(json!({"embeds": [{"fields": fields}]})), "embed fields: 26, at most 25");
        let commands = json!([{"name": "Ask me", "description": ""}]);
        assert_eq!(limits::commands(&commands).len(), 2);
    }
}
