//! A cluster within its scope. Everything that a caller names goes through here first: guests, new numbers, nodes,
//! storages, volumes, pools. What can't be told is outside.

use std::{fmt, path::PathBuf};

use qd_guard::{Caller, Fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    api::Api,
    config::Config,
    names::{ConfigDigest, NodeName, PoolId, StorageId, VmId, VolumeId},
    requests,
};

/// Tags that begin so say for which team a guest is: `team-billing`.
pub const TEAM: &str = "team-";

/// The tag that keeps a guest from being changed here.
pub const PROTECTED: &str = "protected";

/// What a guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A virtual machine.
    Qemu,
    /// A container.
    Lxc,
}

impl Kind {
    /// As paths have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }
}

/// A guest, as the list of the cluster's resources has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Guest {
    /// Its number.
    pub vmid: VmId,
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub node: NodeName,
    /// Its name.
    pub name: String,
    /// `running`, `stopped`, …
    pub status: String,
    /// Its tags, in small letters.
    pub tags: Vec<String>,
    /// Its pool.
    pub pool: Option<PoolId>,
    /// Why it is locked.
    pub lock: Option<String>,
    /// Whether it is a template.
    pub template: bool,
    /// Cores.
    pub cores: u64,
    /// Memory, in bytes.
    pub memory: u64,
    /// Disk, in bytes.
    pub disk: u64,
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.vmid, self.name)
    }
}

pub(crate) fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A number; Proxmox writes some as texts.
pub(crate) fn count(row: &Value, name: &str) -> u64 {
    let value = row.get(name);
    let float = |value: &Value| value.as_f64().filter(|number| *number >= 0.0);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not below zero, and no count is that large"
    )]
    let whole = |number: f64| number as u64;
    match value {
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(value) => value.as_u64().or_else(|| float(value).map(whole)).unwrap_or_default(),
        None => 0,
    }
}

impl Guest {
    /// From a row; `None` if it is none.
    pub fn of_row(row: &Value) -> Option<Self> {
        let kind = match text(row, "type") {
            "qemu" => Kind::Qemu,
            "lxc" => Kind::Lxc,
            _ => return None,
        };
        let some = |name: &str| Some(text(row, name).to_owned()).filter(|text| !text.is_empty());
        Some(Self {
            vmid: VmId::new(u32::try_from(count(row, "vmid")).ok()?).ok()?,
            kind,
            node: NodeName::parse(text(row, "node")).ok()?,
            name: text(row, "name").to_owned(),
            status: text(row, "status").to_owned(),
            tags: text(row, "tags")
                .split([';', ',', ' '])
                .filter(|tag| !tag.is_empty())
                .map(str::to_ascii_lowercase)
                .collect(),
            pool: some("pool").and_then(|pool| PoolId::parse(&pool).ok()),
            lock: some("lock"),
            template: count(row, "template") == 1,
            cores: count(row, "maxcpu"),
            memory: count(row, "maxmem"),
            disk: count(row, "maxdisk"),
        })
    }

    /// With the cores and the memory that it has or that wait for its next start, whichever is more. `pending` has its settings
    /// with what waits.
    pub(crate) fn as_given(&self, pending: &Value) -> Self {
        let most = |key: &str| {
            let rows = pending.as_array().into_iter().flatten();
            let of = |row: &Value| count(row, "value").max(count(row, "pending"));
            rows.filter(|row| text(row, "key") == key).map(of).max().unwrap_or_default()
        };
        let cores = most("cores").saturating_mul(most("sockets").max(1));
        let memory = most("memory") << 20;
        Self { cores: self.cores.max(cores), memory: self.memory.max(memory), ..self.clone() }
    }

    /// A virtual machine of which only this is known.
    pub(crate) fn machine(vmid: VmId, node: NodeName, name: String) -> Self {
        Self {
            vmid,
            kind: Kind::Qemu,
            node,
            name,
            status: String::new(),
            tags: Vec::new(),
            pool: None,
            lock: None,
            template: false,
            cores: 0,
            memory: 0,
            disk: 0,
        }
    }

