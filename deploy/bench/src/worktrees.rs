//! Worktrees against plain `git worktree add` with its usual settings, in the same repository, by turns; and
//! the conflict radar.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use qd_types::RunId;
use qd_worktrees::Worktrees as _;

use crate::{
    Failure,
    figures::Figures,
    yard::{Stream, Yard, rest},
};

const FILES: usize = 50_000;
/// One file in so many differs between the two commits that worktrees are made of.
const CHANGED: usize = 250;
const ROUNDS: usize = 5;
const ROUNDS_OF_EIGHT: usize = 3;

const BRANCHES: usize = 20;
const RADAR_FILES: usize = 5_000;
const RADAR_ROUNDS: usize = 9;

fn median(taken: &[Duration]) -> Result<f64, Failure> {
    let mut sorted = taken.to_vec();
    sorted.sort();
    Ok(sorted.get(sorted.len() / 2).ok_or("no samples")?.as_secs_f64() * 1e3)
}

fn note(ours: &[Duration], git: &[Duration], most: &str) -> Result<String, Failure> {
    let (middle, middle_git) = (median(ours)?, median(git)?);
    let (spread, spread_git) = (spread(ours), spread(git));
    Ok(format!("{middle:.0} ms ({spread}) over {middle_git:.0} ms ({spread_git}) by git; at most {most}"))
}

/// The lowest and the highest, in ms: how much else the machine had to do.
fn spread(taken: &[Duration]) -> String {
    let ends = (taken.iter().min(), taken.iter().max());
    let (Some(least), Some(most)) = ends else { return String::new() };
    format!("{:.0}–{:.0}", least.as_secs_f64() * 1e3, most.as_secs_f64() * 1e3)
}

fn run(number: usize) -> Result<RunId, Failure> {
    Ok(format!("A-{number}.1").parse()?)
}

/// Those of the worktrees' figures that are wanted.
pub async fn measure(figures: &mut Figures, wanted: &impl Fn(&str) -> bool) -> Result<(), Failure> {
    if wanted("conflict_radar_ms_20_branches") {
        radar(figures).await?;
    }
    let one = ["worktree_create_ratio_50k", "worktree_reuse_ratio_50k"].iter().any(|name| wanted(name));
    let eight = wanted("worktree_create_eight_ratio_50k");
    if !one && !eight {
        return Ok(());
    }
    let mut stream = Stream::new(FILES);
    stream.commit("next", Some("main"));
    for number in (0..FILES).step_by(CHANGED) {
        stream.file(number, 1);
    }
    let yard = Arc::new(Yard::new(stream).await?);
    if one {
        one_by_one(&yard, figures).await?;
        rest(true).await?;
    }
    if eight {
        eight_at_once(&yard, figures).await?;
    }
    Ok(())
}

async fn one_by_one(yard: &Yard, figures: &mut Figures) -> Result<(), Failure> {
    let (main, next) = (yard.head("main")?, yard.head("next")?);
    let (mut by_git, mut fresh, mut reused) = (Vec::new(), Vec::new(), Vec::new());
    let (without, with) = (yard.trees(0).await?, yard.trees(1).await?);
    let mut old = run(100)?;
    yard.add(&with, &old, &main).await?;
    for round in 0..ROUNDS {
        // Who goes first changes from round to round.
        for turn in [round % 2, 1 - round % 2] {
            rest(false).await?;
            let begun = Instant::now();
            if turn == 0 {
                yard.add_by_git(&round.to_string(), &main)?;
                by_git.push(begun.elapsed());
            } else {
                yard.add(&without, &run(round + 1)?, &main).await?;
                fresh.push(begun.elapsed());
            }
        }
        yard.remove(&with, &old).await?;
        rest(false).await?;
        old = run(101 + round)?;
        let begun = Instant::now();
        yard.add(&with, &old, if round % 2 == 0 { &next } else { &main }).await?;
        reused.push(begun.elapsed());
    }
    let git = median(&by_git)?;
    for (name, ours, most) in
        [("worktree_create_ratio_50k", fresh, "0.5"), ("worktree_reuse_ratio_50k", reused, "0.15")]
    {
        let note = note(&ours, &by_git, most)?;
        figures.add(name, median(&ours)? / git, "ratio", ROUNDS, note);
    }
    for round in 0..ROUNDS {
        yard.remove(&without, &run(round + 1)?).await?;
    }
    yard.remove(&without, &old).await?;
    yard.clear_git()
}

async fn eight_at_once(yard: &Arc<Yard>, figures: &mut Figures) -> Result<(), Failure> {
    let main = yard.head("main")?;
    let (mut by_git, mut ours) = (Vec::new(), Vec::new());
    let trees = Arc::new(yard.trees(0).await?);
    for round in 0..ROUNDS_OF_EIGHT {
        for turn in [round % 2, 1 - round % 2] {
            rest(false).await?;
            let begun = Instant::now();
            if turn == 0 {
                for number in 0..8 {
                    yard.add_by_git(&number.to_string(), &main)?;
                }
                by_git.push(begun.elapsed());
                continue;
            }
            let mut tasks = Vec::new();
            for number in 1..=8 {
                let (yard, trees, main) = (Arc::clone(yard), Arc::clone(&trees), main.clone());
                let run = run(number)?;
                tasks.push(tokio::spawn(async move { yard.add(&trees, &run, &main).await }));
            }
            for task in tasks {
                task.await??;
            }
            ours.push(begun.elapsed());
        }
        yard.clear_git()?;
        for number in 1..=8 {
            yard.remove(&trees, &run(number)?).await?;
        }
        rest(true).await?;
    }
    let note = note(&ours, &by_git, "0.6, git's in sequence")?;
    let ratio = median(&ours)? / median(&by_git)?;
    figures.add("worktree_create_eight_ratio_50k", ratio, "ratio", ROUNDS_OF_EIGHT, note);
    Ok(())
}

/// Twenty branches from main, which went on: each changes files of its own, every other one also one of five
/// that many change.
async fn radar(figures: &mut Figures) -> Result<(), Failure> {
    let mut stream = Stream::new(RADAR_FILES);
    for branch in 0..BRANCHES {
        stream.commit(&format!("feature-{branch}"), Some("main"));
        for number in 0..15 {
            stream.file((branch * 37 + number * 251) % RADAR_FILES, branch + 1);
        }
        if branch % 2 == 0 {
            stream.file(branch % 5, branch + 1);
        }
    }
    stream.commit("main", None);
    for number in (0..RADAR_FILES).step_by(500) {
        stream.file(number, 99);
    }
    let yard = Yard::new(stream).await?;
    let target = yard.head("main")?;
    let mut heads = Vec::new();
    for branch in 0..BRANCHES {
        let name = format!("feature-{branch}");
        heads.push(yard.head(&name)?);
    }
    let (mut taken, mut found) = (Vec::new(), 0);
    for _ in 0..RADAR_ROUNDS {
        // Each knows nothing yet.
        let trees = yard.trees(0).await?;
        let begun = Instant::now();
        found = trees.conflicts(&yard.spec.name, &heads, &target).await?.len();
        taken.push(begun.elapsed());
    }
    let pairs = BRANCHES * (BRANCHES + 1) / 2;
    let note = format!("{found} of {pairs} pairs clash, nothing known before; {RADAR_FILES} files");
    figures.add("conflict_radar_ms_20_branches", median(&taken)?, "ms", RADAR_ROUNDS, note);
    Ok(())
}
