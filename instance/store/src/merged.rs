//! A run that ends with its merge; one that is not what was tested is taken back in the same transaction. What people want
//! taken back is filed here as well.

use jiff::Timestamp;
use qd_board::{NewFeature, Refused, RunEnd};
use qd_types::{FeatureId, PersonId, RunId, Step};
use rusqlite::Connection;

use crate::{Snapshot, Store, StoreError, events, events::Draft, features, rows, runs, store::Lens};

/// Of a feature that takes another back because a person wants it.
const URGENT: u8 = 1;

impl Store {
    /// The run's change is on the target. With `back`, a feature that takes it back is filed, and why is said.
    pub async fn end_merged(
        &self,
        run: &RunId,
        end: RunEnd,
        back: Option<(NewFeature, String)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (run, lens) = (run.clone(), self.lens());
        self.write(move |c| {
            if runs::one(c, &run)?.end.is_some() {
                return Ok(());
            }
            runs::end(c, &lens, &run, Some(Step::Merge), &end, now)?;
            let Some((new, why)) = back else { return Ok(()) };
            let mut event = Draft::new("team", "alert", why);
            event.feature = Some(run.feature().clone());
            event.run = Some(run.clone());
            events::write(c, &event, now)?;
            let repository = rows::feature_by_id(c, run.feature())?.repository;
            let author: PersonId = rows::parse("features", "team")?;
            features::add(c, &lens, &author, new.checked()?, repository, now)?;
            Ok(())
        })
        .await
    }

    /// Files a feature that takes a merged one back. Refused where nothing is merged.
    pub async fn revert(
        &self,
        person: &PersonId,
        id: &FeatureId,
        why: Option<String>,
        now: Timestamp,
    ) -> Result<Snapshot, StoreError> {
        let (person, id, lens) = (person.clone(), id.clone(), self.lens());
        self.write(move |c| revert(c, &lens, &person, &id, why.as_deref(), now)).await
    }
}

/// See [`Store::revert`].
pub(crate) fn revert(
    c: &Connection,
    lens: &Lens,
    person: &PersonId,
    id: &FeatureId,
    why: Option<&str>,
    now: Timestamp,
) -> Result<Snapshot, StoreError> {
    let feature = rows::feature_by_id(c, id)?;
    let Some(RunEnd::Merged { commit }) = rows::newest_run(c, id)?.and_then(|run| run.end) else {
        let reason = format!("{id} is not merged: there is nothing to take back.");
        return Err(Refused { reason }.into());
    };
    let new = feature.taken_back(&commit, why, URGENT).checked()?;
    features::add(c, lens, person, new, feature.repository, now)
}
