//! Recurring features. That one is due, that its feature is filed and that its schedule goes on is one transaction.

use jiff::{Timestamp, tz::TimeZone};
use qd_board::{
    FieldError, NewFeature, Refused, Source, SourceKind,
    recurring::{self, Decision, Recurring},
};
use qd_types::{FeatureId, PersonId, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Store, StoreError, events, events::Draft, features, rows, store::Lens};

const T: &str = "recurring";

/// A recurring feature, as this board keeps it.
pub type RecurringFeature = Recurring<NewFeature>;

/// One with what became of its last feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecurringRow {
    /// The recurring feature.
    pub recurring: RecurringFeature,
    /// The feature that it made the last time, while that is open.
    pub open: Option<FeatureId>,
}

impl Store {
    /// All of them, by name.
    pub async fn recurring(&self) -> Result<Vec<RecurringRow>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT body FROM recurring ORDER BY name")?;
            let bodies = statement.query_map([], |row| row.get::<_, String>(0))?;
            bodies
                .map(|body| {
                    let recurring: RecurringFeature = rows::json(T, &body?)?;
                    Ok(RecurringRow { open: open(c, &recurring.name)?, recurring })
                })
                .collect()
        })
        .await
    }

    /// Adds one. A name that is taken is refused.
    pub async fn add_recurring(
        &self,
        actor: &PersonId,
        mut new: RecurringFeature,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let actor = actor.clone();
        self.write(move |c| {
            new.name = new.name.trim().to_owned();
            if !(1..=64).contains(&new.name.chars().count()) || new.name.contains(['/', '\n']) {
                let problem = format!("{:?} is not a name: 1 to 64 characters without a slash", new.name);
                return Err(FieldError { field: "name", problem }.into());
            }
            new.template = new.template.checked()?;
            if find(c, &new.name)?.is_some() {
                return Err(Refused {
                    reason: format!("There is a recurring feature {} already.", new.name),
                }
                .into());
            }
            let body = rows::to_json(T, &new)?;
            c.prepare_cached("INSERT INTO recurring VALUES (?1, ?2, 1, ?3, ?3)")?.execute(params![
                new.name,
                body,
                now.as_millisecond()
            ])?;
            let text = format!("Recurring feature {} is added: {}.", new.name, new.schedule);
            events::write(c, &Draft::new(actor.as_str(), "recurring", text), now)
        })
        .await
    }

    /// Changes one by `change`, and says what was done.
    pub async fn change_recurring(
        &self,
        actor: &PersonId,
        name: &str,
        said: &'static str,
        change: impl FnOnce(&mut RecurringFeature) + Send + 'static,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.write(move |c| {
            let mut found = find(c, &name)?.ok_or_else(|| StoreError::no_such("recurring feature", &name))?;
            change(&mut found);
            save(c, &found, now)?;
            let text = format!("Recurring feature {name} is {said}.");
            events::write(c, &Draft::new(actor.as_str(), "recurring", text), now)
        })
        .await
    }

    /// Removes one. Features that it made stay.
    pub async fn remove_recurring(
        &self,
        actor: &PersonId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.write(move |c| {
            let gone = c.prepare_cached("DELETE FROM recurring WHERE name = ?1")?.execute([&name])?;
            if gone == 0 {
                return Err(StoreError::no_such("recurring feature", &name));
            }
            let text = format!("Recurring feature {name} is removed.");
            events::write(c, &Draft::new(actor.as_str(), "recurring", text), now)
        })
        .await
    }

    /// Files the feature of one right now, for a person who asks for it. Refused while the last one is open.
    pub async fn run_recurring(
        &self,
        actor: &PersonId,
        name: &str,
        repository: RepositoryName,
        now: Timestamp,
    ) -> Result<FeatureId, StoreError> {
        let (actor, name, lens) = (actor.clone(), name.to_owned(), self.lens());
        self.write(move |c| {
            let found = find(c, &name)?.ok_or_else(|| StoreError::no_such("recurring feature", &name))?;
            recurring::run_now(open(c, &name)?.as_ref())
                .map_err(|skipped| Refused { reason: format!("Not filed: {skipped}.") })?;
            file(c, &lens, &actor, &found, repository, now)
        })
        .await
    }

    /// Files what is due, and leaves out what can't be made in time; gives how many were filed.
    pub async fn file_due(
        &self,
        zone: TimeZone,
        default: Option<RepositoryName>,
        author: PersonId,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let lens = self.lens();
        let any = self.recurring().await?.into_iter().any(|row| {
            !matches!(recurring::due(&row.recurring, row.open.as_ref(), now, &zone), Decision::Wait { .. })
        });
        if !any {
            return Ok(0);
        }
        self.write(move |c| {
            let mut statement = c.prepare_cached("SELECT body FROM recurring ORDER BY name")?;
            let bodies: Vec<String> =
                statement.query_map([], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()?;
            let mut filed = 0;
            for body in bodies {
                let mut each: RecurringFeature = rows::json(T, &body)?;
                let decision = recurring::due(&each, open(c, &each.name)?.as_ref(), now, &zone);
                match &decision {
                    Decision::Wait { .. } => continue,
                    Decision::Skip { occurrence, reason } => {
                        let text =
                            format!("Recurring feature {} left {occurrence} out: {reason}.", each.name);
                        events::write(c, &Draft::new("team", "recurring", text), now)?;
                    }
                    Decision::Run { .. } => {
                        let Some(repository) = each.template.repository.clone().or_else(|| default.clone())
                        else {
                            let text = format!(
                                "Recurring feature {} names no repository, and the team has several.",
                                each.name
                            );
                            events::write(c, &Draft::new("team", "recurring", text), now)?;
                            each.settle(&decision);
                            save(c, &each, now)?;
                            continue;
                        };
                        file(c, &lens, &author, &each, repository, now)?;
                        filed += 1;
                    }
                }
                each.settle(&decision);
                save(c, &each, now)?;
            }
            Ok(filed)
        })
        .await
    }
}

