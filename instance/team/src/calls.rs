//! Calls of tools that people decide on, as the instance's own approvals: they stand in the inbox, in the bot's channels and
//! in the terminal like everything else that the team asks, and one tally counts their votes. The guard that serves the
//! tools asks here; what a call is, and whether it happened, only the guard knows.

use std::time::Duration;

use jiff::Timestamp;
use qd_approvals::{Asked, Authorised, Effect, EffectState, Outcome, Probe, Record, WHOLE};
use qd_store::StoreError;
use qd_types::{Action, ApprovalId, ApprovalState, RunId, Subject};

use crate::{
    asked, permissions, problem,
    team::{Answer, Team},
};

/// Who waits for a decision about a call.
pub(crate) const WAITER: &str = "call";

/// How a call stands.
#[derive(Debug, Clone)]
pub struct CallStanding {
    /// The request; where a person had it asked again, the newest.
    pub record: Record,
    /// The effect, if the grant was spent.
    pub effect: Option<Effect>,
}

impl Team {
    /// Asks people about a call, or finds what was asked before. The subject says what the guard would do.
    ///
    /// # Errors
    /// The store's.
    pub async fn ask_call(&self, subject: Subject, ask: &qd_types::Ask) -> Result<Asked, StoreError> {
        let (keeper, ask) = self.request_by(self.own_subject(subject), ask, Some(WAITER));
        self.store().ask(&keeper, ask, Timestamp::now()).await
    }

    /// How a call stands; `None` if none was asked about under this id. Whoever is told how it was decided is not told again.
    ///
    /// # Errors
    /// The store's.
    pub async fn call_standing(&self, id: &ApprovalId) -> Result<Option<CallStanding>, StoreError> {
        let (store, keeper, now) = (self.store(), self.keeper(), Timestamp::now());
        let mut id = id.clone();
        loop {
            let found = store.own(&keeper, &id.key(), now).await?.filter(|record| *record.id() == id);
            let Some(mut record) = found.filter(is_call) else { return Ok(None) };
            if let Some(later) = record.reopened_as.take() {
                id = later;
                continue;
            }
            if !matches!(record.state(), ApprovalState::Requested | ApprovalState::Expired) {
                store.told(&keeper, &id, WAITER, now).await?;
            }
            let effect = store.own_effect(&keeper, &id, now).await?;
            // The guard knows the team by its name.
            record.approval.subject.instance = self.name();
            return Ok(Some(CallStanding { record, effect }));
        }
    }

    /// The last question before the effect of a call.
    ///
    /// # Errors
    /// The store's.
    pub async fn authorise_call(&self, id: &ApprovalId, rebuilt: Subject) -> Result<Authorised, StoreError> {
        let rebuilt = self.own_subject(rebuilt);
        // The act is the call that was approved: its key is the approval's own.
        let effect = format!("call/{}", id.key());
        self.store().authorise(&self.keeper(), (id, WHOLE), rebuilt, &effect, Timestamp::now()).await
    }

    /// How the effect of a call ended. `false` if that was said before.
    ///
    /// # Errors
    /// The store's.
    pub async fn finish_call(&self, id: &ApprovalId, outcome: Outcome) -> Result<bool, StoreError> {
        self.store().finish(&self.keeper(), (id, WHOLE), outcome, Timestamp::now()).await
    }

    /// Tells people that tools of a server need one of them, by the cause's key; `over`, that they do not any more. Whoever
    /// was told so is not told again.
    ///
    /// # Errors
    /// The store's.
    pub async fn alert_of_tools(&self, key: &str, text: &str, over: bool) -> Result<(), StoreError> {
        let told = self.store().alert(key).await?;
        let wanted = (!over).then_some(text);
        if told.as_deref() == wanted {
            return Ok(());
        }
        self.store().raise(key, text, over, Timestamp::now()).await
    }

    /// The caller no longer wants it. `false` if it is decided.
    ///
    /// # Errors
    /// The store's.
    pub async fn withdraw_call(&self, id: &ApprovalId, reason: &str) -> Result<bool, StoreError> {
        let (keeper, now) = (self.keeper(), Timestamp::now());
        let found = self.store().own(&keeper, &id.key(), now).await?;
        if !found.is_some_and(|record| is_call(&record) && record.state().is_open()) {
            return Ok(false);
        }
        self.store().withdraw(&keeper, id, reason, now).await
    }

    /// Calls whose effect a crash cut short.
    ///
    /// # Errors
    /// The store's.
    pub async fn interrupted_calls(&self) -> Result<Vec<ApprovalId>, StoreError> {
        let (keeper, now) = (self.keeper(), Timestamp::now());
        let mut calls = Vec::new();
        for effect in self.store().interrupted(&keeper, now).await? {
            let found = self.store().own(&keeper, &effect.approval.key(), now).await?;
            if effect.state == EffectState::UnderWay && found.is_some_and(|record| is_call(&record)) {
                calls.push(effect.approval);
            }
        }
        Ok(calls)
    }

    /// What a look at the world said about one of them.
    ///
    /// # Errors
    /// The store's.
    pub async fn probed_call(&self, id: &ApprovalId, probe: Probe) -> Result<bool, StoreError> {
        self.store().probed(&self.keeper(), (id, WHOLE), probe, Timestamp::now()).await
    }

    /// Returns when a call may have moved, and after `longest`.
    pub async fn calls_moved(&self, longest: Duration) {
        let mut commits = self.store().commits();
        commits.mark_unchanged();
        let _late = tokio::time::timeout(longest, commits.changed()).await;
    }

    /// The store knows the team by what never changes, policies and guards by its name.
    fn own_subject(&self, subject: Subject) -> Subject {
        Subject { instance: self.id(), ..subject }
    }
}

/// Whether the agent has to wait for people on a call before its run can go on, or is to be told what they decided.
pub(crate) async fn waits(team: &Team, run: &RunId) -> Result<bool, StoreError> {
    let (store, keeper, now) = (team.store(), team.keeper(), Timestamp::now());
    let asked = store.own_of(&keeper, run, now).await?;
    let open = |record: &Record| is_call(record) && record.state().is_open();
    Ok(asked.iter().any(open) || store.resumable(&keeper, run, WAITER, now).await?)
}

/// What a call asked for, as it would be asked for now.
pub(crate) async fn again(team: &Team, record: &Record) -> Answer<(qd_store::Keeper, qd_approvals::Ask)> {
    let old = &record.approval.subject;
    let run = team.store().run(&old.run).await.map_err(problem::from_store)?;
    let Some(tools) = team.tools().filter(|_| run.end.is_none()) else {
        return Err(problem::refused("The agent that asked for it does not work any more."));
    };
    let feature = team.store().snapshot(&old.feature, Timestamp::now()).await;
    let requesters = feature.map_err(problem::from_store)?.feature.requesters();
    let named = Subject { instance: team.name(), ..old.clone() };
    let again = tools.again(&run.agent, requesters, &named).await.map_err(problem::refused)?;
    let (keeper, mut ask) = team.request_by(team.own_subject(again.0), &again.1, Some(WAITER));
    ask.words.clone_from(&record.words);
    Ok((keeper, ask))
}

/// Whether it is about a call of a tool, and not about what an agent does by itself.
fn is_call(record: &Record) -> bool {
    let of_a_tool = matches!(record.approval.subject.action, Action::Tool(_));
    of_a_tool && !permissions::is_permission(record) && !asked::is_change(record)
}
