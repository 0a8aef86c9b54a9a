//! A feature: what is wanted, and where it stands. How far a run has come is the run's to say.

use jiff::Timestamp;
use qd_types::{CommitId, FeatureId, PersonId, RepositoryName, Stage};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Source, SourceKind, Wanted, patch, wanted::MAX_TITLE};

/// A feature, as the board keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Feature {
    /// `A-142`.
    pub id: FeatureId,
    /// Where the work is done.
    pub repository: RepositoryName,
    /// What people said about it.
    #[serde(flatten)]
    pub wanted: Wanted,
    /// Paths that its newest run has touched.
    #[serde(default)]
    pub touched: Vec<String>,
    /// The column.
    pub stage: Stage,
    /// Why it stands still until a person moves it; `None` while nothing holds it.
    pub held: Option<String>,
    /// Who paused it and why; its runs go on, none starts.
    #[serde(default)]
    pub paused: Option<String>,
    /// Not before this time: a failed run is tried again then.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub not_before: Option<Timestamp>,
    /// How far up the ladder of agents it is, from 0.
    #[serde(default)]
    pub rung: u32,
    /// Who filed it.
    pub author: PersonId,
    /// Everyone who edited it: with the author, those who may not approve it.
    pub editors: Vec<PersonId>,
    /// Raised by every change; an edit names the one it was made from.
    pub version: u64,
    /// When it was filed.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
}

impl Feature {
    /// A feature that undoes its merge: a pull request that is checked and approved like any other.
    pub fn taken_back(&self, commit: &CommitId, why: Option<&str>, priority: u8) -> NewFeature {
        let title = format!("Take back {}: {}", self.id, self.wanted.title);
        let why = why.map_or_else(String::new, |why| format!("\n\n{why}"));
        let wanted = Wanted {
            title: title.chars().take(MAX_TITLE).collect(),
            description: format!("Undo merge {commit} of {}.{why}", self.id),
            priority,
            source: Some(Source { kind: SourceKind::Revert, reference: self.id.to_string() }),
            ..Wanted::default()
        };
        NewFeature { wanted, repository: Some(self.repository.clone()), ready: true }
    }

    /// Those on whose behalf it is done.
    pub fn requesters(&self) -> Vec<PersonId> {
        let mut all = vec![self.author.clone()];
        all.extend(self.editors.iter().filter(|editor| **editor != self.author).cloned());
        all
    }

    /// The branch a run works on: `qd/alpha/A-142-split-importer`.
    pub fn branch(&self, instance: &qd_types::InstanceName) -> String {
        let mut slug = String::new();
        for word in
            self.wanted.title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
        {
            if slug.len() + word.len() > 40 {
                break;
            }
            if !slug.is_empty() {
                slug.push('-');
            }
            slug.push_str(&word.to_ascii_lowercase());
        }
        let dash = if slug.is_empty() { "" } else { "-" };
        format!("qd/{instance}/{}{dash}{slug}", self.id)
    }
}

/// A branch that another can't be merged with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clash {
    /// The other feature; none for the target branch.
    pub with: Option<FeatureId>,
    /// Paths in conflict.
    pub files: Vec<String>,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Comment {
    /// Who.
    pub author: PersonId,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Markdown.
    pub text: String,
}

/// A field that can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

/// What may be given when a feature is filed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["title"], "additionalProperties" = false))]
pub struct NewFeature {
    /// What is wanted.
    #[serde(flatten)]
    pub wanted: Wanted,
    /// Where; may be left out if the team has one repository.
    #[serde(default)]
    pub repository: Option<RepositoryName>,
    /// Release it to the team at once.
    #[serde(default)]
    pub ready: bool,
}

impl NewFeature {
    /// A feature of which only the title is said.
    pub fn titled(title: impl Into<String>) -> Self {
        Self { wanted: Wanted { title: title.into(), ..Wanted::default() }, ..Self::default() }
    }

    /// Tidies and checks the fields.
    pub fn checked(mut self) -> Result<Self, FieldError> {
        self.wanted = self.wanted.checked()?;
        Ok(self)
    }

    /// Reads what a client sent. A key that is not known is refused: it would be lost silently.
    pub fn from_json(value: Value) -> Result<Self, FieldError> {
        if let Value::Object(map) = &value {
            refuse_unknown(map, &["repository", "ready"])?;
        }
        serde_json::from_value(value)
            .map_err(|error| FieldError { field: "feature", problem: error.to_string() })
    }
}

/// An edit as a merge patch (RFC 7396) of what is wanted: what is left out stays, `null` clears. `version` is the one
/// that the editor saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = as_merge_patch)]
pub struct EditFeature {
    /// The version that was seen; left out, the edit is made to whatever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The fields of what is wanted, with their new values.
    #[serde(flatten)]
    #[schemars(with = "Wanted")]
    pub fields: Map<String, Value>,
}

