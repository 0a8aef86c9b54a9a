//! What waits for people: the approvals that a team shows, votes on them, and putting them off.

use jiff::{SignedDuration, Timestamp};
use qd_api::{ApprovalView, CastVote, Snooze};
use qd_types::{Ballot, Verb, Vote};

use crate::{
    ballot, problem,
    team::{Answer, Caller, Team},
    views,
};

/// Approvals in one answer.
const APPROVALS: usize = 100;
/// The longest that an approval is put off, in minutes: a week.
const LONGEST_SNOOZE: u32 = 7 * 24 * 60;

impl Team {
    /// The inbox: open approvals first, newest first.
    pub async fn approvals(&self, caller: &Caller) -> Answer<Vec<ApprovalView>> {
        let now = Timestamp::now();
        let rows = self
            .store()
            .inbox(&self.keeper(), &caller.person.id, APPROVALS, now)
            .await
            .map_err(problem::from_store)?;
        Ok(rows.into_iter().map(|row| views::approval(row, &caller.person)).collect())
    }

    /// One approval, with everything that it binds.
    pub async fn approval(&self, caller: &Caller, key: &str) -> Answer<ApprovalView> {
        let row = self.store().inbox_row(&self.keeper(), &caller.person.id, key, Timestamp::now()).await;
        Ok(views::approval(row.map_err(problem::from_store)?, &caller.person))
    }

    /// Opens an expired approval again, as one of its own.
    pub async fn reopen(&self, caller: &Caller, key: &str) -> Answer<ApprovalView> {
        self.permit(caller, Verb::ApprovalReopen)?;
        if !caller.is_proven() {
            return Err(problem::unproven());
        }
        let key = self.open_again(caller, key).await?;
        self.approval(caller, &key).await
    }

    /// Tallies a person's word on an own approval, or sends it to the executor. `key` is the unique part of the approval's id.
    pub async fn vote(&self, caller: &Caller, key: &str, vote: CastVote) -> Answer<ApprovalView> {
        self.permit(caller, Verb::ApprovalVote)?;
        if !caller.is_proven() {
            return Err(problem::unproven());
        }
        if self.options().approvals.exposed.is_now() {
            return Err(problem::exposed());
        }
        let view = self.approval(caller, key).await?;
        let approval = &view.approval;
        if !approval.state.is_open() {
            let ended = view.ended.clone().unwrap_or_else(|| "It is decided already.".into());
            return Err(problem::refused(ended));
        }
        if let Some(refusal) = view.refusal {
            return Err(problem::forbidden(refusal));
        }
        if vote.digest != approval.digest.as_str() {
            return Err(problem::refused("What is asked has changed since you saw it."));
        }
        let target = approval.subject.binding.as_ref().map_or("", |binding| &binding.target);
        let takes_name = vote.ballot == Ballot::Approve && view.confirm.is_some_and(|confirm| confirm.typed);
        if takes_name && vote.typed.as_deref() != Some(target) {
            return Err(problem::refused(format!("A yes to this takes its name, typed out: {target}")));
        }
        let now = Timestamp::now();
        let given = ballot::Given { proof: caller.proof.clone(), typed: vote.typed, answer: vote.answer };
        let vote = Vote {
            approval: approval.id.clone(),
            digest: approval.digest.clone(),
            person: caller.person.clone(),
            surface: ballot::surface(&caller.surface).to_owned(),
            ballot: vote.ballot,
            reason: vote.reason.filter(|reason| !reason.trim().is_empty()),
            at: now,
        };
        let signed = ballot::signed(self.key(), vote.clone(), given)
            .map_err(|error| problem::refused(format!("The vote can't be signed: {error}.")))?;
        if !self.tally(key, &signed).await? {
            self.store().cast(vote, signed, now).await.map_err(problem::from_store)?;
        }
        self.approval(caller, key).await
    }

    /// Puts an approval off for the caller, or brings it back.
    pub async fn snooze(&self, caller: &Caller, key: &str, snooze: Snooze) -> Answer<ApprovalView> {
        self.permit(caller, Verb::ApprovalView)?;
        let (reader, now) = (&caller.person.id, Timestamp::now());
        self.approval(caller, key).await?;
        let minutes = snooze.minutes.filter(|minutes| *minutes > 0);
        if minutes.is_some_and(|minutes| minutes > LONGEST_SNOOZE) {
            return Err(problem::invalid("minutes: an approval can be put off for a week at most."));
        }
        let until =
            minutes.and_then(|minutes| now.checked_add(SignedDuration::from_mins(minutes.into())).ok());
        self.store().snooze(reader, key, until).await.map_err(problem::from_store)?;
        self.approval(caller, key).await
    }
}