    /// Whether its processes are there.
    pub fn is_running(&self) -> bool {
        self.status == "running" || self.status == "paused"
    }

    /// The key under which nothing else is done to it at once.
    pub fn key(&self) -> String {
        format!("guest/{}", self.vmid)
    }
}

/// A guest with its configuration.
pub(crate) struct Looked {
    pub(crate) guest: Guest,
    pub(crate) config: Value,
    pub(crate) digest: ConfigDigest,
}

impl Looked {
    /// What a change is bound to: whatever a person would look at again.
    pub(crate) fn fingerprint(&self, more: &str) -> String {
        let guest = &self.guest;
        fingerprint([
            &*guest.vmid.to_string(),
            guest.kind.as_str(),
            guest.node.as_str(),
            &guest.status,
            &guest.tags.join(";"),
            guest.pool.as_ref().map_or("", PoolId::as_str),
            guest.lock.as_deref().unwrap_or_default(),
            self.digest.as_str(),
            more,
        ])
    }

    pub(crate) fn set(&self, key: &str) -> Option<String> {
        match self.config.get(key)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
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

fn outside(what: impl fmt::Display) -> Fault {
    Fault::failed(
        format!("{what} is outside of what may be used here."),
        "Leave it alone. A person may widen the PROXMOX_SCOPE_ variables.",
    )
}

/// A cluster.
pub struct Cluster {
    /// Its API.
    pub api: Api,
    /// What a person says of it.
    pub config: Config,
    /// Where things of its own are kept: how changes are taken back, how far teams are.
    pub(crate) folder: Option<PathBuf>,
}

impl Cluster {
    /// The rows of all resources: one call.
    pub(crate) async fn resources(&self) -> Result<Vec<Value>, Fault> {
        let answer = self.api.ask(&requests::resources()).await.map_err(|error| error.looking())?;
        match answer {
            Value::Array(rows) => Ok(rows),
            _ => Err(Fault::failed("Proxmox's list of resources is none.", "Ask doctor what is wrong.")),
        }
    }

    /// The guests that are there for this caller.
    pub(crate) fn guests<'a>(
        &'a self,
        caller: &'a Caller,
        rows: &'a [Value],
    ) -> impl Iterator<Item = Guest> + 'a {
        rows.iter().filter_map(Guest::of_row).filter(|guest| self.holds(guest) && !is_anothers(caller, guest))
    }

    /// Whether a guest is within the scope.
    pub fn holds(&self, guest: &Guest) -> bool {
        let scope = &self.config.scope;
        self.number(guest.vmid).is_ok()
            && self.node(&guest.node).is_ok()
            && scope
                .pools
                .as_ref()
                .is_none_or(|pools| guest.pool.as_ref().is_some_and(|pool| pools.contains(pool)))
            && scope.tags.as_ref().is_none_or(|tags| guest.tags.iter().any(|tag| tags.contains(tag)))
    }

    /// A guest of this caller. One that is outside is said to be outside, one that is not there not to be there.
    pub(crate) async fn guest(&self, caller: &Caller, vmid: VmId) -> Result<Guest, Fault> {
        self.number(vmid)?;
        let rows = self.resources().await?;
        let found = rows.iter().filter_map(Guest::of_row).find(|guest| guest.vmid == vmid);
        let Some(guest) = found else {
            return Err(Fault::failed(
                format!("There is no guest {vmid}."),
                "List the guests, and take one of those.",
            ));
        };
        if !self.holds(&guest) {
            return Err(outside(format!("The guest {vmid}")));
        }
        if is_anothers(caller, &guest) {
            return Err(Fault::failed(
                format!("The guest {vmid} is another team's."),
                "Leave it alone, or ask that team.",
            ));
        }
        Ok(guest)
    }

