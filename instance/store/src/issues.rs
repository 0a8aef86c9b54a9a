//! What happens to issues of the forge, on the board: one that is given to the team becomes a feature, once, and the feature
//! follows what people with the right do to its issue. What others do is shown, and changes nothing.

use jiff::Timestamp;
use qd_board::{Dependency, EditFeature, Feature, Happened};
use qd_types::{FeatureId, Person, RepositoryName, Stage};
use qd_wire::v1::{IssueEvent, IssueHappened, NewWork};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value, json};

use crate::{
    StoreError, events,
    events::Draft,
    features::{self, Then},
    feedback,
    orders::{file, refuse},
    rows, runs,
    store::Lens,
};

/// Items of a task list that become features at once.
const TASKS: usize = 20;
/// Longest title, in characters, as `qd_board::wanted` takes it.
const TITLE: usize = qd_board::wanted::MAX_TITLE;
/// Characters of a proposed text that are shown.
const SHOWN: usize = 600;

/// Something happened to an issue.
pub(crate) fn changed(
    c: &Connection,
    lens: &Lens,
    issue: &IssueEvent,
    repository: Option<RepositoryName>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let reference = format!("{}#{}", issue.repository, issue.number);
    let known = imported(c, &format!("issue:{reference}"))?;
    let feature = match (known, issue.happened, &issue.person) {
        (Some(feature), ..) => rows::feature_by_id(c, &feature)?,
        (None, IssueHappened::Assigned, Some(person)) => {
            let work = NewWork {
                description: issue.body.clone(),
                labels: issue.labels.clone(),
                priority: issue.priority,
                issue: Some(reference.clone()),
                ..NewWork::default()
            };
            let id = file(c, lens, &person.id, (&title(issue), false, &work), repository, now)?;
            import(c, &format!("issue:{reference}"), &id)?;
            if let Some(milestone) = &issue.milestone {
                let fields = Map::from_iter([("milestone".to_owned(), json!(milestone))]);
                edit(c, lens, person, &id, fields, now)?;
            }
            return Ok(());
        }
        (None, IssueHappened::Assigned, None) => {
            return Err(refuse(format!(
                "{} may file nothing here: that takes an account which is linked to a person with the right.",
                issue.author
            )));
        }
        // Nothing came of it here.
        (None, ..) => return Ok(()),
    };
    let word = match issue.happened {
        IssueHappened::Assigned => "was given to the team again",
        IssueHappened::Edited => "was edited",
        IssueHappened::Closed => "was closed",
        IssueHappened::Reopened => "was opened again",
        IssueHappened::Planned => "was planned otherwise",
        IssueHappened::Split => "was split",
    };
    let mut said = format!("Issue {reference} {word} by {}.", issue.author);
    match &issue.person {
        Some(person) => followed(c, lens, &feature, issue, person, now)?,
        None if issue.happened == IssueHappened::Edited => said.push_str(&proposal(&feature, issue)),
        None if issue.happened == IssueHappened::Split => {
            return Err(refuse(format!("{} may file nothing here, so nothing was split.", issue.author)));
        }
        None => said.push_str(" They may not have the feature follow that, so it stays as it is."),
    }
    let mut event = Draft::new("bot", "issue", said);
    event.feature = Some(feature.id);
    events::write(c, &event, now)
}

/// The feature follows its issue, for a person with the right.
fn followed(
    c: &Connection,
    lens: &Lens,
    feature: &Feature,
    issue: &IssueEvent,
    person: &Person,
    now: Timestamp,
) -> Result<(), StoreError> {
    let is_over = matches!(feature.stage, Stage::Done | Stage::Cancelled);
    let happen = |happened: Happened| {
        let then = Then { reason: Some("Its issue did so.".to_owned()), ..Then::default() };
        features::happen(c, lens, person.id.as_str(), &feature.id, &happened, then, now)
    };
    match issue.happened {
        IssueHappened::Assigned | IssueHappened::Edited | IssueHappened::Planned if is_over => Ok(()),
        IssueHappened::Assigned | IssueHappened::Edited => {
            let (title, description) = (title(issue), issue.body.as_str());
            let fields = [("title", json!(title)), ("description", json!(description))];
            let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            edit(c, lens, person, &feature.id, fields, now)
        }
        IssueHappened::Planned => {
            let mut fields = Map::from_iter([("milestone".to_owned(), json!(issue.milestone))]);
            fields.extend(issue.priority.map(|priority| ("priority".to_owned(), json!(priority))));
            edit(c, lens, person, &feature.id, fields, now)
        }
        IssueHappened::Closed => match feature.stage {
            Stage::Backlog | Stage::Ready => happen(Happened::Cancelled),
            // Its work is kept, and the feature is held until a person moves it.
            Stage::Running | Stage::Review => match feedback::active(c, &feature.id)? {
                Some(run) => runs::ask_stop(c, lens, &run, person.id.as_str(), now),
                None => Ok(()),
            },
            Stage::Done | Stage::Cancelled => Ok(()),
        },
        IssueHappened::Reopened if feature.stage == Stage::Cancelled => {
            happen(Happened::Moved(Stage::Backlog))
        }
        IssueHappened::Reopened => Ok(()),
        IssueHappened::Split => split(c, lens, feature, issue, person, now),
    }
}

