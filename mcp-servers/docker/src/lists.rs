//! What there is: containers, images, networks, volumes. Each list has an end, and says what it left out.

use std::sync::Arc;

use async_trait::async_trait;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptions, ListNetworksOptions, ListVolumesOptions,
};
use qd_guard::{Call, Fault, Look, Quoted, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{FLEET, TEAM, engine::Engine, state::short};

/// Longest list.
const MOST: usize = 200;

/// Longest name that others chose, in characters.
const NAME: usize = 200;

/// Keeps the beginning of a list; how many were left out.
fn capped<T>(mut list: Vec<T>) -> (Vec<T>, usize) {
    let left_out = list.len().saturating_sub(MOST);
    list.truncate(MOST);
    (list, left_out)
}

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

pub(crate) struct Containers(pub(crate) Arc<Engine>);

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Which {
    /// Also those that don't run.
    #[serde(default)]
    all: bool,
    /// Only those of this fleet.
    #[serde(default)]
    own: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ContainerList {
    containers: Vec<ContainerRow>,
    left_out: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ContainerRow {
    name: String,
    /// The first 12 characters.
    id: String,
    image: Quoted,
    /// `running`, `exited`, …
    state: String,
    /// In words, with how long.
    status: String,
    /// Whether it has this fleet's label.
    own: bool,
    team: Option<Quoted>,
}

#[async_trait]
impl Look for Containers {
    type Input = Which;
    type Output = ContainerList;

    fn spec(&self) -> Spec {
        Spec::new("list_containers", Tier::Read, "container.list").described(
            "List containers",
            "Lists the engine's containers: name, image, state, and whether they are this fleet's.",
        )
    }

    async fn look(&self, _: &Call, input: Which) -> Result<ContainerList, Fault> {
        let options = ListContainersOptionsBuilder::new().all(input.all).build();
        let found = self.0.docker().await?.list_containers(Some(options)).await;
        let found = found.map_err(|error| self.0.looking("container", "list", &error))?;
        let rows = found.into_iter().map(|container| {
            let labels = container.labels.unwrap_or_default();
            let name = container.names.unwrap_or_default().into_iter().next().unwrap_or_default();
            ContainerRow {
                name: name.trim_start_matches('/').to_owned(),
                id: short(&container.id.unwrap_or_default()),
                image: Quoted::new(&container.image.unwrap_or_default(), NAME),
                state: container.state.map(|state| state.to_string()).unwrap_or_default(),
                status: container.status.unwrap_or_default(),
                own: labels.get(FLEET) == Some(&self.0.config.fleet),
                team: labels.get(TEAM).map(|team| Quoted::new(team, NAME)),
            }
        });
        let (containers, left_out) = capped(rows.filter(|row| row.own || !input.own).collect());
        Ok(ContainerList { containers, left_out })
    }
}

pub(crate) struct Images(pub(crate) Arc<Engine>);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ImageList {
    images: Vec<ImageRow>,
    left_out: usize,
    /// The images that may be pulled and run here, as a person allowed them.
    allowed: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ImageRow {
    /// The first 12 characters.
    id: String,
    names: Vec<Quoted>,
    /// In bytes.
    size: i64,
}

#[async_trait]
impl Look for Images {
    type Input = Nothing;
    type Output = ImageList;

    fn spec(&self) -> Spec {
        Spec::new("list_images", Tier::Read, "image.list")
            .described("List images", "Lists the images that are here, and those that may be pulled and run.")
    }

    async fn look(&self, _: &Call, _: Nothing) -> Result<ImageList, Fault> {
        let found = self.0.docker().await?.list_images(None::<ListImagesOptions>).await;
        let found = found.map_err(|error| self.0.looking("image", "list", &error))?;
        let rows = found.into_iter().map(|image| ImageRow {
            id: short(&image.id),
            names: image.repo_tags.iter().take(10).map(|name| Quoted::new(name, NAME)).collect(),
            size: image.size,
        });
        let (images, left_out) = capped(rows.collect());
        Ok(ImageList { images, left_out, allowed: self.0.config.images.clone() })
    }
}

pub(crate) struct Networks(pub(crate) Arc<Engine>);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NetworkList {
    networks: Vec<NetworkRow>,
    left_out: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NetworkRow {
    name: Quoted,
    id: String,
    driver: String,
    /// Whether it leads nowhere outside.
    internal: bool,
}

#[async_trait]
impl Look for Networks {
    type Input = Nothing;
    type Output = NetworkList;

    fn spec(&self) -> Spec {
        Spec::new("list_networks", Tier::Read, "network.list")
            .described("List networks", "Lists the engine's networks.")
    }

    async fn look(&self, _: &Call, _: Nothing) -> Result<NetworkList, Fault> {
        let found = self.0.docker().await?.list_networks(None::<ListNetworksOptions>).await;
        let found = found.map_err(|error| self.0.looking("network", "list", &error))?;
        let rows = found.into_iter().map(|network| NetworkRow {
            name: Quoted::new(&network.name.unwrap_or_default(), NAME),
            id: short(&network.id.unwrap_or_default()),
            driver: network.driver.unwrap_or_default(),
            internal: network.internal == Some(true),
        });
        let (networks, left_out) = capped(rows.collect());
        Ok(NetworkList { networks, left_out })
    }
}

pub(crate) struct Volumes(pub(crate) Arc<Engine>);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VolumeList {
    volumes: Vec<VolumeRow>,
    left_out: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VolumeRow {
    name: Quoted,
    driver: String,
    /// Whether it is a plain one, and not a place of the host under another name.
    plain: bool,
}

#[async_trait]
impl Look for Volumes {
    type Input = Nothing;
    type Output = VolumeList;

    fn spec(&self) -> Spec {
        Spec::new("list_volumes", Tier::Read, "volume.list")
            .described("List volumes", "Lists the engine's volumes.")
    }

    async fn look(&self, _: &Call, _: Nothing) -> Result<VolumeList, Fault> {
        let found = self.0.docker().await?.list_volumes(None::<ListVolumesOptions>).await;
        let found = found.map_err(|error| self.0.looking("volume", "list", &error))?;
        let rows = found.volumes.unwrap_or_default().into_iter().map(|volume| VolumeRow {
            name: Quoted::new(&volume.name, NAME),
            plain: volume.driver == "local" && volume.options.is_empty(),
            driver: volume.driver,
        });
        let (volumes, left_out) = capped(rows.collect());
        Ok(VolumeList { volumes, left_out })
    }
}
