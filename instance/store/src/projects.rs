//! Projects: what people say of them, and the facts that their standing is derived from.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use qd_board::{
    Project, Refused,
    project::{Capacity, PartFacts, Standing, standing},
};
use qd_types::{PersonId, Stage};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value};

use crate::{Store, StoreError, events, events::Draft, rows};

const T: &str = "projects";

/// A project with what is derived from its features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    /// What people said.
    pub project: Project,
    /// Raised by every change.
    pub version: u64,
    /// How it stands.
    pub standing: Standing,
}

impl Store {
    /// All projects, by name, as they stand now in the fleet's time zone.
    pub async fn projects(&self, zone: TimeZone, now: Timestamp) -> Result<Vec<ProjectRow>, StoreError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached("SELECT body, version FROM projects ORDER BY name")?;
            let mut rows = statement.query([])?;
            let mut projects = Vec::new();
            while let Some(row) = rows.next()? {
                let project: Project = rows::json(T, &row.get::<_, String>(0)?)?;
                let version = row.get::<_, i64>(1)? as u64;
                let standing = stands(c, &project, &zone, now)?;
                projects.push(ProjectRow { project, version, standing });
            }
            Ok(projects)
        })
        .await
    }

    /// Adds one. A name that is taken is refused.
    pub async fn add_project(
        &self,
        actor: &PersonId,
        new: Project,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let actor = actor.clone();
        self.write(move |c| {
            let new = new.checked()?;
            if find(c, &new.name)?.is_some() {
                return Err(Refused { reason: format!("There is a project {} already.", new.name) }.into());
            }
            c.prepare_cached("INSERT INTO projects VALUES (?1, ?2, 1, ?3, ?3)")?.execute(params![
                new.name,
                rows::to_json(T, &new)?,
                now.as_millisecond()
            ])?;
            tell(c, &actor, format!("Project {} is added.", new.name), now)
        })
        .await
    }

    /// Changes one by a merge patch; `seen` is the version that the editor saw.
    pub async fn edit_project(
        &self,
        actor: &PersonId,
        name: &str,
        patch: Map<String, Value>,
        seen: Option<u64>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.write(move |c| {
            let (before, version) = find(c, &name)?.ok_or_else(|| StoreError::no_such("project", &name))?;
            if seen.is_some_and(|seen| seen != version) {
                let reason = format!(
                    "Project {name} was changed by somebody else meanwhile: it is at version {version}. Look at it, \
                     then edit again."
                );
                return Err(Refused { reason }.into());
            }
            let fields: Vec<String> = patch.keys().cloned().collect();
            let after = before.patched(patch)?;
            c.prepare_cached("UPDATE projects SET body = ?2, version = version + 1, updated_at = ?3 WHERE name = ?1")?
                .execute(params![name, rows::to_json(T, &after)?, now.as_millisecond()])?;
            tell(c, &actor, format!("Project {name} is changed: {}.", fields.join(", ")), now)
        })
        .await
    }

    /// Removes one that no feature names.
    pub async fn remove_project(
        &self,
        actor: &PersonId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.write(move |c| {
            let named: u32 = c
                .prepare_cached("SELECT count(*) FROM features WHERE project = ?1")?
                .query_row([&name], |row| row.get(0))?;
            if named > 0 {
                let reason = format!(
                    "{named} features belong to {name}. Take them out first: quarterdeck feature edit ID --project \"\"."
                );
                return Err(Refused { reason }.into());
            }
            if c.prepare_cached("DELETE FROM projects WHERE name = ?1")?.execute([&name])? == 0 {
                return Err(StoreError::no_such("project", &name));
            }
            tell(c, &actor, format!("Project {name} is removed."), now)
        })
        .await
    }
}

fn tell(c: &Connection, actor: &PersonId, text: String, now: Timestamp) -> Result<(), StoreError> {
    events::write(c, &Draft::new(actor.as_str(), "project", text), now)
}

fn find(c: &Connection, name: &str) -> Result<Option<(Project, u64)>, StoreError> {
    let row: Option<(String, i64)> = c
        .prepare_cached("SELECT body, version FROM projects WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(body, version)| Ok((rows::json(T, &body)?, version as u64))).transpose()
}

/// How a project stands now; none if there is no such.
pub(crate) fn stands_now(
    c: &Connection,
    name: &str,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<Option<Standing>, StoreError> {
    find(c, name)?.map(|(project, _)| stands(c, &project, zone, now)).transpose()
}

fn stands(
    c: &Connection,
    project: &Project,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<Standing, StoreError> {
    // A goal is done by its parts: those count.
    let mut statement = c.prepare_cached(
        "SELECT id, stage, details ->> '$.size', details ->> '$.milestone', details ->> '$.due',
                held IS NOT NULL AND stage <> 'backlog',
                (SELECT max(ended_at) FROM runs WHERE feature = features.id AND ending ->> '$.end' = 'merged')
         FROM features WHERE project = ?1 AND coalesce(details ->> '$.plan', '') <> 'goal' ORDER BY number",
    )?;
    let mut rows = statement.query([&project.name])?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        let stage: Stage = rows::parse("features", &row.get::<_, String>(1)?)?;
        let merged: Option<i64> = row.get(6)?;
        let merged = merged.filter(|_| stage == Stage::Done).map(|at| rows::time("runs", at)).transpose()?;
        parts.push(PartFacts {
            id: rows::parse("features", &row.get::<_, String>(0)?)?,
            stage,
            size: rows::maybe("features", row.get(2)?)?,
            milestone: row.get(3)?,
            due: rows::maybe("features", row.get(4)?)?,
            held: row.get(5)?,
            merged_on: merged.map(|at| at.to_zoned(zone.clone()).date()),
        });
    }
    let spent = minutes(c, &project.name)?;
    Ok(standing(project, &parts, spent, now.to_zoned(zone.clone()).date()))
}

/// Whole minutes that agents worked on a project's features.
fn minutes(c: &Connection, project: &str) -> Result<u32, StoreError> {
    let millis: i64 = c
        .prepare_cached(
            "SELECT coalesce(sum(worked_ms), 0) FROM runs JOIN features ON features.id = runs.feature
             WHERE project = ?1",
        )?
        .query_row([project], |row| row.get(0))?;
    Ok(rows::minutes(Duration::from_millis(millis as u64)))
}

/// What the projects allow, for the scheduler.
pub(crate) fn capacities(c: &Connection) -> Result<BTreeMap<String, Capacity>, StoreError> {
    let mut statement = c.prepare_cached("SELECT body FROM projects")?;
    let bodies: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()?;
    let mut all = BTreeMap::new();
    for body in bodies {
        let Project { name, slots, teams, budget, .. } = rows::json(T, &body)?;
        let minutes_spent = if budget.minutes.is_some() { minutes(c, &name)? } else { 0 };
        all.insert(name, Capacity { slots, teams, minutes: budget.minutes, minutes_spent });
    }
    Ok(all)
}
