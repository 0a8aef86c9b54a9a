//! The JSON document, as it is read. What is not known is refused by its place: it would be lost silently.

use qd_types::{FeatureId, InstanceName, RepositoryName, Stage};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Batch, Item, VERSION, refuse};
use crate::{Comment, FieldError, Wanted, feature::refuse_unknown};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Outer {
    #[serde(rename = "version")]
    _version: u32,
    #[serde(default)]
    team: Option<InstanceName>,
    features: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    id: Option<FeatureId>,
    #[serde(default)]
    stage: Option<Stage>,
    #[serde(default)]
    repository: Option<RepositoryName>,
    #[serde(flatten)]
    wanted: Wanted,
    #[serde(default)]
    comments: Vec<Comment>,
}

/// Reads a document.
pub fn read(text: &str) -> Result<Batch, FieldError> {
    let version = serde_json::from_str::<Value>(text)
        .ok()
        .and_then(|value| value.get("version").and_then(Value::as_u64));
    if let Some(version) = version.filter(|version| *version != u64::from(VERSION)) {
        return Err(refuse(format!("is version {version}, this program reads version {VERSION}")));
    }
    let outer: Outer = serde_json::from_str(text).map_err(|error| {
        refuse(format!("is no document of a board, {{\"version\": {VERSION}, \"features\": [...]}}: {error}"))
    })?;
    let items = outer.features.into_iter().enumerate().map(|(index, map)| item(index, map));
    Ok(Batch { team: outer.team, items: items.collect::<Result<_, _>>()?, notes: Vec::new() })
}

fn item(index: usize, map: Map<String, Value>) -> Result<Item, FieldError> {
    let id = map.get("id").and_then(Value::as_str).map(|id| format!(" ({id})")).unwrap_or_default();
    let place = format!("features[{index}]{id}");
    refuse_unknown(&map, &["id", "stage", "repository", "comments"])
        .map_err(|error| refuse(format!("{place}: {error}")))?;
    let inner: Inner =
        serde_json::from_value(Value::Object(map)).map_err(|error| refuse(format!("{place}: {error}")))?;
    Ok(Item {
        place,
        id: inner.id,
        parent: None,
        stage: inner.stage.unwrap_or(Stage::Backlog),
        repository: inner.repository,
        wanted: inner.wanted,
        comments: inner.comments,
    })
}
