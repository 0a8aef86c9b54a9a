//! What happens at GitHub, heard: webhooks on a listener of their own, which knows nothing but them; the worker that makes
//! something of them; and the look for what was not delivered.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use qd_github::{
    GitHub,
    reconcile::Reconciler,
    webhook::{Endpoint, Hearing, People, Verifier, Worker},
};
use qd_hub::Hub;
use qd_people::Identity;
use qd_types::{InstanceName, Person, RepositoryName};
use secrecy::SecretString;
use tokio::task::JoinSet;

use super::{FleetPlan, GithubPlan, start::FleetError};
use crate::{http, people::Roster};

/// People whose accounts are linked: `quarterdeck person link NAME github:LOGIN`.
struct Linked(Roster);

#[async_trait]
impl People for Linked {
    async fn by_login(&self, login: &str) -> Result<Option<Person>, String> {
        let profile = self.0.by_identity(Identity::GitHub(login.to_ascii_lowercase())).await;
        Ok(profile.map_err(|error| error.to_string())?.map(|profile| profile.ceiling()))
    }
}

fn hearing(plan: &FleetPlan, github: &GithubPlan) -> Hearing {
    let mut teams: BTreeMap<RepositoryName, Vec<InstanceName>> = BTreeMap::new();
    for team in &plan.teams {
        for repository in &team.repositories {
            teams.entry(repository.clone()).or_default().push(team.id.clone());
        }
    }
    Hearing {
        repositories: github.repositories.clone(),
        teams,
        roles: github.roles.clone(),
        bots: github.bots,
        forks: github.forks,
        reviews_vote: github.reviews_vote,
    }
}

/// Hears what happens there, until the tasks are dropped.
pub(super) async fn hear(
    plan: &FleetPlan,
    github: &GitHub,
    (hub, roster): (&Hub, &Roster),
    tasks: &mut JoinSet<()>,
) -> Result<(), FleetError> {
    let Some(settings) = &plan.github else { return Ok(()) };
    let (facts, people) = (Arc::new(github.clone()), Arc::new(Linked(roster.clone())));
    let worker = Arc::new(Worker::new(hearing(plan, settings), Arc::new(hub.clone()), facts, people));
    tasks.spawn(Arc::clone(&worker).run());
    tasks.spawn(Reconciler::new(github.clone(), worker).run(settings.look));
    if let Some(listen) = settings.listen {
        let secret = settings.webhook_secret.clone().unwrap_or_else(|| SecretString::from(""));
        let endpoint = Endpoint::new(Verifier::new(&secret)?, Arc::new(hub.clone()));
        let failed = |source| FleetError::Serve { place: format!("github.listen {listen}"), source };
        let listener = http::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // For programs beside it, which can't know the port that was free.
        std::fs::write(plan.bot_folder().join("github.address"), address.to_string()).map_err(failed)?;
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, endpoint.router()).await {
                tracing::error!(%error, "webhooks of GitHub are not heard");
            }
        });
    }
    Ok(())
}
