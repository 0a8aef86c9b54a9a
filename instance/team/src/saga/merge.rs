//! The merge step: builds the merge of the target and the approved head, runs the checks on exactly that in a fresh
//! checkout, pushes it to the branch, and asks for the merge of that very commit. If the target moved, it starts over.

use jiff::Timestamp;
use qd_agents::transcript::Kind;
use qd_board::{FailureClass, Feedback, RunEnd};
use qd_types::{ApprovalId, CommitId, Step};
use qd_wire::v1::{CheckReport, ForgeAct, ForgeOutcome};
use qd_worktrees::Merged;

use super::{
    Here, StepError, checks, forge, page,
    work::{self, checked},
};

/// Times that the target may move under a merge before a person is asked.
const ROUNDS: u32 = 20;
/// Check results of merges are kept apart from those of the agent's rounds.
const MERGE_ROUNDS: u32 = 1000;

/// Merges what was approved.
pub(super) async fn merge(here: &Here<'_>) -> Result<(), StepError> {
    let _turn = here.team.train(&here.repository.spec.name).await;
    let approval =
        here.run.approval.clone().ok_or_else(|| {
            StepError::failed(FailureClass::Unknown, "The run has no approval to merge with.")
        })?;
    for round in 1..=ROUNDS {
        // What is asked about a page is about one commit of it: people may have pushed another since.
        let what = match page::is_page(here) {
            true => format!("merge/{}/{round}", checked(here)?),
            false => format!("merge/{round}"),
        };
        let id = format!("{}/{what}", here.run.id);
        let outcome = if here.store().requested(&id).await? {
            forge::outcome(here, &id).await?
        } else {
            if page::is_page(here)
                && let Some(moved) = page::moved(here).await?
            {
                return page::follow(here, Step::Merge, moved).await;
            }
            let tested = match test(here, round).await? {
                Test::Green(tested) => tested,
                Test::Back => return Ok(()),
            };
            // Whoever wanted something else after people had approved is heard before the merge.
            if let Some((about, text)) = forge::said(here).await? {
                let class = FailureClass::Denied;
                return back(here, &tested.base, &about, class, Some(text)).await.map(drop);
            }
            let act = ForgeAct::Merge {
                approval: ApprovalId::clone(&approval),
                merge: forge::merge_of(here).await?,
                tested: tested.commit,
                base: tested.base,
                checks: tested.checks,
            };
            forge::ask(here, &what, act).await?
        };
        match outcome {
            ForgeOutcome::Merged { commit } => {
                qd_failpoint::reached("merge");
                if qd_failpoint::repeats("merge") {
                    return Ok(());
                }
                return merged(here, commit).await;
            }
            ForgeOutcome::BaseMoved { .. } => {}
            other => {
                // People may have pushed to the branch, or merged it, while its merge was tested.
                let moved = if page::is_page(here) { page::moved(here).await? } else { None };
                return match moved {
                    Some(moved) => page::follow(here, Step::Merge, moved).await,
                    None => Err(forge::unexpected(&other)),
                };
            }
        }
    }
    let reason = format!("The target branch moved {ROUNDS} times while the merge was tested.");
    Err(StepError::failed(FailureClass::MergeConflict, reason))
}

