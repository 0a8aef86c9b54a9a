//! Agents that run now, and that nothing keeps from acting as a person of this machine. Counted by whoever starts them,
//! looked at whenever a local vote comes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many there are. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Exposure(Arc<AtomicUsize>);

impl PartialEq for Exposure {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Exposure {}

impl Exposure {
    /// One more, for as long as the guard is kept.
    pub fn enter(&self) -> Exposed {
        self.0.fetch_add(1, Ordering::SeqCst);
        Exposed(Arc::clone(&self.0))
    }

    /// Whether there is one now.
    pub fn is_now(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

/// One that runs.
#[derive(Debug)]
pub struct Exposed(Arc<AtomicUsize>);

impl Drop for Exposed {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
