//! Acts at the forge, one after the other. After a crash an act that was begun is probed before it is tried again;
//! what can't be told goes to a person.

use std::time::Duration;

use jiff::Timestamp;
use qd_approvals::{Authorised, Probe, WHOLE, authorise};
use qd_core::{
    Event, ForgeCall,
    forge::{ForgeError, Marker, MergeOrder, NewIssue, PullRequest, PullRequestState},
    text,
};
use qd_types::{ApprovalId, CommitId, SpentGrant, Subject};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Hub, HubError, json};

/// Between two edits of what is living at the forge, and from a change to its edit.
pub(crate) const CALM: Duration = Duration::from_secs(5);

/// The same for what is told of a milestone.
const ROLL_UP: Duration = Duration::from_secs(60);

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
    /// The same, as it is written: a living state may have changed when it is done.
    written: String,
}

/// What there is to do.
enum Next {
    /// This.
    Act(Box<Act>),
    /// Nothing before this moment, if anything waits at all.
    Wait(Option<Timestamp>),
}

/// Carries out acts until the task is dropped.
pub(crate) async fn run(hub: Hub) {
    let mut commits = hub.inner.db.commits();
    loop {
        commits.borrow_and_update();
        match next(&hub).await {
            Ok(Next::Act(act)) => {
                let living = act.call.is_living();
                let done = if living { show(&hub, *act).await } else { carry_out(&hub, *act).await };
                if let Err(error) = done {
                    tracing::error!(%error, "an act at the forge could not be noted, it is tried again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Ok(Next::Wait(until)) => {
                let left = until.map(|at| Duration::try_from(at.duration_since(Timestamp::now())));
                let changed = match left {
                    // It is due by now.
                    Some(Err(_)) => continue,
                    Some(Ok(left)) => tokio::time::timeout(left, commits.changed()).await.unwrap_or(Ok(())),
                    None => commits.changed().await,
                };
                if changed.is_err() {
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

/// The oldest act that is due; its attempt is counted before it is made.
async fn next(hub: &Hub) -> Result<Next, HubError> {
    let found = hub.inner.db.read(move |c| match oldest(c, Timestamp::now())? {
        Some(id) => Ok(Ok(id)),
        None => Ok::<_, HubError>(Err(soonest(c)?)),
    });
    match found.await? {
        Ok(id) => Ok(Next::Act(Box::new(hub.inner.db.write(move |c| begin(c, id)).await?))),
        Err(until) => Ok(Next::Wait(until)),
    }
}

/// The oldest act that is not done and due; a living state waits for all that is none.
pub(crate) fn oldest(c: &Connection, now: Timestamp) -> Result<Option<i64>, HubError> {
    let sql = "SELECT id FROM acts WHERE state = 'pending' AND due <= ?1 ORDER BY living, id LIMIT 1";
    Ok(c.prepare_cached(sql)?.query_row([now.as_millisecond()], |row| row.get::<_, i64>(0)).optional()?)
}

/// When the next act is due.
fn soonest(c: &Connection) -> Result<Option<Timestamp>, HubError> {
    let due: Option<i64> = c
        .prepare_cached("SELECT min(due) FROM acts WHERE state = 'pending'")?
        .query_row([], |row| row.get(0))?;
    // Not before the next moment, however the clock goes.
    due.map(|due| Timestamp::from_millisecond(due + 1).map_err(|error| HubError::corrupt("acts", error)))
        .transpose()
}

/// Counts an attempt.
pub(crate) fn begin(c: &Connection, id: i64) -> Result<Act, HubError> {
    c.prepare_cached("UPDATE acts SET attempts = attempts + 1 WHERE id = ?1")?.execute([id])?;
    let (key, call, attempts): (String, String, u32) = c
        .prepare_cached("SELECT key, call, attempts FROM acts WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(Act { id, key, attempts, call: json::from_json("acts", &call)?, written: call })
}

/// A living state was shown. Where it changed meanwhile, it is shown again; in any case not at once.
pub(crate) fn shown(c: &Connection, act: &Act, now: Timestamp) -> Result<(), HubError> {
    let calm = if matches!(act.call, ForgeCall::RollUp { .. }) { ROLL_UP } else { CALM };
    c.prepare_cached(
        "UPDATE acts SET state = CASE WHEN call = ?2 THEN 'done' ELSE 'pending' END, attempts = 0, due = ?3
         WHERE id = ?1",
    )?
    .execute(params![act.id, act.written, after(now, calm)])?;
    Ok(())
}

/// The forge did not answer, or takes nothing now: it is waited for, as long as it takes, and other acts go on.
fn later(c: &Connection, (id, attempts): (i64, u32), now: Timestamp) -> Result<(), HubError> {
    let wait = Duration::from_secs(1 << attempts.min(8));
    c.prepare_cached("UPDATE acts SET due = ?2 WHERE id = ?1")?.execute(params![id, after(now, wait)])?;
    Ok(())
}

fn after(now: Timestamp, wait: Duration) -> i64 {
    now.as_millisecond().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

/// It was done, or can't be: not again.
pub(crate) fn done(c: &Connection, id: i64) -> Result<(), HubError> {
    c.prepare_cached("UPDATE acts SET state = 'done' WHERE id = ?1")?.execute(params![id])?;
    Ok(())
}

/// Shows a living state.
async fn show(hub: &Hub, act: Act) -> Result<(), HubError> {
    qd_failpoint::reached("showing");
    let (forge, marker) = (&hub.inner.forge, Marker(act.key.clone()));
    let result = match &act.call {
        ForgeCall::Show { repository, number, text } | ForgeCall::Card { repository, number, text, .. } => {
            forge.put_comment(repository, *number, &marker, text).await.map(|comment| Some(comment.id))
        }
        ForgeCall::Draft { repository, number, draft } => {
            forge.set_draft(repository, *number, *draft).await.map(|()| None)
        }
        ForgeCall::Check { repository, commit, check } => {
            forge.report_checks(repository, commit, std::slice::from_ref(check)).await.map(|()| None)
        }
        ForgeCall::RollUp { issue, text, over } => {
            roll_up(hub, issue, &marker, text, *over).await.map(|()| None)
        }
        ForgeCall::Open { .. }
        | ForgeCall::OpenIssue { .. }
        | ForgeCall::Answer { .. }
        | ForgeCall::Settle { .. }
        | ForgeCall::Rebuild { .. }
        | ForgeCall::Merge { .. }
        | ForgeCall::Pushed { .. }
        | ForgeCall::Close { .. } => return carry_out(hub, act).await,
    };
    qd_failpoint::reached("shown");
    let now = Timestamp::now();
    if let Err(error) = &result {
        if let ForgeError::Unavailable { reason } | ForgeError::NotNow { reason } = error {
            tracing::warn!(
                act = act.key,
                act.attempts,
                reason,
                "the forge did not answer, what is shown there waits"
            );
            return hub.inner.db.write(move |c| later(c, (act.id, act.attempts), now)).await;
        }
        tracing::warn!(act = act.key, %error, "the forge does not show it");
    }
    match (&act.call, result) {
        (ForgeCall::Card { approval, .. }, result) => {
            let approval = approval.clone();
            let result = result.map(Option::unwrap_or_default);
            hub.process(Event::Carded { approval, result }, move |c| shown(c, &act, now)).await.map(drop)
        }
        _ => hub.inner.db.write(move |c| shown(c, &act, now)).await,
    }
}

/// An issue in its milestone, whose comment is edited, and which is closed when it is over.
async fn roll_up(
    hub: &Hub,
    issue: &NewIssue,
    marker: &Marker,
    text: &str,
    over: bool,
) -> Result<(), ForgeError> {
    let forge = &hub.inner.forge;
    if let Some(title) = &issue.milestone {
        forge.open_milestone(&issue.repository, title).await?;
    }
    let opened = forge.open_issue(issue).await?;
    forge.put_comment(&issue.repository, opened.number, marker, text).await?;
    if over && opened.open {
        forge.close_issue(&issue.repository, opened.number).await?;
    }
    Ok(())
}

async fn carry_out(hub: &Hub, act: Act) -> Result<(), HubError> {
    let Act { id, key, attempts, call, .. } = act;
    qd_failpoint::reached("act_begun");
    let event = match call {
        ForgeCall::Open { instance, request, new, head, checks } => {
            let result = open(hub, &new, &head, &checks).await;
            Event::Opened { instance, request, result }
        }
        ForgeCall::OpenIssue { instance, request, team, issue } => {
            let result = hub.inner.forge.open_issue(&issue).await.map(|opened| opened.number);
            Event::IssueOpened { instance, request, team, issue: Box::new(issue), result }
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
        ForgeCall::Answer { repository, number, marker, body } => {
            let result = hub.inner.forge.put_comment(&repository, number, &marker, &body).await.map(drop);
            Event::Said { key: key.clone(), result }
        }
        ForgeCall::Settle { repository, number, thread, marker, body } => {
            let forge = &hub.inner.forge;
            let result = forge.settle_thread(&repository, number, &thread, &marker, &body).await;
            Event::Said { key: key.clone(), result }
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
        ForgeCall::Show { .. }
        | ForgeCall::Draft { .. }
        | ForgeCall::Card { .. }
        | ForgeCall::Check { .. }
        | ForgeCall::RollUp { .. } => {
            return Err(HubError::corrupt("acts", format!("{key} is a living state")));
        }
    };
    if let Some(ForgeError::NotNow { reason }) = failed(&event) {
        tracing::info!(act = key, attempts, reason, "an act waits for the forge");
        return hub.inner.db.write(move |c| later(c, (id, attempts), Timestamp::now())).await;
    }
    if let Some(ForgeError::Unavailable { reason }) = failed(&event)
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

fn failed(event: &Event) -> Option<&ForgeError> {
    match event {
        Event::Opened { result: Err(error), .. }
        | Event::IssueOpened { result: Err(error), .. }
        | Event::Rebuilt { result: Err(error), .. }
        | Event::Merged { result: Err(error), .. }
        | Event::Pushed { result: Err(error), .. }
        | Event::Closed { result: Err(error), .. }
        | Event::Said { result: Err(error), .. } => Some(error),
        _ => None,
    }
}

async fn open(
    hub: &Hub,
    new: &qd_core::forge::NewPullRequest,
    head: &CommitId,
    checks: &[qd_core::forge::Check],
) -> Result<u64, ForgeError> {
    if let Some(title) = &new.milestone {
        hub.inner.forge.open_milestone(&new.repository, title).await?;
    }
    let pull_request = hub.inner.forge.open_pull_request(new).await?;
    qd_failpoint::reached("opened");
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
    if let (PullRequestState::Merged, Some(commit)) = (now.state, now.merged.clone()) {
        if now.head == order.head {
            tidy_up(hub, &now).await;
            return Ok(commit);
        }
        return Err(ForgeError::HeadMoved { actual: now.head });
    }
    hub.did_not(approval).await?;
    let spent = hub.authorise(approval, rebuilt, key).await?;
    qd_failpoint::reached("authorised");
    if now.draft {
        forge.set_draft(&order.repository, order.number, false).await?;
    }
    forge.report_checks(&order.repository, &order.head, checks).await?;
    qd_failpoint::reached("green");
    let commit = forge.merge(&spent, order).await?;
    qd_failpoint::reached("in_main");
    tidy_up(hub, &PullRequest { head: order.head.clone(), ..now }).await;
    Ok(commit)
}

/// The branch of a merged pull request goes, unless somebody pushed to it or needs it.
async fn tidy_up(hub: &Hub, merged: &PullRequest) {
    let PullRequest { repository, branch, head, .. } = merged;
    if let Err(error) = hub.inner.forge.delete_branch(repository, branch, head).await {
        tracing::info!(%repository, branch, %error, "the branch of a merged pull request stays");
    }
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
                Err(ForgeError::Refused { reason: text::lapsed(&reason) })
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
