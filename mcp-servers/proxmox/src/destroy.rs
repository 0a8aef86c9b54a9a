//! What is gone afterwards. Each names one thing, and people decide on it every time.

use async_trait::async_trait;
use qd_guard::{Caller, Fault, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    cluster::{Cluster, Kind, Looked, fingerprint, text},
    effect::{Decided, Effect, Ready},
    names::{DiskKey, NetKey, NodeName, PoolId, SnapshotName, StorageId, VmId, VolumeId},
    operate::COPY,
    provision::Needs,
    requests,
};

fn refused(problem: impl Into<String>, way_out: &str) -> Fault {
    Fault::failed(problem, way_out)
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Gone {
    vmid: VmId,
    /// Where a last backup is kept. Without, nothing of it is left.
    backup_to: Option<StorageId>,
}

pub(crate) struct GuestDelete;

#[async_trait]
impl Effect for GuestDelete {
    type Input = Gone;

    fn spec() -> Spec {
        Spec::new("guest_delete", Tier::Destroy, "guest.delete")
            .described("Delete a guest", "Deletes a guest that does not run, with its disks and snapshots; first, if asked, a last backup is made.")
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &Gone) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        let guest = &looked.guest;
        if guest.is_running() {
            return Err(refused(format!("{guest} runs."), "Shut it down first, then ask to delete it."));
        }
        if looked.set("protection").as_deref() == Some("1") {
            return Err(refused(
                format!("{guest} is protected in Proxmox."),
                "Leave it alone. A person may take the protection away.",
            ));
        }
        let mut ready =
            looked.ready("", format!("Delete {guest} with its disks and snapshots, for good."), Vec::new());
        if let Some(storage) = &input.backup_to {
            cluster.storage(storage)?;
            ready
                .steps
                .insert(0, format!("Back {guest} up to {storage}; if that fails, nothing is deleted."));
            ready.requests.push(requests::backup(guest, storage, "stop"));
            ready = ready
                .on(storage)
                .undone_by(format!("restore the last backup of {} on {storage}", guest.vmid));
        }
        ready.requests.push(requests::guest_delete(guest));
        Ok(ready)
    }
}

impl Decided for GuestDelete {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct OneSnapshot {
    vmid: VmId,
    snapshot: SnapshotName,
}

/// A guest, one of its snapshots that is there, and what of that is bound.
async fn of_snapshot(
    cluster: &Cluster,
    caller: &Caller,
    vmid: VmId,
    name: &SnapshotName,
) -> Result<(Looked, String), Fault> {
    let looked = cluster.own(caller, vmid).await?;
    let guest = &looked.guest;
    let rows = cluster.api.ask(&requests::snapshots(guest)).await.map_err(|error| error.looking())?;
    let row = rows.as_array().into_iter().flatten().find(|row| text(row, "name") == name.as_str());
    let Some(row) = row else {
        return Err(refused(
            format!("{guest} has no snapshot {name}."),
            "List its snapshots, and take one of those.",
        ));
    };
    let bound = format!("{name} {row}");
    Ok((looked, bound))
}

pub(crate) struct SnapshotDelete;

#[async_trait]
impl Effect for SnapshotDelete {
    type Input = OneSnapshot;

    fn spec() -> Spec {
        Spec::new("snapshot_delete", Tier::Destroy, "snapshot.delete")
            .described("Delete a snapshot", "Deletes a snapshot of a guest.")
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &OneSnapshot) -> Result<Ready, Fault> {
        let name = &input.snapshot;
        let (looked, bound) = of_snapshot(cluster, caller, input.vmid, name).await?;
        let step = format!("Delete the snapshot {name} of {}, for good.", looked.guest);
        Ok(looked.ready(&bound, step, vec![requests::snapshot_delete(&looked.guest, name)]))
    }
}

impl Decided for SnapshotDelete {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Rollback {
    vmid: VmId,
    snapshot: SnapshotName,
    /// Under what name the state of now is kept first, as a snapshot. Storages on ZFS go back to their newest one only.
    keep_as: Option<SnapshotName>,
}

pub(crate) struct SnapshotRollback;

#[async_trait]
impl Effect for SnapshotRollback {
    type Input = Rollback;

