//! What gives a guest another shape: cores, memory, disks, network, cloud-init; and what is done inside of it. Every change
//! of its configuration names the digest that was seen.

use async_trait::async_trait;
use qd_guard::{Caller, Fault, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    cluster::{Cluster, Kind, Looked},
    effect::{Decided, Effect, Ready},
    names::{BridgeName, DiskKey, NetKey, StorageId, VmId},
    operate::{COPY, One},
    provision::Needs,
    request::encoded,
    requests,
};

/// Longest content that is written into a guest, in bytes.
const CONTENT: usize = 60 * 1024;

fn refused(problem: impl Into<String>, way_out: &str) -> Fault {
    Fault::failed(problem, way_out)
}

impl Looked {
    /// A change of its configuration, with what puts the old values back.
    pub(crate) fn configured(&self, set: &[(String, String)], step: String) -> Ready {
        let old: Vec<String> = set
            .iter()
            .map(|(name, _)| {
                self.set(name).map_or_else(|| format!("no {name}"), |old| format!("{name}={old}"))
            })
            .collect();
        let more: Vec<String> = set.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = requests::configure(&self.guest, Some(&self.digest), set, &[]);
        let kept = Some((self.guest.clone(), self.inverse(set.iter().map(|(name, _)| name))));
        Ready { inverse: kept, ..self.ready(&more.join("\n"), step, vec![request]) }
            .undone_by(format!("set it back: {}", old.join("; ")))
    }

    /// Another size, if its pool has room for what it gets more. Meanwhile nothing else in the pool gets more: two that each have
    /// room may not have it together.
    pub(crate) async fn sized(
        &self,
        cluster: &Cluster,
        cores: Option<u32>,
        memory_mib: Option<u32>,
    ) -> Result<Ready, Fault> {
        let guest = &self.guest;
        let mut set = Vec::new();
        set.extend(cores.map(|cores| ("cores".to_owned(), cores.to_string())));
        set.extend(memory_mib.map(|memory| ("memory".to_owned(), memory.to_string())));
        if set.is_empty() {
            return Err(refused("Neither cores nor memory is named.", "Name one of them."));
        }
        let more =
            |wanted: Option<u32>, now: u64| wanted.map_or(0, |wanted| u64::from(wanted).saturating_sub(now));
        let given = cluster.given(guest).await?;
        let needs = Needs {
            cores: more(cores, given.cores),
            memory_mib: more(memory_mib, given.memory >> 20),
            ..Needs::default()
        };
        cluster.room(guest.pool.as_ref(), needs).await?;
        let shown: Vec<String> = set.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let step = format!(
            "Set {} of {guest}; now {} cores, {} MiB.",
            shown.join(", "),
            guest.cores,
            guest.memory >> 20
        );
        let mut ready = self.configured(&set, step);
        ready.keys.extend(guest.pool.as_ref().map(|pool| format!("pool/{pool}")));
        Ok(ready)
    }

    pub(crate) fn is_vm(&self) -> Result<(), Fault> {
        if self.guest.kind == Kind::Qemu {
            return Ok(());
        }
        Err(refused(format!("{} is a container.", self.guest), "Name a virtual machine."))
    }
}

