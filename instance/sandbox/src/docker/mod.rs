//! Containers of a Docker engine. A container has the labels of its instance and run: by them it is found again after a
//! restart, adopted, or removed when nobody wants it any more.

pub(crate) mod carried;
mod contained;
mod let_in;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use bollard::{
    API_DEFAULT_VERSION,
    models::{ContainerSummary, ContainerSummaryStateEnum},
    query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder},
};
use qd_types::{InstanceName, RunId};
use serde::{Deserialize, Serialize};

pub use contained::{Contained, Exit, Inside};

use crate::port::{Bounds, Found, Kind, Launch, Prevents, Sandbox, SandboxError, Spec};

/// Which fleet's a container is.
const FLEET: &str = "quarterdeck.fleet";
/// Whose of them.
const INSTANCE: &str = "quarterdeck.instance";
/// What it works for.
const RUN: &str = "quarterdeck.run";
/// Which turn of that, if it may be taken over.
const TURN: &str = "quarterdeck.turn";
/// Seconds that the engine may take for an answer.
const PATIENCE: u64 = 60;
/// Where the engine listens if nobody says.
const SOCKET: &str = "/var/run/docker.sock";
/// Nobody: the user inside when the fleet itself is root.
const NOBODY: &str = "65534:65534";

/// An engine, and what containers are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Docker {
    /// Our program: it stands for the container towards whoever started it.
    pub bounds: PathBuf,
    /// The engine's socket.
    pub socket: PathBuf,
    /// The image. It must be there: nothing is pulled.
    pub image: String,
    /// Which fleet, where several use one engine: its state folder.
    pub fleet: String,
    /// User and group inside, as numbers: `1000:1000`. The worktree must let them write.
    pub user: String,
}

/// What a process of ours is told, on its command line. No secrets: these come in its environment.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    docker: Docker,
    spec: Spec,
}

impl Docker {
    /// With the engine's usual socket, and our own user; nobody, if we are root. Containers are the fleet's that has its
    /// state in `fleet`.
    pub fn new(Bounds(bounds): Bounds, image: impl Into<String>, fleet: &Path) -> Self {
        let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
        let user =
            if uid.is_root() { NOBODY.to_owned() } else { format!("{}:{}", uid.as_raw(), gid.as_raw()) };
        let fleet = fleet.to_string_lossy().into_owned();
        Self { bounds, socket: SOCKET.into(), image: image.into(), fleet, user }
    }

    /// What a command line asked for that [`Sandbox::launch`] made.
    pub fn ordered(text: &str) -> Result<(Self, Spec), SandboxError> {
        let order: Order = serde_json::from_str(text).map_err(|error| failed("read its order", error))?;
        Ok((order.docker, order.spec))
    }

    /// Starts a container, or takes over the one that the spec names. It lives on when this program ends.
    pub async fn run(&self, spec: &Spec, inside: Inside) -> Result<Contained, SandboxError> {
        let other = |error| failed("open the worktree to the container's user", error);
        if let Some(id) = &spec.adopt {
            // The run's socket was made anew.
            if self.is_other_user() {
                let_in::to_read(spec).map_err(other)?;
            }
            return Contained::attach(self.engine().await?, id.clone(), true).await;
        }
        if self.is_other_user() {
            let_in::let_in(spec).map_err(other)?;
        }
        Contained::start(self.engine().await?, self, spec, inside).await
    }

    /// Takes over a container that an earlier program started. What it has said is said again.
    pub async fn adopt(&self, found: &Found) -> Result<Contained, SandboxError> {
        Contained::attach(self.engine().await?, found.id.clone(), true).await
    }

    async fn engine(&self) -> Result<bollard::Docker, SandboxError> {
        let reach = |error: bollard::errors::Error| unavailable(unreachable(&self.socket, &error));
        let socket = self.socket.to_string_lossy();
        let engine =
            bollard::Docker::connect_with_unix(&socket, PATIENCE, API_DEFAULT_VERSION).map_err(reach)?;
        engine.negotiate_version().await.map_err(reach)
    }

