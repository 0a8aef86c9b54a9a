//! The effect of an approved budget: a limit is raised, once, in the transaction that says so.

use jiff::Timestamp;
use qd_approvals::{Outcome, WHOLE};
use qd_board::Feature;
use qd_types::{Action, Budget, SpentGrant};
use rusqlite::Connection;

use super::Keeper;
use crate::{Store, StoreError, features, rows, spending};

impl Store {
    /// Raises a limit as it was granted; `default` is what holds where neither the feature nor people said anything.
    /// Whether that was done is known from this one transaction: an effect that is under way and was cut short did not
    /// happen.
    pub async fn raise_budget(
        &self,
        keeper: &Keeper,
        grant: SpentGrant,
        default: Option<u64>,
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
            let as_asked = now_allowed(own.c, budget, &feature)?.or(default).unwrap_or(0) == budget.from;
            let after = raised(budget, &feature).filter(|_| as_asked);
            let outcome = match (after, &budget.of) {
                (None, _) => Outcome::Failed("The budget was changed meanwhile.".to_owned()),
                (Some(_), Some(of)) => {
                    spending::raise(own.c, of, &budget.unit, budget.to)?;
                    Outcome::Done(format!("{} for {of}", budget.said(budget.to)))
                }
                (Some(after), None) => {
                    let by: Vec<String> =
                        record.approval.votes.iter().map(|vote| vote.person.id.to_string()).collect();
                    let reason = format!("{} raised it, as {id}.", by.join(" and "));
                    features::allow(own.c, own.lens, &feature, after, reason, own.now)?;
                    Outcome::Done(budget.said(budget.to))
                }
            };
            own.approvals.finish(id, WHOLE, &outcome)?;
            own.noted(id)
        })
        .await
    }
}

/// What the feature or people have said so far.
fn now_allowed(c: &Connection, budget: &Budget, feature: &Feature) -> Result<Option<u64>, StoreError> {
    let wanted = &feature.wanted.budget;
    Ok(match (&budget.of, budget.unit.as_str()) {
        (Some(of), unit) => spending::raised(c, of, unit)?,
        (None, "min") => wanted.minutes.map(u64::from),
        (None, "cents") => wanted.cents,
        (None, "tokens") => wanted.tokens,
        (None, _) => None,
    })
}

/// The feature's limits with the one that was granted; `None` if there is no such limit.
fn raised(budget: &Budget, feature: &Feature) -> Option<qd_board::Budget> {
    let mut after = feature.wanted.budget;
    match budget.unit.as_str() {
        "min" => after.minutes = Some(u32::try_from(budget.to).ok()?),
        "cents" => after.cents = Some(budget.to),
        "tokens" => after.tokens = Some(budget.to),
        _ => return None,
    }
    Some(after)
}
