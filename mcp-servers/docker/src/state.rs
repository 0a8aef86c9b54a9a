//! A container as it is now: what a change is bound to, and whether this caller may change it.

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum as Status};
use qd_guard::{Caller, Fault, Plan};
use sha2::{Digest as _, Sha256};

use crate::{FLEET, Scope, TEAM, engine::Engine, names::Name};

/// A container, looked at.
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: Status,
    /// The image's digest.
    pub(crate) image: String,
    pub(crate) raw: ContainerInspectResponse,
}

impl Engine {
    /// A container by its name or by at least 12 characters of its id.
    pub(crate) async fn container(&self, name: &str) -> Result<Container, Fault> {
        let named = Name::parse("container", name)?;
        let raw = self.docker().await?.inspect_container(named.as_str(), None).await;
        let raw = raw.map_err(|error| self.looking("container", named.as_str(), &error))?;
        let (id, full) = (raw.id.clone().unwrap_or_default(), raw.name.clone().unwrap_or_default());
        if id.is_empty() || !named.names(&full, &id) {
            return Err(Fault::failed(
                format!("There is no container {named} here."),
                "Name it whole, or by at least 12 characters of its id.",
            ));
        }
        let status = raw.state.as_ref().and_then(|state| state.status).unwrap_or(Status::EMPTY);
        let (name, image) = (full.trim_start_matches('/').to_owned(), raw.image.clone().unwrap_or_default());
        Ok(Container { id, name, status, image, raw })
    }

    /// One that this caller may change.
    pub(crate) async fn own(&self, caller: &Caller, name: &str) -> Result<Container, Fault> {
        let container = self.container(name).await?;
        self.is_own(caller, &container)?;
        Ok(container)
    }

    fn is_own(&self, caller: &Caller, container: &Container) -> Result<(), Fault> {
        let name = &container.name;
        if self.config.scope == Scope::Fleet && container.label(FLEET) != Some(&self.config.fleet) {
            return Err(Fault::failed(
                format!(
                    "The container {name} is not this fleet's: it has no label {FLEET}={}.",
                    self.config.fleet
                ),
                "Leave it alone. A person may set scope = \"everything\" in [mcp.docker].",
            ));
        }
        match container.label(TEAM) {
            Some(team) if team != caller.team().as_str() => Err(Fault::failed(
                format!("The container {name} is another team's."),
                "Leave it alone, or ask that team.",
            )),
            _ => Ok(()),
        }
    }
}

impl Container {
    pub(crate) fn label(&self, name: &str) -> Option<&String> {
        self.raw.config.as_ref()?.labels.as_ref()?.get(name)
    }

    /// Whether its processes are there.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.status, Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING)
    }

    /// Id, state, image, and when it was last started: whatever a person would look at again.
    pub(crate) fn fingerprint(&self) -> String {
        let started =
            self.raw.state.as_ref().and_then(|state| state.started_at.as_deref()).unwrap_or_default();
        fingerprint([&*self.id, self.status.as_ref(), &self.image, started])
    }

    /// What would happen to it.
    pub(crate) fn plan(&self, steps: Vec<String>) -> Plan {
        Plan { target: self.name.clone(), fingerprint: self.fingerprint(), steps }
    }
}

/// The hash of parts, each kept apart from the next.
pub(crate) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The part of an id that people read.
pub(crate) fn short(id: &str) -> String {
    id.trim_start_matches("sha256:").chars().take(12).collect()
}