/// In a merge patch every field may be left out, or `null`; what is not given has no default.
fn as_merge_patch(schema: &mut Schema) {
    schema.insert("additionalProperties".to_owned(), false.into());
    let Some(Value::Object(fields)) = schema.get_mut("properties") else { return };
    for field in fields.values_mut() {
        let Some(field) = field.as_object_mut() else { continue };
        field.remove("default");
        if takes_null(field) {
            continue;
        }
        let description = field.remove("description");
        let value = Value::Object(std::mem::take(field));
        field.insert("anyOf".to_owned(), json!([value, { "type": "null" }]));
        field.extend(description.map(|text| ("description".to_owned(), text)));
    }
}

fn takes_null(schema: &Map<String, Value>) -> bool {
    let among =
        |key: &str, null: Value| matches!(schema.get(key), Some(Value::Array(all)) if all.contains(&null));
    among("type", json!("null")) || among("anyOf", json!({ "type": "null" }))
}

impl EditFeature {
    /// An edit from a version that was seen.
    pub fn of(version: Option<u64>) -> Self {
        Self { version, fields: Map::new() }
    }

    /// With a field set.
    #[must_use]
    pub fn set(mut self, field: &'static str, value: impl Serialize) -> Self {
        // A value of ours that has no JSON would be a defect of this crate; null clears the field.
        self.fields.insert(field.to_owned(), serde_json::to_value(value).unwrap_or_default());
        self
    }

    /// With a field set, if there is a value for it.
    #[must_use]
    pub fn maybe(self, field: &'static str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.set(field, value),
            None => self,
        }
    }

    /// What would be wanted after the edit, and the names of the fields that differ.
    pub fn apply(self, feature: &Feature) -> Result<(Wanted, Vec<String>), FieldError> {
        refuse_unknown(&self.fields, &[])?;
        let whole = |wanted: &Wanted| match serde_json::to_value(wanted) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let before = whole(&feature.wanted);
        let mut patched = before.clone();
        patch::merge(&mut patched, self.fields);
        let wanted: Wanted = serde_json::from_value(Value::Object(patched))
            .map_err(|error| FieldError { field: "edit", problem: error.to_string() })?;
        let wanted = wanted.checked()?;
        if wanted.depends_on.iter().any(|dependency| dependency.feature == feature.id) {
            let problem = format!("{} can't wait for itself", feature.id);
            return Err(FieldError { field: "depends_on", problem });
        }
        if wanted.epic.as_ref() == Some(&feature.id) {
            return Err(FieldError {
                field: "epic",
                problem: format!("{} can't be its own part", feature.id),
            });
        }
        let after = whole(&wanted);
        let changed = after.iter().filter(|(field, value)| before.get(*field) != Some(*value));
        let mut changed: Vec<String> = changed.map(|(field, _)| field.clone()).collect();
        changed.sort();
        Ok((wanted, changed))
    }
}

pub(crate) fn refuse_unknown(map: &Map<String, Value>, more: &[&str]) -> Result<(), FieldError> {
    let known = serde_json::to_value(Wanted::default()).unwrap_or_default();
    let unknown = map.keys().find(|key| known.get(key.as_str()).is_none() && !more.contains(&key.as_str()));
    let Some(unknown) = unknown else { return Ok(()) };
    let mut names: Vec<&str> =
        known.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
    names.sort_unstable();
    names.extend(more);
    let problem = format!("has no field {unknown:?}: there are {}", names.join(", "));
    Err(FieldError { field: "a feature", problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature() -> Feature {
        Feature {
            id: "A-2".parse().unwrap(),
            repository: "sample".parse().unwrap(),
            wanted: Wanted { title: "Split".into(), labels: vec!["old".into()], ..Wanted::default() },
            touched: vec![],
            stage: Stage::Backlog,
            held: None,
            paused: None,
            not_before: None,
            rung: 0,
            author: "theo".parse().unwrap(),
            editors: vec![],
            version: 1,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_edit_changes_what_it_names_and_null_clears() {
        let edit: EditFeature =
            serde_json::from_str(r#"{"version":1,"due":"2026-12-24","budget":{"minutes":30},"labels":null}"#)
                .unwrap();
        let (after, changed) = edit.apply(&feature()).unwrap();
        assert_eq!(changed, ["budget", "due", "labels"]);
        assert_eq!((after.title.as_str(), after.budget.minutes), ("Split", Some(30)));
        assert!(after.labels.is_empty() && after.due.is_some());
    }

    #[test]
    fn an_edit_that_changes_nothing_names_nothing() {
        let (_, changed) = EditFeature::of(None).set("title", " Split ").apply(&feature()).unwrap();
        assert!(changed.is_empty());
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let refused = |text| {
            let edit: EditFeature = serde_json::from_str(text).unwrap();
            edit.apply(&feature()).unwrap_err().to_string()
        };
        insta::assert_snapshot!(refused(r#"{"titel":"x"}"#), @r#"a feature: has no field "titel": there are agent, assignee, attachments, budget, checks, depends_on, description, due, epic, labels, milestone, model, paths, plan, priority, project, size, source, title"#);
        insta::assert_snapshot!(refused(r#"{"size":"huge"}"#), @"edit: unknown variant `huge`, expected one of `xs`, `s`, `m`, `l`, `xl`");
        insta::assert_snapshot!(refused(r#"{"depends_on":["A-2"]}"#), @"depends_on: A-2 can't wait for itself");
    }
}
