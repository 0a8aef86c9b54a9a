//! Checks that passed, by everything that could make them say something else. Red ones are run again.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use crate::{Store, StoreError};

/// Results that are kept; the oldest go.
const KEPT: i64 = 20_000;

impl Store {
    /// How long the check took when it passed with this key; none if it never did.
    pub async fn passed_before(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let key = key.to_owned();
        self.read(move |c| {
            let millis: Option<i64> = c
                .prepare_cached("SELECT millis FROM passed_checks WHERE key = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()?;
            Ok(millis.map(|millis| millis as u64))
        })
        .await
    }

    /// A check passed with this key.
    pub async fn note_passed(
        &self,
        key: &str,
        name: &str,
        millis: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (key, name) = (key.to_owned(), name.to_owned());
        self.write(move |c| {
            c.prepare_cached("INSERT OR REPLACE INTO passed_checks VALUES (?1, ?2, ?3, ?4)")?.execute(params![
                key,
                name,
                now.as_millisecond(),
                millis as i64
            ])?;
            c.prepare_cached(
                "DELETE FROM passed_checks WHERE at < (SELECT at FROM passed_checks ORDER BY at DESC LIMIT 1 OFFSET ?1)",
            )?
            .execute([KEPT])?;
            Ok(())
        })
        .await
    }
}
