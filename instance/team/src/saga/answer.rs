//! A question: its run only reads, what its agent says is the answer, and nothing of its check-out goes anywhere. What the
//! answer names is looked up, so that people see whether it stands on anything.

use std::collections::BTreeSet;

use jiff::Timestamp;
use qd_agents::prompt::{Board, Turn};
use qd_board::{
    FailureClass, PlanMode, Run, RunEnd,
    answer::{self, Cited},
};
use qd_store::RunFact;
use qd_types::{FeatureId, Step};

use super::{Here, StepError, work};
use crate::problem::capital;

/// Features and runs that an agent is told of.
const FEATURES: usize = 200;
const RUNS: usize = 40;
/// Longest answer, in characters: what a message holds, with room for what stands beside it.
const LONGEST: usize = 1200;
/// Bytes of a file in which a line is looked for.
const FILE: usize = 4 * 1024 * 1024;

/// Whether the run is for a question.
pub(super) fn is_question(here: &Here<'_>) -> bool {
    here.feature.wanted.plan == PlanMode::Answer
}

/// The agent's turn on a question, and the end of its run. An answer that was given before a crash is not asked for again.
pub(super) async fn answer(here: &Here<'_>) -> Result<(), StepError> {
    let words = match &here.run.words {
        Some(words) => words.clone(),
        None => look(here).await?,
    };
    qd_failpoint::reached("question_answered");
    let cites = if answer::is_known(&words) { cites(here, &words).await? } else { Vec::new() };
    let end = RunEnd::Answered { cites, known: answer::is_known(&words) };
    Ok(super::end(here.team, &here.run, Some(Step::Agent), end).await?)
}

/// What the agent says. It is kept before it is looked at.
async fn look(here: &Here<'_>) -> Result<String, StepError> {
    let board = board(here).await?;
    let end = work::take_turn(here, Turn::Answer(&board)).await?;
    let said = work::said(here)?;
    let words: String = answer::answer(&said).chars().take(LONGEST).collect();
    if words.is_empty() {
        let class = FailureClass::of_words(&end.words);
        return Err(StepError::failed(class, format!("{} said nothing.", capital(&here.run.agent))));
    }
    let facts = vec![RunFact::Words(Some(words.clone())), RunFact::Worked(work::millis(end.took))];
    here.store().note(&here.run.id, facts).await?;
    Ok(words)
}

/// The board and its newest runs, a line each, without the question itself.
async fn board(here: &Here<'_>) -> Result<Board, StepError> {
    let features = here.store().snapshots(None, FEATURES, Timestamp::now()).await?;
    let features = features.into_iter().filter(|found| found.feature.id != here.feature.id);
    let features = features.map(|found| {
        let feature = &found.feature;
        format!("{} ({}) {}: {}", feature.id, feature.stage, feature.wanted.title, found.why.sentence)
    });
    let runs = here.store().runs(None, RUNS).await?;
    let runs = runs.into_iter().filter(|(run, _)| run.feature != here.feature.id);
    let runs = runs.map(|(run, title)| format!("{} {title}, {}: {}", run.id, run.started_at, ended(&run)));
    Ok(Board { features: features.collect(), runs: runs.collect() })
}

/// How a run ended, for an agent.
fn ended(run: &Run) -> String {
    match &run.end {
        None => "works".to_owned(),
        Some(RunEnd::Merged { commit }) => format!("merged as {commit}"),
        Some(RunEnd::Planned { features }) => format!("planned {features} features"),
        Some(RunEnd::Answered { .. }) => "answered".to_owned(),
        Some(RunEnd::Failed { reason, .. } | RunEnd::Stopped { reason }) => reason.clone(),
    }
}

/// What an answer names that there is. That its own question is named proves nothing.
async fn cites(here: &Here<'_>, words: &str) -> Result<Vec<String>, StepError> {
    let mut there = Vec::new();
    let mut commits = None;
    for cited in answer::cited(words) {
        let found = match &cited {
            Cited::Feature(id) => *id != here.feature.id && feature(here, id).await?,
            Cited::Run(id) => *id.feature() != here.feature.id && run(here, id).await?,
            Cited::Commit(name) => {
                if commits.is_none() {
                    commits = Some(known(here).await?);
                }
                commits.iter().flatten().any(|commit: &String| commit.starts_with(name.as_str()))
            }
            Cited::Line { path, line } => has_line(here, path, *line).await?,
        };
        if found {
            there.push(cited.to_string());
        }
    }
    Ok(there)
}

async fn feature(here: &Here<'_>, id: &FeatureId) -> Result<bool, StepError> {
    match here.store().snapshot(id, Timestamp::now()).await {
        Ok(_) => Ok(true),
        Err(qd_store::StoreError::NoSuch { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn run(here: &Here<'_>, id: &qd_types::RunId) -> Result<bool, StepError> {
    match here.store().run(id).await {
        Ok(_) => Ok(true),
        Err(qd_store::StoreError::NoSuch { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The commits that runs on the board have made, started from or were merged as.
async fn known(here: &Here<'_>) -> Result<BTreeSet<String>, StepError> {
    let mut commits = BTreeSet::new();
    commits.extend(here.run.base.as_ref().map(ToString::to_string));
    for (run, _) in here.store().runs(None, FEATURES).await? {
        let merged = match &run.end {
            Some(RunEnd::Merged { commit }) => Some(commit),
            _ => None,
        };
        commits.extend(
            [run.base.as_ref(), run.commit.as_ref(), merged].into_iter().flatten().map(ToString::to_string),
        );
    }
    Ok(commits)
}

/// Whether a file has that line in the commit that was looked at: not in the check-out, which the agent had.
async fn has_line(here: &Here<'_>, path: &str, line: usize) -> Result<bool, StepError> {
    let Some(base) = &here.run.base else { return Ok(false) };
    let text = here.team.worktrees().file(&here.repository.spec.name, base, path, FILE).await?;
    Ok(text.is_some_and(|text| text.lines().count() >= line))
}
