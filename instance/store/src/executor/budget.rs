//! The effect of an approved budget: the feature's minutes are raised, once, in the transaction that says so.

use jiff::Timestamp;
use qd_approvals::{Outcome, WHOLE};
use qd_types::{Action, SpentGrant};

use super::Keeper;
use crate::{Store, StoreError, features, rows};

impl Store {
    /// Raises the minutes of a feature as it was granted. Whether that was done is known from this one transaction: an effect
    /// that is under way and was cut short did not happen.
    pub async fn raise_minutes(
        &self,
        keeper: &Keeper,
        grant: SpentGrant,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.step(keeper, now, move |own| {
            let id = grant.grant().approval();
            let record = own.approvals.show(id)?;
            let subject = &record.approval.subject;
            let Action::Budget(budget) = &subject.action else {
                let problem = format!("{id} pays for no budget");
                return Err(StoreError::Corrupt { table: "approval_requests", problem });
            };
            let feature = rows::feature_by_id(own.c, &subject.feature)?;
            let as_asked = feature.wanted.budget.minutes.map(u64::from) == Some(budget.from);
            let to = u32::try_from(budget.to).ok().filter(|_| as_asked);
            let outcome = match to {
                Some(to) => {
                    let by: Vec<String> =
                        record.approval.votes.iter().map(|vote| vote.person.id.to_string()).collect();
                    let reason = format!("{} raised it, as {id}.", by.join(" and "));
                    features::allow(own.c, own.lens, &feature, to, reason, own.now)?;
                    Outcome::Done(format!("{to} {}", budget.unit))
                }
                None => Outcome::Failed("The budget was changed meanwhile.".to_owned()),
            };
            own.approvals.finish(id, WHOLE, &outcome)?;
            own.noted(id)
        })
        .await
    }
}
