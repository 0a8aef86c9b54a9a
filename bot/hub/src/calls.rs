//! Calls of tools in the bot's own process that people decide on: approvals of the bot like any other, with a card. The guard
//! that serves the tools asks here; what a call is, and whether it happened, only the guard knows.

use jiff::Timestamp;
use qd_approvals::{
    Ask, Asked, Authorised, Effect, EffectState, Outcome, Probe, Record, Terms, WHOLE, authorise,
};
use qd_core::{Event, text};
use qd_types::{Action, ApprovalId, Subject};

use crate::{Hub, HubError, keeper, turn::Turn};

/// How a call stands.
#[derive(Debug, Clone)]
pub struct CallStanding {
    /// The request.
    pub record: Record,
    /// The effect, if the grant was spent.
    pub effect: Option<Effect>,
}

impl Hub {
    /// Asks people about a call, or finds what was asked before. The subject says what the guard would do.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn ask_call(&self, subject: Subject, terms: Terms) -> Result<Asked, HubError> {
        self.within(move |turn| {
            let keeper = turn.keeper;
            let approvals = keeper.at(turn.c, turn.now)?;
            let facts = text::machines::facts(&subject);
            let (places, fresh) = (vec![keeper::place(), keeper::fallback()], (turn.fresh)());
            let ask = Ask { subject, items: Vec::new(), words: None, places, waiter: None, terms, fresh };
            let asked = approvals.ask(ask)?;
            if let Asked::Opened(id) | Asked::Queued(id) | Asked::Already(id) = &asked {
                let standing = keeper::standing(turn.c, &approvals, id, turn.now)?;
                turn.happens(Event::Called(Box::new(standing), facts))?;
            }
            Ok(asked)
        })
        .await
    }

    /// How a call stands; `None` if none was asked about under this id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn call_standing(&self, id: &ApprovalId) -> Result<Option<CallStanding>, HubError> {
        let id = id.clone();
        self.within(move |turn| {
            let approvals = turn.keeper.at(turn.c, turn.now)?;
            if !approvals.exists(&id)? {
                return Ok(None);
            }
            let (record, effect) = (approvals.show(&id)?, approvals.effect(&id, WHOLE)?);
            Ok(is_call(&record).then_some(CallStanding { record, effect }))
        })
        .await
    }

    /// The last question before the effect of a call.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn authorise_call(&self, id: &ApprovalId, rebuilt: Subject) -> Result<Authorised, HubError> {
        let (keeper, now) = (self.keeper(), Timestamp::now());
        let (executor, people) = (&keeper.executor, &keeper.people);
        // The act is the call that was approved: its key is the approval's own.
        let key = format!("call/{}", id.key());
        let authorised = authorise(&self.inner.db, executor, people, (id, WHOLE), rebuilt, &key, now).await?;
        let id = id.clone();
        self.within(move |turn| stands(turn, &id)).await?;
        Ok(authorised)
    }

    /// How the effect of a call ended. `false` if that was said before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn finish_call(&self, id: &ApprovalId, outcome: Outcome) -> Result<bool, HubError> {
        let id = id.clone();
        self.within(move |turn| {
            let new = turn.keeper.at(turn.c, turn.now)?.finish(&id, WHOLE, &outcome)?;
            stands(turn, &id).map(|()| new)
        })
        .await
    }

    /// The caller no longer wants it. `false` if it is decided.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn withdraw_call(&self, id: &ApprovalId, reason: &str) -> Result<bool, HubError> {
        let (id, reason) = (id.clone(), reason.to_owned());
        self.within(move |turn| {
            let approvals = turn.keeper.at(turn.c, turn.now)?;
            let open = approvals.exists(&id)? && {
                let record = approvals.show(&id)?;
                is_call(&record) && record.state().is_open()
            };
            let withdrawn = open && approvals.withdraw(&id, &reason)?;
            if open {
                stands(turn, &id)?;
            }
            Ok(withdrawn)
        })
        .await
    }

    /// Calls whose effect a crash cut short.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn interrupted_calls(&self) -> Result<Vec<ApprovalId>, HubError> {
        self.within(|turn| {
            let approvals = turn.keeper.at(turn.c, turn.now)?;
            let mut calls = Vec::new();
            for effect in approvals.interrupted()? {
                let under_way = effect.state == EffectState::UnderWay;
                if under_way && is_call(&approvals.show(&effect.approval)?) {
                    calls.push(effect.approval);
                }
            }
            Ok(calls)
        })
        .await
    }

    /// What a look at the world said about one of them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn probed_call(&self, id: &ApprovalId, probe: Probe) -> Result<(), HubError> {
        let id = id.clone();
        self.within(move |turn| {
            turn.keeper.at(turn.c, turn.now)?.probed(&id, WHOLE, &probe)?;
            stands(turn, &id)
        })
        .await
    }

    /// Returns when something was written, and after `longest`.
    pub async fn moved(&self, longest: std::time::Duration) {
        let mut commits = self.inner.db.commits();
        commits.mark_unchanged();
        let _late = tokio::time::timeout(longest, commits.changed()).await;
    }
}

/// Its card says how it stands now.
fn stands(turn: &mut Turn<'_>, id: &ApprovalId) -> Result<(), HubError> {
    let approvals = turn.keeper.at(turn.c, turn.now)?;
    let stands = keeper::stands(turn.c, &approvals, id, turn.now)?;
    turn.happens(stands).map(drop)
}

fn is_call(record: &Record) -> bool {
    matches!(record.approval.subject.action, Action::Tool(_))
}
