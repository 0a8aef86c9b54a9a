//! A run that ends with its merge; one that is not what was tested is taken back in the same transaction.

use jiff::Timestamp;
use qd_board::{NewFeature, RunEnd};
use qd_types::{PersonId, RunId, Step};

use crate::{Store, StoreError, events, events::Draft, features, rows, runs};

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
}
