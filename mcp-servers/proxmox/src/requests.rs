//! Every request that this crate can make, one function each. The tests hold each of them against the schemas of three
//! versions of Proxmox VE.

use crate::{
    cluster::{Guest, Kind},
    names::{ConfigDigest, DiskKey, NodeName, PoolId, SnapshotName, StorageId, Upid, UserId, VmId, VolumeId},
    request::{Method, Request},
};

fn get(path: &'static str) -> Request {
    Request::new(Method::Get).at(path)
}

fn node(method: Method, node: &NodeName) -> Request {
    Request::new(method).at("nodes").of(node)
}

fn guest(method: Method, guest: &Guest) -> Request {
    node(method, &guest.node).at(guest.kind.as_str()).of(&guest.vmid)
}

/// Version of the node that answers.
pub fn version() -> Request {
    get("version")
}

/// All guests, nodes, storages and pools, in one call.
pub fn resources() -> Request {
    get("cluster/resources")
}

/// Members and quorum.
pub fn cluster_status() -> Request {
    get("cluster/status")
}

/// The tasks of the cluster.
pub fn cluster_tasks() -> Request {
    get("cluster/tasks")
}

/// State of the high availability.
pub fn ha_status() -> Request {
    get("cluster/ha/status/current")
}

/// Rules of the cluster's firewall.
pub fn cluster_firewall() -> Request {
    get("cluster/firewall/rules")
}

/// Rules of a guest's firewall.
pub fn guest_firewall(of: &Guest) -> Request {
    guest(Method::Get, of).at("firewall/rules")
}

/// A pool's guests and storages.
pub fn pool(pool: &PoolId) -> Request {
    get("pools").with("poolid", pool)
}

/// What the token may do, by path.
pub fn permissions() -> Request {
    get("access/permissions")
}

/// A user's tokens.
pub fn tokens(user: &UserId) -> Request {
    Request::new(Method::Get).at("access/users").of(user).at("token")
}

/// A node's state.
pub fn node_status(of: &NodeName) -> Request {
    node(Method::Get, of).at("status")
}

/// A node's clock.
pub fn node_time(of: &NodeName) -> Request {
    node(Method::Get, of).at("time")
}

/// What lies on a storage: `backup`, `vztmpl`, `iso`, …
pub fn content(of: &NodeName, storage: &StorageId, content: Option<&str>) -> Request {
    node(Method::Get, of).at("storage").of(storage).at("content").maybe("content", content)
}

/// Removes a volume.
pub fn content_delete(of: &NodeName, storage: &StorageId, volume: &VolumeId) -> Request {
    node(Method::Delete, of).at("storage").of(storage).at("content").of(volume)
}

/// How a task stands.
pub fn task_status(of: &NodeName, task: &Upid) -> Request {
    node(Method::Get, of).at("tasks").of(task).at("status")
}

/// Lines of a task's log.
pub fn task_log(of: &NodeName, task: &Upid, start: u64, limit: u64) -> Request {
    node(Method::Get, of).at("tasks").of(task).at("log").with("start", start).with("limit", limit)
}

/// Tells a task to stop.
pub fn task_cancel(of: &NodeName, task: &Upid) -> Request {
    node(Method::Delete, of).at("tasks").of(task)
}

/// A guest's configuration with its digest.
pub fn config(of: &Guest) -> Request {
    guest(Method::Get, of).at("config")
}

/// A guest's changes that wait for a restart.
pub fn pending(of: &Guest) -> Request {
    guest(Method::Get, of).at("pending")
}

/// A guest's state now.
pub fn current(of: &Guest) -> Request {
    guest(Method::Get, of).at("status/current")
}

/// A guest's load over a time: `hour`, `day`, `week`, `month`, `year`.
pub fn rrddata(of: &Guest, timeframe: &str) -> Request {
    guest(Method::Get, of).at("rrddata").with("timeframe", timeframe)
}

/// A guest's snapshots.
pub fn snapshots(of: &Guest) -> Request {
    guest(Method::Get, of).at("snapshot")
}

/// A guest's addresses: from its agent, or of a container.
pub fn interfaces(of: &Guest) -> Request {
    let request = guest(Method::Get, of);
    match of.kind {
        Kind::Qemu => request.at("agent/network-get-interfaces"),
        Kind::Lxc => request.at("interfaces"),
    }
}

/// `start`, `stop`, `shutdown`, `reboot`, `suspend`, `resume`.
pub fn power(of: &Guest, verb: &'static str) -> Request {
    guest(Method::Post, of).at("status").at(verb)
}

/// Makes a snapshot.
pub fn snapshot_create(of: &Guest, name: &SnapshotName, description: Option<&str>, memory: bool) -> Request {
    let request =
        guest(Method::Post, of).at("snapshot").with("snapname", name).maybe("description", description);
    if memory && of.kind == Kind::Qemu { request.with("vmstate", 1) } else { request }
}

/// Removes a snapshot.
pub fn snapshot_delete(of: &Guest, name: &SnapshotName) -> Request {
    guest(Method::Delete, of).at("snapshot").of(name)
}

/// Goes back to a snapshot.
pub fn snapshot_rollback(of: &Guest, name: &SnapshotName) -> Request {
    guest(Method::Post, of).at("snapshot").of(name).at("rollback")
}

