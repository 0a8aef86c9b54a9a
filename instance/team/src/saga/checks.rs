//! Checks: on a candidate commit, in a fresh checkout that no agent can write. Red ones go back to the agent with
//! their log, at most so many rounds; then a person is asked. No check at all is *unverified*, never passed.

use jiff::Timestamp;
use qd_agents::{CheckEnd, CheckPlace, CheckResult, CheckSpec, Redactor, run_check, transcript::Kind};
use qd_board::{CheckFact, FailureClass};
use qd_store::RunFact;
use qd_types::{CommitId, Step};
use qd_worktrees::Purpose;

use super::{Here, StepError, cache, chain, page};
use crate::problem::capital;

/// Makes the candidate and checks it.
pub(super) async fn verify(here: &Here<'_>) -> Result<(), StepError> {
    let message = message(here);
    let (name, worktrees) = (&here.repository.spec.name, here.team.worktrees());
    let candidate = match page::is_page(here) {
        true => page::candidate(here, &message).await?,
        false => worktrees.candidate(name, &here.run.id, &message, &here.stamp()).await?,
    };
    let Some(candidate) = candidate else {
        // There is no change to judge by: what it said decides when it is tried again, and nothing else.
        let class = FailureClass::of_words(here.run.words.as_deref().unwrap_or_default());
        return Err(StepError::failed(class, format!("{} changed nothing.", capital(&here.run.agent))));
    };
    // There is a change: whatever the agent needs works.
    here.team.agent_worked(&here.run.agent).await?;
    if here.run.repairs() > 0
        && here
            .run
            .checks
            .iter()
            .any(|fact| !fact.passed && fact.commit == candidate && fact.round < here.run.round)
    {
        let reason =
            format!("{} changed nothing in repair round {}.", capital(&here.run.agent), here.run.repairs());
        return Err(StepError::failed(FailureClass::GaveUp, reason));
    }
    let results = run(here, &candidate, here.run.round, "checks").await?;
    let red: Vec<&CheckFact> = results.iter().filter(|fact| !fact.passed).collect();
    if red.is_empty() {
        let note = match results.len() {
            0 => "unverified".to_owned(),
            count => format!("{count} of {count} passed"),
        };
        let touched = here.team.worktrees().touches(name, base(here)?, &candidate).await?;
        let facts = vec![RunFact::Commit(candidate), RunFact::Touched(touched)];
        return here.done(Step::Checks, Some(note), facts).await;
    }
    let names: Vec<&str> = red.iter().map(|fact| fact.name.as_str()).collect();
    let names = names.join(", ");
    let rounds = here.team.options().runs.repair_rounds;
    if here.run.repairs() >= rounds {
        let plural = if rounds == 1 { "round" } else { "rounds" };
        let reason = format!("Check {names} is red after {rounds} repair {plural}.");
        return Err(StepError::failed(FailureClass::CheckFailed, reason));
    }
    qd_failpoint::reached("repair");
    Ok(here.store().repair(&here.run.id, format!("{names} red"), Timestamp::now()).await?)
}

