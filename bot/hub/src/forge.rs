//! Acts at the forge, one after the other. After a crash an act that was begun is probed before it is tried again;
//! what can't be told goes to a person.

use std::time::Duration;

use qd_core::{
    Event, ForgeCall,
    forge::{ForgeError, Marker, MergeOrder, PullRequestState},
};
use qd_types::{ApprovalId, CommitId, Digest};
use rusqlite::{OptionalExtension as _, params};

use crate::{Hub, HubError, approvals, json};

/// Tries while the forge does not answer, before a person is asked.
const TRIES: u32 = 6;

struct Act {
    id: i64,
    key: String,
    attempts: u32,
    call: ForgeCall,
}

/// Carries out acts until the task is dropped.
pub(crate) async fn run(hub: Hub) {
    let mut commits = hub.inner.db.commits();
    loop {
        commits.borrow_and_update();
        match next(&hub).await {
            Ok(Some(act)) => {
                if let Err(error) = carry_out(&hub, act).await {
                    tracing::error!(%error, "an act at the forge could not be noted, it is tried again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Ok(None) => {
                if commits.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(%error, "the acts at the forge can't be read");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// The oldest act that is not done; its attempt is counted before it is made.
async fn next(hub: &Hub) -> Result<Option<Act>, HubError> {
    let found = hub
        .inner
        .db
        .read(|c| {
            let row = c
                .prepare_cached("SELECT id FROM acts WHERE state = 'pending' ORDER BY id LIMIT 1")?
                .query_row([], |row| row.get::<_, i64>(0))
                .optional()?;
            Ok::<_, HubError>(row)
        })
        .await?;
    let Some(id) = found else { return Ok(None) };
    hub.inner
        .db
        .write(move |c| {
            c.prepare_cached("UPDATE acts SET attempts = attempts + 1 WHERE id = ?1")?.execute([id])?;
            let (key, call, attempts): (String, String, u32) = c
                .prepare_cached("SELECT key, call, attempts FROM acts WHERE id = ?1")?
                .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(Some(Act { id, key, attempts, call: json::from_json("acts", &call)? }))
        })
        .await
}

async fn carry_out(hub: &Hub, act: Act) -> Result<(), HubError> {
    let Act { id, key, attempts, call } = act;
    let event = match call {
        ForgeCall::Open { instance, request, new, head, checks } => {
            let result = open(hub, &new, &head, &checks).await;
            Event::Opened { instance, request, result }
        }
        ForgeCall::Rebuild { approval, reviewed, order } => {
            let forge = &hub.inner.forge;
            let result = forge
                .rebuild_merge(&order.repository, order.number, &reviewed, &order.head, &order.base)
                .await;
            Event::Rebuilt { approval, result }
        }
        ForgeCall::Merge { approval, digest, order, checks } => {
            let result = merge(hub, &key, &approval, &digest, &order, &checks).await;
            qd_failpoint::reached("merged");
            Event::Merged { approval, result }
        }
        ForgeCall::Close { instance, request, feature: _, repository, number, reason } => {
            let marker = Marker(format!("{key}/why"));
            let forge = &hub.inner.forge;
            let mut result = forge.put_comment(&repository, number, &marker, &reason).await.map(drop);
            if result.is_ok() {
                result = forge.close_pull_request(&repository, number).await;
            }
            Event::Closed { instance, request, result }
        }
    };
    if let Some(reason) = unavailable(&event)
        && attempts < TRIES
    {
        tracing::warn!(act = key, attempts, reason, "the forge did not answer, the act is tried again");
        tokio::time::sleep(Duration::from_millis(200 << attempts.min(6))).await;
        return Ok(());
    }
    let done = move |c: &rusqlite::Connection| {
        c.prepare_cached("UPDATE acts SET state = 'done' WHERE id = ?1")?.execute(params![id])?;
        Ok(())
    };
    hub.process(event, done).await.map(drop)
}

fn unavailable(event: &Event) -> Option<String> {
    let error = match event {
        Event::Opened { result: Err(error), .. }
        | Event::Rebuilt { result: Err(error), .. }
        | Event::Merged { result: Err(error), .. }
        | Event::Closed { result: Err(error), .. } => error,
        _ => return None,
    };
    matches!(error, ForgeError::Unavailable { .. }).then(|| error.to_string())
}

async fn open(
    hub: &Hub,
    new: &qd_core::forge::NewPullRequest,
    head: &CommitId,
    checks: &[qd_core::forge::Check],
) -> Result<u64, ForgeError> {
    let pull_request = hub.inner.forge.open_pull_request(new).await?;
    hub.inner.forge.report_checks(&new.repository, head, checks).await?;
    Ok(pull_request.number)
}

/// Looks first whether it happened; merges only with the grant that was spent on this very act.
async fn merge(
    hub: &Hub,
    key: &str,
    approval: &ApprovalId,
    digest: &Digest,
    order: &MergeOrder,
    checks: &[qd_core::forge::Check],
) -> Result<CommitId, ForgeError> {
    let forge = &hub.inner.forge;
    let now = forge.pull_request(&order.repository, order.number).await?;
    if let (PullRequestState::Merged, Some(commit)) = (now.state, now.merged) {
        if now.head == order.head {
            return Ok(commit);
        }
        return Err(ForgeError::HeadMoved { actual: now.head });
    }
    let (key, approval, digest) = (key.to_owned(), approval.clone(), digest.clone());
    let spent = hub.inner.db.read(move |c| approvals::spent(c, &approval, &digest, &key)).await;
    let spent = match spent {
        Ok(Some(spent)) => spent,
        Ok(None) => {
            return Err(ForgeError::Refused { reason: "no spent approval pays for this merge".into() });
        }
        Err(error) => return Err(ForgeError::Unavailable { reason: error.to_string() }),
    };
    forge.report_checks(&order.repository, &order.head, checks).await?;
    forge.merge(&spent, order).await
}
