//! Plans: one approval for many items, each bound by its own digest and carried out on its own.

use std::collections::BTreeSet;

use qd_types::{Action, ApprovalId, Subject, Tier};
use rusqlite::params;

use crate::{ApprovalError, Approvals, rows};

/// Most items of a plan: more is nothing that a person reads.
const MAX_ITEMS: usize = 100;

/// Why the items are not the plan's, or `None`.
pub(crate) fn unfit(action: &Action, items: &[(String, Subject)]) -> Option<String> {
    let Action::Plan(plan) = action else {
        return (!items.is_empty()).then(|| "Only a plan has items.".to_owned());
    };
    if plan.items.is_empty() || plan.items.len() > MAX_ITEMS {
        return Some(format!("A plan has 1 to {MAX_ITEMS} items, this one {}.", plan.items.len()));
    }
    let names: BTreeSet<&str> = plan.items.iter().map(|item| item.item.as_str()).collect();
    if names.len() != plan.items.len() || items.len() != plan.items.len() {
        return Some("The items of a plan have names of their own, and a subject each.".to_owned());
    }
    plan.items.iter().find_map(|listed| {
        let Some((_, subject)) = items.iter().find(|(name, _)| *name == listed.item) else {
            return Some(format!("The item {} has no subject.", listed.item));
        };
        let nested = matches!(subject.action, Action::Plan(_));
        let same = subject.digest().is_ok_and(|digest| digest == listed.digest);
        if nested || !same || subject.action.tier() != listed.tier || subject.binding.is_none() {
            return Some(format!("The item {} is not what the plan says of it.", listed.item));
        }
        None
    })
}

/// The items that the plan's own approval will never pay for: each is to be asked for with a card of its own.
pub(crate) fn alone(action: &Action) -> impl Iterator<Item = &str> {
    let items = match action {
        Action::Plan(plan) => plan.items.as_slice(),
        _ => &[],
    };
    items.iter().filter(|item| item.tier == Tier::Destroy).map(|item| item.item.as_str())
}

impl Approvals<'_> {
    /// The names of a plan's items that need a card of their own, whatever is said to the plan.
    pub fn need_own_card(&self, plan: &ApprovalId) -> Result<Vec<String>, ApprovalError> {
        let record =
            rows::find(self.c, plan, self.now)?.ok_or_else(|| ApprovalError::NoSuch { id: plan.clone() })?;
        Ok(alone(&record.approval.subject.action).map(str::to_owned).collect())
    }

    /// The subject of an item, as it was approved with its plan.
    pub(crate) fn item(&self, plan: &ApprovalId, item: &str) -> Result<Option<Subject>, ApprovalError> {
        let sql = "SELECT subject FROM approval_items WHERE approval = ?1 AND item = ?2";
        let row: Option<String> = rows::one(self.c, sql, params![plan.to_string(), item])?;
        row.map(|text| rows::json("approval_items", &text)).transpose()
    }

    pub(crate) fn keep_items(
        &self,
        plan: &ApprovalId,
        items: &[(String, Subject)],
    ) -> Result<(), ApprovalError> {
        for (item, subject) in items {
            let digest = subject.digest().map_err(|error| ApprovalError::corrupt("approval_items", error))?;
            self.c.prepare_cached("INSERT INTO approval_items VALUES (?1, ?2, ?3, ?4)")?.execute(params![
                plan.to_string(),
                item,
                digest.as_str(),
                rows::to_json("approval_items", subject)?
            ])?;
        }
        Ok(())
    }
}
