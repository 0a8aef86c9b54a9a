#![doc = include_str!("../README.md")]

pub mod api;
pub mod cluster;
pub mod config;
mod destroy;
mod effect;
pub mod error;
pub mod https;
pub mod names;
mod operate;
mod provision;
mod read;
#[cfg(test)]
mod real;
pub mod request;
pub mod requests;
mod rights;
mod seen;
mod shape;
mod team;
mod undo;

use std::{path::PathBuf, sync::Arc};

use qd_guard::{CAREFUL, Server, ToolError};

pub use cluster::Cluster;
pub use config::{Config, ConfigError};
pub use team::hub::{Hub, Invitation, NoHub};

use effect::Doing;
use https::{Https, Transport};
use seen::Seeing;

impl Cluster {
    /// A cluster over HTTPS. It connects when it is first asked.
    pub fn connect(config: Config) -> Result<Self, ConfigError> {
        let https = Https::new(&config.authority(), config.authorization(), &config.trust);
        let https = https.map_err(|problem| ConfigError {
            variable: "PROXMOX_CA_FILE".to_owned(),
            problem: format!("or what the system trusts can't be used: {problem}"),
        })?;
        let https = https.with_tiers(config.authorizations());
        Ok(Self::over(config, Box::new(https)))
    }

    /// A cluster over another transport.
    pub fn over(config: Config, transport: Box<dyn Transport>) -> Self {
        Self { api: api::Api::new(transport), config, folder: None }
    }

    /// One that can't be asked: every tool says why.
    pub fn not_configured(why: ConfigError) -> Self {
        struct Nowhere(String);

        #[async_trait::async_trait]
        impl Transport for Nowhere {
            async fn send(&self, _: &request::Request) -> Result<https::Reply, error::PveError> {
                Err(error::PveError::NotConfigured(self.0.clone()))
            }
        }
        Self::over(Config::nowhere(), Box::new(Nowhere(why.to_string())))
    }

    /// With a folder of its own, where it keeps how changes are taken back and how far teams are.
    pub fn keeping(self, folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..self }
    }
}

/// The server of a cluster, under a name: each cluster is one of its own. Without `PROXMOX_ALLOW_ELEVATED` it only reads.
/// `hub` is where machines of teams join.
pub fn server(name: &str, cluster: Cluster, hub: Arc<dyn Hub>) -> Result<Server, ToolError> {
    let (elevated, runs) = (cluster.config.elevated, !cluster.config.programs.is_empty());
    let c = &Arc::new(cluster);
    let about = format!("Guests, disks, snapshots and backups of one Proxmox VE cluster. {CAREFUL}");
    let reads = Server::new(name.to_owned(), about)
        .look(Seeing::<read::ClusterOverview>::new(c))?
        .look(Seeing::<read::ListGuests>::new(c))?
        .look(Seeing::<read::GetGuest>::new(c))?
        .look(Seeing::<read::GuestIps>::new(c))?
        .look(Seeing::<read::ListSnapshots>::new(c))?
        .look(Seeing::<read::ListStorage>::new(c))?
        .look(Seeing::<read::ListBackups>::new(c))?
        .look(Seeing::<read::ListTemplates>::new(c))?
        .look(Seeing::<read::ListTasks>::new(c))?
        .look(Seeing::<read::TaskStatus>::new(c))?
        .look(Seeing::<read::TaskLog>::new(c))?
        .look(Seeing::<read::NodeStatus>::new(c))?
        .look(Seeing::<read::Metrics>::new(c))?
        .look(Seeing::<read::ListPools>::new(c))?
        .look(Seeing::<read::HaStatus>::new(c))?
        .look(Seeing::<read::FirewallRules>::new(c))?
        .look(Seeing::<rights::Whoami>::new(c))?
        .look(Seeing::<rights::Doctor>::new(c))?
        .look(Seeing::<undo::ListChanges>::new(c))?
        .look(Seeing::<team::ListTeams>::new(c))?
        .records()?;
    if !elevated {
        return Ok(reads);
    }
    let all = reads
        .change(Doing::<operate::Start>::new(c))?
        .change(Doing::<operate::Shutdown>::new(c))?
        .change(Doing::<operate::Stop>::new(c))?
        .change(Doing::<operate::Reboot>::new(c))?
        .change(Doing::<operate::Suspend>::new(c))?
        .change(Doing::<operate::Resume>::new(c))?
        .change(Doing::<operate::SnapshotCreate>::new(c))?
        .change(Doing::<operate::BackupCreate>::new(c))?
        .change(Doing::<operate::SetTags>::new(c))?
        .change(Doing::<operate::TaskCancel>::new(c))?
        .change(Doing::<operate::Migrate>::new(c))?
        .approved(Doing::<provision::CloneGuest>::new(c))?
        .approved(Doing::<provision::CreateVm>::new(c))?
        .approved(Doing::<provision::CreateContainer>::new(c))?
        .approved(Doing::<shape::ConfigureCloudInit>::new(c))?
        .approved(Doing::<shape::SetResources>::new(c))?
        .approved(Doing::<shape::GrowDisk>::new(c))?
        .approved(Doing::<shape::AddDisk>::new(c))?
        .approved(Doing::<shape::MoveDisk>::new(c))?
        .approved(Doing::<shape::AddNetwork>::new(c))?
        .approved(Doing::<shape::UpdateNetwork>::new(c))?
        .approved(Doing::<shape::ConvertToTemplate>::new(c))?
        .approved(Doing::<shape::GuestFileWrite>::new(c))?
        .approved(Doing::<destroy::GuestDelete>::new(c))?
        .approved(Doing::<destroy::SnapshotDelete>::new(c))?
        .approved(Doing::<destroy::SnapshotRollback>::new(c))?
        .approved(Doing::<destroy::BackupDelete>::new(c))?
        .approved(Doing::<destroy::Restore>::new(c))?
        .approved(Doing::<destroy::RemoveDisk>::new(c))?
        .approved(Doing::<destroy::RemoveNetwork>::new(c))?
        .approved(Doing::<undo::UndoChange>::new(c))?
        .approved(team::TeamCreate(team::Machines::new(c, &hub)))?
        .approved(team::TeamDestroy(team::Machines::new(c, &hub)))?
        .approved(Doing::<team::TeamResize>::new(c))?
        .approved(Doing::<team::TeamUpgrade>::new(c))?;
    if runs { all.approved(Doing::<shape::GuestExec>::new(c)) } else { Ok(all) }
}
