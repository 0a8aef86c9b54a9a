//! What a person may say about a feature: every field here may be given when it is filed, and edited later. Not how far
//! it is: that is the stage, and the runs' facts.

use std::{fmt, str::FromStr};

use jiff::civil::Date;
use qd_types::{FeatureId, IdError, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::FieldError;

/// Longest title, in characters: it becomes the subject line of a commit and the title of a pull request.
pub const MAX_TITLE: usize = 120;
/// Longest description, in bytes.
pub const MAX_DESCRIPTION: usize = 64 * 1024;
/// Most labels, acceptance checks or attachments of one feature.
pub const MAX_LABELS: usize = 16;
/// Most dependencies of one feature.
pub const MAX_DEPENDENCIES: usize = 64;
/// Most paths that a feature declares.
pub const MAX_PATHS: usize = 64;
/// The priority of a feature of which nobody said anything; 0 is the most urgent, 4 the least.
pub const DEFAULT_PRIORITY: u8 = 2;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Wanted {
    /// One line.
    pub title: String,
    /// Markdown; what the agent is told.
    pub description: String,
    /// Commands that have to pass besides the repository's own checks, each by `sh -c` in the check-out.
    pub checks: Vec<String>,
    /// 0 (most urgent) to 4.
    #[schemars(range(max = 4))]
    pub priority: u8,
    /// How big it is, as a person or a rule has it.
    pub size: Option<Size>,
    /// Lower case, sorted, each once.
    pub labels: Vec<String>,
    /// The milestone it belongs to, by name.
    pub milestone: Option<String>,
    /// The project it belongs to, by name.
    pub project: Option<String>,
    /// The feature that it is a part of.
    pub epic: Option<FeatureId>,
    /// Features that have to be in review, or merged, before this one starts.
    pub depends_on: Vec<Dependency>,
    /// Paths that it will touch, as far as is known: files, folders, or patterns like `src/*.rs`.
    pub paths: Vec<String>,
    /// The agent that works, by its name in the configuration; none: a rule or the team's default decides.
    pub agent: Option<String>,
    /// The model that the agent is told to use.
    pub model: Option<String>,
    /// Whether the agent plans before it works.
    pub plan: PlanMode,
    /// A person who does it: no agent starts on it then.
    pub assignee: Option<PersonId>,
    /// The day it is due.
    #[schemars(with = "Option<String>")]
    pub due: Option<Date>,
    /// Where it came from.
    pub source: Option<Source>,
    /// Files that belong to it, by what was uploaded.
    pub attachments: Vec<Attachment>,
    /// What it may cost at most.
    pub budget: Budget,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            title: String::new(),
            description: String::new(),
            checks: Vec::new(),
            priority: DEFAULT_PRIORITY,
            size: None,
            labels: Vec::new(),
            milestone: None,
            project: None,
            epic: None,
            depends_on: Vec::new(),
            paths: Vec::new(),
            agent: None,
            model: None,
            plan: PlanMode::None,
            assignee: None,
            due: None,
            source: None,
            attachments: Vec::new(),
            budget: Budget::default(),
        }
    }
}

/// How big a feature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// Minutes of a person's work.
    Xs,
    /// An hour or so.
    S,
    /// Half a day.
    M,
    /// A day or two.
    L,
    /// More: better split.
    Xl,
}

impl Size {
    /// All, smallest first.
    pub const ALL: [Self; 5] = [Self::Xs, Self::S, Self::M, Self::L, Self::Xl];

    /// `m`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Xs => "xs",
            Self::S => "s",
            Self::M => "m",
            Self::L => "l",
            Self::Xl => "xl",
        }
    }

    /// Points for progress and forecasts: each size is twice the one below.
    pub fn points(self) -> u32 {
        1 << (self as u32)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Size {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let found = Self::ALL.into_iter().find(|size| size.as_str() == text.to_ascii_lowercase());
        found.ok_or(IdError { kind: "a size", text: text.to_owned(), want: "xs, s, m, l or xl" })
    }
}

/// What satisfies a dependency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Until {
    /// It is merged.
    #[default]
    Done,
    /// Its pull request is open.
    Review,
}

impl Until {
    /// The word in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Review => "review",
        }
    }
}

/// Another feature that has to come first. As text `A-3` (merged) or `A-3@review` (its pull request is open).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Dependency {
    /// Which.
    pub feature: FeatureId,
    /// How far it has to be.
    pub until: Until,
}

impl Dependency {
    /// On a feature being merged.
    pub fn done(feature: FeatureId) -> Self {
        Self { feature, until: Until::Done }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Until::Done => write!(f, "{}", self.feature),
            Until::Review => write!(f, "{}@review", self.feature),
        }
    }
}

impl FromStr for Dependency {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (id, until) = match text.split_once('@') {
            None => (text, Until::Done),
            Some((id, "done")) => (id, Until::Done),
            Some((id, "review")) => (id, Until::Review),
            Some(_) => {
                let want = "a feature like A-3 (merged) or A-3@review (its pull request is open)";
                return Err(IdError { kind: "a dependency", text: text.to_owned(), want });
            }
        };
        Ok(Self { feature: id.parse()?, until })
    }
}

impl TryFrom<String> for Dependency {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Dependency> for String {
    fn from(dependency: Dependency) -> Self {
        dependency.to_string()
    }
}

/// Whether the agent plans before it works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlanMode {
    /// It works at once.
    #[default]
    None,
    /// It writes a plan, and then works by it.
    First,
    /// It writes a plan, and a person accepts it before any work.
    Approve,
    /// It is a goal: the agent proposes features for it and changes nothing. What a person accepts becomes its parts.
    Goal,
    /// It is a goal whose proposal is a page of the repository: merging its pull request makes its parts.
    Page,
    /// It is a question: its run only reads, and its answer is the end.
    Answer,
}

