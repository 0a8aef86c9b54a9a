//! What the bot is told of people and policies: whenever the plan, the people or the policies change, always all as they
//! stand.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use qd_engine::{Engine, KnownPerson};
use qd_github::GitHub;
use qd_hub::Hub;
use qd_types::RepositoryName;
use tokio::sync::Mutex;

use super::{FleetPlan, start::FleetError};
use crate::people::Roster;

/// How often it is looked whether targets are protected.
const LOOK: Duration = Duration::from_secs(600);

/// Repositories on GitHub that are used whether they are protected or not; until they were looked at, they are not.
pub(super) fn may_be_unprotected(plan: &FleetPlan) -> BTreeSet<RepositoryName> {
    let github = plan.github.iter().filter(|github| github.allow_unprotected);
    github.flat_map(|github| github.repositories.keys().cloned()).collect()
}

/// Tells the bot.
pub(super) struct Telling {
    pub(super) plan: Arc<RwLock<FleetPlan>>,
    pub(super) policies: Arc<Engine>,
    pub(super) roster: Roster,
    pub(super) hub: Hub,
    /// GitHub, if it is used.
    pub(super) github: Option<GitHub>,
    /// Whose targets are unprotected there, as far as is known.
    pub(super) unprotected: RwLock<BTreeSet<RepositoryName>>,
    /// Whom it was told about. Whoever tells holds it, so that what was read first does not arrive last.
    pub(super) told: Mutex<Option<Vec<KnownPerson>>>,
}

impl Telling {
    /// Tells the rules of the plan, the policies in force, and who there is; the policies know these people too.
    pub(super) async fn tell(&self) -> Result<(), FleetError> {
        let mut told = self.told.lock().await;
        let people = self.roster.active().await?;
        let plan = self.plan();
        self.policies.set_facts(&plan.policies.facts_with(&people))?;
        self.hub.set_rules(rules(&plan, &self.policies, people.clone(), &self.unprotected())).await?;
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

    /// Looks again and again whether the targets on GitHub are protected, where they need not be: cards say it.
    pub(super) async fn look(self: Arc<Self>) {
        let Some(github) = self.github.clone() else { return };
        loop {
            let plan = self.plan();
            let mut lacking = may_be_unprotected(&plan);
            for repository in lacking.clone() {
                let named = plan.repositories.iter().find(|known| known.name == repository);
                let Some(known) = named else { continue };
                // What can't be told counts as unprotected.
                if let Ok(found) = github.protection(&repository, &known.target).await
                    && found.gaps.is_empty()
                {
                    lacking.remove(&repository);
                }
            }
            if self.unprotected() != lacking {
                *self.unprotected.write().unwrap_or_else(PoisonError::into_inner) = lacking;
                if let Err(error) = self.tell().await {
                    tracing::error!(%error, "the bot can't be told what is unprotected");
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn unprotected(&self) -> BTreeSet<RepositoryName> {
        self.unprotected.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn plan(&self) -> FleetPlan {
        match self.plan.read() {
            Ok(plan) => plan.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }
}

/// What the bot goes by: the plan, the policies as they are in force now, and the people.
pub(super) fn rules(
    plan: &FleetPlan,
    policies: &Engine,
    people: Vec<KnownPerson>,
    unprotected: &BTreeSet<RepositoryName>,
) -> qd_core::Rules {
    qd_core::Rules {
        teams: plan.teams.iter().map(|team| team.id.clone()).collect(),
        renamed: plan
            .teams
            .iter()
            .filter(|team| team.id != team.name)
            .map(|team| (team.id.clone(), team.name.clone()))
            .collect(),
        people: people.into_iter().map(|known| known.person).collect(),
        policies: policies.current(),
        merge_methods: plan
            .repositories
            .iter()
            .map(|repository| (repository.name.to_string(), repository.method))
            .collect(),
        // The pull requests of the embedded forge are read on boards alone.
        read: plan
            .github
            .iter()
            .flat_map(|github| github.repositories.keys())
            .map(ToString::to_string)
            .collect(),
        unprotected: unprotected.iter().map(ToString::to_string).collect(),
        protected: plan
            .repositories
            .iter()
            .filter(|repository| repository.protected)
            .map(|repository| repository.name.to_string())
            .collect(),
        approvals: plan.approvals.clone(),
        distil: plan.distil.clone(),
    }
}
