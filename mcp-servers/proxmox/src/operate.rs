//! What can be changed back: power, snapshots, backups, tags, tasks, moves. A guest that is as it should be is left alone.

use std::time::Duration;

use async_trait::async_trait;
use qd_guard::{Caller, Fault, Hints, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    cluster::{Cluster, Looked, PROTECTED, TEAM, fingerprint},
    effect::{Effect, Operates, Ready},
    names::{NodeName, SnapshotName, StorageId, Tag, Upid, VmId},
    request::Request,
    requests,
};

/// How long a power change may take.
const POWER: Duration = Duration::from_secs(300);

/// How long what copies disks may take.
pub(crate) const COPY: Duration = Duration::from_secs(3_600);

impl Looked {
    /// A change of this guest.
    pub(crate) fn ready(&self, more: &str, step: String, requests: Vec<Request>) -> Ready {
        Ready {
            target: self.guest.to_string(),
            fingerprint: self.fingerprint(more),
            steps: vec![step],
            keys: vec![self.guest.key()],
            requests,
            undo: None,
            inverse: None,
            runs_in: None,
        }
    }
}

impl Ready {
    pub(crate) fn undone_by(mut self, undo: String) -> Self {
        self.undo = Some(undo);
        self
    }

    pub(crate) fn on(mut self, storage: &StorageId) -> Self {
        self.keys.push(format!("storage/{storage}"));
        self
    }
}

/// A guest.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct One {
    /// The guest's number.
    pub(crate) vmid: VmId,
}

/// A tool that brings a guest into another state of power.
macro_rules! power {
    ($name:ident, $verb:literal, $when:expr, $undo:expr, $title:literal, $does:literal) => {
        pub(crate) struct $name;

        #[async_trait]
        impl Effect for $name {
            type Input = One;

            fn spec() -> Spec {
                let spec = Spec::new($verb, Tier::Operate, concat!("guest.", $verb)).described($title, $does);
                let hints = Hints { idempotent: true, ..spec.hints };
                spec.hinted(hints).within(POWER)
            }

            async fn ready(cluster: &Cluster, caller: &Caller, input: &One) -> Result<Ready, Fault> {
                let looked = cluster.own(caller, input.vmid).await?;
                let guest = &looked.guest;
                if guest.template {
                    return Err(Fault::failed(
                        format!("{guest} is a template."),
                        "Clone it, and use the clone.",
                    ));
                }
                let when: fn(&str) -> bool = $when;
                if !when(&guest.status) {
                    let step = format!("Nothing: {guest} is {}.", guest.status);
                    return Ok(looked.ready($verb, step, Vec::new()));
                }
                let step = format!("{} ({guest}, now {}).", $title, guest.status);
                let undo: Option<&str> = $undo;
                let ready = looked.ready($verb, step, vec![requests::power(guest, $verb)]);
                Ok(match undo {
                    Some(tool) => ready.undone_by(format!("{tool} {}", guest.vmid)),
                    None => ready,
                })
            }
        }

        impl Operates for $name {}
    };
}

power!(
    Start,
    "start",
    |is| is == "stopped",
    Some("shutdown"),
    "Start a guest",
    "Starts a guest. One that runs already is left alone."
);
power!(
    Shutdown,
    "shutdown",
    |is| is != "stopped",
    Some("start"),
    "Shut a guest down",
    "Asks a guest to end by itself. One that does not run is left alone."
);
power!(
    Stop,
    "stop",
    |is| is != "stopped",
    Some("start"),
    "Stop a guest",
    "Turns a guest off at once; what it has not written is lost. One that does not run is left alone."
);
power!(
    Reboot,
    "reboot",
    |is| is == "running",
    None,
    "Restart a guest",
    "Shuts a guest down and starts it again; changes that wait for that are applied."
);
power!(
    Suspend,
    "suspend",
    |is| is == "running",
    Some("resume"),
    "Pause a guest",
    "Pauses a guest; its memory stays."
);
power!(
    Resume,
    "resume",
    |is| is != "stopped",
    Some("suspend"),
    "Let a guest go on",
    "Lets a paused guest go on."
);

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewSnapshot {
    vmid: VmId,
    name: SnapshotName,
    /// What it is for.
    description: Option<String>,
    /// Also the memory of a virtual machine that runs.
    #[serde(default)]
    memory: bool,
}

pub(crate) struct SnapshotCreate;

#[async_trait]
impl Effect for SnapshotCreate {
    type Input = NewSnapshot;

    fn spec() -> Spec {
        Spec::new("snapshot_create", Tier::Operate, "snapshot.create")
            .described("Make a snapshot", "Keeps the state of a guest's disks under a name.")
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &NewSnapshot) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        let memory = input.memory && looked.guest.is_running();
        let request =
            requests::snapshot_create(&looked.guest, &input.name, input.description.as_deref(), memory);
        let step = format!("Make the snapshot {} of {}.", input.name, looked.guest);
        let undo = format!("snapshot_delete {} {}", input.vmid, input.name);
        Ok(looked.ready(input.name.as_str(), step, vec![request]).undone_by(undo))
    }
}

impl Operates for SnapshotCreate {}

/// How a guest is held still for a backup.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// It runs on.
    #[default]
    Snapshot,
    /// It is paused.
    Suspend,
    /// It is stopped, and started again.
    Stop,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewBackup {
    vmid: VmId,
    /// Where it is kept.
    storage: StorageId,
    #[serde(default)]
    mode: Mode,
}

pub(crate) struct BackupCreate;

#[async_trait]
impl Effect for BackupCreate {
    type Input = NewBackup;

