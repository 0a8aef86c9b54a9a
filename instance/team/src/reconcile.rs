//! Brings disk and processes in line with the rows. Takes no hints, may run at any time, twice.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use qd_agents::{ProcessGroup, kill_leftover};
use qd_types::RunId;

use crate::{saga, team::Team};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How often it looks.
const PULSE: Duration = Duration::from_secs(10);

/// Reconciles until the task is dropped.
pub(crate) async fn run(team: Team) {
    loop {
        if let Err(error) = look(&team).await {
            tracing::error!(%error, "reconciling failed, it is tried again");
        }
        tokio::time::sleep(PULSE).await;
    }
}

/// Every run that is active has its task; every worktree has its run.
async fn look(team: &Team) -> Result<(), Failure> {
    let mut active = HashMap::new();
    for run in team.store().active_runs().await? {
        saga::start(team, run.id.clone());
        active.insert(run.id.clone(), run);
    }
    for found in team.worktrees().list().await? {
        if active.contains_key(&found.run) {
            continue;
        }
        let Some(repository) = &found.repository else { continue };
        let stamp = saga::stamp(Timestamp::now());
        match team.worktrees().remove(repository, &found.run, &stamp).await {
            Ok(_) => {
                tracing::info!(run = %found.run, path = %found.path.display(), "an orphan worktree is removed");
            }
            Err(error) => tracing::warn!(run = %found.run, %error, "an orphan worktree stays for now"),
        }
    }
    Ok(())
}

/// Ends what an older process left behind for a run, before anything of it goes on.
pub(crate) async fn end_leftover(team: &Team, run: &RunId) -> Result<(), Failure> {
    let Some(text) = team.store().process(run).await? else { return Ok(()) };
    let group: ProcessGroup = serde_json::from_str(&text)?;
    let leftover = kill_leftover(&group).await?;
    tracing::info!(%run, ?leftover, "looked for what an older process left behind");
    team.store().set_process(run, None).await?;
    Ok(())
}
