//! The guard's approvals, kept by the team: what a run's agent calls and people decide on stands where everything else stands
//! that the team asks. The rows of calls that need nobody go to a ledger beside it.

use std::{sync::OnceLock, time::Duration};

use async_trait::async_trait;
use qd_approvals::{Authorised, Outcome, Probe};
use qd_guard::{Approvals, Asked, Asking, Event, Ledger, Standing, StoreError, Trail as _, proxy::Alerts};
use qd_team::{Team, WeakTeam};
use qd_types::{ApprovalId, Subject};

/// Longest that [`Approvals::moved`] waits.
const LOOK: Duration = Duration::from_secs(1);

/// The approvals of one team's calls.
pub(super) struct TeamApprovals {
    team: OnceLock<WeakTeam>,
    trail: std::sync::Arc<Ledger>,
}

fn failed(doing: &'static str, error: &impl std::fmt::Display) -> StoreError {
    StoreError { doing, problem: error.to_string() }
}

impl TeamApprovals {
    pub(super) fn new(trail: std::sync::Arc<Ledger>) -> Self {
        Self { team: OnceLock::new(), trail }
    }

    /// From now on this team keeps them.
    pub(super) fn attach(&self, team: &Team) {
        self.team.get_or_init(|| team.downgrade());
    }

    fn team(&self, doing: &'static str) -> Result<Team, StoreError> {
        let team = self.team.get().and_then(WeakTeam::upgrade);
        team.ok_or_else(|| failed(doing, &"the team does not run"))
    }
}

#[async_trait]
impl Approvals for TeamApprovals {
    async fn ask(&self, asking: Asking) -> Result<Asked, StoreError> {
        const DOING: &str = "Asking people";
        let asked = self.team(DOING)?.ask_call(asking.subject, &asking.terms).await;
        Ok(match asked.map_err(|error| failed(DOING, &error))? {
            qd_approvals::Asked::Opened(id)
            | qd_approvals::Asked::Queued(id)
            | qd_approvals::Asked::Already(id) => Asked::Stands(id),
            qd_approvals::Asked::Refused(refusal) => Asked::Refused(refusal.to_string()),
        })
    }

    async fn standing(&self, id: &ApprovalId) -> Result<Option<Standing>, StoreError> {
        const DOING: &str = "Looking at an approval";
        let found = self.team(DOING)?.call_standing(id).await.map_err(|error| failed(DOING, &error))?;
        Ok(found.map(|found| Standing {
            id: found.record.id().clone(),
            state: found.record.state(),
            reason: found.record.reason.clone(),
            queued: found.record.queued,
            left_ms: found.record.left_ms,
            effect: found.effect.map(|effect| (effect.state, effect.outcome)),
            subject: found.record.approval.subject,
        }))
    }

    async fn authorise(&self, id: &ApprovalId, rebuilt: Subject) -> Result<Authorised, StoreError> {
        const DOING: &str = "Spending a grant";
        self.team(DOING)?.authorise_call(id, rebuilt).await.map_err(|error| failed(DOING, &error))
    }

    async fn finish(&self, id: &ApprovalId, outcome: Outcome, event: Event) -> Result<(), StoreError> {
        const DOING: &str = "Noting what came of it";
        let new = self.team(DOING)?.finish_call(id, outcome).await.map_err(|error| failed(DOING, &error))?;
        if new { self.trail.durable(event).await } else { Ok(()) }
    }

    async fn withdraw(&self, id: &ApprovalId, reason: &str) -> Result<bool, StoreError> {
        const DOING: &str = "Withdrawing a request";
        self.team(DOING)?.withdraw_call(id, reason).await.map_err(|error| failed(DOING, &error))
    }

    async fn interrupted(&self) -> Result<Vec<ApprovalId>, StoreError> {
        const DOING: &str = "Looking for what was cut short";
        self.team(DOING)?.interrupted_calls().await.map_err(|error| failed(DOING, &error))
    }

    async fn probed(&self, id: &ApprovalId, probe: Probe) -> Result<(), StoreError> {
        const DOING: &str = "Noting what a look said";
        self.team(DOING)?.probed_call(id, probe).await.map(drop).map_err(|error| failed(DOING, &error))
    }

    async fn moved(&self) {
        match self.team("Waiting") {
            Ok(team) => team.calls_moved(LOOK).await,
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

#[async_trait]
impl Alerts for TeamApprovals {
    async fn alert(&self, key: &str, text: &str, over: bool) {
        let told = match self.team("Alerting people") {
            Ok(team) => team.alert_of_tools(key, text, over).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = told {
            tracing::error!(error, key, text, "people can't be told of tools that changed");
        }
    }
}