    /// A guest with its configuration.
    pub(crate) async fn looked(&self, caller: &Caller, vmid: VmId) -> Result<Looked, Fault> {
        let guest = self.guest(caller, vmid).await?;
        let config = self.api.ask(&requests::config(&guest)).await.map_err(|error| error.looking())?;
        let digest = ConfigDigest::parse(text(&config, "digest")).map_err(|error| {
            Fault::failed(
                format!("The configuration of {guest} has no digest: {error}."),
                "Look at it again.",
            )
        })?;
        Ok(Looked { guest, config, digest })
    }

    /// A guest that this caller may change: not locked, not protected.
    pub(crate) async fn own(&self, caller: &Caller, vmid: VmId) -> Result<Looked, Fault> {
        let looked = self.looked(caller, vmid).await?;
        let guest = &looked.guest;
        if guest.tags.iter().any(|tag| tag == PROTECTED) {
            return Err(Fault::failed(
                format!("The guest {guest} has the tag {PROTECTED}."),
                "Leave it alone. A person may take the tag away in Proxmox.",
            ));
        }
        if let Some(lock) = &guest.lock {
            return Err(Fault::failed(
                format!("The guest {guest} is locked ({lock})."),
                "Wait until that is over, then call again.",
            ));
        }
        Ok(looked)
    }

    /// A guest's number, also a new one.
    pub(crate) fn number(&self, vmid: VmId) -> Result<(), Fault> {
        let within = self.config.scope.vmids.as_ref().is_none_or(|range| range.contains(&vmid.number()));
        within.then_some(()).ok_or_else(|| outside(format!("The number {vmid}")))
    }

    /// A node, also one that a guest is to go to.
    pub(crate) fn node(&self, node: &NodeName) -> Result<(), Fault> {
        let within = self.config.scope.nodes.as_ref().is_none_or(|nodes| nodes.contains(node));
        within.then_some(()).ok_or_else(|| outside(format!("The node {node}")))
    }

    /// A storage.
    pub(crate) fn storage(&self, storage: &StorageId) -> Result<(), Fault> {
        let within = self.config.scope.storages.as_ref().is_none_or(|storages| storages.contains(storage));
        within.then_some(()).ok_or_else(|| outside(format!("The storage {storage}")))
    }

    /// A pool for a new guest. Where pools are named, one of them has to be.
    pub(crate) fn pool(&self, pool: Option<&PoolId>) -> Result<(), Fault> {
        match (&self.config.scope.pools, pool) {
            (None, _) => Ok(()),
            (Some(pools), Some(pool)) if pools.contains(pool) => Ok(()),
            (Some(_), Some(pool)) => Err(outside(format!("The pool {pool}"))),
            (Some(_), None) => {
                Err(Fault::failed("The new guest has no pool.", "Name a pool that may be used here."))
            }
        }
    }

    /// A volume: its storage, and the guest that it belongs to.
    pub(crate) async fn volume(&self, caller: &Caller, volume: &VolumeId) -> Result<StorageId, Fault> {
        let storage =
            volume.storage().map_err(|error| Fault::failed(format!("{error}."), "Name another volume."))?;
        self.storage(&storage)?;
        if let Some(owner) = volume.owner() {
            self.number(owner)?;
            let rows = self.resources().await?;
            // A backup may outlive its guest; one whose guest is there is as that guest.
            if rows.iter().filter_map(Guest::of_row).any(|guest| guest.vmid == owner) {
                self.guest(caller, owner).await?;
            }
        }
        Ok(storage)
    }
}

/// Whether it has another team's tag, and not this caller's.
fn is_anothers(caller: &Caller, guest: &Guest) -> bool {
    let own = format!("{TEAM}{}", caller.team().as_str().to_ascii_lowercase());
    let mut teams = guest.tags.iter().filter(|tag| tag.starts_with(TEAM)).peekable();
    teams.peek().is_some() && teams.all(|tag| *tag != own)
}
