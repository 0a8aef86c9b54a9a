//! Small things of which there is one each, kept as JSON by name: who paused the team, what is broken.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Store, StoreError, events, events::Draft, rows};

const T: &str = "switches";

/// The switch of a team that stands still.
const PAUSED: &str = "paused";

/// Who paused the team, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    said: String,
    at: Timestamp,
}

impl Pause {
    /// "mira: wait for the release".
    pub fn sentence(&self) -> String {
        self.said.clone()
    }
}

/// The value of a switch.
pub(crate) fn get<V: DeserializeOwned>(c: &Connection, name: &str) -> Result<Option<V>, StoreError> {
    let text: Option<String> = c
        .prepare_cached("SELECT value FROM switches WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    text.map(|text| rows::json(T, &text)).transpose()
}

/// Sets a switch, or clears it.
pub(crate) fn put(c: &Connection, name: &str, value: Option<String>) -> Result<(), StoreError> {
    match value {
        Some(value) => c
            .prepare_cached(
                "INSERT INTO switches VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
            )?
            .execute(params![name, value])?,
        None => c.prepare_cached("DELETE FROM switches WHERE name = ?1")?.execute([name])?,
    };
    Ok(())
}

/// Who paused the team; none while it works.
pub(crate) fn paused(c: &Connection) -> Result<Option<Pause>, StoreError> {
    get(c, PAUSED)
}

/// Pauses the team, or lets it go on, which is refused where it is not paused.
pub(crate) fn pause(
    c: &Connection,
    actor: &str,
    said: Option<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = match &said {
        Some(said) => format!("The team is paused. {said}"),
        None if paused(c)?.is_none() => {
            return Err(qd_board::Refused { reason: "The team is not paused.".to_owned() }.into());
        }
        None => "The team goes on.".to_owned(),
    };
    let pause = said.map(|said| rows::to_json(T, &Pause { said, at: now })).transpose()?;
    put(c, PAUSED, pause)?;
    events::write(c, &Draft::new(actor, "team", text), now)
}

impl Store {
    /// Who paused the team; none while it works.
    pub async fn paused(&self) -> Result<Option<Pause>, StoreError> {
        self.read(paused).await
    }

    /// Pauses the team with what is said of it, or lets it go on.
    pub async fn pause_team(
        &self,
        actor: &str,
        said: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let actor = actor.to_owned();
        self.write(move |c| pause(c, &actor, said, now)).await
    }

    /// The value of a switch; none if it was never set, or cleared.
    pub async fn switch<V: DeserializeOwned + Send + 'static>(
        &self,
        name: &'static str,
    ) -> Result<Option<V>, StoreError> {
        self.read(move |c| get(c, name)).await
    }

    /// Sets a switch, or clears it. With `said`, an actor and a sentence, it is an entry of the log.
    pub async fn set_switch<V: Serialize>(
        &self,
        name: &'static str,
        value: Option<&V>,
        said: Option<(&str, String)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let value = value.map(|value| rows::to_json(T, value)).transpose()?;
        let said = said.map(|(actor, text)| (actor.to_owned(), text));
        self.write(move |c| {
            put(c, name, value)?;
            if let Some((actor, text)) = said {
                events::write(c, &Draft::new(&actor, "team", text), now)?;
            }
            Ok(())
        })
        .await
    }

    /// An entry of the log that belongs to no feature: what was repaired, and why.
    pub async fn say(
        &self,
        actor: &str,
        kind: &'static str,
        text: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let actor = actor.to_owned();
        self.write(move |c| events::write(c, &Draft::new(&actor, kind, text), now)).await
    }
}
