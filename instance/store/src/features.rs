//! Filing, editing and moving features. Each is one transaction: state, event, outbox row.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use qd_board::{EditFeature, Feature, FieldError, Happened, NewFeature, Position, Refused, transition};
use qd_types::{FeatureId, PersonId, RepositoryName, Stage};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Settings, Snapshot, Store, StoreError, events, events::Draft, report, rows, store};

impl Store {
    /// Files a feature in `repository`, in `backlog` or, if it says so, in `ready`.
    pub async fn add(
        &self,
        author: &PersonId,
        new: NewFeature,
        repository: RepositoryName,
        now: Timestamp,
    ) -> Result<Snapshot, StoreError> {
        let new = new.checked()?;
        let (author, settings) = (author.clone(), self.settings());
        self.write(move |c| add(c, &settings, &author, new, repository, now)).await
    }

    /// Makes an edit. One made from an older version is merged if nobody touched the same fields meanwhile,
    /// and refused otherwise: nothing is lost silently.
    pub async fn edit(
        &self,
        editor: &PersonId,
        id: &FeatureId,
        edit: EditFeature,
        now: Timestamp,
    ) -> Result<Snapshot, StoreError> {
        let (editor, id, settings) = (editor.clone(), id.clone(), self.settings());
        self.write(move |c| apply_edit(c, &settings, &editor, &id, edit, now)).await
    }

    /// Moves or cancels a feature for a person. `seen` is the version they saw.
    pub async fn happen(
        &self,
        actor: &PersonId,
        id: &FeatureId,
        happened: Happened,
        seen: Option<u64>,
        now: Timestamp,
    ) -> Result<Snapshot, StoreError> {
        let (actor, id, settings) = (actor.clone(), id.clone(), self.settings());
        self.write(move |c| {
            if let Some(seen) = seen {
                refuse_stale(c, &rows::feature_by_id(c, &id)?, seen, &["stage"])?;
            }
            happen(c, &settings, actor.as_str(), &id, &happened, now)?;
            store::snapshot(c, &settings, rows::feature_by_id(c, &id)?, now)
        })
        .await
    }

    /// What the scheduler may choose from: ready and not held, with what each still waits for; the most urgent
    /// first, at most `limit`.
    pub async fn candidates(&self, limit: usize) -> Result<Vec<qd_board::schedule::Candidate>, StoreError> {
        self.read(move |c| {
            rows::features(
                c,
                "WHERE stage = 'ready' AND held IS NULL ORDER BY priority, number LIMIT ?1",
                [limit as i64],
            )?
            .into_iter()
            .map(|feature| Ok(qd_board::schedule::Candidate { unmet: rows::unmet(c, &feature.id)?, feature }))
            .collect()
        })
        .await
    }
}

