//! Start, stop, restart. A container that is as it should be is left alone, and that is said.

use std::{pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use bollard::query_parameters::{RestartContainerOptionsBuilder, StopContainerOptionsBuilder};
use qd_approvals::Probe;
use qd_guard::{Call, Change, Fault, Hints, Mutation, Permit, Plan, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::{engine::Engine, inspect::Named};

/// Seconds that a container has to end by itself.
const GRACE: i32 = 10;

/// How long an effect may take: the grace, and the engine's own time.
const TIME: Duration = Duration::from_secs(45);

/// Time between two words on how far it is.
const TELLS: Duration = Duration::from_secs(2);

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Operated {
    container: String,
    /// `running`, `exited`, …
    state: String,
    /// Whether anything was done; it may have been so already.
    changed: bool,
}

impl Engine {
    /// What became of a container.
    async fn operated(&self, id: &str, changed: bool) -> Result<Operated, Fault> {
        // The effect has happened: if it can't be looked at now, that does not undo it.
        let now = self.container(id).await.map_err(|fault| Fault::unsure(fault.problem, fault.way_out))?;
        Ok(Operated { container: now.name, state: now.status.to_string(), changed })
    }

    /// Whether a container came to be up, or down, before a crash.
    async fn came_to(&self, name: &str, up: bool) -> Probe {
        match self.container(name).await {
            Ok(container) if container.is_up() == up => {
                let done = Operated {
                    container: container.name,
                    state: container.status.to_string(),
                    changed: true,
                };
                Probe::Happened(serde_json::to_string(&done).unwrap_or_default())
            }
            Ok(_) => Probe::DidNot,
            Err(fault) => Probe::CantTell(fault.problem),
        }
    }
}

/// Says every now and then how long the engine has taken, until it is done: a container may use up its grace.
async fn reported<T>(call: &Call, doing: &str, work: impl Future<Output = T>) -> T {
    let (begun, mut work) = (Instant::now(), pin!(work));
    loop {
        let spent = begun.elapsed().as_secs();
        call.progress.report(
            spent as f64,
            None,
            format!("{doing}: {spent} s of at most {} s.", TIME.as_secs()),
        );
        if let Ok(done) = tokio::time::timeout(TELLS, &mut work).await {
            return done;
        }
    }
}

fn idempotent(spec: Spec) -> Spec {
    let hints = Hints { idempotent: true, ..spec.hints };
    spec.hinted(hints).within(TIME)
}

pub(crate) struct Start(pub(crate) Arc<Engine>);

#[async_trait]
impl Mutation for Start {
    type Input = Named;
    type Output = Operated;

    fn spec(&self) -> Spec {
        idempotent(Spec::new("start", Tier::Operate, "container.start").described(
            "Start a container",
            "Starts a container of this fleet. One that runs already is left alone.",
        ))
    }

    async fn plan(&self, call: &Call, input: &Named) -> Result<Plan, Fault> {
        let container = self.0.own(&call.caller, &input.container).await?;
        if container.is_up() {
            return Ok(container.plan(vec![format!("Nothing: {} runs already.", container.name)]));
        }
        self.0.within_walls(&container).await?;
        Ok(container.plan(vec![format!("Start {}.", container.name)]))
    }

    async fn probe(&self, _: &str, input: &Named) -> Probe {
        self.0.came_to(&input.container, true).await
    }
}

#[async_trait]
impl Change for Start {
    async fn change(&self, call: &Call, input: Named, _: Permit) -> Result<Operated, Fault> {
        let container = self.0.own(&call.caller, &input.container).await?;
        if container.is_up() {
            return self.0.operated(&container.id, false).await;
        }
        self.0.within_walls(&container).await?;
        let started = self.0.docker().await?.start_container(&container.id, None).await;
        started.map_err(|error| self.0.changing(&format!("start {}", container.name), &error))?;
        self.0.operated(&container.id, true).await
    }
}

pub(crate) struct Stop(pub(crate) Arc<Engine>);

#[async_trait]
impl Mutation for Stop {
    type Input = Named;
    type Output = Operated;

    fn spec(&self) -> Spec {
        idempotent(Spec::new("stop", Tier::Operate, "container.stop").described(
            "Stop a container",
            "Stops a container of this fleet: it has 10 seconds to end. One that does not run is left alone.",
        ))
    }

    async fn plan(&self, call: &Call, input: &Named) -> Result<Plan, Fault> {
        let container = self.0.own(&call.caller, &input.container).await?;
        let step = if container.is_up() { "Stop" } else { "Nothing: it does not run:" };
        Ok(container.plan(vec![format!("{step} {}.", container.name)]))
    }

    async fn probe(&self, _: &str, input: &Named) -> Probe {
        self.0.came_to(&input.container, false).await
    }
}

#[async_trait]
impl Change for Stop {
    async fn change(&self, call: &Call, input: Named, _: Permit) -> Result<Operated, Fault> {
        let container = self.0.own(&call.caller, &input.container).await?;
        if !container.is_up() {
            return self.0.operated(&container.id, false).await;
        }
        let options = StopContainerOptionsBuilder::new().t(GRACE).build();
        let docker = self.0.docker().await?;
        let stopping = docker.stop_container(&container.id, Some(options));
        let stopped = reported(call, &format!("Stopping {}", container.name), stopping).await;
        stopped.map_err(|error| self.0.changing(&format!("stop {}", container.name), &error))?;
        self.0.operated(&container.id, true).await
    }
}

pub(crate) struct Restart(pub(crate) Arc<Engine>);

#[async_trait]
impl Mutation for Restart {
    type Input = Named;
    type Output = Operated;

    fn spec(&self) -> Spec {
        Spec::new("restart", Tier::Operate, "container.restart")
            .described("Restart a container", "Stops a container of this fleet, and starts it again.")
            .within(TIME)
    }

    async fn plan(&self, call: &Call, input: &Named) -> Result<Plan, Fault> {
        let container = self.0.own(&call.caller, &input.container).await?;
        self.0.within_walls(&container).await?;
        Ok(container.plan(vec![format!("Restart {}.", container.name)]))
    }
}

#[async_trait]
impl Change for Restart {
    async fn change(&self, call: &Call, input: Named, _: Permit) -> Result<Operated, Fault> {
        let container = self.0.own(&call.caller, &input.container).await?;
        self.0.within_walls(&container).await?;
        let options = RestartContainerOptionsBuilder::new().t(GRACE).build();
        let docker = self.0.docker().await?;
        let restarting = docker.restart_container(&container.id, Some(options));
        let restarted = reported(call, &format!("Restarting {}", container.name), restarting).await;
        restarted.map_err(|error| self.0.changing(&format!("restart {}", container.name), &error))?;
        self.0.operated(&container.id, true).await
    }
}

#[cfg(test)]
mod tests {
    use qd_guard::{Caller, Progress, Who};
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_a_while_says_so() {
        let (sender, mut told) = mpsc::channel(16);
        let who = Who::Service { team: "alpha".parse().unwrap(), name: "ci".to_owned(), on_behalf: vec![] };
        let progress = Progress::to(sender, false);
        let call =
            Call { id: "C".to_owned(), caller: Caller::new(who), cancel: Default::default(), progress };
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            "done"
        };
        assert_eq!(reported(&call, "Stopping own", stopping).await, "done");
        let mut texts = Vec::new();
        while let Ok(step) = told.try_recv() {
            texts.push(step.text);
        }
        insta::assert_snapshot!(texts.join("\n"), @"
        Stopping own: 0 s of at most 45 s.
        Stopping own: 2 s of at most 45 s.
        Stopping own: 4 s of at most 45 s.
        ");
    }
}
