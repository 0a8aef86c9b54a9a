//! One at a time per key, within this process. Not a lock against other processes: an instance holds an
//! exclusive lock on its database for that.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Hands out turns by key. Keys that nobody uses are forgotten.
#[derive(Debug)]
pub struct Turns<K> {
    waiting: Mutex<HashMap<K, Weak<AsyncMutex<()>>>>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self { waiting: Mutex::new(HashMap::new()) }
    }
}

impl<K: Eq + Hash> Turns<K> {
    /// Waits for its turn and keeps it until the guard is dropped. First come, first served.
    pub async fn take(&self, key: K) -> OwnedMutexGuard<()> {
        self.queue(key).lock_owned().await
    }

    fn queue(&self, key: K) -> Arc<AsyncMutex<()>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, queue| queue.strong_count() > 0);
        if let Some(queue) = waiting.get(&key).and_then(Weak::upgrade) {
            return queue;
        }
        let queue = Arc::new(AsyncMutex::new(()));
        waiting.insert(key, Arc::downgrade(&queue));
        queue
    }
}
