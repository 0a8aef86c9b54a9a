//! Teams as virtual machines: from a template to an instance that said hello at the hub, and back until nothing is left. What
//! is next is written down before it is done, so that a crash leaves nothing that is not known.

mod files;
pub(crate) mod hub;
mod journal;
mod shape;
mod steps;
#[cfg(test)]
mod tests;
mod tools;
mod way;

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use qd_guard::{Caller, Fault};
use qd_types::InstanceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::{Cluster, Looked, TEAM, fingerprint},
    names::{GuestName, PoolId, StorageId, VmId},
    provision::Needs,
    shape::{CloudInit, keys},
};
use hub::Hub;
use journal::{Journal, Record};
use steps::Phase;

pub(crate) use shape::{TeamResize, TeamUpgrade};
pub(crate) use tools::{ListTeams, TeamCreate, TeamDestroy};

/// The tag of every team's machine.
pub(crate) const MACHINE: &str = "quarterdeck";

/// A team's machine, as it is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTeam {
    /// The team's name; it has to be invited to the fleet.
    pub(crate) team: InstanceName,
    /// The template that its machine is cloned from.
    pub(crate) template: VmId,
    /// Its pool.
    #[serde(default)]
    pub(crate) pool: Option<PoolId>,
    #[schemars(range(min = 1, max = 512))]
    pub(crate) cores: u32,
    /// Memory, in MiB.
    #[schemars(range(min = 256))]
    pub(crate) memory_mib: u32,
    /// The size of its first disk, in GiB, at least the template's. Without, it is the template's.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) disk_gib: Option<u32>,
    /// Where a full clone's disks lie. Without, the clone lives on the template's.
    #[serde(default)]
    pub(crate) storage: Option<StorageId>,
    /// Public keys of people who may log in as `quarterdeck`.
    #[serde(default)]
    pub(crate) ssh_keys: Vec<String>,
    /// The address: `dhcp`, or an address with its network, as `10.0.0.5/24`. Without, `dhcp`.
    #[serde(default)]
    pub(crate) address: Option<String>,
    #[serde(default)]
    pub(crate) gateway: Option<IpAddr>,
}

impl NewTeam {
    /// What the guest is called.
    fn name(&self) -> Result<GuestName, Fault> {
        GuestName::parse(&format!("team-{}", self.team)).map_err(|error| {
            Fault::failed(format!("{error}."), "Give the team a name of letters, digits and hyphens.")
        })
    }

    /// What cloud-init sets.
    fn cloud_init(&self, vmid: VmId) -> Result<Vec<(String, String)>, Fault> {
        let address = Some(self.address.clone().unwrap_or_else(|| "dhcp".to_owned()));
        CloudInit::of_machine(vmid, MACHINE, self.ssh_keys.clone(), address, self.gateway).set()
    }
}

/// How long things are waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Between two looks.
    pub(crate) look: Duration,
    /// For the agent, and for the hello.
    pub(crate) patience: Duration,
    /// How often what may pass is tried again.
    pub(crate) tries: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { look: Duration::from_secs(1), patience: Duration::from_secs(600), tries: 8 }
    }
}

/// Machines of teams on a cluster.
#[derive(Clone)]
pub(crate) struct Machines {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) hub: Arc<dyn Hub>,
    pub(crate) pace: Pace,
}

impl Cluster {
    /// Where it is written down how far teams are.
    pub(crate) fn journal(&self) -> Result<Journal, Fault> {
        let folder: Option<&PathBuf> = self.folder.as_ref();
        folder.map(|folder| Journal::at(folder)).ok_or_else(|| {
            Fault::failed("There is no state folder here.", "Start it with quarterdeck mcp proxmox.")
        })
    }
}

/// What would be made.
struct Order {
    template: Looked,
    needs: Needs,
    steps: Vec<String>,
    fingerprint: String,
}

impl Machines {
    pub(crate) fn new(cluster: &Arc<Cluster>, hub: &Arc<dyn Hub>) -> Self {
        Self { cluster: cluster.clone(), hub: hub.clone(), pace: Pace::default() }
    }

