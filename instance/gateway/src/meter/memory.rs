//! Books in memory: for tests, and for an instance that keeps none.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{Change, Meter, MeterError, Record, Ticket, totals::Totals};
use crate::budget::{Scope, Spent};

/// Records that are kept to be looked at. Sums are kept for ever.
const KEPT: usize = 1_000;

/// Books in memory.
#[derive(Clone, Default)]
pub struct MemoryMeter {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    totals: Totals,
    closed: VecDeque<Record>,
}

impl MemoryMeter {
    /// The last calls that were closed, oldest first, at most a thousand.
    pub fn records(&self) -> Vec<Record> {
        self.lock().closed.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Meter for MemoryMeter {
    fn spent(&self, scope: &Scope) -> Spent {
        self.lock().totals.spent(scope)
    }

    async fn open(&self, _: Record) -> Result<Box<dyn Ticket>, MeterError> {
        Ok(Box::new(self.clone()))
    }
}

impl Ticket for MemoryMeter {
    fn close(self: Box<Self>, record: Record) -> Vec<Change> {
        let mut inner = self.lock();
        let changes = inner.totals.add(&record);
        if inner.closed.len() == KEPT {
            inner.closed.pop_front();
        }
        inner.closed.push_back(record);
        changes
    }
}