/// Runs all checks on `commit`, each noted as a fact; the first red one ends it. One that passed before on the same
/// tree, by the same command in the same surroundings, is not run again.
pub(super) async fn run(
    here: &Here<'_>,
    commit: &CommitId,
    round: u32,
    purpose: &str,
) -> Result<Vec<CheckFact>, StepError> {
    let name = &here.repository.spec.name;
    let mut checks = here.checks();
    if here.repository.hooks {
        let hooks = here.team.worktrees().hooks(name, base(here)?).await?;
        checks.extend(hooks.into_iter().map(|hook| CheckSpec {
            name: hook.name.to_owned(),
            command: hook.command,
            limit: super::ACCEPTANCE_LIMIT,
            env_allow: Vec::new(),
            tail: here.team.options().runs.log_lines,
        }));
    }
    let mut facts = Vec::new();
    let tree = here.team.worktrees().tree_id(name, commit).await?;
    let mut checkout = None;
    let purpose: Purpose = purpose.parse().map_err(StepError::from)?;
    for check in &checks {
        let key = cache::key(name, &tree, check);
        here.store().check_started(&here.run.id, &check.name, round, Timestamp::now()).await?;
        if let Some(millis) = here.store().passed_before(&key).await? {
            let text =
                format!("{} passed before on the same files, in {millis} ms. Not run again.", check.name);
            here.transcript()?.append(Kind::Check, &text)?;
            facts.push(noted(here, check, commit, round, millis, None).await?);
            continue;
        }
        let cwd = match &checkout {
            Some(cwd) => cwd,
            None => {
                let made = here.team.worktrees().checkout(name, &here.run.id, &purpose, commit).await?;
                checkout.insert(made)
            }
        };
        let result = run_one(here, check, cwd, round).await?;
        let millis = (result.seconds * 1000.0) as u64;
        let reason = (!result.passed()).then(|| result.to_string());
        if result.passed() {
            here.store().note_passed(&key, &check.name, millis, Timestamp::now()).await?;
        }
        let fact = noted(here, check, commit, round, millis, reason).await?;
        let red = !fact.passed;
        facts.push(fact);
        if red {
            break;
        }
    }
    if checkout.is_some() {
        here.team.worktrees().drop_checkout(name, &here.run.id, &purpose).await?;
    }
    if page::is_page(here) && facts.iter().all(|fact| fact.passed) {
        facts.push(page::check(here, commit, round).await?);
    }
    Ok(facts)
}

pub(super) async fn run_one(
    here: &Here<'_>,
    check: &CheckSpec,
    cwd: &std::path::Path,
    round: u32,
) -> Result<CheckResult, StepError> {
    let log = here.team.folder(&here.run.id).check_log(round, &check.name);
    let redactor = Redactor::default();
    // What git notes about this check-out, and what goes with it.
    let link = tokio::fs::read_to_string(cwd.join(".git")).await.unwrap_or_default();
    let admin = link.trim().strip_prefix("gitdir: ").map(std::path::PathBuf::from);
    let confined = here.team.options().confined(&here.run.id, cwd, (admin.into_iter().collect(), Vec::new()));
    let confined = confined.map_err(|error| StepError::Again(error.into()))?;
    let _exposed = here.team.options().exposed(confined.as_ref());
    let place = CheckPlace {
        cwd,
        run: &here.run.id,
        log_file: &log,
        redactor: &redactor,
        confined: confined.as_ref(),
    };
    let result = run_check(check, place, &here.keeper(), here.stop.clone())
        .await
        .map_err(|error| StepError::Again(chain(&error).into()))?;
    here.store().set_process(&here.run.id, None).await?;
    if result.end == CheckEnd::Stopped {
        return Err(StepError::Stopped);
    }
    here.transcript()?.append(Kind::Check, &result.to_string())?;
    Ok(result)
}

async fn noted(
    here: &Here<'_>,
    check: &CheckSpec,
    commit: &CommitId,
    round: u32,
    millis: u64,
    reason: Option<String>,
) -> Result<CheckFact, StepError> {
    let fact = CheckFact {
        name: check.name.clone(),
        commit: commit.clone(),
        passed: reason.is_none(),
        round,
        millis,
        reason,
    };
    here.store().check(&here.run.id, fact.clone(), Timestamp::now()).await?;
    Ok(fact)
}

/// Where the run's branch starts.
pub(super) fn base<'a>(here: &'a Here<'_>) -> Result<&'a CommitId, StepError> {
    here.run.base.as_ref().ok_or_else(|| StepError::failed(FailureClass::Dependency, "The run has no base."))
}

/// The commit's message: the feature's title, and which run made it.
fn message(here: &Here<'_>) -> String {
    format!("{}: {}\n\nQuarterdeck-Run: {}\n", here.feature.id, here.feature.wanted.title, here.run.id)
}