    /// Whether files of ours are somebody else's inside.
    fn is_other_user(&self) -> bool {
        let own = rustix::process::getuid().as_raw().to_string();
        self.user.split(':').next() != Some(own.as_str())
    }

    async fn list(
        &self,
        engine: &bollard::Docker,
        instance: &InstanceName,
    ) -> Result<Vec<Found>, SandboxError> {
        let labels = vec![format!("{FLEET}={}", self.fleet), format!("{INSTANCE}={instance}")];
        let filters = HashMap::from([("label".to_owned(), labels)]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let all = engine.list_containers(Some(options)).await;
        let all = all.map_err(|error| failed("list its containers", error))?;
        Ok(all.into_iter().filter_map(found).collect())
    }
}

fn found(container: ContainerSummary) -> Option<Found> {
    let labels = container.labels?;
    let (run, turn) = (labels.get(RUN)?.parse().ok()?, labels.get(TURN).cloned());
    let running = container.state == Some(ContainerSummaryStateEnum::RUNNING);
    Some(Found { id: container.id?, run, running, turn })
}

#[async_trait]
impl Sandbox for Docker {
    fn kind(&self) -> Kind {
        Kind::Docker
    }

    async fn probe(&self) -> Result<Prevents, SandboxError> {
        let engine = self.engine().await?;
        engine.inspect_image(&self.image).await.map_err(|_| {
            unavailable(format!("the engine has no image {0}: run docker pull {0}", self.image))
        })?;
        Ok(Prevents { writes: true, reads: true, sockets: true, network: true, escape: true, hogging: true })
    }

    fn launch(&self, spec: &Spec) -> Result<Launch, SandboxError> {
        let carried =
            carried::carried(&self.bounds).map_err(|error| failed("find its own program", error))?;
        let order = Order { docker: self.clone(), spec: spec.clone() };
        let order = serde_json::to_string(&order).map_err(|error| failed("write its order", error))?;
        let argv = vec![self.bounds.clone().into(), "contain".into(), order.into(), "--".into()];
        Ok(Launch { argv, elsewhere: true, ours: Some((self.bounds.clone(), carried.argv)) })
    }

    async fn find(&self, instance: &InstanceName) -> Result<Vec<Found>, SandboxError> {
        self.list(&self.engine().await?, instance).await
    }

    async fn told(&self, id: &str) -> Result<Vec<(String, String)>, SandboxError> {
        let about = self.engine().await?.inspect_container(id, None).await;
        let about = about.map_err(|error| failed("look at a container", error))?;
        let env = about.config.and_then(|config| config.env).unwrap_or_default();
        let parts =
            |line: String| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(env.into_iter().filter_map(parts).collect())
    }

    async fn reap(
        &self,
        instance: &InstanceName,
        kept: &(dyn for<'a> Fn(&'a RunId) -> bool + Send + Sync),
    ) -> Result<Vec<Found>, SandboxError> {
        let engine = self.engine().await?;
        let mut all = self.list(&engine, instance).await?;
        all.retain(|found| !kept(&found.run));
        for Found { id, .. } in &all {
            remove(&engine, id).await?;
        }
        Ok(all)
    }
}

/// Kills and removes. That it is gone already is fine.
async fn remove(engine: &bollard::Docker, id: &str) -> Result<(), SandboxError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match engine.remove_container(id, Some(options)).await {
        Ok(()) => Ok(()),
        // Gone, or somebody else is at it.
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        Err(error) => Err(failed("remove a container", error)),
    }
}

fn unreachable(socket: &Path, error: &bollard::errors::Error) -> String {
    format!("no engine answers at {}: start it, or correct sandbox.socket ({error})", socket.display())
}

fn unavailable(reason: String) -> SandboxError {
    SandboxError::Unavailable { kind: Kind::Docker, reason }
}

fn failed(doing: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> SandboxError {
    SandboxError::Failed { kind: Kind::Docker, doing, source: Box::new(source) }
}
