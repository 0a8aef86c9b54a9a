//! Remove, and prune. Only what does not run, and only exactly what people saw: prune names every container that it takes.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions,
};
use qd_approvals::Probe;
use qd_guard::{Approved, Call, Caller, Fault, Mutation, Plan, Spec};
use qd_types::{SpentGrant, Tier};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    FLEET, TEAM,
    engine::{Engine, is_absent},
    inspect::Named,
    lists::Nothing,
    names::Name,
    pull::Wanted,
    state::{Container, fingerprint, short},
};

/// Most containers that are pruned at once: people read the list.
const MOST: usize = 50;

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Removed {
    removed: Vec<String>,
}

impl Engine {
    /// Removes a container that does not run; its volumes stay.
    async fn remove(&self, container: &Container) -> Result<(), Fault> {
        let options = RemoveContainerOptionsBuilder::new().force(false).v(false).build();
        let removed = self.docker().await?.remove_container(&container.id, Some(options)).await;
        match removed {
            Err(error) if !is_absent(&error) => {
                Err(self.changing(&format!("remove {}", container.name), &error))
            }
            _ => Ok(()),
        }
    }
}

fn is_down(container: &Container) -> Result<(), Fault> {
    if !container.is_up() {
        return Ok(());
    }
    Err(Fault::failed(
        format!("The container {} runs.", container.name),
        "Stop it first, then ask to remove it.",
    ))
}

pub(crate) struct Remove(pub(crate) Arc<Engine>);

#[async_trait]
impl Mutation for Remove {
    type Input = Named;
    type Output = Removed;

    fn spec(&self) -> Spec {
        Spec::new("remove", Tier::Destroy, "container.remove").described(
            "Remove a container",
            "Removes a container of this fleet that does not run, with all that was written in it. Its volumes stay.",
        )
    }

    async fn plan(&self, call: &Call, input: &Named) -> Result<Plan, Fault> {
        let container = self.0.own(&call.caller, &input.container).await?;
        is_down(&container)?;
        Ok(container.plan(vec![format!("Remove {} ({}) for good.", container.name, short(&container.id))]))
    }

    async fn probe(&self, _: &str, input: &Named) -> Probe {
        let Ok(name) = Name::parse("container", &input.container) else { return Probe::DidNot };
        let found = match self.0.docker().await {
            Ok(docker) => docker.inspect_container(name.as_str(), None).await,
            Err(fault) => return Probe::CantTell(fault.problem),
        };
        match found {
            Ok(_) => Probe::DidNot,
            Err(error) if is_absent(&error) => gone(vec![name.to_string()]),
            Err(error) => Probe::CantTell(self.0.looking("container", name.as_str(), &error).problem),
        }
    }
}

#[async_trait]
impl Approved for Remove {
    async fn carry_out(&self, call: &Call, input: Named, _: SpentGrant) -> Result<Removed, Fault> {
        let container = self.0.own(&call.caller, &input.container).await?;
        is_down(&container)?;
        self.0.remove(&container).await?;
        Ok(Removed { removed: vec![container.name] })
    }
}

fn gone(removed: Vec<String>) -> Probe {
    Probe::Happened(serde_json::to_string(&Removed { removed }).unwrap_or_default())
}

pub(crate) struct RemoveImage(pub(crate) Arc<Engine>);

#[async_trait]
impl Mutation for RemoveImage {
    type Input = Wanted;
    type Output = Removed;

    fn spec(&self) -> Spec {
        Spec::new("remove_image", Tier::Destroy, "image.remove").described(
            "Remove an image",
            "Removes an image of those that may be used here, if no container needs it.",
        )
    }

    async fn plan(&self, _: &Call, input: &Wanted) -> Result<Plan, Fault> {
        let image = self.0.image(&input.image)?;
        let id = self.0.digest(&image).await?.ok_or_else(|| {
            Fault::failed(
                format!("The image {image} is not here."),
                "List the images, and take one of those.",
            )
        })?;
        let steps = vec![format!("Remove {image} ({}).", short(&id))];
        Ok(Plan { target: image.reference(), fingerprint: fingerprint([&*id]), steps })
    }

    async fn probe(&self, _: &str, input: &Wanted) -> Probe {
        let Ok(image) = self.0.image(&input.image) else { return Probe::DidNot };
        match self.0.digest(&image).await {
            Ok(None) => gone(vec![image.reference()]),
            Ok(Some(_)) => Probe::DidNot,
            Err(fault) => Probe::CantTell(fault.problem),
        }
    }
}

#[async_trait]
impl Approved for RemoveImage {
    async fn carry_out(&self, _: &Call, input: Wanted, _: SpentGrant) -> Result<Removed, Fault> {
        let image = self.0.image(&input.image)?;
        let reference = image.reference();
        let removed = self.0.docker().await?.remove_image(&reference, None::<RemoveImageOptions>, None).await;
        removed.map_err(|error| self.0.changing(&format!("remove {image}"), &error))?;
        Ok(Removed { removed: vec![reference] })
    }
}

pub(crate) struct Prune(pub(crate) Arc<Engine>);

impl Prune {
    /// The containers of this fleet and team that don't run, by name. Always by label, whatever the scope: what others
    /// left behind is theirs.
    async fn found(&self, caller: &Caller) -> Result<Vec<Container>, Fault> {
        let label = |name: &str, value: &str| format!("{name}={value}");
        let labels = vec![label(FLEET, &self.0.config.fleet), label(TEAM, caller.team().as_str())];
        let states = ["created", "exited", "dead"].map(str::to_owned).to_vec();
        let filters = HashMap::from([("label".to_owned(), labels), ("status".to_owned(), states)]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.0.docker().await?.list_containers(Some(options)).await;
        let found = found.map_err(|error| self.0.looking("container", "list", &error))?;
        let mut containers = Vec::new();
        for row in found.into_iter().take(MOST) {
            let container = self.0.own(caller, &row.id.unwrap_or_default()).await?;
            is_down(&container)?;
            containers.push(container);
        }
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }
}

#[async_trait]
impl Mutation for Prune {
    type Input = Nothing;
    type Output = Removed;

    fn spec(&self) -> Spec {
        Spec::new("prune", Tier::Destroy, "container.prune").described(
            "Remove what is over",
            "Removes the containers of this fleet and team that don't run: at most 50, each named to the people who decide. \
             Images and volumes stay.",
        )
    }

    async fn plan(&self, call: &Call, _: &Nothing) -> Result<Plan, Fault> {
        let found = self.found(&call.caller).await?;
        if found.is_empty() {
            return Err(Fault::failed(
                "Nothing is over: no container of this team stands still.",
                "Leave it at that.",
            ));
        }
        let all: Vec<String> = found.iter().map(Container::fingerprint).collect();
        Ok(Plan {
            target: format!("{} containers", found.len()),
            fingerprint: fingerprint(all.iter().map(String::as_str)),
            steps: found
                .iter()
                .map(|one| format!("Remove {} ({}) for good.", one.name, short(&one.id)))
                .collect(),
        })
    }
}

#[async_trait]
impl Approved for Prune {
    async fn carry_out(&self, call: &Call, _: Nothing, _: SpentGrant) -> Result<Removed, Fault> {
        let mut removed = Vec::new();
        for container in self.found(&call.caller).await? {
            if let Err(fault) = self.0.remove(&container).await {
                let so_far = if removed.is_empty() { "nothing".to_owned() } else { removed.join(", ") };
                return Err(Fault::unsure(
                    format!("{} So far {so_far} was removed.", fault.problem),
                    fault.way_out,
                ));
            }
            removed.push(container.name);
        }
        Ok(Removed { removed })
    }
}