    fn spec() -> Spec {
        Spec::new("snapshot_rollback", Tier::Destroy, "snapshot.rollback")
            .described(
                "Go back to a snapshot",
                "Sets a guest back to a snapshot. All that came after is lost; first, if asked, it is kept.",
            )
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &Rollback) -> Result<Ready, Fault> {
        let name = &input.snapshot;
        let (looked, bound) = of_snapshot(cluster, caller, input.vmid, name).await?;
        let guest = &looked.guest;
        let step = format!("Set {guest} back to {name}; all that came after is lost.");
        let mut ready = looked.ready(&bound, step, vec![requests::snapshot_rollback(guest, name)]);
        if let Some(kept) = &input.keep_as {
            let why = Some("before a rollback");
            ready
                .steps
                .insert(0, format!("Keep {guest} as it is as {kept}; if that fails, nothing is set back."));
            ready.requests.insert(0, requests::snapshot_create(guest, kept, why, false));
            ready = ready.undone_by(format!("snapshot_rollback {} {kept}", input.vmid));
        }
        Ok(ready)
    }
}

impl Decided for SnapshotRollback {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct OneBackup {
    node: NodeName,
    /// The whole id of the backup's volume.
    volume: VolumeId,
}

/// A backup that is there and may be used, with its storage.
async fn backup(
    cluster: &Cluster,
    caller: &Caller,
    node: &NodeName,
    volume: &VolumeId,
) -> Result<(StorageId, serde_json::Value), Fault> {
    cluster.node(node)?;
    let storage = cluster.volume(caller, volume).await?;
    if volume.owner().is_none() {
        return Err(refused(
            format!("Whose {volume} is can't be told."),
            "Name a backup as list_backups has it.",
        ));
    }
    let rows = cluster
        .api
        .ask(&requests::content(node, &storage, Some("backup")))
        .await
        .map_err(|error| error.looking())?;
    let mut rows = rows.as_array().cloned().unwrap_or_default().into_iter();
    let row = rows.find(|row| text(row, "volid") == volume.as_str() && text(row, "content") == "backup");
    row.map(|row| (storage, row)).ok_or_else(|| {
        refused(format!("There is no backup {volume}."), "List the backups, and take one of those.")
    })
}

pub(crate) struct BackupDelete;

#[async_trait]
impl Effect for BackupDelete {
    type Input = OneBackup;

    fn spec() -> Spec {
        Spec::new("backup_delete", Tier::Destroy, "backup.delete")
            .described(
                "Delete a backup",
                "Deletes one backup. Nothing else on a storage can be deleted here.",
            )
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &OneBackup) -> Result<Ready, Fault> {
        let (storage, row) = backup(cluster, caller, &input.node, &input.volume).await?;
        if crate::cluster::count(&row, "protected") == 1 {
            return Err(refused(
                format!("The backup {} is protected.", input.volume),
                "Leave it alone. A person may take the protection away.",
            ));
        }
        Ok(Ready {
            target: input.volume.to_string(),
            fingerprint: fingerprint([input.node.as_str(), &row.to_string()]),
            steps: vec![format!("Delete the backup {}, for good.", input.volume)],
            keys: vec![format!("storage/{storage}")],
            requests: vec![requests::content_delete(&input.node, &storage, &input.volume)],
            undo: None,
            inverse: None,
            runs_in: None,
        })
    }
}

impl Decided for BackupDelete {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewRestore {
    node: NodeName,
    /// The whole id of the backup's volume.
    backup: VolumeId,
    /// The number of the guest that it becomes; one that is free.
    newid: VmId,
    storage: StorageId,
    pool: Option<PoolId>,
}

pub(crate) struct Restore;

#[async_trait]
impl Effect for Restore {
    type Input = NewRestore;

