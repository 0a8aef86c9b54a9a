//! What takes room: new guests. Their numbers, nodes, pools and storages are within the scope, they get their team's tag,
//! and their pool has room for them. That a number is free is decided by making the guest, and by nothing before.

use async_trait::async_trait;
use qd_guard::{Caller, Fault, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    cluster::{Cluster, Guest, Kind, PROTECTED, TEAM, fingerprint},
    effect::{Decided, Effect, Ready},
    names::{BridgeName, GuestName, NodeName, PoolId, StorageId, VmId, VolumeId},
    operate::COPY,
    requests,
};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// What a change takes of a pool's room.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Needs {
    pub(crate) guests: u64,
    pub(crate) cores: u64,
    pub(crate) memory_mib: u64,
    pub(crate) disk_gib: u64,
}

impl Cluster {
    /// Whether a pool has room for it. Whoever asks holds the pool, so that two do not take the same room.
    pub(crate) async fn room(&self, pool: Option<&PoolId>, needs: Needs) -> Result<(), Fault> {
        let mut rows = self.resources().await?;
        for row in &mut rows {
            let Some(guest) = Guest::of_row(row).filter(|guest| guest.pool.as_ref() == pool) else {
                continue;
            };
            let given = self.given(&guest).await?;
            if let Some(fields) = row.as_object_mut() {
                fields.insert("maxcpu".to_owned(), given.cores.into());
                fields.insert("maxmem".to_owned(), given.memory.into());
            }
        }
        self.room_in(&rows, pool, needs)
    }

    /// A guest with what it was given while it runs, of which its row shows nothing before its next start. Looked at where cores or
    /// memory are limited.
    pub(crate) async fn given(&self, guest: &Guest) -> Result<Guest, Fault> {
        let quota = self.config.quota;
        if !guest.is_running() || (quota.cores.is_none() && quota.memory_mib.is_none()) {
            return Ok(guest.clone());
        }
        Ok(guest.as_given(&self.see(&requests::pending(guest)).await?))
    }

    /// The same, going by these rows.
    pub(crate) fn room_in(
        &self,
        rows: &[serde_json::Value],
        pool: Option<&PoolId>,
        needs: Needs,
    ) -> Result<(), Fault> {
        let there: Vec<Guest> = rows
            .iter()
            .filter_map(Guest::of_row)
            .filter(|guest| guest.pool.as_ref() == pool && !guest.template)
            .collect();
        let sum = |of: fn(&Guest) -> u64| there.iter().map(of).fold(0_u64, u64::saturating_add);
        let quota = self.config.quota;
        for (what, most, used, more) in [
            ("guests", quota.guests, sum(|_| 1), needs.guests),
            ("cores", quota.cores, sum(|guest| guest.cores), needs.cores),
            ("MiB of memory", quota.memory_mib, sum(|guest| guest.memory) / MIB, needs.memory_mib),
            ("GiB of disk", quota.disk_gib, sum(|guest| guest.disk) / GIB, needs.disk_gib),
        ] {
            if most.is_some_and(|most| used.saturating_add(more) > most) {
                let pool = pool.map_or("(none)", PoolId::as_str);
                return Err(Fault::failed(
                    format!(
                        "The pool {pool} has {used} of {} {what}, and this needs {more} more.",
                        most.unwrap_or_default()
                    ),
                    "Ask for less, or delete what is over. A person may raise the PROXMOX_QUOTA_ variables.",
                ));
            }
        }
        Ok(())
    }

    /// The tags of a new guest: those of its origin that may be handed on, its team's, one of the scope.
    pub(crate) fn tags(&self, caller: &Caller, from: &[String]) -> String {
        let handed = |tag: &&String| !tag.starts_with(TEAM) && *tag != PROTECTED;
        let mut tags: Vec<String> = from.iter().filter(handed).cloned().collect();
        tags.push(format!("{TEAM}{}", caller.team().as_str().to_ascii_lowercase()));
        if let Some(scope) = &self.config.scope.tags
            && !tags.iter().any(|tag| scope.contains(tag))
        {
            tags.extend(scope.iter().next().cloned());
        }
        tags.sort();
        tags.dedup();
        tags.join(";")
    }

    /// An image of a kind: not a guest's disk, not a backup.
    async fn image(&self, caller: &Caller, volume: &VolumeId, kind: &str) -> Result<(), Fault> {
        self.volume(caller, volume).await?;
        if volume.name().starts_with(kind) {
            return Ok(());
        }
        Err(Fault::failed(format!("{volume} is not one of {kind}."), "Take one that list_storage has."))
    }

