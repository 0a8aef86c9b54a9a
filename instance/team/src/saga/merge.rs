//! The merge step: builds the merge of the target and the approved head, runs the checks on exactly that in a fresh
//! checkout, pushes it to the branch, and asks for the merge of that very commit. If the target moved, it starts over.

use jiff::Timestamp;
use qd_board::RunEnd;
use qd_store::RunFact;
use qd_types::{ApprovalId, CommitId, Step};
use qd_wire::v1::{CheckReport, ForgeAct, ForgeOutcome};
use qd_worktrees::Merged;

use super::{Here, StepError, checks, forge, work::checked};

/// Times that the target may move under a merge before a person is asked.
const ROUNDS: u32 = 20;
/// Check results of merges are kept apart from those of the agent's rounds.
const MERGE_ROUNDS: u32 = 1000;

/// Merges what was approved.
pub(super) async fn merge(here: &Here<'_>) -> Result<(), StepError> {
    let _turn = here.team.trains().lock().await;
    let approval = here
        .run
        .approval
        .clone()
        .ok_or_else(|| StepError::Failed("The run has no approval to merge with.".into()))?;
    for round in 1..=ROUNDS {
        let id = format!("{}/merge/{round}", here.run.id);
        let outcome = if here.store().requested(&id).await? {
            forge::outcome(here, &id).await?
        } else {
            let tested = test(here, round).await?;
            let act = ForgeAct::Merge {
                approval: ApprovalId::clone(&approval),
                merge: forge::merge_of(here).await?,
                tested: tested.commit,
                base: tested.base,
                checks: tested.checks,
            };
            forge::ask(here, &format!("merge/{round}"), act).await?
        };
        match outcome {
            ForgeOutcome::Merged { commit } => {
                qd_failpoint::reached("merge");
                let end = RunEnd::Merged { commit };
                here.store().end_run(&here.run.id, Some(Step::Merge), end, Timestamp::now()).await?;
                return Ok(());
            }
            ForgeOutcome::BaseMoved { .. } => {}
            other => return Err(forge::unexpected(&other)),
        }
    }
    Err(StepError::Failed(format!("The target branch moved {ROUNDS} times while the merge was tested.")))
}

struct Tested {
    commit: CommitId,
    base: CommitId,
    checks: Vec<CheckReport>,
}

/// Builds the merge with what the target holds now, checks it, and pushes it to the branch.
async fn test(here: &Here<'_>, round: u32) -> Result<Tested, StepError> {
    let head = checked(here)?;
    let worktrees = here.team.worktrees();
    let spec = &here.repository.spec;
    let base = worktrees.refresh(spec).await?;
    let message = format!("Merge {} into {}\n", spec.target, here.run.branch);
    let tested = match worktrees.merge_onto(&spec.name, head, &base, &message, &here.stamp()).await? {
        Merged::Merged(commit) => commit,
        Merged::Conflict { files } => {
            let files = files.join(", ");
            return Err(StepError::Failed(format!("It conflicts with {} in {files}.", spec.target)));
        }
    };
    if tested == *head {
        return Ok(Tested { commit: tested, base, checks: forge::reports(here) });
    }
    let results = checks::run(here, &tested, MERGE_ROUNDS + round, "merge").await?;
    if let Some(red) = results.iter().find(|fact| !fact.passed) {
        let reason = format!("Check {} is red on the merge with {}.", red.name, spec.target);
        return Err(StepError::Failed(reason));
    }
    let before = here.store().pushed(&here.run.id).await?;
    worktrees.push(spec, &here.run.branch, &tested, before.as_ref()).await?;
    here.store().note(&here.run.id, vec![RunFact::Pushed(tested.clone())]).await?;
    let checks = results.into_iter().map(|fact| CheckReport { name: fact.name, passed: true }).collect();
    Ok(Tested { commit: tested, base, checks })
}
