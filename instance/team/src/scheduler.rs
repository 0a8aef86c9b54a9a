//! Looks at the board and opens runs. It takes no hints: it looks after every change, and every few seconds.

use std::time::Duration;

use jiff::Timestamp;
use qd_board::schedule;
use qd_store::{NewRun, StoreError};

use crate::{saga, team::Team};

/// Features looked at in one go; more wait until these have moved.
const LOOKED_AT: usize = 256;
/// A look even if nothing changed: a missed hint costs no more than this.
const PULSE: Duration = Duration::from_secs(5);
/// Changes that come together are looked at together.
const SETTLE: Duration = Duration::from_millis(20);

/// Opens runs until the task is dropped.
pub(crate) async fn run(team: Team) {
    let mut commits = team.store().commits();
    loop {
        commits.borrow_and_update();
        if let Err(error) = look(&team).await {
            tracing::error!(%error, "the scheduler could not look at the board");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        match tokio::time::timeout(PULSE, commits.changed()).await {
            Ok(Err(_)) => return,
            Ok(Ok(())) | Err(_) => tokio::time::sleep(SETTLE).await,
        }
    }
}

async fn look(team: &Team) -> Result<(), StoreError> {
    let options = team.options();
    let Some(agent) = &options.agent else { return Ok(()) };
    let candidates = team.store().candidates(LOOKED_AT).await?;
    if candidates.is_empty() {
        return Ok(());
    }
    let free = options.slots.saturating_sub(team.store().running().await?);
    for feature in schedule::choose(&candidates, free as usize) {
        let new = NewRun {
            feature: feature.id.clone(),
            agent: agent.name().to_owned(),
            branch: feature.branch(&options.name),
        };
        match team.store().open_run(new, Timestamp::now()).await {
            Ok(run) => saga::start(team, run.id),
            // A person moved it meanwhile: the next look sees that.
            Err(StoreError::Refused(refused)) => {
                tracing::info!(feature = %feature.id, %refused, "not started");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