/// Makes a backup: `snapshot`, `suspend` or `stop`.
pub fn backup(of: &Guest, storage: &StorageId, mode: &str) -> Request {
    let request = node(Method::Post, &of.node).at("vzdump").with("vmid", of.vmid).with("storage", storage);
    request.with("mode", mode).with("compress", "zstd").with("remove", 0)
}

/// Changes a guest's configuration, if it still has this digest.
pub fn configure(
    of: &Guest,
    digest: Option<&ConfigDigest>,
    set: &[(String, String)],
    delete: &[String],
) -> Request {
    let mut request = guest(Method::Put, of).at("config").maybe("digest", digest);
    for (name, value) in set {
        request = request.with(name.clone(), value);
    }
    request.maybe("delete", (!delete.is_empty()).then(|| delete.join(",")))
}

/// Moves a guest to another node.
pub fn migrate(of: &Guest, target: &NodeName) -> Request {
    let request = guest(Method::Post, of).at("migrate").with("target", target);
    match (of.is_running(), of.kind) {
        (true, Kind::Qemu) => request.with("online", 1),
        (true, Kind::Lxc) => request.with("restart", 1),
        (false, _) => request,
    }
}

/// What a clone is to be.
#[derive(Debug, Clone, Default)]
pub struct Clone<'a> {
    /// Its name.
    pub name: Option<&'a str>,
    /// Its pool.
    pub pool: Option<&'a PoolId>,
    /// Where its disks lie; only of a full clone.
    pub storage: Option<&'a StorageId>,
    /// Whether it has disks of its own, and not the template's with what differs.
    pub full: bool,
    /// What its description holds.
    pub description: Option<&'a str>,
}

/// Clones a guest. That the new number is free is decided here, and nowhere before.
pub fn clone(of: &Guest, new: VmId, wanted: &Clone<'_>) -> Request {
    let name = if of.kind == Kind::Qemu { "name" } else { "hostname" };
    let request = guest(Method::Post, of).at("clone").with("newid", new).maybe(name, wanted.name);
    let request = request.maybe("pool", wanted.pool).with("full", u8::from(wanted.full));
    let request = request.maybe("description", wanted.description);
    request.maybe("storage", wanted.storage.filter(|_| wanted.full))
}

/// Makes a guest of these parameters.
pub fn create(on: &NodeName, kind: Kind, new: VmId, set: &[(String, String)]) -> Request {
    let mut request = node(Method::Post, on).at(kind.as_str()).with("vmid", new);
    for (name, value) in set {
        request = request.with(name.clone(), value);
    }
    request
}

/// Makes a guest from a backup under a number that is free.
pub fn restore(
    on: &NodeName,
    kind: Kind,
    new: VmId,
    backup: &VolumeId,
    storage: &StorageId,
    pool: Option<&PoolId>,
) -> Request {
    let request = node(Method::Post, on).at(kind.as_str()).with("vmid", new);
    let request = match kind {
        Kind::Qemu => request.with("archive", backup),
        Kind::Lxc => request.with("ostemplate", backup).with("restore", 1),
    };
    request.with("storage", storage).with("unique", 1).maybe("pool", pool)
}

/// Makes a disk larger by so many GiB.
pub fn grow(of: &Guest, digest: &ConfigDigest, disk: &DiskKey, gib: u32) -> Request {
    guest(Method::Put, of)
        .at("resize")
        .with("digest", digest)
        .with("disk", disk)
        .with("size", format!("+{gib}G"))
}

/// Makes the first disk of a virtual machine as large as so many GiB. One that is as large already is left alone.
pub fn grow_to(of: &Guest, gib: u32) -> Request {
    guest(Method::Put, of).at("resize").with("disk", "scsi0").with("size", format!("{gib}G"))
}

/// Moves a disk to another storage; the old one stays as unused.
pub fn move_disk(of: &Guest, digest: &ConfigDigest, disk: &DiskKey, storage: &StorageId) -> Request {
    let request = guest(Method::Post, of);
    let request = match of.kind {
        Kind::Qemu => request.at("move_disk").with("disk", disk),
        Kind::Lxc => request.at("move_volume").with("volume", disk),
    };
    request.with("storage", storage).with("digest", digest)
}

/// Makes a guest a template, for good.
pub fn template(of: &Guest) -> Request {
    guest(Method::Post, of).at("template")
}

/// Removes a guest with its disks, and from jobs that name it.
pub fn guest_delete(of: &Guest) -> Request {
    guest(Method::Delete, of).with("purge", 1)
}

/// Removes a virtual machine with all disks that are its own, also those that its configuration does not name.
pub fn machine_delete(of: &Guest) -> Request {
    guest_delete(of).with("destroy-unreferenced-disks", 1)
}

/// Asks a guest's agent whether it is there.
pub fn ping(of: &Guest) -> Request {
    guest(Method::Post, of).at("agent/ping")
}

/// Runs a program in a guest: no shell, its arguments one by one.
pub fn exec(of: &Guest, argv: &[String]) -> Request {
    argv.iter().fold(guest(Method::Post, of).at("agent/exec"), |request, word| request.with("command", word))
}

/// What became of a program in a guest.
pub fn exec_status(of: &Guest, pid: u64) -> Request {
    guest(Method::Get, of).at("agent/exec-status").with("pid", pid)
}

/// Writes a file in a guest.
pub fn file_write(of: &Guest, file: &str, content: &str) -> Request {
    guest(Method::Post, of).at("agent/file-write").with("file", file).with("content", content)
}
