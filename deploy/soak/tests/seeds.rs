//! What CI runs of the simulation: two hundred seeds, and that a seed is always the same.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test that cannot go on panics")]

use qd_soak::{Fleet, run};

/// Seeds of one test; the tests run beside each other.
const SEEDS: u64 = 50;

fn seeds(from: u64) {
    let fleet = Fleet::new(50).unwrap();
    for seed in from..from + SEEDS {
        if let Err(failed) = run(&fleet, seed) {
            panic!(
                "seed {seed}: {}\nall that happened: cargo xtask soak --seed {seed}\n{}",
                failed.broken,
                failed.trace.tail(40)
            );
        }
    }
}

#[test]
fn seeds_of_the_first_quarter_hold() {
    seeds(0);
}

#[test]
fn seeds_of_the_second_quarter_hold() {
    seeds(SEEDS);
}

#[test]
fn seeds_of_the_third_quarter_hold() {
    seeds(2 * SEEDS);
}

#[test]
fn seeds_of_the_last_quarter_hold() {
    seeds(3 * SEEDS);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (one, other) = (Fleet::new(50).unwrap(), Fleet::new(50).unwrap());
    for seed in [1, 2, 3] {
        let (first, second) = (run(&one, seed).unwrap(), run(&other, seed).unwrap());
        assert!(first.trace.text() == second.trace.text(), "seed {seed} differs from itself");
    }
}
