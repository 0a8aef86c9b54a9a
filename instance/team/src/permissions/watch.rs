//! The clock of a turn, for the minutes that a feature may use: it stands still while a person decides.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use qd_agents::acp::Clock;

/// A clock, and how many people are waited for.
pub(crate) struct Watch {
    clock: Clock,
    people: Mutex<u32>,
}

/// A person is waited for, for as long as this is kept.
pub(crate) struct Waits(Arc<Watch>);

impl Watch {
    /// One that runs from now on.
    pub(crate) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self { clock: Clock::new(limit), people: Mutex::new(0) })
    }

    /// Until the limit is reached.
    pub(crate) async fn run_out(&self) {
        self.clock.run_out().await;
    }

    /// The time that counts.
    pub(crate) fn counted(&self) -> Duration {
        self.clock.counted()
    }

    /// Stands still for one person more.
    pub(crate) fn person(self: &Arc<Self>) -> Waits {
        let mut people = self.people();
        *people += 1;
        self.clock.stand_still();
        Waits(Arc::clone(self))
    }

    fn people(&self) -> MutexGuard<'_, u32> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        let mut people = self.0.people();
        *people = people.saturating_sub(1);
        if *people == 0 {
            self.0.clock.go_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_when_the_last_person_decided() {
        let watch = Watch::new(Duration::from_secs(60));
        let (one, other) = (watch.person(), watch.person());
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(one);
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(other);
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(watch.counted().as_secs(), 7);
    }
}
