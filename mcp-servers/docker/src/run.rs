//! Run a container: of an allowed image that is here, within limits, behind walls, with the fleet's label.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use bollard::{
    models::{
        ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
        MountBindOptionsPropagationEnum as Propagation, MountType, RestartPolicy, RestartPolicyNameEnum,
    },
    query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder},
};
use qd_approvals::Probe;
use qd_guard::{Approved, Call, Fault, Mutation, Plan, Spec};
use qd_types::{SpentGrant, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    APPROVAL, FLEET, TEAM,
    engine::{Engine, is_absent},
    mounts,
    names::{Image, Name, shown},
    state::{fingerprint, short},
};

const MIB: i64 = 1024 * 1024;

/// Most of each list of a call.
const ENTRIES: usize = 64;

/// Capabilities that engines give by default and that nothing here needs: raw packets, and nodes of devices.
const DROPPED: [&str; 2] = ["NET_RAW", "MKNOD"];

pub(crate) struct Run(pub(crate) Arc<Engine>);

/// A container to be.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Wanted {
    /// The container's name: a new one.
    name: String,
    /// An allowed image that is here.
    image: String,
    /// The command and its arguments; the image's own if nothing is said.
    #[serde(default)]
    command: Vec<String>,
    /// Variables. People who decide see them, so that no secret belongs here.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// What of the host it sees.
    #[serde(default)]
    mounts: Vec<Wish>,
    /// `none` if nothing is said; `bridge`, or a network of this engine that leads to neither host nor neighbours.
    #[serde(default)]
    network: Option<String>,
    /// In MiB, up to the limit.
    #[serde(default)]
    memory_mib: Option<u32>,
    /// In thousandths of a core, up to the limit.
    #[serde(default)]
    cpu_millis: Option<u32>,
    /// Processes and threads, up to the limit.
    #[serde(default)]
    pids: Option<u32>,
}

/// A mount to be.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Wish {
    /// A file or folder of the host, in one of the allowed folders.
    host: String,
    /// Where it is in the container.
    inside: String,
    /// Whether it may be written to.
    #[serde(default)]
    writable: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Ran {
    container: String,
    id: String,
    /// The image's digest.
    image: String,
}

/// A call that was looked at: all of it is allowed, as things are now.
struct Ready {
    name: Name,
    image: Image,
    /// The digest that runs, whatever the name comes to mean.
    digest: String,
    network: String,
    mounts: Vec<(PathBuf, PathBuf, bool)>,
    memory: i64,
    cpu_millis: i64,
    pids: i64,
}

impl Run {
    async fn ready(&self, input: &Wanted) -> Result<Ready, Fault> {
        let (engine, most) = (&self.0, self.0.config.limits);
        let name = Name::parse("container", &input.name)?;
        let image = engine.image(&input.image)?;
        let within = |what: &str, wanted: Option<u32>, most: u32| match wanted.unwrap_or(most) {
            wanted if (1..=most).contains(&wanted) => Ok(i64::from(wanted)),
            wanted => {
                Err(Fault::failed(format!("{what} of {wanted} is not within 1 to {most}."), "Ask for less."))
            }
        };
        let memory = within("memory_mib", input.memory_mib, most.memory_mib)? * MIB;
        let cpu_millis = within("cpu_millis", input.cpu_millis, most.cpu_millis)?;
        let pids = within("pids", input.pids, most.pids)?;
        for name in input.environment.keys() {
            is_variable(name)?;
        }
        if input.mounts.len().max(input.command.len()).max(input.environment.len()) > ENTRIES {
            return Err(Fault::failed(format!("A list has more than {ENTRIES} entries."), "Ask for less."));
        }
        // Whatever is no path and no name is refused before the engine is asked anything.
        for wish in &input.mounts {
            mounts::named(&wish.host)?;
            mounts::target(&wish.inside)?;
        }
        let network = input.network.as_deref().unwrap_or("none");
        Name::parse("network", network)?;
        let allowed = engine.allowed().await?;
        let mut mounts = Vec::new();
        for wish in &input.mounts {
            mounts.push((allowed.source(&wish.host)?, mounts::target(&wish.inside)?, wish.writable));
        }
        let network = engine.network(network).await?;
        let digest = engine.digest(&image).await?.ok_or_else(|| {
            Fault::failed(format!("The image {image} is not here."), "Pull it first, then call again.")
        })?;
        Ok(Ready { name, image, digest, network, mounts, memory, cpu_millis, pids })
    }

    async fn is_free(&self, name: &Name) -> Result<(), Fault> {
        match self.0.docker().await?.inspect_container(name.as_str(), None).await {
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(self.0.looking("container", name.as_str(), &error)),
            Ok(_) => Err(Fault::failed(
                format!("There is a container {name} already."),
                "Take another name, or start that one if it is yours.",
            )),
        }
    }
}

fn is_variable(name: &str) -> Result<(), Fault> {
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if begins && name.len() <= 128 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(());
    }
    Err(Fault::failed(
        format!("{} is no name of a variable.", shown(name)),
        "A name has letters, digits and _, and does not begin with a digit.",
    ))
}

