//! What runs spend on models, and the limits that people have raised. Not the record of calls: the gateway keeps that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use qd_types::{FeatureId, RunId, Spent};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Store, StoreError, facts, report, rows, runs};

/// Limits that people have raised: whose, like `day 2026-11-21`, and the unit.
pub type Raises = BTreeMap<(String, String), u64>;

impl Store {
    /// Notes what a run has spent so far. A warning that is new is told.
    pub async fn spent(&self, run: &RunId, spent: Spent, now: Timestamp) -> Result<(), StoreError> {
        let (run, lens) = (run.clone(), self.lens());
        self.write(move |c| {
            let before = runs::one(c, &run)?.spent.unwrap_or_default();
            if before == spent {
                return Ok(());
            }
            c.prepare_cached("UPDATE runs SET spent = ?2 WHERE id = ?1")?
                .execute(params![run.to_string(), rows::to_json("runs", &spent)?])?;
            facts::cost(c, &lens, &before, &spent, now)?;
            match spent.warning {
                Some(warning) if before.warning.is_none() => {
                    runs::told(c, &lens, &run, "budget", warning, now)
                }
                _ => report::feature(c, &lens, run.feature(), now),
            }
        })
        .await
    }

    /// Something that happened to a run beside its steps, for its feature's history.
    pub async fn tell(
        &self,
        run: &RunId,
        kind: &'static str,
        text: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (run, lens) = (run.clone(), self.lens());
        self.write(move |c| runs::told(c, &lens, &run, kind, text, now)).await
    }

    /// All limits that people have raised.
    pub async fn raises(&self) -> Result<Raises, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT of, unit, amount FROM raises")?;
            let mut rows = statement.query([])?;
            let mut raises = Raises::new();
            while let Some(row) = rows.next()? {
                raises.insert((row.get(0)?, row.get(1)?), row.get::<_, i64>(2)?.unsigned_abs());
            }
            Ok(raises)
        })
        .await
    }
}

/// What all runs of a feature have spent; `None` if none was metered.
pub(crate) fn of_feature(c: &Connection, feature: &FeatureId) -> Result<Option<Spent>, StoreError> {
    let mut statement =
        c.prepare_cached("SELECT spent FROM runs WHERE feature = ?1 AND spent IS NOT NULL ORDER BY attempt")?;
    let mut rows = statement.query([feature.to_string()])?;
    let mut sum: Option<Spent> = None;
    while let Some(row) = rows.next()? {
        let spent = rows::json("runs", &row.get::<_, String>(0)?)?;
        sum = Some(sum.unwrap_or_default().plus(spent));
    }
    Ok(sum)
}

/// A limit as people have raised it.
pub(crate) fn raised(c: &Connection, of: &str, unit: &str) -> Result<Option<u64>, StoreError> {
    let amount = c
        .prepare_cached("SELECT amount FROM raises WHERE of = ?1 AND unit = ?2")?
        .query_row([of, unit], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(amount.map(i64::unsigned_abs))
}

pub(crate) fn raise(c: &Connection, of: &str, unit: &str, amount: u64) -> Result<(), StoreError> {
    let amount = i64::try_from(amount).unwrap_or(i64::MAX);
    c.prepare_cached(
        "INSERT INTO raises (of, unit, amount) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET amount = excluded.amount",
    )?
    .execute(params![of, unit, amount])?;
    Ok(())
}