/// Public keys, one a line. Each is one line of a known kind.
pub(crate) fn keys(keys: &[String]) -> Result<String, Fault> {
    let known = ["ssh-ed25519 ", "ssh-rsa ", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    for key in keys {
        if !known.iter().any(|kind| key.starts_with(kind)) || key.chars().any(char::is_control) {
            return Err(refused(
                "One of the keys is no public SSH key on one line.",
                "Give it as it stands in a .pub file.",
            ));
        }
    }
    Ok(keys.join("\n"))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Resources {
    vmid: VmId,
    #[schemars(range(min = 1, max = 512))]
    cores: Option<u32>,
    /// Memory, in MiB.
    #[schemars(range(min = 16))]
    memory_mib: Option<u32>,
}

pub(crate) struct SetResources;

#[async_trait]
impl Effect for SetResources {
    type Input = Resources;

    fn spec() -> Spec {
        Spec::new("set_resources", Tier::Provision, "guest.resize").described(
            "Set cores and memory",
            "Sets a guest's cores and memory. What can't be changed while it runs waits for its restart.",
        )
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &Resources) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        looked.sized(cluster, input.cores, input.memory_mib).await
    }
}

impl Decided for SetResources {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Growth {
    vmid: VmId,
    disk: DiskKey,
    /// How much larger, in GiB. A disk can't be made smaller again.
    #[schemars(range(min = 1, max = 65_536))]
    more_gib: u32,
}

pub(crate) struct GrowDisk;

#[async_trait]
impl Effect for GrowDisk {
    type Input = Growth;

    fn spec() -> Spec {
        Spec::new("grow_disk", Tier::Provision, "disk.grow")
            .described("Make a disk larger", "Makes a disk larger. It can't be made smaller again.")
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &Growth) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        let storage = looked.disk(cluster, &input.disk)?;
        let needs = Needs { disk_gib: input.more_gib.into(), ..Needs::default() };
        cluster.room(looked.guest.pool.as_ref(), needs).await?;
        let step = format!("Make {} of {} larger by {} GiB.", input.disk, looked.guest, input.more_gib);
        let request = requests::grow(&looked.guest, &looked.digest, &input.disk, input.more_gib);
        let more = format!("{}+{}", input.disk, input.more_gib);
        Ok(looked.ready(&more, step, vec![request]).on(&storage))
    }
}

impl Decided for GrowDisk {}

impl Looked {
    /// The storage of a disk that is there, within the scope.
    pub(crate) fn disk(&self, cluster: &Cluster, disk: &DiskKey) -> Result<StorageId, Fault> {
        let Some(value) = self.set(disk.as_str()) else {
            return Err(refused(format!("{} has no disk {disk}.", self.guest), "Look at it with get_guest."));
        };
        let storage = StorageId::parse(value.split(':').next().unwrap_or_default()).map_err(|_| {
            refused(format!("{disk} of {} lies on no storage.", self.guest), "Leave it to a person.")
        })?;
        cluster.storage(&storage)?;
        Ok(storage)
    }

    fn is_free(&self, key: &str) -> Result<(), Fault> {
        match self.set(key) {
            None => Ok(()),
            Some(_) => Err(refused(format!("{} has {key} already.", self.guest), "Take another.")),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewDisk {
    vmid: VmId,
    /// One that is free.
    disk: DiskKey,
    storage: StorageId,
    #[schemars(range(min = 1, max = 65_536))]
    gib: u32,
    /// Where a container has it: `/srv/data`.
    mount: Option<String>,
}

pub(crate) struct AddDisk;

#[async_trait]
impl Effect for AddDisk {
    type Input = NewDisk;

    fn spec() -> Spec {
        Spec::new("add_disk", Tier::Provision, "disk.add")
            .described("Add a disk", "Makes a new disk for a guest.")
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &NewDisk) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        looked.is_free(input.disk.as_str())?;
        cluster.storage(&input.storage)?;
        cluster
            .room(looked.guest.pool.as_ref(), Needs { disk_gib: input.gib.into(), ..Needs::default() })
            .await?;
        let mut value = format!("{}:{}", input.storage, input.gib);
        match (looked.guest.kind, &input.mount) {
            (Kind::Qemu, None) => {}
            (Kind::Lxc, Some(path)) if path.starts_with('/') && !path.contains("..") && plain(path) => {
                value.push_str(&format!(",mp={path}"));
            }
            (Kind::Qemu, Some(_)) => {
                return Err(refused("A virtual machine mounts its disks itself.", "Leave mount out."));
            }
            (Kind::Lxc, _) => {
                return Err(refused(
                    "A container needs to know where its disk is.",
                    "Give mount, as /srv/data.",
                ));
            }
        }
        let step =
            format!("Make {} of {}: {} GiB on {}.", input.disk, looked.guest, input.gib, input.storage);
        let ready = looked.configured(&[(input.disk.to_string(), value)], step).on(&input.storage);
        Ok(ready.undone_by(format!("remove_disk {} {}", input.vmid, input.disk)))
    }
}

impl Decided for AddDisk {}

fn plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct DiskMove {
    vmid: VmId,
    disk: DiskKey,
    /// Where it is to lie.
    storage: StorageId,
}

pub(crate) struct MoveDisk;

#[async_trait]
impl Effect for MoveDisk {
    type Input = DiskMove;

    fn spec() -> Spec {
        Spec::new("move_disk", Tier::Provision, "disk.move")
            .described(
                "Move a disk",
                "Copies a disk to another storage. The old one stays with the guest, unused.",
            )
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &DiskMove) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        let from = looked.disk(cluster, &input.disk)?;
        cluster.storage(&input.storage)?;
        let step = format!("Move {} of {} from {from} to {}.", input.disk, looked.guest, input.storage);
        let request = requests::move_disk(&looked.guest, &looked.digest, &input.disk, &input.storage);
        let more = format!("{}>{}", input.disk, input.storage);
        let undo = format!("move_disk {} {} {from}", input.vmid, input.disk);
        Ok(looked.ready(&more, step, vec![request]).on(&from).on(&input.storage).undone_by(undo))
    }
}

impl Decided for MoveDisk {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Card {
    vmid: VmId,
    card: NetKey,
    bridge: BridgeName,
    /// The VLAN, if any.
    #[schemars(range(min = 1, max = 4_094))]
    vlan: Option<u16>,
}

impl Card {
    /// As the guest's configuration has it. One that is there keeps its model, address and name.
    fn value(&self, looked: &Looked) -> String {
        let old = looked.set(self.card.as_str());
        let kept = old
            .iter()
            .flat_map(|old| old.split(','))
            .filter(|part| !["bridge=", "tag=", "firewall="].iter().any(|own| part.starts_with(own)));
        let mut parts: Vec<String> = kept.map(str::to_owned).collect();
        if parts.is_empty() {
            parts.push(match looked.guest.kind {
                Kind::Qemu => "virtio".to_owned(),
                Kind::Lxc => format!("name=eth{},ip=dhcp", self.card.as_str().trim_start_matches("net")),
            });
        }
        parts.push(format!("bridge={}", self.bridge));
        parts.push("firewall=1".to_owned());
        parts.extend(self.vlan.map(|vlan| format!("tag={vlan}")));
        parts.join(",")
    }
}

pub(crate) struct AddNetwork;

#[async_trait]
impl Effect for AddNetwork {
    type Input = Card;

    fn spec() -> Spec {
        Spec::new("add_network", Tier::Provision, "network.add")
            .described("Add a network card", "Gives a guest another network card, behind the firewall.")
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &Card) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        looked.is_free(input.card.as_str())?;
        let step = format!("Give {} the card {} on {}.", looked.guest, input.card, input.bridge);
        let ready = looked.configured(&[(input.card.to_string(), input.value(&looked))], step);
        Ok(ready.undone_by(format!("remove_network {} {}", input.vmid, input.card)))
    }
}

impl Decided for AddNetwork {}

pub(crate) struct UpdateNetwork;

#[async_trait]
impl Effect for UpdateNetwork {
    type Input = Card;

    fn spec() -> Spec {
        Spec::new("update_network", Tier::Provision, "network.update")
            .described("Change a network card", "Puts a card on another bridge or VLAN. Its address stays.")
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &Card) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        let Some(old) = looked.set(input.card.as_str()) else {
            return Err(refused(
                format!("{} has no card {}.", looked.guest, input.card),
                "Add it with add_network.",
            ));
        };
        let value = input.value(&looked);
        let step = format!("Set {} of {} to {value}; now {old}.", input.card, looked.guest);
        Ok(looked.configured(&[(input.card.to_string(), value)], step))
    }
}

impl Decided for UpdateNetwork {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CloudInit {
    vmid: VmId,
    /// The user that is made.
    #[schemars(regex(pattern = "^[a-z_][a-z0-9_-]{0,31}$"))]
    user: Option<String>,
    /// Public keys that may log in. There are no passwords here.
    #[serde(default)]
    ssh_keys: Vec<String>,
    /// The first card's address: `dhcp`, or an address with its network, as `10.0.0.5/24`.
    address: Option<String>,
    gateway: Option<std::net::IpAddr>,
    /// Where the drive is made that the guest reads it from, if it has none.
    drive_on: Option<StorageId>,
}

impl CloudInit {
    /// Of a team's machine.
    pub(crate) fn of_machine(
        vmid: VmId,
        user: &str,
        ssh_keys: Vec<String>,
        address: Option<String>,
        gateway: Option<std::net::IpAddr>,
    ) -> Self {
        Self { vmid, user: Some(user.to_owned()), ssh_keys, address, gateway, drive_on: None }
    }

    /// What of the configuration it sets, without the drive.
    pub(crate) fn set(&self) -> Result<Vec<(String, String)>, Fault> {
        let mut set = Vec::new();
        if let Some(user) = &self.user {
            if !plain(user) || user.contains('/') {
                return Err(refused("The user's name is wrong.", "Use small letters, digits, '-' and '_'."));
            }
            set.push(("ciuser".to_owned(), user.clone()));
        }
        if !self.ssh_keys.is_empty() {
            // Proxmox wants them encoded, and the form encodes that again.
            set.push(("sshkeys".to_owned(), encoded(&keys(&self.ssh_keys)?)));
        }
        set.extend(self.ipconfig()?.map(|value| ("ipconfig0".to_owned(), value)));
        Ok(set)
    }

    fn ipconfig(&self) -> Result<Option<String>, Fault> {
        let wrong =
            || refused("The address is wrong.", "Give dhcp, or an address with its network, as 10.0.0.5/24.");
        let Some(address) = &self.address else { return Ok(None) };
        if address == "dhcp" {
            return Ok(Some("ip=dhcp".to_owned()));
        }
        let (ip, length) = address.split_once('/').ok_or_else(wrong)?;
        let ip: std::net::IpAddr = ip.parse().map_err(|_| wrong())?;
        let length: u8 = length.parse().map_err(|_| wrong())?;
        let (own, gate) = if ip.is_ipv4() { ("ip", "gw") } else { ("ip6", "gw6") };
        if length > if ip.is_ipv4() { 32 } else { 128 } {
            return Err(wrong());
        }
        Ok(Some(match self.gateway {
            Some(gateway) if gateway.is_ipv4() == ip.is_ipv4() => {
                format!("{own}={ip}/{length},{gate}={gateway}")
            }
            Some(_) => {
                return Err(refused(
                    "Address and gateway are of two kinds.",
                    "Give both as IPv4, or both as IPv6.",
                ));
            }
            None => format!("{own}={ip}/{length}"),
        }))
    }
}

pub(crate) struct ConfigureCloudInit;

#[async_trait]
impl Effect for ConfigureCloudInit {
    type Input = CloudInit;

    fn spec() -> Spec {
        Spec::new("configure_cloudinit", Tier::Provision, "guest.cloudinit").described(
            "Set what cloud-init does",
            "Sets a virtual machine's user, keys and address for its next start. There are no passwords here.",
        )
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &CloudInit) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        looked.is_vm()?;
        let mut set = input.set()?;
        if let Some(storage) = &input.drive_on {
            cluster.storage(storage)?;
            looked.is_free("ide2")?;
            set.push(("ide2".to_owned(), format!("{storage}:cloudinit")));
        }
        if set.is_empty() {
            return Err(refused(
                "Nothing is named that could be set.",
                "Name user, ssh_keys, address or drive_on.",
            ));
        }
        let names: Vec<&str> = set.iter().map(|(name, _)| name.as_str()).collect();
        let step = format!("Set {} of {}.", names.join(", "), looked.guest);
        Ok(looked.configured(&set, step))
    }
}

impl Decided for ConfigureCloudInit {}

pub(crate) struct ConvertToTemplate;

#[async_trait]
impl Effect for ConvertToTemplate {
    type Input = One;

    fn spec() -> Spec {
        Spec::new("convert_to_template", Tier::Provision, "guest.template")
            .described(
                "Make a guest a template",
                "Makes a guest that does not run a template. It can't be made a guest again.",
            )
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &One) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        let guest = &looked.guest;
        if guest.is_running() {
            return Err(refused(format!("{guest} runs."), "Shut it down first."));
        }
        if guest.template {
            return Ok(looked.ready("", format!("Nothing: {guest} is a template."), Vec::new()));
        }
        let step = format!("Make {guest} a template, for good.");
        Ok(looked.ready("", step, vec![requests::template(guest)]))
    }
}

