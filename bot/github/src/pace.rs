//! When the next request may go out: a second between two that change something, and none while GitHub takes no more.
//! By installation, because GitHub counts by installation.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Who is counted: an installation's id, 0 for the App itself or a token.
pub(crate) type Lane = u64;

#[derive(Debug, Default)]
struct State {
    /// Before this, nothing goes out.
    shut: Option<Instant>,
    /// Before this, nothing that changes something.
    next_write: Option<Instant>,
}

/// The clocks of all lanes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    between: Duration,
    lanes: Arc<Mutex<BTreeMap<Lane, State>>>,
}

impl Pace {
    pub(crate) fn new(writes_per_minute: u32) -> Self {
        let between = Duration::from_secs(60) / writes_per_minute.max(1);
        Self { between, lanes: Arc::default() }
    }

    fn with<T>(&self, lane: Lane, change: impl FnOnce(&mut State) -> T) -> T {
        change(self.lanes.lock().unwrap_or_else(PoisonError::into_inner).entry(lane).or_default())
    }

    /// How long GitHub still takes nothing.
    pub(crate) fn shut(&self, lane: Lane) -> Option<Duration> {
        self.with(lane, |state| state.shut?.checked_duration_since(Instant::now()))
            .filter(|left| !left.is_zero())
    }

    /// GitHub takes nothing for so long.
    pub(crate) fn shut_for(&self, lane: Lane, wait: Duration) {
        let until = Instant::now() + wait;
        self.with(lane, |state| state.shut = Some(state.shut.map_or(until, |known| known.max(until))));
    }

    /// Waits until something may be changed. Those who wait go in the order in which they came.
    pub(crate) async fn write(&self, lane: Lane) {
        let turn = self.with(lane, |state| {
            let now = Instant::now();
            let turn = state.next_write.map_or(now, |next| next.max(now));
            state.next_write = Some(turn + self.between);
            turn
        });
        tokio::time::sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_lies_between_two_writes_of_one_installation() {
        let pace = Pace::new(60);
        let started = Instant::now();
        for _ in 0..3 {
            pace.write(7).await;
        }
        pace.write(8).await;
        assert_eq!(started.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_github_shut_opens_by_itself() {
        let pace = Pace::new(60);
        pace.shut_for(7, Duration::from_secs(60));
        pace.shut_for(7, Duration::from_secs(10));
        assert_eq!((pace.shut(7), pace.shut(8)), (Some(Duration::from_secs(60)), None));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(pace.shut(7), None);
    }
}
