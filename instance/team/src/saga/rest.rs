//! A run that waits for people gives its slot to others, and takes one again before it goes on.

use std::time::Duration;

use jiff::Timestamp;
use qd_store::Store;

use super::{Here, StepError};

/// How often it looks for a slot even if no row has changed: limits may have.
const PULSE: Duration = Duration::from_secs(5);

/// Waits until the run has a slot, if it gave its own to others.
///
/// # Errors
/// A person wants the run stopped, or the store's.
pub(super) async fn slot(here: &Here<'_>) -> Result<(), StepError> {
    let (mut commits, mut stop) = (here.store().commits(), here.stop.clone());
    loop {
        commits.borrow_and_update();
        if here.team.take_slot(&here.run.id).await? {
            return Ok(());
        }
        tokio::select! {
            changed = tokio::time::timeout(PULSE, Store::changed(&mut commits)) => changed.unwrap_or(Ok(()))?,
            _ = stop.wanted() => return Err(StepError::Stopped),
        }
    }
}

/// Waits until a person lets the run go on, if too much of what it asked for was denied. `false` if it had to wait: what
/// follows is taken anew, with the rows as they are.
///
/// # Errors
/// A person wants the run stopped, or the store's.
pub(super) async fn let_go_on(here: &Here<'_>) -> Result<bool, StepError> {
    // What has ended is cleaned up in any case.
    if here.run.end.is_some() {
        return Ok(true);
    }
    let mut stop = here.stop.clone();
    let mut waited = false;
    let mut commits = here.store().commits();
    loop {
        commits.borrow_and_update();
        if !here.store().held_back(&here.run.id, Timestamp::now()).await? {
            if waited {
                slot(here).await?;
            }
            return Ok(!waited);
        }
        waited = true;
        here.store().rest(&here.run.id).await?;
        tokio::select! {
            changed = Store::changed(&mut commits) => changed?,
            _ = stop.wanted() => return Err(StepError::Stopped),
        }
    }
}

/// Ends when the run is held back while its agent works; never, if it can't be told.
pub(super) async fn held_back(here: &Here<'_>) {
    let mut commits = here.store().commits();
    loop {
        commits.borrow_and_update();
        if here.store().held_back(&here.run.id, Timestamp::now()).await.unwrap_or(false) {
            return;
        }
        if Store::changed(&mut commits).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
