//! What the bot is told of people and rules: whenever the plan or the people change, always both as they stand.

use std::sync::{Arc, RwLock};

use qd_hub::Hub;
use qd_people::PeopleError;
use qd_types::Person;
use tokio::sync::Mutex;

use super::FleetPlan;
use crate::people::Roster;

/// Tells the bot.
pub(super) struct Telling {
    pub(super) plan: Arc<RwLock<FleetPlan>>,
    pub(super) roster: Roster,
    pub(super) hub: Hub,
    /// Whom it was told about. Whoever tells holds it, so that what was read first does not arrive last.
    pub(super) told: Mutex<Option<Vec<Person>>>,
}

impl Telling {
    /// Tells the rules of the plan, and who there is.
    pub(super) async fn tell(&self) -> Result<(), PeopleError> {
        let mut told = self.told.lock().await;
        let people = self.roster.active().await?;
        self.hub.set_rules(rules(&self.plan(), people.clone())).await;
        *told = Some(people);
        Ok(())
    }

    /// Tells it after every change of people, for as long as they can change here.
    pub(super) async fn follow(self: Arc<Self>) {
        let Some(mut changes) = self.roster.changes() else { return };
        while changes.changed().await.is_ok() {
            let known = match self.roster.active().await {
                Ok(people) => self.told.lock().await.as_ref() == Some(&people),
                Err(_) => false,
            };
            // Sessions and tokens are changes as well, and nothing to the bot. Nobody votes whom the door can't look up.
            if !known && let Err(error) = self.tell().await {
                tracing::error!(%error, "the bot can't be told who there is");
            }
        }
    }

    fn plan(&self) -> FleetPlan {
        match self.plan.read() {
            Ok(plan) => plan.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }
}

/// The bot's rules, from the plan and the people.
pub(super) fn rules(plan: &FleetPlan, people: Vec<Person>) -> qd_core::Rules {
    qd_core::Rules {
        teams: plan.teams.iter().map(|team| team.id.clone()).collect(),
        people,
        solo: plan.solo,
        merge_quorum: plan.merge_quorum,
        merge_methods: plan
            .repositories
            .iter()
            .map(|repository| (repository.name.to_string(), repository.method))
            .collect(),
    }
}
