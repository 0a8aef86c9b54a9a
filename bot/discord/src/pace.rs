//! How many commands a person gives in a minute. Counts in memory alone: a restart forgives.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

const MINUTE: Duration = Duration::from_secs(60);

/// When each person gave something, as long as that counts.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    given: HashMap<u64, VecDeque<Instant>>,
}

impl Pace {
    /// Counts one more; `false` if it is one too many, which then does not count.
    pub(crate) fn take(&mut self, user: u64, most: u32, now: Instant) -> bool {
        // Whoever is still is forgotten, so that it does not grow.
        self.given.retain(|_, times| {
            times.retain(|at| now.saturating_duration_since(*at) < MINUTE);
            !times.is_empty()
        });
        let times = self.given.entry(user).or_default();
        let fits = times.len() < usize::try_from(most).unwrap_or(usize::MAX);
        if fits {
            times.push_back(now);
        }
        fits
    }
}

/// What a person hears who gives too many.
pub(crate) fn hasty(most: u32) -> String {
    qd_text::say!("discord-hasty", most = most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_is_refused_until_the_minute_is_over() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        assert!(pace.take(1, 2, begin));
        assert!(pace.take(1, 2, begin + Duration::from_secs(1)));
        assert!(!pace.take(1, 2, begin + Duration::from_secs(2)));
        assert!(pace.take(2, 2, begin + Duration::from_secs(2)), "another person has their own");
        assert!(pace.take(1, 2, begin + MINUTE));
        insta::assert_snapshot!(hasty(60), @"That is more than 60 in a minute, so nothing was done. Wait a little.");
    }
}
