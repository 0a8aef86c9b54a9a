//! Filing, editing and moving features. Each is one transaction: state, event, outbox row.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use qd_board::{
    EditFeature, Feature, FieldError, Happened, NewFeature, Observed, Position, Refused, Wanted, transition,
};
use qd_types::{FeatureId, PersonId, RepositoryName, Stage};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    Snapshot, Store, StoreError, events,
    events::Draft,
    facts, goals, operations, questions, report, rows,
    store::{self, Lens},
    trail,
};

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
        let (author, lens) = (author.clone(), self.lens());
        self.write(move |c| add(c, &lens, &author, new, repository, now)).await
    }

    /// Makes an edit. One made from an older version is merged if nobody touched the same fields meanwhile,
    /// and refused otherwise: nothing is lost silently.
    pub async fn edit(
        &self,
        editor: &PersonId,
        id: &FeatureId,
        edit: EditFeature,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Snapshot, StoreError> {
        let (editor, id, lens) = (editor.clone(), id.clone(), self.lens());
        self.write(move |c| apply_edit(c, &lens, &editor, &id, edit, reason, now)).await
    }

    /// Moves or cancels a feature for a person. `seen` is the version they saw.
    pub async fn happen(
        &self,
        actor: &PersonId,
        id: &FeatureId,
        happened: Happened,
        seen: Option<u64>,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Snapshot, StoreError> {
        let (actor, id, lens) = (actor.clone(), id.clone(), self.lens());
        self.write(move |c| {
            if let Some(seen) = seen {
                refuse_stale(c, &rows::feature_by_id(c, &id)?, seen, &["stage".to_owned()])?;
            }
            let then = Then { reason, ..Then::default() };
            happen(c, &lens, actor.as_str(), &id, &happened, then, now)?;
            store::snapshot(c, &lens, rows::feature_by_id(c, &id)?, now)
        })
        .await
    }

    /// Pauses a feature and, if it is an epic, everything below it; without a reason it goes on. Runs under way
    /// go on, none starts.
    pub async fn pause(
        &self,
        actor: &PersonId,
        id: &FeatureId,
        paused: Option<String>,
        now: Timestamp,
    ) -> Result<Snapshot, StoreError> {
        let (actor, id, lens) = (actor.clone(), id.clone(), self.lens());
        self.write(move |c| {
            pause(c, &lens, actor.as_str(), &id, paused, now)?;
            store::snapshot(c, &lens, rows::feature_by_id(c, &id)?, now)
        })
        .await
    }

    /// The features that are parts of an epic, by number.
    pub async fn parts(&self, epic: &FeatureId, now: Timestamp) -> Result<Vec<Snapshot>, StoreError> {
        let (epic, lens) = (epic.to_string(), self.lens());
        self.read(move |c| {
            rows::features(c, "WHERE epic = ?1 ORDER BY number", [epic])?
                .into_iter()
                .map(|feature| store::snapshot(c, &lens, feature, now))
                .collect()
        })
        .await
    }
}

/// See [`Store::pause`].
pub(crate) fn pause(
    c: &Connection,
    lens: &Lens,
    actor: &str,
    id: &FeatureId,
    paused: Option<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    if paused.is_none() && rows::feature_by_id(c, id)?.paused.is_none() {
        return Err(Refused { reason: format!("{id} is not paused.") }.into());
    }
    set_paused(c, lens, actor, id, paused, now)?;
    let mut parts = c.prepare_cached("SELECT id FROM features WHERE epic = ?1 AND stage = 'ready'")?;
    for part in parts.query_map([id.to_string()], |row| row.get::<_, String>(0))? {
        report::feature(c, lens, &rows::parse("features", &part?)?, now)?;
    }
    Ok(())
}

/// Pauses a feature with a reason, or lets it go on.
pub(crate) fn set_paused(
    c: &Connection,
    lens: &Lens,
    actor: &str,
    id: &FeatureId,
    paused: Option<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = paused.as_ref().map_or_else(|| "Goes on.".to_owned(), |why| format!("Paused: {why}"));
    let version = rows::feature_by_id(c, id)?.version + 1;
    c.prepare_cached("UPDATE features SET paused = ?2, version = ?3, updated_at = ?4 WHERE id = ?1")?
        .execute(params![id.to_string(), paused, version as i64, now.as_millisecond()])?;
    let mut event = Draft::new(actor, "feature_paused", text);
    event.feature = Some(id.clone());
    event.version = Some(version);
    event.fields = vec!["paused".to_owned()];
    events::write(c, &event, now)?;
    report::feature(c, lens, id, now)
}

pub(crate) fn add(
    c: &Connection,
    lens: &Lens,
    author: &PersonId,
    new: NewFeature,
    repository: RepositoryName,
    now: Timestamp,
) -> Result<Snapshot, StoreError> {
    let stage = if new.ready { Stage::Ready } else { Stage::Backlog };
    file(c, lens, author, new.wanted, repository, stage, now)
}

/// Files a feature where an import or a person says that it stands.
pub(crate) fn file(
    c: &Connection,
    lens: &Lens,
    author: &PersonId,
    wanted: Wanted,
    repository: RepositoryName,
    stage: Stage,
    now: Timestamp,
) -> Result<Snapshot, StoreError> {
    let number: i64 = c
        .prepare_cached("SELECT coalesce(max(number), 0) + 1 FROM features")?
        .query_row([], |row| row.get(0))?;
    let number = u32::try_from(number)
        .map_err(|_| StoreError::Corrupt { table: "features", problem: "no numbers are left".into() })?;
    let id = FeatureId::new(&lens.settings.prefix, number)
        .map_err(|error| StoreError::Corrupt { table: "features", problem: error.to_string() })?;
    let feature = Feature {
        id: id.clone(),
        repository,
        wanted,
        touched: Vec::new(),
        stage,
        held: None,
        paused: None,
        not_before: None,
        rung: 0,
        author: author.clone(),
        editors: Vec::new(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    c.prepare_cached(
        "INSERT INTO features (number, id, repository, title, description, priority, labels, stage, held, author,
         editors, version, created_at, updated_at, details)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, ?9, '[]', 1, ?10, ?10, ?11)",
    )?
    .execute(params![
        number,
        id.to_string(),
        feature.repository.as_str(),
        feature.wanted.title,
        feature.wanted.description,
        feature.wanted.priority,
        rows::to_json("features", &feature.wanted.labels)?,
        stage.as_str(),
        author.as_str(),
        now.as_millisecond(),
        rows::details(&feature.wanted)?,
    ])?;
    write_dependencies(c, &id, &feature.wanted)?;
    refuse_unknown(c, &id, &feature.wanted)?;
    trail::filed(c, lens, &feature, now)?;
    let mut event = Draft::new(author.as_str(), "feature_added", format!("Filed in {stage}."));
    event.feature = Some(id.clone());
    event.version = Some(1);
    events::write(c, &event, now)?;
    report::feature(c, lens, &id, now)?;
    facts::milestone(c, lens, &feature.wanted, now)?;
    store::snapshot(c, lens, feature, now)
}

/// Writes what a feature that was just filed is a part of and waits for. What it leads to has to be there by now.
pub(crate) fn link(
    c: &Connection,
    lens: &Lens,
    id: &FeatureId,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<(), StoreError> {
    c.prepare_cached("UPDATE features SET details = ?2 WHERE id = ?1")?
        .execute(params![id.to_string(), rows::details(wanted)?])?;
    write_dependencies(c, id, wanted)?;
    refuse_unknown(c, id, wanted)?;
    report::feature(c, lens, id, now)
}

/// See [`Store::edit`].
pub(crate) fn apply_edit(
    c: &Connection,
    lens: &Lens,
    editor: &PersonId,
    id: &FeatureId,
    edit: EditFeature,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Snapshot, StoreError> {
    let before = rows::feature_by_id(c, id)?;
    if let Some(seen) = edit.version {
        let named: Vec<String> = edit.fields.keys().cloned().collect();
        refuse_stale(c, &before, seen, &named)?;
    }
    let (wanted, fields) = edit.apply(&before)?;
    if fields.is_empty() {
        return store::snapshot(c, lens, before, now);
    }
    if matches!(before.stage, Stage::Done | Stage::Cancelled) {
        return Err(Refused { reason: format!("It is {}: it is not edited any more.", before.stage) }.into());
    }
    let mut after = Feature { wanted, ..before.clone() };
    if !after.editors.contains(editor) && after.author != *editor {
        after.editors.push(editor.clone());
    }
    after.version += 1;
    after.updated_at = now;
    let wanted = &after.wanted;
    c.prepare_cached(
        "UPDATE features SET title = ?2, description = ?3, priority = ?4, labels = ?5, editors = ?6, version = ?7,
         updated_at = ?8, details = ?9 WHERE id = ?1",
    )?
    .execute(params![
        id.to_string(),
        wanted.title,
        wanted.description,
        wanted.priority,
        rows::to_json("features", &wanted.labels)?,
        rows::to_json("features", &after.editors)?,
        after.version as i64,
        now.as_millisecond(),
        rows::details(wanted)?,
    ])?;
    let touches = |field: &str| fields.iter().any(|changed| changed == field);
    if touches("depends_on") {
        c.prepare_cached("DELETE FROM dependencies WHERE feature = ?1")?.execute([id.to_string()])?;
        write_dependencies(c, id, wanted)?;
        refuse_cycle(c, id)?;
    }
    if touches("epic") || touches("project") {
        refuse_unknown(c, id, wanted)?;
        refuse_epic_cycle(c, id)?;
    }
    let mut event = Draft::new(editor.as_str(), "feature_edited", changed(&before.wanted, wanted, &fields));
    event.feature = Some(id.clone());
    event.version = Some(after.version);
    event.changes = Some(changes(&before.wanted, wanted, &fields));
    event.fields = fields;
    event.reason = reason;
    events::write(c, &event, now)?;
    report::feature(c, lens, id, now)?;
    facts::milestone(c, lens, &before.wanted, now)?;
    facts::milestone(c, lens, &after.wanted, now)?;
    store::snapshot(c, lens, after, now)
}

/// Somebody had a hand in what is wanted: they do not decide on it.
pub(crate) fn edited_by(c: &Connection, id: &FeatureId, person: &PersonId) -> Result<(), StoreError> {
    let feature = rows::feature_by_id(c, id)?;
    if feature.author == *person || feature.editors.contains(person) {
        return Ok(());
    }
    let editors: Vec<PersonId> = feature.editors.into_iter().chain([person.clone()]).collect();
    c.prepare_cached("UPDATE features SET editors = ?2 WHERE id = ?1")?
        .execute(params![id.to_string(), rows::to_json("features", &editors)?])?;
    Ok(())
}

/// Gives a feature other limits, as people approved it.
pub(crate) fn allow(
    c: &Connection,
    lens: &Lens,
    before: &Feature,
    budget: qd_board::Budget,
    reason: String,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut wanted = before.wanted.clone();
    wanted.budget = budget;
    let version = before.version + 1;
    c.prepare_cached("UPDATE features SET details = ?2, version = ?3, updated_at = ?4 WHERE id = ?1")?
        .execute(params![
            before.id.to_string(),
            rows::details(&wanted)?,
            version as i64,
            now.as_millisecond()
        ])?;
    let fields = vec!["budget".to_owned()];
    let mut event = Draft::new("team", "feature_edited", changed(&before.wanted, &wanted, &fields));
    event.feature = Some(before.id.clone());
    event.version = Some(version);
    event.changes = Some(changes(&before.wanted, &wanted, &fields));
    event.fields = fields;
    event.reason = Some(reason);
    events::write(c, &event, now)?;
    report::feature(c, lens, &before.id, now)
}

/// Each changed field with its value before and after.
fn changes(before: &Wanted, after: &Wanted, fields: &[String]) -> serde_json::Value {
    let whole = |wanted: &Wanted| serde_json::to_value(wanted).unwrap_or_default();
    let (before, after) = (whole(before), whole(after));
    let pair = |field: &String| (field.clone(), serde_json::json!([before.get(field), after.get(field)]));
    serde_json::Value::Object(fields.iter().map(pair).collect())
}

/// "Changed priority from 2 to 0, title." Short values are said, long ones are in the entry's changes.
fn changed(before: &Wanted, after: &Wanted, fields: &[String]) -> String {
    let changes = changes(before, after, fields);
    let said = |field: &String| -> String {
        let at =
            |index: usize| changes.get(field).and_then(|pair| pair.get(index)).map(short).unwrap_or_default();
        let (from, to) = (at(0), at(1));
        match (from.as_str(), to.as_str()) {
            ("", "") => field.clone(),
            ("", to) => format!("{field} to {to}"),
            (from, "") => format!("{field} from {from}"),
            (from, to) => format!("{field} from {from} to {to}"),
        }
    };
    format!("Changed {}.", fields.iter().map(said).collect::<Vec<_>>().join(", "))
}

fn short(value: &serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::Number(number) => number.to_string(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join(" and "),
        _ => return String::new(),
    };
    if text.chars().count() > 40 { String::new() } else { text }
}

/// Refuses if anybody changed one of `fields` after the version `seen`.
fn refuse_stale(c: &Connection, now: &Feature, seen: u64, fields: &[String]) -> Result<(), StoreError> {
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
            touched.split(',').map(str::to_owned).filter(|field| fields.contains(field)).collect();
        if !both.is_empty() {
            let by = row.get(1)?;
            return Err(StoreError::Stale { id: now.id.to_string(), fields: both, by, version: now.version });
        }
    }
    Ok(())
}

pub(crate) fn known(c: &Connection, id: &FeatureId) -> Result<bool, StoreError> {
    Ok(c.prepare_cached("SELECT EXISTS (SELECT 1 FROM features WHERE id = ?1)")?
        .query_row([id.to_string()], |row| row.get(0))?)
}

fn write_dependencies(c: &Connection, id: &FeatureId, wanted: &Wanted) -> Result<(), StoreError> {
    for need in &wanted.depends_on {
        if !known(c, &need.feature)? {
            let problem = format!("names {}, and there is no such feature on this board", need.feature);
            return Err(FieldError { field: "depends_on", problem }.into());
        }
        c.prepare_cached("INSERT INTO dependencies VALUES (?1, ?2, ?3)")?.execute([
            id.to_string(),
            need.feature.to_string(),
            need.until.as_str().to_owned(),
        ])?;
    }
    Ok(())
}

/// An epic and a project have to be there.
fn refuse_unknown(c: &Connection, id: &FeatureId, wanted: &Wanted) -> Result<(), StoreError> {
    if let Some(epic) = &wanted.epic
        && (epic == id || !known(c, epic)?)
    {
        let problem = format!("names {epic}, and there is no such feature on this board");
        return Err(FieldError { field: "epic", problem }.into());
    }
    if let Some(project) = &wanted.project {
        let there: bool = c
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM projects WHERE name = ?1)")?
            .query_row([project], |row| row.get(0))?;
        if !there {
            let problem = format!("names {project:?}, and there is no such project: quarterdeck project add");
            return Err(FieldError { field: "project", problem }.into());
        }
    }
    Ok(())
}

/// Walks up the epics; an error names the way round if it comes back.
fn refuse_epic_cycle(c: &Connection, start: &FeatureId) -> Result<(), StoreError> {
    let start = start.to_string();
    let mut path = vec![start];
    loop {
        let at = path.last().cloned().unwrap_or_default();
        let above: Option<String> = c
            .prepare_cached("SELECT epic FROM features WHERE id = ?1")?
            .query_row([&at], |row| row.get(0))
            .optional()?
            .flatten();
        let Some(above) = above else { return Ok(()) };
        let round = path.contains(&above);
        path.push(above);
        if round {
            let problem = format!("would make a circle: {}", path.join(" is a part of "));
            return Err(FieldError { field: "epic", problem }.into());
        }
    }
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

/// What goes with a move besides the move itself.
#[derive(Debug, Default)]
pub(crate) struct Then {
    /// Why, as the actor said it.
    pub(crate) reason: Option<String>,
    /// Not before this time is it tried again.
    pub(crate) not_before: Option<Timestamp>,
    /// So far up the ladder it is now; none: as before.
    pub(crate) rung: Option<u32>,
}

/// Moves a feature by the one transition function, and tells everybody whom it concerns.
pub(crate) fn happen(
    c: &Connection,
    lens: &Lens,
    actor: &str,
    id: &FeatureId,
    happened: &Happened,
    then: Then,
    now: Timestamp,
) -> Result<(), StoreError> {
    let feature = rows::feature_by_id(c, id)?;
    let next = transition(&Position { stage: feature.stage, held: feature.held.clone() }, happened)?;
    let version = feature.version + 1;
    let by_person = matches!(happened, Happened::Moved(_) | Happened::Cancelled);
    let rung = if by_person { 0 } else { then.rung.unwrap_or(feature.rung) };
    c.prepare_cached(
        "UPDATE features SET stage = ?2, held = ?3, version = ?4, updated_at = ?5, not_before = ?6, rung = ?7
         WHERE id = ?1",
    )?
    .execute(params![
        id.to_string(),
        next.stage.as_str(),
        next.held,
        version as i64,
        now.as_millisecond(),
        then.not_before.map(Timestamp::as_millisecond),
        rung,
    ])?;
    if by_person {
        // Whoever moves it gives it a fresh start: failures before do not count, and what gave up is settled.
        c.prepare_cached(
            "UPDATE features SET retry_from = (SELECT coalesce(max(attempt), 0) FROM runs WHERE feature = ?1)
             WHERE id = ?1",
        )?
        .execute([id.to_string()])?;
        let settled =
            if *happened == Happened::Moved(Stage::Ready) { Observed::Retried } else { Observed::Dropped };
        operations::settle_dead(c, id, settled, now)?;
    }
    let text = match happened {
        Happened::Moved(to) => format!("Moved from {} to {to}.", feature.stage),
        Happened::RunStarted => "A run started.".to_owned(),
        Happened::PullRequestOpened => "The pull request is open.".to_owned(),
        Happened::Merged => "Merged.".to_owned(),
        Happened::RunEnded(why) => why.clone(),
        Happened::RunRetries(why) => format!("{why} Another run follows."),
        Happened::BackToAgent => "It went back to its agent.".to_owned(),
        Happened::Planned(what) => what.clone(),
        Happened::PartsDone => "All its parts are done or cancelled.".to_owned(),
        Happened::Answered => "Answered.".to_owned(),
        Happened::Unanswered(why) => format!("Not answered: {why}"),
        Happened::Cancelled => "Cancelled.".to_owned(),
    };
    let mut event = Draft::new(actor, "feature_moved", text);
    event.feature = Some(id.clone());
    event.version = Some(version);
    event.fields = vec!["stage".to_owned()];
    event.reason = then.reason;
    events::write(c, &event, now)?;
    report::feature(c, lens, id, now)?;
    questions::ended(c, lens, &feature, next.stage, now)?;
    facts::milestone(c, lens, &feature.wanted, now)?;
    if let (Stage::Done | Stage::Cancelled, Some(epic)) = (next.stage, &feature.wanted.epic) {
        goals::settle(c, lens, epic, now)?;
    }
    let frees = matches!(happened, Happened::Merged | Happened::PartsDone | Happened::PullRequestOpened);
    if frees {
        let mut dependants =
            c.prepare_cached("SELECT feature FROM dependencies WHERE needs = ?1 ORDER BY feature")?;
        for dependant in dependants.query_map([id.to_string()], |row| row.get::<_, String>(0))? {
            report::feature(c, lens, &rows::parse("dependencies", &dependant?)?, now)?;
        }
    }
    Ok(())
}