impl Ready {
    fn steps(&self, input: &Wanted) -> Vec<String> {
        let mut steps =
            vec![format!("Make the container {} of {} ({}).", self.name, self.image, short(&self.digest))];
        if !input.command.is_empty() {
            let words: Vec<String> = input.command.iter().map(|word| format!("{word:?}")).collect();
            steps.push(format!("Its command: {}", words.join(" ")));
        }
        if !input.environment.is_empty() {
            let names: Vec<&str> = input.environment.keys().map(String::as_str).collect();
            steps.push(format!("With the variables {}.", names.join(", ")));
        }
        for (host, inside, writable) in &self.mounts {
            let how = if *writable { "to read and write" } else { "to read only" };
            steps.push(format!("Mount {} at {}, {how}.", host.display(), inside.display()));
        }
        steps.push(format!(
            "Network {}, {} MiB of memory, {} thousandths of a core, {} processes.",
            self.network,
            self.memory / MIB,
            self.cpu_millis,
            self.pids
        ));
        steps.push(format!("Start {}.", self.name));
        steps
    }

    /// The walls, in the engine's words. What is not named here is not given.
    fn host(&self) -> HostConfig {
        let mounts = self.mounts.iter().map(|(host, inside, writable)| Mount {
            typ: Some(MountType::BIND),
            source: Some(host.to_string_lossy().into_owned()),
            target: Some(inside.to_string_lossy().into_owned()),
            read_only: Some(!writable),
            bind_options: Some(MountBindOptions {
                propagation: Some(Propagation::RPRIVATE),
                ..Default::default()
            }),
            ..Default::default()
        });
        let log = [("max-size", "10m"), ("max-file", "2")];
        HostConfig {
            privileged: Some(false),
            cap_drop: Some(DROPPED.map(str::to_owned).to_vec()),
            security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
            ipc_mode: Some("private".to_owned()),
            network_mode: Some(self.network.clone()),
            memory: Some(self.memory),
            // As much as memory: no swap.
            memory_swap: Some(self.memory),
            nano_cpus: Some(self.cpu_millis * 1_000_000),
            pids_limit: Some(self.pids),
            mounts: Some(mounts.collect()),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(log.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            }),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            ..Default::default()
        }
    }
}

#[async_trait]
impl Mutation for Run {
    type Input = Wanted;
    type Output = Ran;

    fn spec(&self) -> Spec {
        Spec::new("run", Tier::Provision, "container.run").described(
            "Run a container",
            "Makes and starts a container of an allowed image, with limits of memory, processor and processes. It is never \
             privileged, and sees of the host only what lies in the allowed folders.",
        )
    }

    async fn plan(&self, _: &Call, input: &Wanted) -> Result<Plan, Fault> {
        let ready = self.ready(input).await?;
        self.is_free(&ready.name).await?;
        let mounts: Vec<String> = ready.mounts.iter().map(|(host, ..)| host.display().to_string()).collect();
        let mounts = mounts.iter().map(String::as_str);
        let fingerprint =
            fingerprint([ready.name.as_str(), "absent", &ready.digest].into_iter().chain(mounts));
        Ok(Plan { target: ready.name.to_string(), fingerprint, steps: ready.steps(input) })
    }

    /// The container that was made on that approval, if it ran.
    async fn probe(&self, approval: &str, input: &Wanted) -> Probe {
        let Ok(name) = Name::parse("container", &input.name) else { return Probe::DidNot };
        let found = match self.0.docker().await {
            Ok(docker) => docker.inspect_container(name.as_str(), None).await,
            Err(fault) => return Probe::CantTell(fault.problem),
        };
        match found {
            Err(error) if is_absent(&error) => Probe::DidNot,
            Err(error) => Probe::CantTell(self.0.looking("container", name.as_str(), &error).problem),
            Ok(_) => match self.0.container(&input.name).await {
                Ok(container) if container.label(APPROVAL).is_none_or(|made_on| made_on != approval) => {
                    Probe::DidNot
                }
                Ok(container) if container.status == bollard::models::ContainerStateStatusEnum::CREATED => {
                    Probe::CantTell(format!("The container {} was made, and did not start.", container.name))
                }
                Ok(container) => {
                    let ran = Ran { container: container.name, id: container.id, image: container.image };
                    Probe::Happened(serde_json::to_string(&ran).unwrap_or_default())
                }
                Err(fault) => Probe::CantTell(fault.problem),
            },
        }
    }
}

#[async_trait]
impl Approved for Run {
    async fn carry_out(&self, call: &Call, input: Wanted, grant: SpentGrant) -> Result<Ran, Fault> {
        let ready = self.ready(&input).await?;
        let labels = HashMap::from([
            (FLEET.to_owned(), self.0.config.fleet.clone()),
            (TEAM.to_owned(), call.caller.team().to_string()),
            (APPROVAL.to_owned(), grant.grant().approval().to_string()),
        ]);
        let body = ContainerCreateBody {
            // By its digest: what the name came to mean since it was looked at does not run.
            image: Some(ready.digest.clone()),
            cmd: (!input.command.is_empty()).then_some(input.command),
            env: Some(input.environment.into_iter().map(|(name, value)| format!("{name}={value}")).collect()),
            labels: Some(labels),
            host_config: Some(ready.host()),
            ..Default::default()
        };
        let docker = self.0.docker().await?;
        let options = CreateContainerOptionsBuilder::new().name(ready.name.as_str()).build();
        let made = docker.create_container(Some(options), body).await;
        let id = made.map_err(|error| self.0.changing(&format!("make {}", ready.name), &error))?.id;
        if let Err(error) = docker.start_container(&id, None).await {
            let fault = self.0.changing(&format!("start {}", ready.name), &error);
            if !fault.unsure {
                // It never ran: nothing in it is lost.
                let options = RemoveContainerOptionsBuilder::new().build();
                let _ = docker.remove_container(&id, Some(options)).await;
            }
            return Err(fault);
        }
        Ok(Ran { container: ready.name.to_string(), id, image: ready.digest })
    }
}