impl Decided for ConvertToTemplate {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Program {
    vmid: VmId,
    /// The program's whole path and its arguments, one by one. There is no shell.
    argv: Vec<String>,
}

pub(crate) struct GuestExec;

#[async_trait]
impl Effect for GuestExec {
    type Input = Program;

    fn spec() -> Spec {
        Spec::new("guest_exec", Tier::Provision, "guest.exec")
            .described("Run a program in a guest", "Runs one of the allowed programs in a virtual machine, through its agent, and waits for its end.")
            .within(std::time::Duration::from_secs(120))
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &Program) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        looked.is_vm()?;
        let program = input.argv.first().map(String::as_str).unwrap_or_default();
        if !cluster.config.programs.iter().any(|one| one == program) {
            return Err(refused(
                format!("{program:?} is not one of the allowed programs."),
                "A person may add it to PROXMOX_EXEC_PROGRAMS.",
            ));
        }
        let step = format!("Run {:?} in {}.", input.argv, looked.guest);
        let request = requests::exec(&looked.guest, &input.argv);
        let guest = looked.guest.clone();
        Ok(Ready { runs_in: Some(guest), ..looked.ready(&input.argv.join("\0"), step, vec![request]) })
    }
}

impl Decided for GuestExec {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct GuestFile {
    vmid: VmId,
    /// The file's whole path.
    file: String,
    /// All that is to stand in it.
    content: String,
}

pub(crate) struct GuestFileWrite;

#[async_trait]
impl Effect for GuestFileWrite {
    type Input = GuestFile;

    fn spec() -> Spec {
        Spec::new("guest_file_write", Tier::Provision, "guest.write").described(
            "Write a file in a guest",
            "Writes a file in a virtual machine, through its agent. What stood in it is lost.",
        )
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &GuestFile) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        looked.is_vm()?;
        let whole = input.file.starts_with('/') && !input.file.split('/').any(|part| part == "..");
        if !whole || input.file.chars().any(char::is_control) || input.content.len() > CONTENT {
            return Err(refused(
                "The file is no whole path, or its content is too long.",
                "Give a path as /etc/motd, and at most 60 KiB.",
            ));
        }
        let step = format!("Write {} bytes to {:?} in {}.", input.content.len(), input.file, looked.guest);
        let more = format!("{}\0{}", input.file, input.content);
        Ok(looked.ready(&more, step, vec![requests::file_write(&looked.guest, &input.file, &input.content)]))
    }
}

impl Decided for GuestFileWrite {}
