//! Boards out and in. An import is one transaction: all of it, or nothing. What a file was read as comes from `qd-board`.

use std::collections::HashMap;

use jiff::Timestamp;
use qd_board::{
    Comment, Dependency, FieldError,
    exchange::{Exported, Filed, Imported, Link, Plan, Planned, Skipped},
};
use qd_types::{FeatureId, PersonId, RepositoryName, Stage};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Store, StoreError, comments, features, rows, store::Lens};

/// How a plan is carried out.
#[derive(Debug, Clone)]
pub struct Import {
    /// Who imports: the author of everything.
    pub author: PersonId,
    /// Where the work is done, for items that name no repository.
    pub repository: Option<RepositoryName>,
    /// Release what is open to the team at once.
    pub ready: bool,
    /// Only say what would be filed.
    pub dry_run: bool,
}

impl Store {
    /// Features of a stage (or all) with their comments, by number, as they stand in one moment.
    pub async fn export(&self, stage: Option<Stage>) -> Result<Vec<Exported>, StoreError> {
        self.read(move |c| {
            let filter = "WHERE ?1 IS NULL OR stage = ?1 ORDER BY number";
            let features = rows::features(c, filter, [stage.map(Stage::as_str)])?;
            let mut said = all_comments(c)?;
            let exported = features.into_iter().map(|feature| Exported {
                comments: said.remove(&feature.id).unwrap_or_default(),
                id: feature.id,
                stage: feature.stage,
                repository: feature.repository,
                wanted: feature.wanted,
            });
            Ok(exported.collect())
        })
        .await
    }

    /// Files what is planned and not on the board yet.
    pub async fn import(&self, plan: Plan, how: Import, now: Timestamp) -> Result<Imported, StoreError> {
        let lens = self.lens();
        self.write(move |c| {
            if !how.dry_run {
                return import(c, &lens, plan, &how, now);
            }
            // Done and taken back: what is said is what would be.
            c.execute_batch("SAVEPOINT dry_run")?;
            let imported = import(c, &lens, plan, &how, now);
            c.execute_batch("ROLLBACK TO dry_run; RELEASE dry_run")?;
            imported
        })
        .await
    }
}

fn all_comments(c: &Connection) -> Result<HashMap<FeatureId, Vec<Comment>>, StoreError> {
    let mut statement = c.prepare_cached("SELECT author, at, text, feature FROM comments ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut all: HashMap<FeatureId, Vec<Comment>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let feature = rows::parse("comments", &row.get::<_, String>(3)?)?;
        all.entry(feature).or_default().push(comments::read(row)?);
    }
    Ok(all)
}

pub(crate) fn import(
    c: &Connection,
    lens: &Lens,
    plan: Plan,
    how: &Import,
    now: Timestamp,
) -> Result<Imported, StoreError> {
    let mut imported = Imported { dry_run: how.dry_run, notes: plan.notes, ..Imported::default() };
    // Before anything is filed: a new feature must not be taken for the one that is named.
    plan.items.iter().try_for_each(|item| refuse_unknown(c, item))?;
    // Where each item is on the board, and whether it is new.
    let mut ids: Vec<(FeatureId, bool)> = Vec::new();
    for item in &plan.items {
        if let Some((id, why)) = there(c, item)? {
            let (place, title) = (item.place.clone(), item.wanted.title.clone());
            imported.skipped.push(Skipped { place, id: id.clone(), title, why });
            ids.push((id, false));
            continue;
        }
        let filed = file(c, lens, item, how, now).map_err(|error| at(&item.place, error))?;
        ids.push((filed.id.clone(), true));
        imported.filed.push(filed);
    }
    for (item, (id, new)) in plan.items.into_iter().zip(&ids) {
        if *new && (item.epic.is_some() || !item.depends_on.is_empty()) {
            let place = item.place.clone();
            link(c, lens, item, id, &ids, now).map_err(|error| at(&place, error))?;
        }
    }
    Ok(imported)
}

/// A refusal that says where in the file.
fn at(place: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Field(FieldError { field: "import", problem }) => {
            FieldError { field: "import", problem: format!("{place}: {problem}") }.into()
        }
        StoreError::Field(error) => {
            FieldError { field: "import", problem: format!("{place}: {error}") }.into()
        }
        other => other,
    }
}

/// What leads to the board has to lead to something.
fn refuse_unknown(c: &Connection, item: &Planned) -> Result<(), StoreError> {
    for link in item.epic.iter().chain(item.depends_on.iter().map(|(link, _)| link)) {
        let Link::Board(id) = link else { continue };
        if !features::known(c, id)? {
            let place = &item.place;
            let problem = format!(
                "{place}: names {id}, and neither the file nor this board has it: add it, or take it out"
            );
            return Err(FieldError { field: "import", problem }.into());
        }
    }
    Ok(())
}

/// Where an item is on the board already, and since when.
fn there(c: &Connection, item: &Planned) -> Result<Option<(FeatureId, String)>, StoreError> {
    let before: Option<String> = c
        .prepare_cached("SELECT feature FROM imports WHERE reference = ?1")?
        .query_row([&item.reference], |row| row.get(0))
        .optional()?;
    if let Some(id) = before {
        let why = format!("{} was imported before", item.reference);
        return Ok(Some((rows::parse("imports", &id)?, why)));
    }
    let Some(id) = &item.here else { return Ok(None) };
    let same: bool = c
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM features WHERE id = ?1 AND title = ?2)")?
        .query_row([&id.to_string(), &item.wanted.title], |row| row.get(0))?;
    Ok(same.then(|| (id.clone(), "the file comes from this board".to_owned())))
}

fn file(
    c: &Connection,
    lens: &Lens,
    item: &Planned,
    how: &Import,
    now: Timestamp,
) -> Result<Filed, StoreError> {
    let stage = match item.stage {
        Stage::Done | Stage::Cancelled => item.stage,
        _ if how.ready => Stage::Ready,
        _ => Stage::Backlog,
    };
    let Some(repository) = item.repository.clone().or_else(|| how.repository.clone()) else {
        let problem = "names no repository, and the team has several: add (in NAME)".to_owned();
        return Err(FieldError { field: "import", problem }.into());
    };
    let filed = features::file(c, lens, &how.author, item.wanted.clone(), repository, stage, now)?;
    let id = filed.feature.id;
    c.prepare_cached("INSERT INTO imports VALUES (?1, ?2)")?
        .execute(params![item.reference, id.to_string()])?;
    for comment in &item.comments {
        let at = comment.at.strftime("%Y-%m-%d %H:%M");
        let text = format!("{} wrote on {at}:\n\n{}", comment.author, comment.text);
        comments::write(c, &how.author, &id, text, now)?;
    }
    Ok(Filed { place: item.place.clone(), id, title: item.wanted.title.clone(), stage })
}

fn link(
    c: &Connection,
    lens: &Lens,
    item: Planned,
    id: &FeatureId,
    ids: &[(FeatureId, bool)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let lead = |link: Link| match link {
        Link::Board(id) => Some(id),
        Link::Item(index) => ids.get(index).map(|(id, _)| id.clone()),
    };
    let mut wanted = item.wanted;
    wanted.epic = item.epic.and_then(lead);
    let needs = item.depends_on.into_iter();
    wanted.depends_on =
        needs.filter_map(|(link, until)| Some(Dependency { feature: lead(link)?, until })).collect();
    // Two references of the file may lead to one feature of the board.
    features::link(c, lens, id, &wanted.checked()?, now)
}
