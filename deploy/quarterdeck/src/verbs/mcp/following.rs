//! Policies and people of a server that goes on for long: looked at again and again, so that what changes counts without a
//! restart. Whose token it is, and which roles they have, is looked up at every request anyway.

use std::{sync::Arc, time::Duration};

use qd_approvals::SurfaceKey;
use qd_engine::{Engine, KnownTool, Reloaded};
use qd_guard::{EngineLaw, Ledger};
use qd_types::InstanceName;

use super::alone::{directory, plan, served};
use crate::{
    cli::Common,
    context::{self, UserError},
    policies::PolicyPlan,
};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(2);

/// What is kept up with.
pub(super) struct Following {
    pub(super) common: Common,
    /// The server, and its tools.
    pub(super) name: String,
    pub(super) tools: Vec<KnownTool>,
    pub(super) team: InstanceName,
    pub(super) engine: Arc<Engine>,
    pub(super) law: EngineLaw,
    pub(super) ledger: Arc<Ledger>,
    pub(super) key: SurfaceKey,
}

impl Following {
    /// Goes on until the task is dropped. What can't be read changes nothing.
    pub(super) async fn follow(self) {
        let mut last = None;
        loop {
            match self.look(last.as_ref()).await {
                Ok(plan) => last = Some(plan),
                Err(error) => tracing::warn!(%error, "policies and people can't be looked at"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&self, last: Option<&PolicyPlan>) -> Result<PolicyPlan, UserError> {
        let failed = |error: &dyn std::error::Error| UserError::from_error(error);
        let sources = context::sources(&self.common)?;
        let loaded = context::load(&sources)?;
        let (_, people) = context::household(&loaded, &sources.env)?;
        let mut plan = plan(&loaded, &people, &self.team).await?;
        served(&mut plan.facts, &self.name, self.tools.clone());
        let same = last.is_some_and(|last| {
            last.facts == plan.facts && last.rules == plan.rules && last.source == plan.source
        });
        let changed = if same {
            self.engine.reload().map_err(|error| failed(&error))? != Reloaded::Same
        } else {
            let adopted = self.engine.adopt(plan.source.clone(), &plan.facts, &plan.rules);
            adopted.map_err(|error| failed(&error))?;
            self.ledger.set_people(directory(&plan.facts, &self.team, &self.key));
            true
        };
        if changed {
            self.law.changed();
        }
        Ok(plan)
    }
}
