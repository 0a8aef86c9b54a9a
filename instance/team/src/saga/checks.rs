//! Checks: on a candidate commit, in a fresh checkout that no agent can write. Red ones go back to the agent with
//! their log, at most so many rounds; then a person is asked. No check at all is *unverified*, never passed.

use jiff::Timestamp;
use qd_agents::{CheckEnd, CheckPlace, Redactor, run_check, transcript::Kind};
use qd_board::CheckFact;
use qd_store::RunFact;
use qd_types::{CommitId, Step};
use qd_worktrees::Purpose;

use super::{Here, StepError, chain};

/// Makes the candidate and checks it.
pub(super) async fn verify(here: &Here<'_>) -> Result<(), StepError> {
    let message = message(here);
    let candidate = here
        .team
        .worktrees()
        .candidate(&here.repository.spec.name, &here.run.id, &message, &here.stamp())
        .await?;
    let Some(candidate) = candidate else {
        return Err(StepError::Failed(format!("{} changed nothing.", here.run.agent)));
    };
    let results = run(here, &candidate, here.run.round, "checks").await?;
    let red: Vec<&CheckFact> = results.iter().filter(|fact| !fact.passed).collect();
    if red.is_empty() {
        let note = match results.len() {
            0 => "unverified".to_owned(),
            count => format!("{count} of {count} passed"),
        };
        return here.done(Step::Checks, Some(note), vec![RunFact::Commit(candidate)]).await;
    }
    let names: Vec<&str> = red.iter().map(|fact| fact.name.as_str()).collect();
    let names = names.join(", ");
    let rounds = here.team.options().repair_rounds;
    if here.run.round >= rounds {
        let plural = if rounds == 1 { "round" } else { "rounds" };
        return Err(StepError::Failed(format!("Check {names} is red after {rounds} repair {plural}.")));
    }
    qd_failpoint::reached("repair");
    Ok(here.store().repair(&here.run.id, format!("{names} red"), Timestamp::now()).await?)
}

/// Runs all checks on `commit`, each noted as a fact; the first red one ends it.
pub(super) async fn run(
    here: &Here<'_>,
    commit: &CommitId,
    round: u32,
    purpose: &str,
) -> Result<Vec<CheckFact>, StepError> {
    if here.repository.checks.is_empty() {
        return Ok(Vec::new());
    }
    let name = &here.repository.spec.name;
    let purpose: Purpose = purpose.parse().map_err(StepError::from)?;
    let cwd = here.team.worktrees().checkout(name, &here.run.id, &purpose, commit).await?;
    let folder = here.team.folder(&here.run.id);
    let redactor = Redactor::default();
    let mut transcript = here.transcript()?;
    let mut facts = Vec::new();
    for check in &here.repository.checks {
        let log = folder.check_log(round, &check.name);
        let place = CheckPlace { cwd: &cwd, run: &here.run.id, log_file: &log, redactor: &redactor };
        let result = run_check(check, place, &here.keeper(), here.stop.clone())
            .await
            .map_err(|error| StepError::Again(chain(&error).into()))?;
        here.store().set_process(&here.run.id, None).await?;
        if result.end == CheckEnd::Stopped {
            return Err(StepError::Stopped);
        }
        transcript.append(Kind::Check, &result.to_string())?;
        let fact = CheckFact {
            name: result.name.clone(),
            commit: commit.clone(),
            passed: result.passed(),
            round,
            millis: (result.seconds * 1000.0) as u64,
            reason: (!result.passed()).then(|| result.to_string()),
        };
        here.store().check(&here.run.id, fact.clone(), Timestamp::now()).await?;
        let red = !fact.passed;
        facts.push(fact);
        if red {
            break;
        }
    }
    here.team.worktrees().drop_checkout(name, &here.run.id, &purpose).await?;
    Ok(facts)
}

/// The commit's message: the feature's title, and which run made it.
fn message(here: &Here<'_>) -> String {
    format!("{}: {}\n\nQuarterdeck-Run: {}\n", here.feature.id, here.feature.title, here.run.id)
}
