//! Another size for a team's machine, and another program in it.

use async_trait::async_trait;
use qd_guard::{Caller, Fault, Spec};
use qd_types::{InstanceName, Tier};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{files, steps::Phase};
use crate::{
    cluster::{Cluster, Guest, Looked, text},
    effect::{Decided, Effect, Ready},
    names::{ConfigDigest, SnapshotName},
    operate::COPY,
    requests,
};

impl Cluster {
    /// The machine of a team that is at work, with its configuration.
    async fn machine_of(&self, team: &InstanceName) -> Result<Looked, Fault> {
        let none =
            |why: &str| Err(Fault::failed(format!("The machine of {team} {why}."), "Look at list_teams."));
        let Some(record) = self.journal()?.read(team)? else { return none("is not known here") };
        let (Some(vmid), Phase::Done) = (record.vmid, &record.phase) else { return none("is not at work") };
        let rows = self.resources().await?;
        let Some(guest) = rows.iter().filter_map(Guest::of_row).find(|guest| guest.vmid == vmid) else {
            return none("is not there any more");
        };
        let config = self.see(&requests::config(&guest)).await?;
        if text(&config, "description").trim() != record.description() {
            return none("is not the guest that was made for it");
        }
        let Ok(digest) = ConfigDigest::parse(text(&config, "digest")) else {
            return none("has no digest");
        };
        Ok(Looked { guest, config, digest })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Size {
    team: InstanceName,
    #[schemars(range(min = 1, max = 512))]
    cores: Option<u32>,
    /// Memory, in MiB.
    #[schemars(range(min = 256))]
    memory_mib: Option<u32>,
}

pub(crate) struct TeamResize;

#[async_trait]
impl Effect for TeamResize {
    type Input = Size;

    fn spec() -> Spec {
        Spec::new("team_resize", Tier::Provision, "team.resize").described(
            "Give a team's machine another size",
            "Sets cores and memory of a team's machine. What can't be changed while it runs waits for its restart.",
        )
    }

    async fn ready(cluster: &Cluster, _: &Caller, input: &Size) -> Result<Ready, Fault> {
        let looked = cluster.machine_of(&input.team).await?;
        looked.sized(cluster, input.cores, input.memory_mib).await
    }
}

impl Decided for TeamResize {}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Upgrade {
    team: InstanceName,
    /// The snapshot that is made first.
    snapshot: SnapshotName,
}

pub(crate) struct TeamUpgrade;

#[async_trait]
impl Effect for TeamUpgrade {
    type Input = Upgrade;

    fn spec() -> Spec {
        Spec::new("team_upgrade", Tier::Provision, "team.upgrade")
            .described(
                "Bring another program into a team's machine",
                "Makes a snapshot of a team's machine, then brings the program and the configuration into it that are named \
                 now, and starts the instance anew.",
            )
            .within(COPY)
    }

    async fn ready(cluster: &Cluster, _: &Caller, input: &Upgrade) -> Result<Ready, Fault> {
        let looked = cluster.machine_of(&input.team).await?;
        let (guest, files) = (&looked.guest, files::of(cluster)?);
        if !guest.is_running() {
            return Err(Fault::failed(format!("{guest} does not run."), "Have a person start it."));
        }
        let mut requests =
            vec![requests::snapshot_create(guest, &input.snapshot, Some("before an upgrade"), false)];
        let written = files.all(None);
        requests.extend(written.iter().map(|(file, content)| requests::file_write(guest, file, content)));
        requests.push(requests::exec(guest, &files::argv(&input.team)));
        let steps = vec![
            format!("Make the snapshot {} of {guest}.", input.snapshot),
            format!("Bring the program{} and the configuration into it.", files.origin()),
            "Start the instance anew.".to_owned(),
        ];
        let more = format!("{} {}", input.snapshot, files.digest());
        let ready = looked.ready(&more, String::new(), requests);
        let undo = format!("snapshot_rollback {} {}", guest.vmid, input.snapshot);
        Ok(Ready { steps, runs_in: Some(guest.clone()), ..ready }.undone_by(undo))
    }
}

impl Decided for TeamUpgrade {}
