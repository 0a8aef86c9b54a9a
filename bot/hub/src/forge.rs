//! Acts at the forge, one after the other. After a crash an act that was begun is probed before it is tried again;
//! what can't be told goes to a person.

use std::time::Duration;

use jiff::Timestamp;
use qd_approvals::{Authorised, Probe, WHOLE, authorise};
use qd_core::{
    Event, ForgeCall,
    forge::{ForgeError, Marker, MergeOrder, PullRequestState},
};
use qd_types::{ApprovalId, CommitId, SpentGrant, Subject};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Hub, HubError, json};

/// Tries while the forge does not answer, before a person is asked.
const TRIES: u32 = 6;

/// An act at the forge, as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// The row.
    pub id: i64,
    /// The same key is the same act.
    pub key: String,
    /// How often it was begun, this time included.
    pub attempts: u32,
    /// What is to be done.
    pub call: ForgeCall,
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
    match hub.inner.db.read(oldest).await? {
        Some(id) => hub.inner.db.write(move |c| begin(c, id)).await.map(Some),
        None => Ok(None),
    }
}

/// The oldest act that is not done.
pub(crate) fn oldest(c: &Connection) -> Result<Option<i64>, HubError> {
    Ok(c.prepare_cached("SELECT id FROM acts WHERE state = 'pending' ORDER BY id LIMIT 1")?
        .query_row([], |row| row.get::<_, i64>(0))
        .optional()?)
}

/// Counts an attempt.
pub(crate) fn begin(c: &Connection, id: i64) -> Result<Act, HubError> {
    c.prepare_cached("UPDATE acts SET attempts = attempts + 1 WHERE id = ?1")?.execute([id])?;
    let (key, call, attempts): (String, String, u32) = c
        .prepare_cached("SELECT key, call, attempts FROM acts WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(Act { id, key, attempts, call: json::from_json("acts", &call)? })
}

/// It was done, or can't be: not again.
pub(crate) fn done(c: &Connection, id: i64) -> Result<(), HubError> {
    c.prepare_cached("UPDATE acts SET state = 'done' WHERE id = ?1")?.execute(params![id])?;
    Ok(())
}

async fn carry_out(hub: &Hub, act: Act) -> Result<(), HubError> {
    let Act { id, key, attempts, call } = act;
    qd_failpoint::reached("act_begun");
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
            qd_failpoint::reached("rebuilt");
            Event::Rebuilt { approval, result }
        }
        ForgeCall::Merge { approval, rebuilt, order, checks } => {
            let result = merge(hub, &key, &approval, &rebuilt, &order, &checks).await;
            qd_failpoint::reached("merged");
            Event::Merged { approval, result }
        }
        ForgeCall::Pushed { approval, rebuilt, head } => {
            // The instance made the push itself: all there is to do is to use the grant up.
            let result = hub.authorise(&approval, &rebuilt, &key).await.map(|_grant| head);
            Event::Pushed { approval, result }
        }
        ForgeCall::Remark { repository, number, marker, body } => {
            let result = hub.inner.forge.put_comment(&repository, number, &marker, &body).await.map(drop);
            if let Err(error) = &result {
                tracing::warn!(act = key, %error, "what was said in a review does not stand on its pull request");
            }
            Event::Remarked(result)
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
    hub.process(event, move |c| done(c, id)).await.map(drop)?;
    qd_failpoint::reached("act_noted");
    Ok(())
}

fn unavailable(event: &Event) -> Option<String> {
    let error = match event {
        Event::Opened { result: Err(error), .. }
        | Event::Rebuilt { result: Err(error), .. }
        | Event::Merged { result: Err(error), .. }
        | Event::Pushed { result: Err(error), .. }
        | Event::Closed { result: Err(error), .. }
        | Event::Remarked(Err(error)) => error,
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

/// Looks first whether it happened; merges only with the grant that is spent on this very act.
async fn merge(
    hub: &Hub,
    key: &str,
    approval: &ApprovalId,
    rebuilt: &Subject,
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
    hub.did_not(approval).await?;
    let spent = hub.authorise(approval, rebuilt, key).await?;
    qd_failpoint::reached("authorised");
    forge.report_checks(&order.repository, &order.head, checks).await?;
    forge.merge(&spent, order).await
}

fn unstored(error: &dyn std::error::Error) -> ForgeError {
    ForgeError::Unavailable { reason: error.to_string() }
}

impl Hub {
    /// The last question before an act: whether exactly this is approved, now. A grant that is under way is not given again.
    async fn authorise(
        &self,
        approval: &ApprovalId,
        rebuilt: &Subject,
        key: &str,
    ) -> Result<SpentGrant, ForgeError> {
        let keeper = self.keeper();
        let item = (approval, WHOLE);
        let (executor, people) = (&keeper.executor, &keeper.people);
        let now = Timestamp::now();
        match authorise(&self.inner.db, executor, people, item, rebuilt.clone(), key, now).await {
            Ok(Authorised::Go(grant)) => Ok(grant),
            Ok(Authorised::Lapsed { reason, .. }) => {
                Err(ForgeError::Refused { reason: format!("The approval lapsed: {reason}") })
            }
            Ok(Authorised::Refused(refusal)) => Err(ForgeError::Refused { reason: refusal.to_string() }),
            Err(error) => Err(unstored(&error)),
        }
    }

    /// The forge was looked at, and a merge that was cut short has not happened: it may be begun again.
    async fn did_not(&self, approval: &ApprovalId) -> Result<(), ForgeError> {
        let (keeper, id) = (self.keeper(), approval.clone());
        let noted = self.inner.db.write(move |c| {
            keeper.at(c, Timestamp::now())?.probed(&id, WHOLE, &Probe::DidNot)?;
            Ok::<_, HubError>(())
        });
        noted.await.map_err(|error| unstored(&error))
    }
}