impl PlanMode {
    /// Whether a person accepts the plan before the run goes on.
    pub fn asks(self) -> bool {
        matches!(self, Self::Approve | Self::Goal)
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::First => "first",
            Self::Approve => "approve",
            Self::Goal => "goal",
            Self::Page => "page",
            Self::Answer => "answer",
        }
    }
}

impl FromStr for PlanMode {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let all = [Self::None, Self::First, Self::Approve, Self::Goal, Self::Page, Self::Answer];
        let found = all.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or(IdError {
            kind: "a plan mode",
            text: text.to_owned(),
            want: "none, first, approve, goal, page or answer",
        })
    }
}

/// Where a feature came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// By what.
    pub kind: SourceKind,
    /// Issue number, address of the message, name of the tool, of the plan or of the recurring feature.
    pub reference: String,
}

/// What a feature came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// An issue on the forge.
    Issue,
    /// A message in chat.
    Message,
    /// A call of a tool.
    Tool,
    /// A plan that a person accepted.
    Plan,
    /// A recurring feature.
    Recurring,
    /// A file that was imported.
    Import,
    /// Another feature that it takes back.
    Revert,
    /// A question that somebody asked the team.
    Question,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SourceKind::Issue => "issue",
            SourceKind::Message => "message",
            SourceKind::Tool => "tool",
            SourceKind::Plan => "plan",
            SourceKind::Recurring => "recurring",
            SourceKind::Import => "import",
            SourceKind::Revert => "revert of",
            SourceKind::Question => "question",
        };
        write!(f, "{kind} {}", self.reference)
    }
}

/// A file that belongs to a feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Its name, without a path.
    pub name: String,
    /// SHA-256 of its content, as lower-case hex: where it is kept.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What a feature may cost at most; what is not given is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// In hundredths of the currency that the configuration names.
    pub cents: Option<u64>,
    /// Tokens of models, in and out.
    pub tokens: Option<u64>,
    /// Minutes of agents' work, over all runs.
    pub minutes: Option<u32>,
}

fn bad(field: &'static str, problem: impl Into<String>) -> FieldError {
    FieldError { field, problem: problem.into() }
}

impl Wanted {
    /// Tidies and checks the fields.
    pub fn checked(mut self) -> Result<Self, FieldError> {
        self.title = title(&self.title)?;
        self.description = description(&self.description)?;
        self.checks = lines("checks", self.checks, MAX_LABELS, 1024)?;
        if self.priority > 4 {
            return Err(bad("priority", format!("is {}, it goes from 0 (most urgent) to 4", self.priority)));
        }
        self.labels = labels(self.labels)?;
        self.milestone = name("milestone", self.milestone)?;
        self.project = name("project", self.project)?;
        self.agent = name("agent", self.agent)?;
        self.model = name("model", self.model)?;
        self.depends_on = dependencies(self.depends_on)?;
        self.paths = paths(self.paths)?;
        if self.attachments.len() > MAX_LABELS {
            return Err(bad("attachments", format!("are {}, {MAX_LABELS} fit", self.attachments.len())));
        }
        Ok(self)
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

fn name(field: &'static str, text: Option<String>) -> Result<Option<String>, FieldError> {
    let Some(text) = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if text.chars().count() > 64 || text.chars().any(char::is_control) {
        return Err(bad(field, format!("{text:?} is not a name: 1 to 64 characters on one line")));
    }
    Ok(Some(text))
}

fn lines(
    field: &'static str,
    list: Vec<String>,
    most: usize,
    longest: usize,
) -> Result<Vec<String>, FieldError> {
    let tidy: Vec<String> =
        list.iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    if let Some(line) = tidy.iter().find(|line| line.len() > longest || line.contains(['\n', '\0'])) {
        return Err(bad(field, format!("{line:?} is not one line of at most {longest} characters")));
    }
    if tidy.len() > most {
        return Err(bad(field, format!("are {}, {most} fit", tidy.len())));
    }
    Ok(tidy)
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

fn dependencies(mut list: Vec<Dependency>) -> Result<Vec<Dependency>, FieldError> {
    list.sort();
    // Named twice, the stricter one counts: `Done` sorts first.
    list.dedup_by(|later, kept| later.feature == kept.feature);
    if list.len() > MAX_DEPENDENCIES {
        return Err(bad("depends_on", format!("names {} features, {MAX_DEPENDENCIES} fit", list.len())));
    }
    Ok(list)
}

fn paths(list: Vec<String>) -> Result<Vec<String>, FieldError> {
    let mut tidy = lines("paths", list, MAX_PATHS, 512)?;
    for path in &mut tidy {
        *path = path.trim_start_matches("./").to_owned();
        if path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(bad("paths", format!("{path:?} leads out of the repository: give it from its root")));
        }
    }
    tidy.sort();
    tidy.dedup();
    Ok(tidy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(title: &str) -> String {
        match (Wanted { title: title.into(), ..Wanted::default() }).checked() {
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

    #[test]
    fn a_dependency_reads_as_it_is_written() {
        for text in ["A-3", "A-3@review"] {
            assert_eq!(text.parse::<Dependency>().unwrap().to_string(), text);
        }
        insta::assert_snapshot!(
            "A-3@soon".parse::<Dependency>().unwrap_err(),
            @r#""A-3@soon" is not a dependency: a feature like A-3 (merged) or A-3@review (its pull request is open)"#
        );
    }

    #[test]
    fn a_path_that_leads_out_is_refused() {
        let wanted = Wanted { title: "x".into(), paths: vec!["../x".into()], ..Wanted::default() };
        insta::assert_snapshot!(wanted.checked().unwrap_err(), @r#"paths: "../x" leads out of the repository: give it from its root"#);
    }
}
