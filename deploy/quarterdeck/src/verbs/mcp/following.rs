//! Policies and people of a server that goes on for long: looked at again and again, so that what changes counts without a
//! restart. Over HTTP it is looked up at every request whose token it is; over standard input and output, as often as the
//! policies are.

use std::{path::PathBuf, sync::Arc, time::Duration};

use qd_approvals::SurfaceKey;
use qd_engine::{Engine, KnownTool, Reloaded, Request, Resource};
use qd_guard::{Caller, EngineLaw, Ledger, Who};
use qd_types::{InstanceName, Verb};

use super::alone::{directory, nobody, plan, served, whose};
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

/// On the strength of what a session was begun.
pub(super) struct Held {
    pub(super) caller: Caller,
    /// The token that said so; without one it is the person at this computer.
    pub(super) token: Option<String>,
    /// Where it is looked up whose token it is.
    pub(super) state: PathBuf,
}

impl Held {
    /// Whether the token is still the caller's.
    async fn is_good(&self, team: &InstanceName) -> Result<bool, UserError> {
        let Some(token) = &self.token else { return Ok(true) };
        let now = whose(&self.state, token, team).await?;
        Ok(now.is_some_and(|(person, service)| match &self.caller.who {
            Who::Person { person: me, .. } => me.id == person && service.is_none(),
            Who::Service { name, on_behalf, .. } => {
                service.as_ref() == Some(name) && on_behalf.contains(&person)
            }
            Who::Agent { .. } => false,
        }))
    }
}

impl Following {
    /// Goes on until the task is dropped. What can't be read changes nothing.
    pub(super) async fn follow(self) {
        let mut last = None;
        loop {
            self.round(&mut last).await;
        }
    }

    /// Goes on until a session's caller may not have the server any more, and gives why. Roles that they lost do not count
    /// from the next look on; those that they were given count for a session that begins then.
    pub(super) async fn until_refused(&self, held: &Held) -> UserError {
        let mut last = None;
        loop {
            self.round(&mut last).await;
            match held.is_good(&self.team).await {
                Ok(true) => {}
                Ok(false) => return nobody(),
                Err(error) => tracing::warn!(%error, "whose token it is can't be looked up"),
            }
            if let Err(why) = self.admits(held) {
                return why;
            }
        }
    }

    /// Whether policy lets this caller have the server.
    pub(super) fn admits(&self, held: &Held) -> Result<(), UserError> {
        let server = Resource::Server(self.name.clone());
        let mut asked = Request::new(held.caller.principal(), Verb::ServerUse, server);
        asked.team = Some(self.team.clone());
        let permitted = self.engine.permit(&asked);
        permitted.map(drop).map_err(|refusal| UserError::failed(format!("{refusal} {}", refusal.help)))
    }

    /// One look, and the time until the next.
    async fn round(&self, last: &mut Option<PolicyPlan>) {
        match self.look(last.as_ref()).await {
            Ok(plan) => *last = Some(plan),
            Err(error) => tracing::warn!(%error, "policies and people can't be looked at"),
        }
        tokio::time::sleep(LOOK).await;
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
