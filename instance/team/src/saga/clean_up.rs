//! The last step: processes, check-outs and the worktree go. What the forge does not have is preserved first.

use std::time::Duration;

use jiff::Timestamp;
use qd_agents::transcript::Kind;
use qd_board::RunEnd;
use qd_wire::v1::{ForgeAct, ForgeRequest};
use qd_worktrees::WorktreeError;

use super::{Here, StepError};
use crate::reconcile;

/// Tries while a process still sits in the worktree. Then the reconciler goes on trying.
const TRIES: u32 = 10;

/// Cleans up after a run that has ended.
pub(super) async fn clean_up(here: &Here<'_>) -> Result<(), StepError> {
    reconcile::end_leftover(here.team, &here.run.id).await.map_err(StepError::Again)?;
    let name = &here.repository.spec.name;
    // What was found is in the run's facts and transcript.
    here.team.worktrees().guard_forget(&here.run.id).await?;
    let options = here.team.options();
    options.reap(&here.run.id).await;
    let tmp = options.state.join("tmp").join(here.run.id.to_string());
    let socket = options.socket(&here.run.id).parent().map(std::path::Path::to_owned);
    for own in [tmp, options.home(&here.run.id)].into_iter().chain(socket) {
        match tokio::fs::remove_dir_all(&own).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(run = %here.run.id, %error, "a folder of the run's own stays: {}", own.display());
            }
            _ => {}
        }
    }
    let mut tries = 0;
    let preserved = loop {
        match here.team.worktrees().remove(name, &here.run.id, &here.stamp()).await {
            Ok(preserved) => break preserved,
            Err(WorktreeError::NoMirror { .. }) => break None,
            Err(error @ WorktreeError::Occupied { .. }) => {
                tries += 1;
                if tries >= TRIES {
                    tracing::warn!(run = %here.run.id, %error, "the worktree stays for now");
                    break None;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    if let Some(commit) = preserved {
        let text = format!(
            "Work that is not on the forge is kept as {commit}, refs/quarterdeck/preserved/{}.",
            here.run.id
        );
        here.transcript()?.append(Kind::System, &text)?;
    }
    if let (Some(RunEnd::Failed { reason, .. } | RunEnd::Stopped { reason }), Some(number)) =
        (&here.run.end, here.run.pull_request)
    {
        let request = ForgeRequest {
            id: format!("{}/close", here.run.id),
            feature: here.feature.id.clone(),
            run: here.run.id.clone(),
            act: ForgeAct::ClosePullRequest { repository: name.clone(), number, reason: reason.clone() },
        };
        here.store().request(request, Timestamp::now()).await?;
    }
    qd_failpoint::reached("clean_up");
    if qd_failpoint::repeats("clean_up") {
        return Ok(());
    }
    Ok(here.store().close_run(&here.run.id, Timestamp::now()).await?)
}