fn find(c: &Connection, name: &str) -> Result<Option<RecurringFeature>, StoreError> {
    let body: Option<String> = c
        .prepare_cached("SELECT body FROM recurring WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    body.map(|body| rows::json(T, &body)).transpose()
}

fn save(c: &Connection, recurring: &RecurringFeature, now: Timestamp) -> Result<(), StoreError> {
    c.prepare_cached(
        "UPDATE recurring SET body = ?2, version = version + 1, updated_at = ?3 WHERE name = ?1",
    )?
    .execute(params![recurring.name, rows::to_json(T, recurring)?, now.as_millisecond()])?;
    Ok(())
}

/// The feature that it made the last time, while that is neither done nor cancelled.
fn open(c: &Connection, name: &str) -> Result<Option<FeatureId>, StoreError> {
    let id: Option<String> = c
        .prepare_cached(
            "SELECT id FROM features WHERE details ->> '$.source.kind' = 'recurring'
             AND details ->> '$.source.reference' = ?1 AND stage NOT IN ('done', 'cancelled')
             ORDER BY number DESC LIMIT 1",
        )?
        .query_row([name], |row| row.get(0))
        .optional()?;
    rows::maybe("features", id)
}

fn file(
    c: &Connection,
    lens: &Lens,
    author: &PersonId,
    recurring: &RecurringFeature,
    repository: RepositoryName,
    now: Timestamp,
) -> Result<FeatureId, StoreError> {
    let mut new = recurring.template.clone();
    new.wanted.source = Some(Source { kind: SourceKind::Recurring, reference: recurring.name.clone() });
    let repository = new.repository.clone().unwrap_or(repository);
    Ok(features::add(c, lens, author, new, repository, now)?.feature.id)
}