/// The target holds it. What it holds has to be what was tested: where a forge made something else of it, that is said and
/// a feature that takes it back is filed, together with the run's end.
async fn merged(here: &Here<'_>, commit: CommitId) -> Result<(), StepError> {
    let (worktrees, spec) = (here.team.worktrees(), &here.repository.spec);
    worktrees.refresh(spec).await?;
    let (tested, _) = here.store().pushed(&here.run.id).await?;
    let same = match &tested {
        Some(tested) => {
            worktrees.tree_id(&spec.name, &commit).await? == worktrees.tree_id(&spec.name, tested).await?
                && !qd_failpoint::fails("tree")
        }
        None => false,
    };
    let back = if same {
        None
    } else {
        let tested = tested.map_or_else(|| "nothing".to_owned(), |tested| tested.short().to_owned());
        let why = format!(
            "{} holds something else as {} than what was tested as {tested}.",
            spec.target,
            commit.short()
        );
        here.transcript()?.append(Kind::System, &format!("{why} It is taken back."))?;
        Some((here.feature.taken_back(&commit, Some(&why), 0), why))
    };
    if page::is_page(here) && back.is_none() {
        return page::merged(here, Step::Merge, &commit, here.run.approved_by.join(" and ")).await;
    }
    let end = RunEnd::Merged { commit };
    Ok(here.store().end_merged(&here.run.id, end, back, Timestamp::now()).await?)
}

pub(super) struct Tested {
    commit: CommitId,
    base: CommitId,
    checks: Vec<CheckReport>,
}

/// What became of a test.
pub(super) enum Test {
    /// It can be merged.
    Green(Tested),
    /// The run is with its agent again.
    Back,
}

/// Builds the merge with what the target holds now, checks it, and pushes it to the branch. What conflicts or is red
/// goes back to the agent.
async fn test(here: &Here<'_>, round: u32) -> Result<Test, StepError> {
    let head = checked(here)?;
    let worktrees = here.team.worktrees();
    let spec = &here.repository.spec;
    let base = worktrees.refresh(spec).await?;
    let message = format!("Merge {} into {}\n", spec.target, here.run.branch);
    let tested = match worktrees.merge_onto(&spec.name, head, &base, &message, &here.stamp()).await? {
        Merged::Merged(commit) => commit,
        Merged::Conflict { files } => {
            let about = format!("the conflict with {} in {}", spec.target, files.join(", "));
            let class = FailureClass::MergeConflict;
            return back(here, &base, &about, class, None).await;
        }
    };
    if tested == *head {
        return Ok(Test::Green(Tested { commit: tested, base, checks: forge::reports(here) }));
    }
    let number = MERGE_ROUNDS + here.run.returns * ROUNDS + round;
    let results = checks::run(here, &tested, number, "merge").await?;
    if let Some(red) = results.iter().find(|fact| !fact.passed) {
        let about = format!("check {}, which is red on the merge with {}", red.name, spec.target);
        let log = here.team.folder(&here.run.id).check_log(number, &red.name);
        let log = work::log_tail(&log, here.team.options().runs.log_lines);
        return back(here, &base, &about, FailureClass::CheckFailed, Some(log)).await;
    }
    forge::put(here, &tested).await?;
    let checks = results.into_iter().map(|fact| CheckReport { name: fact.name, passed: true }).collect();
    Ok(Test::Green(Tested { commit: tested, base, checks }))
}

/// The work goes on top of what the target holds, and back to its agent, so many times. What people approved is then
/// another change, and they are asked again.
pub(super) async fn back(
    here: &Here<'_>,
    onto: &CommitId,
    about: &str,
    class: FailureClass,
    log: Option<String>,
) -> Result<Test, StepError> {
    if page::is_page(here) {
        page::back(here, onto, about, class, log.unwrap_or_default()).await?;
        return Ok(Test::Back);
    }
    let returns = here.team.options().runs.returns;
    if here.run.returns >= returns {
        let reason = format!("It went back to its agent {returns} times, and there is still {about}.");
        return Err(StepError::failed(class, reason));
    }
    let name = &here.repository.spec.name;
    let brought = here.team.worktrees().bring_up(name, &here.run.id, checked(here)?, onto).await?;
    qd_failpoint::reached("back_to_agent");
    let text = log.unwrap_or(brought.hunks);
    let feedback = Feedback { about: about.to_owned(), text };
    here.transcript()?.append(Kind::System, &format!("Back to the agent: {about}."))?;
    here.store().back_to_agent(&here.run.id, feedback, onto.clone(), Timestamp::now()).await?;
    Ok(Test::Back)
}
