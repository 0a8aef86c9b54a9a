//! The clock of a time limit, which stands still while a person decides.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// The clock. It runs from the start.
#[derive(Debug)]
pub struct Clock {
    limit: Duration,
    reading: Mutex<Reading>,
    changed: Notify,
}

/// What a clock shows: the time that has counted, and since when it counts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    counted: Duration,
    since: Option<Instant>,
}

impl Reading {
    fn at(&self, now: Instant) -> Duration {
        self.counted + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    fn stand_still(&mut self, now: Instant) {
        *self = Self { counted: self.at(now), since: None };
    }

    fn go_on(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }
}

impl Clock {
    /// One that runs from now on.
    pub fn new(limit: Duration) -> Self {
        let reading = Reading { counted: Duration::ZERO, since: Some(Instant::now()) };
        Self { limit, reading: Mutex::new(reading), changed: Notify::new() }
    }

    /// The limit.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// The time that has counted so far.
    pub fn counted(&self) -> Duration {
        self.read().at(Instant::now())
    }

    /// Stands still until it is told to go on. Told twice, it does so once.
    pub fn stand_still(&self) {
        self.read().stand_still(Instant::now());
        self.changed.notify_one();
    }

    /// Goes on.
    pub fn go_on(&self) {
        self.read().go_on(Instant::now());
        self.changed.notify_one();
    }

    /// Waits until the limit is reached.
    pub async fn run_out(&self) {
        loop {
            let reading = *self.read();
            let left = self.limit.saturating_sub(reading.at(Instant::now()));
            match reading.since {
                Some(_) if left.is_zero() => return,
                Some(_) => tokio::select! {
                    () = sleep_until(Instant::now() + left) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    fn read(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_stands_still_while_a_person_decides() {
        let clock = Clock::new(Duration::from_secs(10));
        let waits = async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            clock.stand_still();
            tokio::time::sleep(Duration::from_secs(3600)).await;
            clock.go_on();
        };
        let begun = Instant::now();
        tokio::join!(clock.run_out(), waits);
        assert_eq!(begun.elapsed().as_secs(), 3610);
        assert_eq!(clock.counted().as_secs(), 10);
    }

    proptest! {
        #[test]
        fn only_the_time_it_runs_counts(steps in prop::collection::vec((any::<bool>(), 0u64..1000), 0..20)) {
            let begun = Instant::now();
            let mut reading = Reading { counted: Duration::ZERO, since: Some(begun) };
            let (mut now, mut counted, mut runs) = (begun, 0, true);
            for (go_on, millis) in steps {
                if go_on { reading.go_on(now) } else { reading.stand_still(now) }
                runs = go_on;
                now += Duration::from_millis(millis);
                counted += if runs { millis } else { 0 };
            }
            prop_assert_eq!(reading.since.is_some(), runs);
            prop_assert_eq!(reading.at(now), Duration::from_millis(counted));
        }
    }
}
