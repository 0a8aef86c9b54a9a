//! How long to wait before the next try. Pure: the same seed and attempt give the same wait, so a restart in between
//! changes nothing and a plan can be shown before it happens.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chance;

/// Most tries that any policy makes.
pub const MAX_RETRIES: u32 = 64;

/// How waits are spread, so that those who failed together do not come back together. Both are from Brooker, Exponential
/// Backoff And Jitter (2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Anything from the shortest wait to a bound that doubles with each attempt.
    Full,
    /// Anything from the shortest wait to three times the wait before.
    Decorrelated,
}

/// A policy of retries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Backoff {
    /// No wait is shorter, in milliseconds.
    pub shortest_ms: u64,
    /// No wait is longer, in milliseconds.
    pub longest_ms: u64,
    /// How often it is tried again, at most [`MAX_RETRIES`].
    pub retries: u32,
    /// How waits are spread.
    pub jitter: Jitter,
}

impl Backoff {
    /// For what passes by itself: a lock held, a connection cut. Five tries within a few minutes.
    pub const TRANSIENT: Self =
        Self { shortest_ms: 1_000, longest_ms: 60_000, retries: 5, jitter: Jitter::Decorrelated };

    /// For a service that asks to be left alone for a while. Eight tries within an hour or so.
    pub const RATE_LIMIT: Self =
        Self { shortest_ms: 15_000, longest_ms: 15 * 60_000, retries: 8, jitter: Jitter::Full };

    /// The wait before try `attempt` (1 is the first retry); `None` when there is no further try. The seed names what is
    /// tried: see [`chance::seed`].
    pub fn delay(&self, seed: u64, attempt: u32) -> Option<Duration> {
        if attempt == 0 || attempt > self.retries.min(MAX_RETRIES) {
            return None;
        }
        let longest = self.longest_ms.max(self.shortest_ms);
        let wait = match self.jitter {
            Jitter::Full => {
                let bound = self.shortest_ms.saturating_mul(1_u64.checked_shl(attempt).unwrap_or(u64::MAX));
                chance::between(seed, u64::from(attempt), self.shortest_ms, bound.min(longest))
            }
            Jitter::Decorrelated => (1..=attempt).fold(self.shortest_ms, |before, nth| {
                let bound = before.saturating_mul(3).min(longest);
                chance::between(seed, u64::from(nth), self.shortest_ms, bound)
            }),
        };
        Some(Duration::from_millis(wait))
    }
}
