//! The sums of all calls, by scope. Pure, and the same behind every adapter.

use std::collections::HashMap;

use jiff::civil::Date;
use qd_types::RunId;

use super::{Change, Record};
use crate::{
    budget::{Scope, Spent},
    money::MicroDollars,
    prices::Priced,
    usage::Usage,
};

#[derive(Debug, Default)]
pub(super) struct Totals {
    by_scope: HashMap<Scope, Spent>,
}

impl Totals {
    pub(super) fn spent(&self, scope: &Scope) -> Spent {
        self.by_scope.get(scope).cloned().unwrap_or_default()
    }

    pub(super) fn add(&mut self, record: &Record) -> Vec<Change> {
        let changed = |scope: Scope| {
            let spent = self.by_scope.entry(scope.clone()).or_default();
            let before = spent.clone();
            spent.add(1, &record.charged, record.cost, &record.priced);
            Change { scope, before, after: spent.clone() }
        };
        Scope::all(&record.run, record.day).into_iter().map(changed).collect()
    }

    /// Many calls at once, as they are read back.
    pub(super) fn add_many(
        &mut self,
        run: &RunId,
        day: Date,
        calls: u64,
        usage: &Usage,
        cost: Option<MicroDollars>,
        priced: &Priced,
    ) {
        for scope in Scope::all(run, day) {
            self.by_scope.entry(scope).or_default().add(calls, usage, cost, priced);
        }
    }
}
