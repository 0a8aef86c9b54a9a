//! `mcp`: tool servers, behind the guard.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};

use qd_types::RepositoryName;

use super::Who;

/// What to do with tool servers.
#[derive(Debug, Subcommand)]
pub enum McpVerb {
    /// Serve the board's tools to the program that started this, over standard input and output
    Board(Alone),
    /// Serve the tools of the team's channels to the program that started this
    Discord(Alone),
    /// Serve the tools of a container engine to the program that started this
    Docker(Alone),
    /// Serve the tools of a repository on GitHub to the program that started this
    Github(Alone),
    /// Serve the tools of a Proxmox VE cluster, as PROXMOX_HOST and its like say, to the program that started this
    Proxmox {
        /// One of several clusters, by its name: the variables are PROXMOX_NAME_HOST and so on
        #[arg(long, value_name = "NAME", value_parser = cluster)]
        cluster: Option<String>,
        /// How it is served.
        #[command(flatten)]
        asked: Alone,
    },
    /// List the servers, and what each has
    List,
    /// Make a token for your own coding agent: it acts as you, and decides nothing
    Token {
        /// How many days it holds
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=366))]
        days: u16,
        /// For a service account of [mcp] services: it acts by its own name, on your behalf
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
        /// Who.
        #[command(flatten)]
        who: Who,
    },
    /// Put any other server behind the guard: of its tools those are served that a person trusted
    Guard(Box<Foreign>),
    /// Show which tool servers a repository names in its .mcp.json, and trust exactly that, with your passphrase
    Trust(Trust),
    /// Pass a server of a run on to the agent that started this
    #[command(hide = true)]
    Shim {
        /// The run's socket
        #[arg(long)]
        socket: PathBuf,
        /// Which server
        name: String,
    },
    /// List what the configuration files of coding agents would start, and put it behind the guard
    Scan {
        /// The file; left out, those that are known, in this folder and your home
        file: Option<PathBuf>,
        /// Rewrite it: each server is started through the guard. The file as it was is kept beside it
        #[arg(long, requires = "file")]
        write: bool,
    },
}

/// The name of one of several clusters.
pub(super) fn cluster(name: &str) -> Result<String, String> {
    let fits = qd_config::is_cluster(&format!("proxmox-{name}"));
    fits.then(|| name.to_owned()).ok_or_else(|| "use at most 20 small letters and digits".to_owned())
}

/// A server that comes with the program.
#[derive(Debug, Args)]
pub struct Alone {
    /// How clients reach it.
    #[command(flatten)]
    pub listening: Listening,
    /// Let the issuer be one of this computer or its own networks
    #[arg(long, requires = "issuer")]
    pub allow_private: bool,
}

/// What is to be trusted.
#[derive(Debug, Args)]
pub struct Trust {
    /// The repository; left out, the only one
    pub repository: Option<RepositoryName>,
    /// The tools of this server of [mcp.servers], instead of a repository's file
    #[arg(long, value_name = "NAME", conflicts_with = "repository")]
    pub server: Option<String>,
    /// Who trusts.
    #[command(flatten)]
    pub who: Who,
}

/// A server of somebody else.
#[derive(Debug, Args)]
pub struct Foreign {
    /// What it is called here: letters, digits, _ and -
    #[arg(long)]
    pub name: String,
    /// Show its tools, and trust them as they are now, with your passphrase
    #[arg(long, conflicts_with = "listen")]
    pub trust: bool,
    /// A file with tiers by the tools' names
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// A server on the network, by its address: https://…
    #[arg(long, value_name = "URL", conflicts_with_all = ["command", "env", "read", "write"])]
    pub url: Option<String>,
    /// Let the address be one of this computer or its own networks
    #[arg(long)]
    pub allow_private: bool,
    /// The variable of the environment that holds the server's token
    #[arg(long, value_name = "NAME", requires = "url")]
    pub bearer: Option<String>,
    /// A variable of the environment that it is given; it has PATH and a HOME of its own, and nothing else
    #[arg(long, value_name = "NAME")]
    pub env: Vec<String>,
    /// A folder or file that it may read where it would see nothing, besides those that its command line names
    #[arg(long, value_name = "PATH")]
    pub read: Vec<PathBuf>,
    /// A folder or file that it may write, besides its own
    #[arg(long, value_name = "PATH")]
    pub write: Vec<PathBuf>,
    /// How clients reach it.
    #[command(flatten)]
    pub listening: Listening,
    /// Who trusts.
    #[command(flatten)]
    pub who: Who,
    /// Its command line
    #[arg(last = true, required_unless_present = "url")]
    pub command: Vec<OsString>,
}

/// Over HTTP, for whoever has a token.
#[derive(Debug, Args)]
pub struct Listening {
    /// Serve over HTTP at this address of this computer, not over standard input and output
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The address by which clients know it, behind your own TLS: what tokens of an issuer have to be for
    #[arg(long, value_name = "URL", requires = "listen")]
    pub resource: Option<String>,
    /// Whose tokens count, too: an issuer of OAuth, by its address. People are linked to it with oidc:ISSUER#SUBJECT
    #[arg(long, value_name = "URL", requires = "resource")]
    pub issuer: Option<String>,
}
