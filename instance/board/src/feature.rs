//! A feature: what is wanted. Not how far it is: that is the stage, and the runs' facts.

use jiff::Timestamp;
use qd_types::{FeatureId, PersonId, RepositoryName, Stage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest title, in characters: it becomes the subject line of a commit and the title of a pull request.
pub const MAX_TITLE: usize = 120;
/// Longest description, in bytes.
pub const MAX_DESCRIPTION: usize = 64 * 1024;
/// Most labels of one feature.
pub const MAX_LABELS: usize = 16;
/// Most dependencies of one feature.
pub const MAX_DEPENDENCIES: usize = 64;
/// The priority of a feature of which nobody said anything; 0 is the most urgent, 4 the least.
pub const DEFAULT_PRIORITY: u8 = 2;

/// A feature, as the board keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Feature {
    /// `A-142`.
    pub id: FeatureId,
    /// Where the work is done.
    pub repository: RepositoryName,
    /// One line.
    pub title: String,
    /// Markdown; what the agent is told.
    pub description: String,
    /// 0 (most urgent) to 4.
    pub priority: u8,
    /// Sorted, each once.
    pub labels: Vec<String>,
    /// Features that have to be merged before this one starts.
    pub depends_on: Vec<FeatureId>,
    /// The column.
    pub stage: Stage,
    /// Why it stands still until a person moves it; `None` while nothing holds it.
    pub held: Option<String>,
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
    /// Those on whose behalf it is done.
    pub fn requesters(&self) -> Vec<PersonId> {
        let mut all = vec![self.author.clone()];
        all.extend(self.editors.iter().filter(|editor| **editor != self.author).cloned());
        all
    }

    /// The branch a run works on: `qd/alpha/A-142-split-importer`.
    pub fn branch(&self, instance: &qd_types::InstanceName) -> String {
        let mut slug = String::new();
        for word in self.title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
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

/// A field that can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

fn bad(field: &'static str, problem: impl Into<String>) -> FieldError {
    FieldError { field, problem: problem.into() }
}

/// What may be given when a feature is filed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFeature {
    /// One line.
    pub title: String,
    /// Markdown.
    #[serde(default)]
    pub description: String,
    /// Where; may be left out if the team has one repository.
    #[serde(default)]
    pub repository: Option<RepositoryName>,
    /// 0 to 4.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Features that have to be merged first.
    #[serde(default)]
    pub depends_on: Vec<FeatureId>,
    /// Release it to the team at once.
    #[serde(default)]
    pub ready: bool,
}

impl NewFeature {
    /// Tidies and checks the fields.
    pub fn checked(mut self) -> Result<Self, FieldError> {
        self.title = title(&self.title)?;
        self.description = description(&self.description)?;
        self.labels = labels(self.labels)?;
        self.depends_on = dependencies(self.depends_on)?;
        self.priority.map(priority).transpose()?;
        Ok(self)
    }
}

/// An edit: what is left out stays. `version` is the one the editor saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditFeature {
    /// The version that was seen; left out, the edit is made to whatever is there.
    #[serde(default)]
    pub version: Option<u64>,
    /// One line.
    #[serde(default)]
    pub title: Option<String>,
    /// Markdown.
    #[serde(default)]
    pub description: Option<String>,
    /// 0 to 4.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Labels, all of them.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// Dependencies, all of them.
    #[serde(default)]
    pub depends_on: Option<Vec<FeatureId>>,
}

impl EditFeature {
    /// The names of the fields that it touches.
    pub fn fields(&self) -> Vec<&'static str> {
        let mut fields = Vec::new();
        for (name, touched) in [
            ("title", self.title.is_some()),
            ("description", self.description.is_some()),
            ("priority", self.priority.is_some()),
            ("labels", self.labels.is_some()),
            ("depends_on", self.depends_on.is_some()),
        ] {
            if touched {
                fields.push(name);
            }
        }
        fields
    }

    /// The feature with the edit made; unchanged fields stay. Does not raise the version.
    pub fn apply(self, mut feature: Feature) -> Result<Feature, FieldError> {
        if let Some(text) = self.title {
            feature.title = title(&text)?;
        }
        if let Some(text) = self.description {
            feature.description = description(&text)?;
        }
        if let Some(number) = self.priority {
            feature.priority = priority(number)?;
        }
        if let Some(list) = self.labels {
            feature.labels = labels(list)?;
        }
        if let Some(list) = self.depends_on {
            feature.depends_on = dependencies(list)?;
        }
        if feature.depends_on.contains(&feature.id) {
            return Err(bad("depends_on", format!("{} can't wait for itself", feature.id)));
        }
        Ok(feature)
    }
}

fn title(text: &str) -> Result<String, FieldError> {
    let tidy = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if tidy.is_empty() {
        return Err(bad("title", "is empty: say in one line what is wanted"));
    }
    if tidy.chars().any(char::is_control) {
        return Err(bad("title", "holds control characters"));
    }
    match tidy.chars().count() {
        count if count > MAX_TITLE => Err(bad(
            "title",
            format!("has {count} characters, {MAX_TITLE} fit: put the rest into the description"),
        )),
        _ => Ok(tidy),
    }
}

fn description(text: &str) -> Result<String, FieldError> {
    if text.len() > MAX_DESCRIPTION {
        return Err(bad("description", format!("has {} bytes, {MAX_DESCRIPTION} fit", text.len())));
    }
    Ok(text.trim().replace("\r\n", "\n"))
}

fn priority(number: u8) -> Result<u8, FieldError> {
    if number > 4 {
        Err(bad("priority", format!("is {number}, it goes from 0 (most urgent) to 4")))
    } else {
        Ok(number)
    }
}

fn labels(list: Vec<String>) -> Result<Vec<String>, FieldError> {
    let mut tidy: Vec<String> = list.iter().map(|label| label.trim().to_lowercase()).collect();
    tidy.sort();
    tidy.dedup();
    if let Some(label) = tidy.iter().find(|label| label.is_empty() || label.len() > 48 || label.contains(','))
    {
        return Err(bad("labels", format!("{label:?} is not a label: 1 to 48 characters without a comma")));
    }
    if tidy.len() > MAX_LABELS {
        return Err(bad("labels", format!("are {}, {MAX_LABELS} fit", tidy.len())));
    }
    Ok(tidy)
}

fn dependencies(mut list: Vec<FeatureId>) -> Result<Vec<FeatureId>, FieldError> {
    list.sort();
    list.dedup();
    if list.len() > MAX_DEPENDENCIES {
        return Err(bad("depends_on", format!("names {} features, {MAX_DEPENDENCIES} fit", list.len())));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(title: &str) -> String {
        match (NewFeature { title: title.into(), ..NewFeature::default() }).checked() {
            Ok(new) => new.title,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn titles_are_tidied_or_refused_with_the_way_out() {
        insta::assert_snapshot!(check("  Split   the\nimporter "), @"Split the importer");
        insta::assert_snapshot!(check(" "), @"title: is empty: say in one line what is wanted");
        insta::assert_snapshot!(check(&"x".repeat(121)), @"title: has 121 characters, 120 fit: put the rest into the description");
    }
}