    /// Checks all that is asked for, and says what it costs.
    async fn order(&self, caller: &Caller, new: &NewTeam) -> Result<Order, Fault> {
        let refused = |problem: String, way_out: &str| Err(Fault::failed(problem, way_out));
        let (name, cluster) = (new.name()?, &self.cluster);
        let template = cluster.looked(caller, new.template).await?;
        let from = &template.guest;
        template.is_vm()?;
        if !from.template {
            return refused(format!("{from} is no template."), "Name one of list_templates.");
        }
        cluster.pool(new.pool.as_ref())?;
        if let Some(storage) = &new.storage {
            cluster.storage(storage)?;
        }
        let Some(range) = &cluster.config.scope.vmids else {
            return refused(
                "Which numbers the machines of teams may have is not said.".to_owned(),
                "A person sets PROXMOX_SCOPE_VMIDS, like 9000-9099.",
            );
        };
        keys(&new.ssh_keys)?;
        new.cloud_init(new.template)?;
        let disk = from.disk >> 30;
        let wanted = new.disk_gib.map_or(disk, u64::from);
        if wanted < disk {
            return refused(
                format!("A disk of {wanted} GiB is smaller than the template's {disk} GiB."),
                "Ask for more, or leave disk_gib out.",
            );
        }
        let needs =
            Needs { guests: 1, cores: new.cores.into(), memory_mib: new.memory_mib.into(), disk_gib: wanted };
        self.hub.invitation(&new.team).await.map_err(|why| {
            Fault::failed(format!("{} can't join: {why}", new.team), "Have that done, then call again.")
        })?;
        // One that belongs to the fleet already would be taken for one that said hello.
        match self.hub.has_joined(&new.team).await {
            Ok(false) => {}
            Ok(true) => {
                return refused(
                    format!("{} belongs to the fleet already.", new.team),
                    "An owner puts it out first, with quarterdeck bot revoke, and invites it anew.",
                );
            }
            Err(why) => {
                return refused(
                    format!("Whether {} has joined can't be told: {why}.", new.team),
                    "Try again.",
                );
            }
        }
        let files = files::of(cluster)?;
        let kind = if new.storage.is_some() { "full" } else { "linked" };
        let pool = new.pool.as_ref().map_or("no pool", PoolId::as_str);
        let steps = vec![
            format!(
                "Clone {from} ({kind}) to {name}, under the first free number of {}-{}, in {pool}: {} cores, {} MiB, {} GiB.",
                range.start(),
                range.end(),
                needs.cores,
                needs.memory_mib,
                needs.disk_gib
            ),
            format!("Give it the tags {}, and Proxmox's protection.", self.tags(new)),
            format!("Set the user {MACHINE}, {} keys and the network by cloud-init.", new.ssh_keys.len()),
            "Start it, and wait for its agent.".to_owned(),
            format!("Bring the program{}, the configuration and the invitation into it.", files.origin()),
            format!(
                "Wait until {} says hello at the hub. If anything fails, all of it is taken away.",
                new.team
            ),
        ];
        let asked = serde_json::to_string(new).unwrap_or_default();
        let fingerprint =
            fingerprint([&*new.template.to_string(), template.digest.as_str(), &asked, &files.digest()]);
        Ok(Order { template, needs, steps, fingerprint })
    }

    /// The tags of a team's machine.
    fn tags(&self, new: &NewTeam) -> String {
        let mut tags = vec![MACHINE.to_owned(), format!("{TEAM}{}", new.team.as_str().to_ascii_lowercase())];
        // The scope may want one of its own.
        tags.extend(self.cluster.config.scope.tags.as_ref().and_then(|tags| tags.iter().next().cloned()));
        tags.sort();
        tags.dedup();
        tags.join(";")
    }
}

/// A record's phase, for people.
fn words(record: &Record) -> String {
    match &record.phase {
        Phase::Forward(step) => step.as_str().to_owned(),
        Phase::Done => "is at work".to_owned(),
        Phase::Back(why) => format!("is taken away: {why}"),
        Phase::Gone => "is gone".to_owned(),
    }
}