    fn spec() -> Spec {
        Spec::new("backup_create", Tier::Operate, "backup.create")
            .described("Make a backup", "Makes a backup of a guest. Older ones stay.")
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &NewBackup) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        cluster.storage(&input.storage)?;
        let mode = match input.mode {
            Mode::Snapshot => "snapshot",
            Mode::Suspend => "suspend",
            Mode::Stop => "stop",
        };
        let step = format!("Back {} up to {} ({mode}).", looked.guest, input.storage);
        let request = requests::backup(&looked.guest, &input.storage, mode);
        Ok(looked.ready(mode, step, vec![request]).on(&input.storage))
    }
}

impl Operates for BackupCreate {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewTags {
    vmid: VmId,
    /// All that it is to have, besides those that say whose it is.
    tags: Vec<Tag>,
}

pub(crate) struct SetTags;

#[async_trait]
impl Effect for SetTags {
    type Input = NewTags;

    fn spec() -> Spec {
        Spec::new("set_tags", Tier::Operate, "guest.tag").described(
            "Set a guest's tags",
            "Sets a guest's tags. Those that say whose it is stay, and none of those can be added.",
        )
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &NewTags) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        let guest = &looked.guest;
        let mut tags: Vec<String> = input.tags.iter().map(|tag| tag.as_str().to_ascii_lowercase()).collect();
        if tags.iter().any(|tag| tag.starts_with(TEAM) && !guest.tags.contains(tag)) {
            return Err(Fault::failed(
                format!("Tags that begin with {TEAM} say whose a guest is."),
                "Leave them out; those that it has stay.",
            ));
        }
        let scoped = |tag: &String| cluster.config.scope.tags.as_ref().is_some_and(|tags| tags.contains(tag));
        tags.extend(guest.tags.iter().filter(|tag| tag.starts_with(TEAM) || scoped(tag)).cloned());
        tags.sort();
        tags.dedup();
        let mut before = guest.tags.clone();
        before.sort();
        let step = format!("Set the tags of {guest}: {} (now: {}).", tags.join(";"), before.join(";"));
        if tags == before {
            return Ok(looked.ready("", format!("Nothing: {guest} has these tags."), Vec::new()));
        }
        let set = [("tags".to_owned(), tags.join(";"))];
        let request = requests::configure(guest, Some(&looked.digest), &set, &[]);
        let undo = if tags.iter().any(|tag| tag == PROTECTED) {
            format!("a person takes the tag {PROTECTED} away")
        } else {
            format!("set_tags {} {}", guest.vmid, before.join(";"))
        };
        let kept = Some((guest.clone(), looked.inverse(["tags"])));
        Ok(Ready { inverse: kept, ..looked.ready(&tags.join(";"), step, vec![request]) }.undone_by(undo))
    }
}

impl Operates for SetTags {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct OneTask {
    /// The task's whole id, with the colon at its end.
    pub(crate) upid: Upid,
}

impl Cluster {
    /// A task that this caller may see: of a guest of theirs, on a node within the scope.
    pub(crate) async fn task(&self, caller: &Caller, task: &Upid) -> Result<NodeName, Fault> {
        let node = task.node().map_err(|error| Fault::failed(format!("{error}."), "Name another task."))?;
        self.node(&node)?;
        let Ok(vmid) = VmId::parse(task.id()) else {
            return Err(Fault::failed(
                format!("The task {task} is of no guest."),
                "Leave it alone, or ask a person.",
            ));
        };
        self.guest(caller, vmid).await?;
        Ok(node)
    }
}

pub(crate) struct TaskCancel;

#[async_trait]
impl Effect for TaskCancel {
    type Input = OneTask;

    fn spec() -> Spec {
        Spec::new("task_cancel", Tier::Operate, "task.cancel")
            .described("Stop a task", "Tells a task of a guest to stop. What it did so far may stay.")
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &OneTask) -> Result<Ready, Fault> {
        let node = cluster.task(caller, &input.upid).await?;
        let state = cluster
            .api
            .ask(&requests::task_status(&node, &input.upid))
            .await
            .map_err(|error| error.looking())?;
        let status = crate::cluster::text(&state, "status").to_owned();
        let over = status == "stopped";
        let requests = if over { Vec::new() } else { vec![requests::task_cancel(&node, &input.upid)] };
        let step = if over { "Nothing: it is over" } else { "Tell it to stop" };
        Ok(Ready {
            target: input.upid.to_string(),
            fingerprint: fingerprint([input.upid.as_str(), &status]),
            steps: vec![format!("{step} ({} of {}).", input.upid.kind(), input.upid.id())],
            keys: vec![format!("task/{}", input.upid)],
            requests,
            undo: None,
            inverse: None,
            runs_in: None,
        })
    }
}

impl Operates for TaskCancel {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Move {
    vmid: VmId,
    /// The node that it is to go to.
    target: NodeName,
}

pub(crate) struct Migrate;

#[async_trait]
impl Effect for Migrate {
    type Input = Move;

    fn spec() -> Spec {
        Spec::new("migrate", Tier::Operate, "guest.migrate")
            .described(
                "Move a guest to another node",
                "Moves a guest. A virtual machine that runs goes on meanwhile, a container is started anew.",
            )
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, caller: &Caller, input: &Move) -> Result<Ready, Fault> {
        let looked = cluster.own(caller, input.vmid).await?;
        cluster.node(&input.target)?;
        let guest = &looked.guest;
        if guest.node == input.target {
            return Ok(looked.ready("", format!("Nothing: {guest} is on {}.", guest.node), Vec::new()));
        }
        let step = format!("Move {guest} from {} to {}.", guest.node, input.target);
        let undo = format!("migrate {} {}", guest.vmid, guest.node);
        Ok(looked
            .ready(input.target.as_str(), step, vec![requests::migrate(guest, &input.target)])
            .undone_by(undo))
    }
}

impl Operates for Migrate {}
