//! What the team asked about the fleet, and what the bot answered.

use jiff::{SignedDuration, Timestamp};
use qd_wire::v1::{FleetAnswer, FleetAsk, FleetQuery, Report};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Store, StoreError, report, rows};

const T: &str = "fleet_queries";

/// How long an answer is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

impl Store {
    /// Asks the bot about the fleet. Asking again with the same id asks nothing new.
    pub async fn ask_fleet(&self, id: String, ask: FleetAsk, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |c| {
            let old = now
                .saturating_sub(KEPT)
                .map_err(|error| StoreError::Corrupt { table: T, problem: error.to_string() })?;
            c.prepare_cached("DELETE FROM fleet_queries WHERE at < ?1")?.execute([old.as_millisecond()])?;
            let fresh = c
                .prepare_cached("INSERT INTO fleet_queries (id, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![id, now.as_millisecond()])?;
            if fresh == 0 {
                return Ok(());
            }
            // What was asked before and is not shipped is asked by nobody any more.
            let living = format!("fleet:{}", rows::to_json(T, &ask)?);
            report::push(c, Some(&living), now, &Report::FleetQuery(FleetQuery { id, ask }))
        })
        .await
    }

    /// What the bot answered; none yet.
    pub async fn fleet_answer(&self, id: &str) -> Result<Option<FleetAnswer>, StoreError> {
        let id = id.to_owned();
        self.read(move |c| {
            let text: Option<String> = c
                .prepare_cached("SELECT answer FROM fleet_queries WHERE id = ?1")?
                .query_row([id], |row| row.get(0))
                .optional()?
                .flatten();
            text.map(|text| rows::json(T, &text)).transpose()
        })
        .await
    }
}

/// Notes an answer. One that nobody waits for any more is dropped.
pub(crate) fn answered(c: &Connection, query: &str, answer: &FleetAnswer) -> Result<(), StoreError> {
    c.prepare_cached("UPDATE fleet_queries SET answer = ?2 WHERE id = ?1")?
        .execute(params![query, rows::to_json(T, answer)?])?;
    Ok(())
}
