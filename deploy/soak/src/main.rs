//! `cargo xtask soak`: many seeds on all cores, or one seed with all that happens in it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own: what it finds goes to the terminal"
)]

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Instant,
};

use qd_soak::{Broken, Fleet, run};

const USAGE: &str = "usage: soak [--seed N | --seeds N] [--from N] [--teams N]";

/// What is asked for.
struct Asked {
    seed: Option<u64>,
    seeds: u64,
    from: u64,
    teams: u64,
}

fn read(mut args: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked { seed: None, seeds: 10_000, from: 0, teams: 50 };
    while let Some(arg) = args.next() {
        let number = args.next().and_then(|number| number.parse().ok()).ok_or_else(|| USAGE.to_owned())?;
        match arg.as_str() {
            "--seed" => asked.seed = Some(number),
            "--seeds" => asked.seeds = number,
            "--from" => asked.from = number,
            "--teams" if (1..100).contains(&number) => asked.teams = number,
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(asked)
}

fn main() -> ExitCode {
    let asked = match read(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    let done = match asked.seed {
        Some(seed) => one(&asked, seed),
        None => many(&asked),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(broken) => {
            eprintln!("soak: {broken}");
            ExitCode::FAILURE
        }
    }
}

fn one(asked: &Asked, seed: u64) -> Result<bool, Broken> {
    let fleet = Fleet::new(asked.teams as usize)?;
    match run(&fleet, seed) {
        Ok(ended) => {
            print!("{}", ended.trace.text());
            println!("Seed {seed} holds: {} writes.", ended.writes);
            Ok(true)
        }
        Err(failed) => {
            print!("{}", failed.trace.text());
            println!("Seed {seed} is broken: {}", failed.broken);
            Ok(false)
        }
    }
}

fn many(asked: &Asked) -> Result<bool, Broken> {
    let (begun, end) = (Instant::now(), asked.from + asked.seeds);
    let (next, writes, broken) = (AtomicU64::new(asked.from), AtomicU64::new(0), AtomicBool::new(false));
    let work = || -> Result<(), Broken> {
        let fleet = Fleet::new(asked.teams as usize)?;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return Ok(());
            }
            match run(&fleet, seed) {
                Ok(ended) => {
                    writes.fetch_add(ended.writes, Ordering::Relaxed);
                }
                Err(failed) => {
                    broken.store(true, Ordering::Relaxed);
                    println!("Seed {seed} is broken: {}", failed.broken);
                    println!("All that happened: cargo xtask soak --seed {seed} --teams {}", asked.teams);
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(Broken("a thread panicked".to_owned())))
        })
    })?;
    let (writes, holds) = (writes.into_inner(), !broken.into_inner());
    let seconds = begun.elapsed().as_secs();
    println!("{} seeds of {} teams, {writes} writes, {seconds} s.", asked.seeds, asked.teams);
    Ok(holds)
}
