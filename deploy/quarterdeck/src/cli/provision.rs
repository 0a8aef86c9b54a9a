//! `provision`: machines of teams on Proxmox.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, Subcommand};
use qd_types::InstanceName;

use super::Who;

/// Machines of teams.
#[derive(Debug, Args)]
pub struct Provision {
    /// One of several clusters, by its name: the variables are PROXMOX_NAME_HOST and so on
    #[arg(long, global = true, value_name = "NAME", value_parser = super::mcp::cluster)]
    pub cluster: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub verb: ProvisionVerb,
}

/// What to do with machines of teams.
#[derive(Debug, Subcommand)]
pub enum ProvisionVerb {
    /// Invite a team to the fleet, and leave the invitation for its machine
    Invite {
        /// The team
        name: InstanceName,
        /// Who invites
        #[command(flatten)]
        who: Who,
    },
    /// Make a machine for a team that was invited, once people agreed; cut short, the same command goes on
    Create(Box<NewMachine>),
    /// Give a team's machine another size
    Resize {
        /// The team
        name: InstanceName,
        /// Cores
        #[arg(long)]
        cores: Option<u32>,
        /// Memory, in MiB
        #[arg(long, value_name = "MIB")]
        memory: Option<u32>,
    },
    /// Bring the program and the configuration that are named now into a team's machine, after a snapshot
    Upgrade {
        /// The team
        name: InstanceName,
        /// What the snapshot is called
        #[arg(long, default_value = "before-upgrade")]
        snapshot: String,
    },
    /// Shut a team's machine down and delete it, once people agreed
    Destroy {
        /// The team
        name: InstanceName,
        /// Keep a last backup on this storage
        #[arg(long, value_name = "STORAGE")]
        backup_to: Option<String>,
    },
    /// List machines of teams, and how far each is
    List,
}

/// A machine.
#[derive(Debug, Args)]
pub struct NewMachine {
    /// The team
    pub name: InstanceName,
    /// The template's number
    #[arg(long, value_name = "NUMBER")]
    pub template: u32,
    /// Its pool
    #[arg(long)]
    pub pool: Option<String>,
    /// Cores
    #[arg(long, default_value_t = 2)]
    pub cores: u32,
    /// Memory, in MiB
    #[arg(long, default_value_t = 4096, value_name = "MIB")]
    pub memory: u32,
    /// Size of the disk, in GiB; left out, the template's
    #[arg(long, value_name = "GIB")]
    pub disk: Option<u32>,
    /// Where a full clone's disks lie; left out, it lives on the template's
    #[arg(long)]
    pub storage: Option<String>,
    /// A file with public keys that may log in, one a line
    #[arg(long, value_name = "FILE")]
    pub ssh_keys: Option<PathBuf>,
    /// Its address with its network, as 10.0.0.5/24; left out, by DHCP
    #[arg(long)]
    pub address: Option<String>,
    /// The gateway
    #[arg(long)]
    pub gateway: Option<IpAddr>,
    /// Say what would happen, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}