    fn spec() -> Spec {
        Spec::new("restore", Tier::Destroy, "backup.restore")
            .described(
                "Restore a backup",
                "Makes a guest from a backup, under a number that is free. No guest is written over.",
            )
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &NewRestore) -> Result<Ready, Fault> {
        let (from, row) = backup(cluster, caller, &input.node, &input.backup).await?;
        cluster.fresh(input.newid).await?;
        cluster.storage(&input.storage)?;
        cluster.pool(input.pool.as_ref())?;
        cluster.room(input.pool.as_ref(), Needs { guests: 1, ..Needs::default() }).await?;
        let name = input.backup.name();
        let kind = if name.contains("vzdump-lxc-") || name.starts_with("backup/ct/") {
            Kind::Lxc
        } else {
            Kind::Qemu
        };
        let pool = input.pool.as_ref();
        let ready = Ready {
            target: input.newid.to_string(),
            fingerprint: fingerprint([
                input.node.as_str(),
                &input.newid.to_string(),
                input.storage.as_str(),
                &row.to_string(),
            ]),
            steps: vec![format!(
                "Make the guest {} on {} from {}, its disks on {}.",
                input.newid, input.node, input.backup, input.storage
            )],
            keys: vec![format!("guest/{}", input.newid), format!("pool/{}", pool.map_or("", PoolId::as_str))],
            requests: vec![requests::restore(
                &input.node,
                kind,
                input.newid,
                &input.backup,
                &input.storage,
                pool,
            )],
            undo: Some(format!("guest_delete {}", input.newid)),
            inverse: None,
            runs_in: None,
        };
        Ok(ready.on(&from).on(&input.storage))
    }
}

impl Decided for Restore {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct OneDisk {
    vmid: VmId,
    disk: DiskKey,
}

pub(crate) struct RemoveDisk;

#[async_trait]
impl Effect for RemoveDisk {
    type Input = OneDisk;

    fn spec() -> Spec {
        Spec::new("remove_disk", Tier::Destroy, "disk.remove").described(
            "Take a disk away",
            "Takes a disk away from a guest. What is on it stays with the guest, as an unused volume.",
        )
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &OneDisk) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        let storage = looked.disk(cluster, &input.disk)?;
        let old = looked.set(input.disk.as_str()).unwrap_or_default();
        let step = format!("Take {} away from {}: {old}.", input.disk, looked.guest);
        let request =
            requests::configure(&looked.guest, Some(&looked.digest), &[], &[input.disk.to_string()]);
        let ready = looked.ready(input.disk.as_str(), step, vec![request]).on(&storage);
        Ok(ready.undone_by(format!("a person sets {}={old} again", input.disk)))
    }
}

impl Decided for RemoveDisk {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct OneCard {
    vmid: VmId,
    card: NetKey,
}

pub(crate) struct RemoveNetwork;

#[async_trait]
impl Effect for RemoveNetwork {
    type Input = OneCard;

    fn spec() -> Spec {
        Spec::new("remove_network", Tier::Destroy, "network.remove")
            .described("Take a network card away", "Takes a network card away from a guest.")
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &OneCard) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        let Some(old) = looked.set(input.card.as_str()) else {
            return Err(refused(
                format!("{} has no card {}.", looked.guest, input.card),
                "Look at it with get_guest.",
            ));
        };
        let step = format!("Take {} away from {}: {old}.", input.card, looked.guest);
        let request =
            requests::configure(&looked.guest, Some(&looked.digest), &[], &[input.card.to_string()]);
        let ready = looked.ready(input.card.as_str(), step, vec![request]);
        Ok(ready.undone_by(format!("add_network; it was {old}")))
    }
}

impl Decided for RemoveNetwork {}