/// Each open item of the task list is a part of the feature, and waits for the one before it. Said again, what is a feature
/// already stays one.
fn split(
    c: &Connection,
    lens: &Lens,
    feature: &Feature,
    issue: &IssueEvent,
    person: &Person,
    now: Timestamp,
) -> Result<(), StoreError> {
    let tasks = tasks(issue.body.as_str());
    if tasks.is_empty() {
        return Err(refuse(
            "The issue has no open items in a task list: a line like \"- [ ] what is wanted\".",
        ));
    }
    match feature.stage {
        Stage::Backlog => {}
        Stage::Ready => {
            let then = Then { reason: Some("It is split.".to_owned()), ..Then::default() };
            let moved = Happened::Moved(Stage::Backlog);
            features::happen(c, lens, person.id.as_str(), &feature.id, &moved, then, now)?;
        }
        stage => {
            return Err(refuse(format!(
                "{} is in {stage}: only what no run has begun is split.",
                feature.id
            )));
        }
    }
    let mut before: Option<FeatureId> = None;
    for task in tasks {
        let key = format!("task:{}#{}:{task}", issue.repository, issue.number);
        let id = match imported(c, &key)? {
            Some(id) => id,
            None => {
                let issue = Some(format!("{}#{}", issue.repository, issue.number));
                let work = NewWork { labels: feature.wanted.labels.clone(), ..NewWork::default() };
                let repository = Some(feature.repository.clone());
                let id = file(c, lens, &person.id, (&task, false, &work), repository, now)?;
                import(c, &key, &id)?;
                let waits: Vec<Dependency> = before.clone().map(Dependency::done).into_iter().collect();
                let description = issue.map(|issue| format!("A part of issue {issue}."));
                let fields = [
                    ("epic", json!(feature.id)),
                    ("depends_on", json!(waits)),
                    ("description", json!(description)),
                ];
                let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                edit(c, lens, person, &id, fields, now)?;
                id
            }
        };
        before = Some(id);
    }
    Ok(())
}

fn edit(
    c: &Connection,
    lens: &Lens,
    person: &Person,
    feature: &FeatureId,
    fields: Map<String, Value>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let edit = EditFeature { version: None, fields };
    let reason = Some("Its issue says so.".to_owned());
    features::apply_edit(c, lens, &person.id, feature, edit, reason, now).map(drop)
}

/// What somebody without the right wants the feature to be.
fn proposal(feature: &Feature, issue: &IssueEvent) -> String {
    let mut said = " They may not edit the feature, so this is a proposal.".to_owned();
    let title = title(issue);
    if feature.wanted.title != title {
        said.push_str(&format!(" Proposed title: {title:?}."));
    }
    if feature.wanted.description != issue.body.as_str() {
        let shown: String = issue.body.as_str().chars().take(SHOWN).collect();
        said.push_str(&format!(" Proposed text: {shown:?}."));
    }
    said.push_str(" Whoever has the right takes it by giving the issue to the team again.");
    said
}

/// An issue's title as a feature has it: the board's limit holds, and nothing is no title.
fn title(issue: &IssueEvent) -> String {
    let text = issue.title.as_str();
    match text.char_indices().nth(TITLE.saturating_sub(1)) {
        _ if text.is_empty() => format!("Issue {}", issue.number),
        Some((at, _)) if text.chars().count() > TITLE => format!("{}…", text.get(..at).unwrap_or_default()),
        _ => text.to_owned(),
    }
}

/// The open items of a task list, each once. What stands in a block of code is none.
fn tasks(body: &str) -> Vec<String> {
    let (mut found, mut fence) = (Vec::<String>::new(), None::<&str>);
    for line in body.lines() {
        let line = line.trim();
        let mark = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            _ => {}
        }
        if fence.is_some() {
            continue;
        }
        let item = ["- [ ]", "* [ ]", "+ [ ]"].into_iter().find_map(|mark| line.strip_prefix(mark));
        let Some(item) = item.map(str::trim).filter(|item| !item.is_empty()) else { continue };
        let item: String = item.chars().take(TITLE).collect();
        if !found.contains(&item) && found.len() < TASKS {
            found.push(item);
        }
    }
    found
}

fn imported(c: &Connection, key: &str) -> Result<Option<FeatureId>, StoreError> {
    let known: Option<String> = c
        .prepare_cached("SELECT feature FROM imports WHERE reference = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    rows::maybe::<FeatureId>("imports", known)
}

fn import(c: &Connection, key: &str, id: &FeatureId) -> Result<(), StoreError> {
    c.prepare_cached("INSERT INTO imports VALUES (?1, ?2)")?.execute(params![key, id.to_string()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::tasks;

    #[test]
    fn open_items_of_a_task_list_are_tasks_and_code_is_none() {
        let body =
            "Do it:\n- [ ] One\n- [x] done\n  * [ ] Two\n```\n- [ ] in code\n```\n- [ ] One\n- [ ]  \n";
        assert_eq!(tasks(body), ["One", "Two"]);
    }
}
