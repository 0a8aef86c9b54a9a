//! What CI runs of the simulation: two hundred seeds, and that a seed is always the same.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test that cannot go on panics")]

use qd_soak::{Fleet, run};

/// Seeds of one test; the tests run beside each other.
const SEEDS: u64 = 25;

fn seeds(part: u64) {
    let fleet = Fleet::new(50).unwrap();
    for seed in part * SEEDS..(part + 1) * SEEDS {
        if let Err(failed) = run(&fleet, seed) {
            panic!(
                "seed {seed}: {}\nall that happened: cargo xtask soak --seed {seed}\n{}",
                failed.broken,
                failed.trace.tail(40)
            );
        }
    }
}

/// A team that is killed right after it began to tell a restored bot everything anew had told it anew.
#[test]
fn what_was_begun_before_the_end_counts() {
    let fleet = Fleet::new(50).unwrap();
    assert_eq!(run(&fleet, 3504).map(drop).map_err(|failed| failed.broken.to_string()), Ok(()));
}

macro_rules! parts {
    ($($name:ident: $part:literal),*) => {
        $(#[test]
        fn $name() {
            seeds($part);
        })*
    };
}

parts!(
    the_first_seeds_hold: 0,
    the_second_seeds_hold: 1,
    the_third_seeds_hold: 2,
    the_fourth_seeds_hold: 3,
    the_fifth_seeds_hold: 4,
    the_sixth_seeds_hold: 5,
    the_seventh_seeds_hold: 6,
    the_eighth_seeds_hold: 7
);

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (one, other) = (Fleet::new(50).unwrap(), Fleet::new(50).unwrap());
    for seed in [1, 2, 3] {
        let (first, second) = (run(&one, seed).unwrap(), run(&other, seed).unwrap());
        assert!(first.trace.text() == second.trace.text(), "seed {seed} differs from itself");
    }
}
