//! Retry delays: bounded, spread, and the same each time they are asked for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use qd_board::{
    backoff::{Backoff, Jitter, MAX_RETRIES},
    chance::{between, seed},
};

#[test]
fn a_run_has_its_own_waits_and_they_do_not_change_between_versions() {
    let waits = |run: &str| -> Vec<u128> {
        (1..)
            .map_while(|attempt| Backoff::TRANSIENT.delay(seed(&[run]), attempt))
            .map(|it| it.as_millis())
            .collect()
    };
    insta::assert_debug_snapshot!(waits("A-142.1"), @"
    [
        2010,
        3102,
        3423,
        3001,
        2049,
    ]
    ");
    assert_ne!(waits("A-142.1"), waits("A-142.2"));
}

#[test]
fn parts_of_a_seed_are_kept_apart() {
    assert_ne!(seed(&["A-1", "2"]), seed(&["A-12"]));
    assert_ne!(seed(&["A-1", "2"]), seed(&["A-", "12"]));
}

#[test]
fn waits_are_spread() {
    let distinct: BTreeSet<_> = (0..1000).map(|seed| Backoff::RATE_LIMIT.delay(seed, 3)).collect();
    assert!(distinct.len() > 900, "{}", distinct.len());
    let mut counts = [0_u32; 10];
    for seed in 0..10_000 {
        let bucket = usize::try_from(between(seed, 1, 0, 9)).unwrap();
        *counts.get_mut(bucket).unwrap() += 1;
    }
    assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
}

proptest! {
    #[test]
    fn waits_stay_within_their_bounds(
        shortest_ms in 0..100_000u64,
        longest_ms in prop_oneof![0..1_000_000u64, Just(u64::MAX)],
        retries in 0..100u32,
        decorrelated: bool,
        seed: u64,
        attempt in 0..120u32,
    ) {
        let jitter = if decorrelated { Jitter::Decorrelated } else { Jitter::Full };
        let backoff = Backoff { shortest_ms, longest_ms, retries, jitter };
        let delay = backoff.delay(seed, attempt);
        prop_assert_eq!(delay.is_some(), (1..=retries.min(MAX_RETRIES)).contains(&attempt));
        if let Some(delay) = delay {
            prop_assert!(delay >= Duration::from_millis(shortest_ms));
            prop_assert!(delay <= Duration::from_millis(longest_ms.max(shortest_ms)));
            prop_assert_eq!(backoff.delay(seed, attempt), Some(delay));
            let before = if attempt == 1 { None } else { backoff.delay(seed, attempt - 1) };
            let before = before.unwrap_or(Duration::from_millis(shortest_ms));
            let bound = match jitter {
                Jitter::Decorrelated => before.saturating_mul(3),
                Jitter::Full => Duration::from_millis(shortest_ms.saturating_mul(2_u64.saturating_pow(attempt))),
            };
            prop_assert!(delay <= bound, "{delay:?} {bound:?}");
        }
    }

    #[test]
    fn numbers_lie_between_their_ends(seed: u64, nth: u64, low: u64, high: u64) {
        let number = between(seed, nth, low, high);
        prop_assert!(number == low || (low..=high).contains(&number));
    }
}
