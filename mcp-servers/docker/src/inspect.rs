//! One container, whole enough to judge it, without what it was given in secret.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use qd_guard::{Call, Fault, Look, Quoted, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{engine::Engine, secrets};

/// Longest text of one field, in characters.
const TEXT: usize = 1_000;

/// Most entries of one field.
const ENTRIES: usize = 100;

pub(crate) struct Inspect(pub(crate) Arc<Engine>);

/// A container.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Named {
    /// Its name, or at least 12 characters of its id.
    pub(crate) container: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Inspected {
    id: String,
    name: String,
    /// The image's digest.
    image: String,
    image_name: Quoted,
    /// `running`, `exited`, …
    state: String,
    exit_code: Option<i64>,
    /// Whether it was ended for want of memory.
    out_of_memory: bool,
    started_at: String,
    finished_at: String,
    restarts: i64,
    /// Without values that are secret.
    command: Quoted,
    /// Names, and the values of those that are known to be harmless.
    environment: Vec<Quoted>,
    labels: BTreeMap<String, Quoted>,
    mounts: Vec<Mounted>,
    networks: Vec<Quoted>,
    /// In bytes; 0 is without limit.
    memory: i64,
    /// In thousandths of a core; 0 is without limit.
    cpu_millis: i64,
    /// 0 is without limit.
    pids: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Mounted {
    host: Quoted,
    inside: Quoted,
    writable: bool,
}

#[async_trait]
impl Look for Inspect {
    type Input = Named;
    type Output = Inspected;

    fn spec(&self) -> Spec {
        Spec::new("inspect", Tier::Read, "container.inspect").described(
            "Inspect a container",
            "Shows a container: state, image, command, mounts, networks, limits. Values of its environment are hidden.",
        )
    }

    async fn look(&self, _: &Call, input: Named) -> Result<Inspected, Fault> {
        let container = self.0.container(&input.container).await?;
        let state = container.raw.state.unwrap_or_default();
        let config = container.raw.config.unwrap_or_default();
        let host = container.raw.host_config.unwrap_or_default();
        let networks =
            container.raw.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let command = [config.entrypoint.unwrap_or_default(), config.cmd.unwrap_or_default()].concat();
        let text = |text: &str| Quoted::new(text, TEXT);
        Ok(Inspected {
            id: container.id,
            name: container.name,
            image: container.image,
            image_name: text(&config.image.unwrap_or_default()),
            state: container.status.to_string(),
            exit_code: state.exit_code,
            out_of_memory: state.oom_killed == Some(true),
            started_at: state.started_at.unwrap_or_default(),
            finished_at: state.finished_at.unwrap_or_default(),
            restarts: container.raw.restart_count.unwrap_or_default(),
            command: text(&secrets::command(&command)),
            environment: config
                .env
                .unwrap_or_default()
                .iter()
                .take(ENTRIES)
                .map(|variable| text(&secrets::variable(variable)))
                .collect(),
            labels: config
                .labels
                .unwrap_or_default()
                .into_iter()
                .take(ENTRIES)
                .map(|(name, value)| {
                    let value = if secrets::is_secret(&name) { text(secrets::HIDDEN) } else { text(&value) };
                    (Quoted::new(&name, TEXT).text().to_owned(), value)
                })
                .collect(),
            mounts: container
                .raw
                .mounts
                .unwrap_or_default()
                .into_iter()
                .take(ENTRIES)
                .map(|mount| Mounted {
                    host: text(&mount.name.or(mount.source).unwrap_or_default()),
                    inside: text(&mount.destination.unwrap_or_default()),
                    writable: mount.rw == Some(true),
                })
                .collect(),
            networks: networks.keys().take(ENTRIES).map(|name| text(name)).collect(),
            memory: host.memory.unwrap_or_default(),
            cpu_millis: host.nano_cpus.unwrap_or_default() / 1_000_000,
            pids: host.pids_limit.unwrap_or_default(),
        })
    }
}
