//! The steps on the instance's own disk: worktree, agent, commit.

use std::fs;

use qd_agents::{
    Ended, Task,
    prompt::{self, FailingCheck},
};
use qd_store::RunFact;
use qd_types::Step;

use super::{Here, StepError, chain};

/// Bytes of a failing check's log that go into a prompt, however many lines they are.
const LOG_BYTES: usize = 16 * 1024;

/// A checkout on a branch of its own, from the freshest base.
pub(super) async fn worktree(here: &Here<'_>) -> Result<(), StepError> {
    let worktrees = here.team.worktrees();
    let base = worktrees.refresh(&here.repository.spec).await?;
    let name = &here.repository.spec.name;
    let made = worktrees.create(name, &here.run.id, &here.run.branch, &base).await?;
    here.done(Step::Worktree, None, vec![RunFact::Base(made.base)]).await
}

/// The agent's turn; in a repair round with the failing check's log.
pub(super) async fn agent(here: &Here<'_>) -> Result<(), StepError> {
    let options = here.team.options();
    let Some(agent) = options.agent.clone() else {
        return Err(StepError::Failed("No agent is configured for this team.".into()));
    };
    let name = &here.repository.spec.name;
    let Some(worktree) = here.team.worktrees().find(name, &here.run.id).await? else {
        return Err(StepError::Failed("The run's worktree is gone.".into()));
    };
    let facts = facts(here).await?;
    let failing = failing(here, options.log_lines);
    let task = Task {
        run: here.run.id.clone(),
        cwd: worktree.path,
        prompt: prompt::build(&facts, failing.as_ref()),
        prompt_file: here.team.folder(&here.run.id).prompt(here.run.round),
    };
    let mut transcript = here.transcript()?;
    let keeper = here.keeper();
    let end = agent
        .work(task, &mut transcript, &keeper, here.stop.clone())
        .await
        .map_err(|error| StepError::Failed(format!("{}.", chain(&error))))?;
    here.store().set_process(&here.run.id, None).await?;
    match end.ended {
        Ended::Stopped => return Err(StepError::Stopped),
        Ended::TimeLimit(_) => return Err(StepError::Failed(end.sentence(agent.name()))),
        // An exit code proves nothing: the diff and the checks decide.
        Ended::Exited(_) | Ended::Signalled(_) => {}
    }
    let words = Some(end.words).filter(|words| !words.trim().is_empty());
    let note = qd_board::why::minutes(end.took.as_secs());
    here.done(Step::Agent, Some(note), vec![RunFact::Words(words)]).await
}

async fn facts(here: &Here<'_>) -> Result<prompt::Facts, StepError> {
    let mut depends = Vec::new();
    for id in &here.feature.depends_on {
        let snapshot = here.store().snapshot(id, jiff::Timestamp::now()).await?;
        depends.push(prompt::Outcome {
            id: id.clone(),
            title: snapshot.feature.title,
            outcome: snapshot.why.sentence,
        });
    }
    Ok(prompt::Facts {
        id: here.feature.id.clone(),
        title: here.feature.title.clone(),
        description: here.feature.description.clone(),
        depends,
        checks: here.repository.checks.iter().map(|check| check.command.clone()).collect(),
    })
}

/// The first red check of the round before, with the end of its log.
fn failing(here: &Here<'_>, lines: usize) -> Option<FailingCheck> {
    let round = here.run.round.checked_sub(1)?;
    let red = here.run.checks.iter().find(|check| check.round == round && !check.passed)?;
    let spec = here.repository.checks.iter().find(|spec| spec.name == red.name)?;
    let path = here.team.folder(&here.run.id).check_log(round, &red.name);
    // A log that can't be read is an empty one: the agent is still told which check is red.
    let log = fs::read(path).map(|bytes| tail(&String::from_utf8_lossy(&bytes), lines)).unwrap_or_default();
    Some(FailingCheck { name: red.name.clone(), command: spec.command.clone(), log })
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let last = all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n");
    let mut from = last.len().saturating_sub(LOG_BYTES);
    while !last.is_char_boundary(from) {
        from += 1;
    }
    last.get(from..).unwrap_or_default().to_owned()
}

/// The branch moves to the commit that the checks passed on.
pub(super) async fn commit(here: &Here<'_>) -> Result<(), StepError> {
    let commit = checked(here)?;
    here.team.worktrees().commit(&here.repository.spec.name, &here.run.id, commit).await?;
    here.done(Step::Commit, Some(commit.short().to_owned()), Vec::new()).await
}

/// The commit that the checks passed on.
pub(super) fn checked<'a>(here: &'a Here<'_>) -> Result<&'a qd_types::CommitId, StepError> {
    here.run.commit.as_ref().ok_or_else(|| StepError::Failed("The run has no checked commit.".into()))
}
