//! What the demo ends with: a few lines for people, one line of JSON for programs.

use std::time::Duration;

use qd_api::{FeatureView, RunView};
use qd_board::RunEnd;
use serde::Serialize;

/// A feature when the demo ended.
pub(super) struct Ended {
    pub(super) view: FeatureView,
    pub(super) run: Option<RunView>,
}

/// The last line of `demo --json`.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    features: Vec<Row>,
    /// How many are on the main branch.
    pub(super) merged: usize,
    /// Seconds for all of it.
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    title: String,
    stage: String,
    branch: Option<String>,
    /// On the main branch.
    commit: Option<String>,
    pull_request: Option<u64>,
    checks: Vec<Check>,
    approved_by: Vec<String>,
    seconds: u64,
    #[serde(skip)]
    sentence: String,
    /// What its model has cost, where it used one.
    #[serde(skip)]
    spent: Option<String>,
}

#[derive(Debug, Serialize)]
struct Check {
    name: String,
    passed: bool,
    round: u32,
}

pub(super) fn of(ended: &[Ended], took: Duration) -> Summary {
    let features: Vec<Row> = ended.iter().map(row).collect();
    Summary {
        merged: features.iter().filter(|row| row.commit.is_some()).count(),
        features,
        seconds: (took.as_secs_f64() * 10.0).round() / 10.0,
    }
}

fn row(Ended { view, run }: &Ended) -> Row {
    let summary = run.as_ref().map(|run| &run.summary);
    let commit = summary.and_then(|run| match &run.end {
        Some(RunEnd::Merged { commit }) => Some(commit.to_string()),
        _ => None,
    });
    Row {
        id: view.feature.id.to_string(),
        title: view.feature.wanted.title.clone(),
        stage: view.feature.stage.to_string(),
        branch: summary.map(|run| run.branch.clone()),
        commit,
        pull_request: summary.and_then(|run| run.pull_request),
        checks: run.as_ref().map_or_else(Vec::new, |run| {
            let facts = run.check_results.iter();
            facts
                .map(|fact| Check { name: fact.name.clone(), passed: fact.passed, round: fact.round })
                .collect()
        }),
        approved_by: summary.map_or_else(Vec::new, |run| run.approved_by.clone()),
        seconds: summary.map_or(0, |run| run.seconds),
        sentence: view.sentence.clone(),
        spent: summary.and_then(|run| Some(format!("{} spent {}", run.agent, run.spent.as_ref()?.said()))),
    }
}

pub(super) fn lines(summary: &Summary) -> Vec<String> {
    let mut lines: Vec<String> = summary
        .features
        .iter()
        .map(|row| {
            let red = row.checks.iter().filter(|check| !check.passed).count();
            let repaired = if red > 0 { " A red check was repaired from its log." } else { "" };
            let repaired = if row.commit.is_some() { repaired } else { "" };
            format!("{:<4} {}{repaired}", row.id, row.sentence)
        })
        .collect();
    for row in &summary.features {
        if let Some(spent) = &row.spent {
            lines.push(format!(
                "{:<4} Its agent {spent}: its model is an actor too, and nobody is paid.",
                row.id
            ));
        }
    }
    lines.push(format!(
        "{} of {} merged in {:.0} s.",
        summary.merged,
        summary.features.len(),
        summary.seconds
    ));
    lines
}