    /// A new guest's number, within the scope and not taken as far as can be seen.
    pub(crate) async fn fresh(&self, vmid: VmId) -> Result<(), Fault> {
        self.number(vmid)?;
        let rows = self.resources().await?;
        if rows.iter().filter_map(Guest::of_row).any(|guest| guest.vmid == vmid) {
            return Err(Fault::failed(format!("The number {vmid} is taken."), "Take another number."));
        }
        Ok(())
    }
}

fn made(vmid: VmId, pool: Option<&PoolId>, parts: &[String], steps: Vec<String>) -> Ready {
    let keys = [format!("guest/{vmid}"), format!("pool/{}", pool.map_or("", PoolId::as_str))];
    Ready {
        target: vmid.to_string(),
        fingerprint: fingerprint(parts.iter().map(String::as_str)),
        steps,
        keys: keys.into(),
        requests: Vec::new(),
        undo: Some(format!("guest_delete {vmid}")),
        inverse: None,
        runs_in: None,
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewClone {
    /// The guest or template that is cloned.
    vmid: VmId,
    /// The clone's number.
    newid: VmId,
    /// The clone's name.
    name: GuestName,
    pool: Option<PoolId>,
    /// Whether it gets disks of its own. Without, it lives on the template's.
    #[serde(default)]
    full: bool,
    /// Where its disks lie; only of a full clone.
    storage: Option<StorageId>,
}

pub(crate) struct CloneGuest;

#[async_trait]
impl Effect for CloneGuest {
    type Input = NewClone;

    fn spec() -> Spec {
        Spec::new("clone_guest", Tier::Provision, "guest.clone")
            .described(
                "Clone a guest",
                "Makes a guest from another or from a template, under a number that is free.",
            )
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &NewClone) -> Result<Ready, Fault> {
        let looked = cluster.looked(caller, input.vmid).await?;
        let from = &looked.guest;
        cluster.fresh(input.newid).await?;
        cluster.pool(input.pool.as_ref())?;
        if let Some(storage) = &input.storage {
            cluster.storage(storage)?;
            if !input.full {
                return Err(Fault::failed(
                    "A linked clone lies where its template does.",
                    "Leave storage out, or ask for full.",
                ));
            }
        }
        if !input.full && !from.template {
            return Err(Fault::failed(format!("{from} is no template."), "Ask for a full clone."));
        }
        let needs =
            Needs { guests: 1, cores: from.cores, memory_mib: from.memory / MIB, disk_gib: from.disk / GIB };
        cluster.room(input.pool.as_ref(), needs).await?;
        let wanted = requests::Clone {
            name: Some(input.name.as_str()),
            pool: input.pool.as_ref(),
            storage: input.storage.as_ref(),
            full: input.full,
            description: None,
        };
        let tags = cluster.tags(caller, &from.tags);
        let clone = Guest { vmid: input.newid, ..from.clone() };
        let kind = if input.full { "full" } else { "linked" };
        let steps = vec![
            format!(
                "Clone {from} to {} ({}, {kind}): {} cores, {} MiB, {} GiB.",
                input.newid, input.name, needs.cores, needs.memory_mib, needs.disk_gib
            ),
            format!("Give it the tags {tags}."),
        ];
        let mut ready = made(input.newid, input.pool.as_ref(), &[looked.fingerprint(&tags)], steps);
        ready.keys.push(from.key());
        if let Some(storage) = &input.storage {
            ready = ready.on(storage);
        }
        ready.requests = vec![
            requests::clone(from, input.newid, &wanted),
            requests::configure(&clone, None, &[("tags".to_owned(), tags)], &[]),
        ];
        Ok(ready)
    }
}

impl Decided for CloneGuest {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewVm {
    vmid: VmId,
    node: NodeName,
    name: GuestName,
    pool: Option<PoolId>,
    #[schemars(range(min = 1, max = 512))]
    cores: u32,
    /// Memory, in MiB.
    #[schemars(range(min = 64))]
    memory_mib: u32,
    /// Where its disk lies.
    storage: StorageId,
    /// The disk's size, in GiB.
    #[schemars(range(min = 1))]
    disk_gib: u32,
    bridge: BridgeName,
    /// An image in its drive: `local:iso/debian.iso`.
    iso: Option<VolumeId>,
}

pub(crate) struct CreateVm;

#[async_trait]
impl Effect for CreateVm {
    type Input = NewVm;

    fn spec() -> Spec {
        Spec::new("create_vm", Tier::Provision, "guest.create")
            .described(
                "Make a virtual machine",
                "Makes a virtual machine with one disk and one network card. It is not started.",
            )
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &NewVm) -> Result<Ready, Fault> {
        cluster.fresh(input.vmid).await?;
        cluster.node(&input.node)?;
        cluster.storage(&input.storage)?;
        cluster.pool(input.pool.as_ref())?;
        let mut set = vec![
            ("name", input.name.to_string()),
            ("cores", input.cores.to_string()),
            ("memory", input.memory_mib.to_string()),
            ("ostype", "l26".to_owned()),
            ("scsihw", "virtio-scsi-single".to_owned()),
            ("scsi0", format!("{}:{}", input.storage, input.disk_gib)),
            ("net0", format!("virtio,bridge={},firewall=1", input.bridge)),
            ("agent", "1".to_owned()),
            ("tags", cluster.tags(caller, &[])),
        ];
        if let Some(iso) = &input.iso {
            cluster.image(caller, iso, "iso/").await?;
            set.push(("ide2", format!("{iso},media=cdrom")));
        }
        create(
            cluster,
            Kind::Qemu,
            &input.node,
            input.vmid,
            input.pool.as_ref(),
            set,
            [input.cores, input.memory_mib, input.disk_gib],
        )
        .await
        .map(|ready| ready.on(&input.storage))
    }
}

impl Decided for CreateVm {}

async fn create(
    cluster: &Cluster,
    kind: Kind,
    node: &NodeName,
    vmid: VmId,
    pool: Option<&PoolId>,
    set: Vec<(&str, String)>,
    [cores, memory, disk]: [u32; 3],
) -> Result<Ready, Fault> {
    let needs = Needs { guests: 1, cores: cores.into(), memory_mib: memory.into(), disk_gib: disk.into() };
    cluster.room(pool, needs).await?;
    let mut set: Vec<(String, String)> =
        set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    set.extend(pool.map(|pool| ("pool".to_owned(), pool.to_string())));
    let parts: Vec<String> = set.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let shown: Vec<&str> = parts.iter().filter(|part| !part.starts_with("ssh")).map(String::as_str).collect();
    let step = format!("Make the {} {vmid} on {node}: {}.", kind.as_str(), shown.join(", "));
    let mut ready = made(vmid, pool, &parts, vec![step]);
    ready.requests = vec![requests::create(node, kind, vmid, &set)];
    Ok(ready)
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewContainer {
    vmid: VmId,
    node: NodeName,
    name: GuestName,
    pool: Option<PoolId>,
    /// What it is made from: `local:vztmpl/debian-13.tar.zst`.
    template: VolumeId,
    #[schemars(range(min = 1, max = 512))]
    cores: u32,
    /// Memory, in MiB.
    #[schemars(range(min = 16))]
    memory_mib: u32,
    storage: StorageId,
    /// The size of its disk, in GiB.
    #[schemars(range(min = 1))]
    disk_gib: u32,
    bridge: BridgeName,
    /// Public keys that may log in as root.
    #[serde(default)]
    ssh_keys: Vec<String>,
}

pub(crate) struct CreateContainer;

#[async_trait]
impl Effect for CreateContainer {
    type Input = NewContainer;

    fn spec() -> Spec {
        Spec::new("create_container", Tier::Provision, "guest.create")
            .described(
                "Make a container",
                "Makes an unprivileged container from a template. It is not started.",
            )
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &NewContainer) -> Result<Ready, Fault> {
        cluster.fresh(input.vmid).await?;
        cluster.node(&input.node)?;
        cluster.storage(&input.storage)?;
        cluster.pool(input.pool.as_ref())?;
        cluster.image(caller, &input.template, "vztmpl/").await?;
        let mut set = vec![
            ("ostemplate", input.template.to_string()),
            ("hostname", input.name.to_string()),
            ("cores", input.cores.to_string()),
            ("memory", input.memory_mib.to_string()),
            ("rootfs", format!("{}:{}", input.storage, input.disk_gib)),
            ("net0", format!("name=eth0,bridge={},ip=dhcp,firewall=1", input.bridge)),
            ("unprivileged", "1".to_owned()),
            ("tags", cluster.tags(caller, &[])),
        ];
        if !input.ssh_keys.is_empty() {
            set.push(("ssh-public-keys", crate::shape::keys(&input.ssh_keys)?));
        }
        create(
            cluster,
            Kind::Lxc,
            &input.node,
            input.vmid,
            input.pool.as_ref(),
            set,
            [input.cores, input.memory_mib, input.disk_gib],
        )
        .await
        .map(|ready| ready.on(&input.storage))
    }
}

impl Decided for CreateContainer {}
