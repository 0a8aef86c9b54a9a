//! Small things of which there is one each, kept as JSON by name: who paused the team, what is broken.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Store, StoreError, events, events::Draft, rows};

const T: &str = "switches";

impl Store {
    /// The value of a switch; none if it was never set, or cleared.
    pub async fn switch<V: DeserializeOwned + Send + 'static>(
        &self,
        name: &'static str,
    ) -> Result<Option<V>, StoreError> {
        self.read(move |c| {
            let text: Option<String> = c
                .prepare_cached("SELECT value FROM switches WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()?;
            text.map(|text| rows::json(T, &text)).transpose()
        })
        .await
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
            match value {
                Some(value) => c
                    .prepare_cached(
                        "INSERT INTO switches VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
                    )?
                    .execute(params![name, value])?,
                None => c.prepare_cached("DELETE FROM switches WHERE name = ?1")?.execute([name])?,
            };
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