pub(crate) fn add(
    c: &Connection,
    settings: &Settings,
    author: &PersonId,
    new: NewFeature,
    repository: RepositoryName,
    now: Timestamp,
) -> Result<Snapshot, StoreError> {
    let number: i64 = c
        .prepare_cached("SELECT coalesce(max(number), 0) + 1 FROM features")?
        .query_row([], |row| row.get(0))?;
    let number = u32::try_from(number)
        .map_err(|_| StoreError::Corrupt { table: "features", problem: "no numbers are left".into() })?;
    let id = FeatureId::new(&settings.prefix, number)
        .map_err(|error| StoreError::Corrupt { table: "features", problem: error.to_string() })?;
    let stage = if new.ready { Stage::Ready } else { Stage::Backlog };
    let feature = Feature {
        id: id.clone(),
        repository,
        title: new.title,
        description: new.description,
        priority: new.priority.unwrap_or(qd_board::feature::DEFAULT_PRIORITY),
        labels: new.labels,
        depends_on: new.depends_on,
        stage,
        held: None,
        author: author.clone(),
        editors: Vec::new(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    c.prepare_cached(
        "INSERT INTO features (number, id, repository, title, description, priority, labels, stage, held, author,
         editors, version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, ?9, '[]', 1, ?10, ?10)",
    )?
    .execute(params![
        number,
        id.to_string(),
        feature.repository.as_str(),
        feature.title,
        feature.description,
        feature.priority,
        rows::to_json("features", &feature.labels)?,
        stage.as_str(),
        author.as_str(),
        now.as_millisecond(),
    ])?;
    write_dependencies(c, &id, &feature.depends_on)?;
    let mut event = Draft::new(author.as_str(), "feature_added", format!("Filed in {stage}."));
    event.feature = Some(id.clone());
    event.version = Some(1);
    events::write(c, &event, now)?;
    report::feature(c, settings, &id, now)?;
    store::snapshot(c, settings, feature, now)
}

fn apply_edit(
    c: &Connection,
    settings: &Settings,
    editor: &PersonId,
    id: &FeatureId,
    edit: EditFeature,
    now: Timestamp,
) -> Result<Snapshot, StoreError> {
    let before = rows::feature_by_id(c, id)?;
    let fields = edit.fields();
    if fields.is_empty() {
        return store::snapshot(c, settings, before, now);
    }
    if let Some(seen) = edit.version {
        refuse_stale(c, &before, seen, &fields)?;
    }
    if matches!(before.stage, Stage::Done | Stage::Cancelled) {
        return Err(Refused { reason: format!("It is {}: it is not edited any more.", before.stage) }.into());
    }
    let rewires = edit.depends_on.is_some();
    let mut after = edit.apply(before)?;
    if !after.editors.contains(editor) && after.author != *editor {
        after.editors.push(editor.clone());
    }
    after.version += 1;
    after.updated_at = now;
    c.prepare_cached(
        "UPDATE features SET title = ?2, description = ?3, priority = ?4, labels = ?5, editors = ?6, version = ?7,
         updated_at = ?8 WHERE id = ?1",
    )?
    .execute(params![
        id.to_string(),
        after.title,
        after.description,
        after.priority,
        rows::to_json("features", &after.labels)?,
        rows::to_json("features", &after.editors)?,
        after.version as i64,
        now.as_millisecond(),
    ])?;
    if rewires {
        c.prepare_cached("DELETE FROM dependencies WHERE feature = ?1")?.execute([id.to_string()])?;
        write_dependencies(c, id, &after.depends_on)?;
        refuse_cycle(c, id)?;
    }
    let mut event = Draft::new(editor.as_str(), "feature_edited", format!("Changed {}.", fields.join(", ")));
    event.feature = Some(id.clone());
    event.version = Some(after.version);
    event.fields = fields;
    events::write(c, &event, now)?;
    report::feature(c, settings, id, now)?;
    store::snapshot(c, settings, after, now)
}

/// Refuses if anybody changed one of `fields` after the version `seen`.
fn refuse_stale(c: &Connection, now: &Feature, seen: u64, fields: &[&str]) -> Result<(), StoreError> {
    if seen == now.version {
        return Ok(());
    }
    if seen > now.version {
        let reason = format!("Version {seen} of {} does not exist yet: it is at {}.", now.id, now.version);
        return Err(Refused { reason }.into());
    }
    let mut statement = c.prepare_cached(
        "SELECT fields, actor FROM events WHERE feature = ?1 AND version > ?2 ORDER BY seq DESC",
    )?;
    let mut rows = statement.query(params![now.id.to_string(), seen as i64])?;
    while let Some(row) = rows.next()? {
        let touched: String = row.get(0)?;
        let both: Vec<String> =
            touched.split(',').filter(|field| fields.contains(field)).map(str::to_owned).collect();
        if !both.is_empty() {
            let by = row.get(1)?;
            return Err(StoreError::Stale { id: now.id.to_string(), fields: both, by, version: now.version });
        }
    }
    Ok(())
}

fn write_dependencies(c: &Connection, id: &FeatureId, needs: &[FeatureId]) -> Result<(), StoreError> {
    for need in needs {
        let known: Option<i64> = c
            .prepare_cached("SELECT number FROM features WHERE id = ?1")?
            .query_row([need.to_string()], |row| row.get(0))
            .optional()?;
        if known.is_none() {
            let problem = format!("names {need}, and there is no such feature on this board");
            return Err(FieldError { field: "depends_on", problem }.into());
        }
        c.prepare_cached("INSERT INTO dependencies VALUES (?1, ?2)")?
            .execute([id.to_string(), need.to_string()])?;
    }
    Ok(())
}

/// Walks what `start` waits for; an error names the way round if it comes back to `start`.
fn refuse_cycle(c: &Connection, start: &FeatureId) -> Result<(), StoreError> {
    let start = start.to_string();
    let mut came_from: HashMap<String, String> = HashMap::new();
    let (mut seen, mut open) = (HashSet::new(), vec![start.clone()]);
    while let Some(at) = open.pop() {
        let mut statement = c.prepare_cached("SELECT needs FROM dependencies WHERE feature = ?1")?;
        for needs in statement.query_map([&at], |row| row.get::<_, String>(0))? {
            let needs = needs?;
            if needs == start {
                let mut path = vec![start, at];
                while let Some(previous) = path.last().and_then(|last| came_from.get(last)) {
                    path.push(previous.clone());
                }
                path.reverse();
                let problem = format!("would make a circle: {}", path.join(" waits for "));
                return Err(FieldError { field: "depends_on", problem }.into());
            }
            if seen.insert(needs.clone()) {
                came_from.insert(needs.clone(), at.clone());
                open.push(needs);
            }
        }
    }
    Ok(())
}

/// Moves a feature by the one transition function, and tells everybody whom it concerns.
pub(crate) fn happen(
    c: &Connection,
    settings: &Settings,
    actor: &str,
    id: &FeatureId,
    happened: &Happened,
    now: Timestamp,
) -> Result<(), StoreError> {
    let feature = rows::feature_by_id(c, id)?;
    let next = transition(&Position { stage: feature.stage, held: feature.held.clone() }, happened)?;
    let version = feature.version + 1;
    c.prepare_cached(
        "UPDATE features SET stage = ?2, held = ?3, version = ?4, updated_at = ?5 WHERE id = ?1",
    )?
    .execute(params![
        id.to_string(),
        next.stage.as_str(),
        next.held,
        version as i64,
        now.as_millisecond()
    ])?;
    let text = match happened {
        Happened::Moved(to) => format!("Moved from {} to {to}.", feature.stage),
        Happened::RunStarted => "A run started.".to_owned(),
        Happened::PullRequestOpened => "The pull request is open.".to_owned(),
        Happened::Merged => "Merged.".to_owned(),
        Happened::RunEnded(why) => why.clone(),
        Happened::Cancelled => "Cancelled.".to_owned(),
    };
    let mut event = Draft::new(actor, "feature_moved", text);
    event.feature = Some(id.clone());
    event.version = Some(version);
    event.fields = vec!["stage"];
    events::write(c, &event, now)?;
    report::feature(c, settings, id, now)?;
    if *happened == Happened::Merged {
        let mut dependants =
            c.prepare_cached("SELECT feature FROM dependencies WHERE needs = ?1 ORDER BY feature")?;
        for dependant in dependants.query_map([id.to_string()], |row| row.get::<_, String>(0))? {
            report::feature(c, settings, &rows::parse("dependencies", &dependant?)?, now)?;
        }
    }
    Ok(())
}
