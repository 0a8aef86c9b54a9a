//! The servers that come with the program, from the configuration and what stands behind them here.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use qd_config::{Config, McpDockerScope};
use qd_guard::{Server, ToolError};
use qd_mcp_board::Desk;
use qd_mcp_discord::{Discord, DiscordError, OnDiscord};
use qd_mcp_github::{GitHub, GitHubError, OnGitHub};
use qd_mcp_proxmox::{Cluster, NoHub};
use qd_types::{InstanceName, RepositoryName};

use super::{chat::ConsoleChat, forge::EmbeddedForge, hub::FleetHub};

/// The server of the cluster that has no name of its own; of one with a name, what its server's name begins with.
pub const CLUSTER: &str = "proxmox";

/// What stands behind the servers.
#[derive(Clone)]
pub struct Behind {
    /// The board.
    pub desk: Arc<dyn Desk>,
    /// The embedded forge, if it runs in this process.
    pub forge: Option<EmbeddedForge>,
    /// GitHub, if repositories are there.
    pub github: Option<qd_github::GitHub>,
    /// Discord, if it is configured.
    pub discord: Option<qd_discord::Discord>,
    /// The embedded chat, if it runs in this process.
    pub chat: Option<ConsoleChat>,
    /// Whether the team runs apart from its bot, which alone has the way to forge and chat.
    pub apart: bool,
    /// The state folder, for servers that keep something of their own.
    pub state: Option<PathBuf>,
}

/// One of them; `None` if no server has that name. `repositories` are those in which the team works.
pub fn server(
    name: &str,
    config: &Config,
    repositories: &[RepositoryName],
    behind: &Behind,
) -> Option<Result<Server, ToolError>> {
    Some(match name {
        qd_mcp_board::NAME => qd_mcp_board::server(Arc::clone(&behind.desk)),
        "discord" => {
            let port: Arc<dyn Discord> = match (&behind.discord, &behind.chat) {
                (Some(discord), _) => Arc::new(OnDiscord(discord.clone())),
                (None, Some(chat)) => Arc::new(chat.clone()),
                (None, None) if behind.apart => Arc::new(qd_mcp_discord::Nowhere(DiscordError::Apart)),
                (None, None) => Arc::new(qd_mcp_discord::Nowhere(DiscordError::NotConfigured)),
            };
            qd_mcp_discord::server(discord(config), port)
        }
        "docker" => qd_mcp_docker::server(docker(config)),
        "github" => {
            let (section, here) = github(config, repositories);
            let there = section.repository.parse().ok();
            let there = behind.github.clone().filter(|github| {
                there.as_ref().is_some_and(|name: &RepositoryName| github.place(name).is_some())
            });
            let github: Result<Arc<dyn GitHub>, GitHubError> = match (there, &behind.forge) {
                (Some(github), _) => Ok(Arc::new(OnGitHub(github))),
                (None, Some(forge)) if here => Ok(Arc::new(forge.clone())),
                _ if behind.apart => Err(GitHubError::Apart),
                _ => Err(GitHubError::NotConfigured),
            };
            // A run asks for its own merge, and nobody else does.
            let no_train = github.as_ref().err().cloned().unwrap_or(GitHubError::RunsOnly);
            let train = Arc::new(qd_mcp_github::Nowhere(no_train));
            let github = github.unwrap_or_else(|why| Arc::new(qd_mcp_github::Nowhere(why)));
            qd_mcp_github::server(section, github, train)
        }
        name if qd_config::is_cluster(name) => {
            let cluster = cluster(name).and_then(Cluster::connect);
            let cluster = cluster.unwrap_or_else(Cluster::not_configured);
            match &behind.state {
                Some(state) => {
                    let cluster = cluster.keeping(state.join("proxmox").join(name));
                    qd_mcp_proxmox::server(name, cluster, Arc::new(FleetHub::new(state)))
                }
                None => qd_mcp_proxmox::server(name, cluster, Arc::new(NoHub)),
            }
        }
        _ => return None,
    })
}

/// What the environment says of a cluster, by its server's name: `PROXMOX_HOST` for `proxmox`, `PROXMOX_LAB_HOST` for
/// `proxmox-lab`.
pub fn cluster(name: &str) -> Result<qd_mcp_proxmox::Config, qd_mcp_proxmox::ConfigError> {
    let lab = name.split_once('-').map(|(_, cluster)| cluster);
    qd_mcp_proxmox::Config::of_cluster(lab, |variable| std::env::var(variable).ok())
}

/// Whether the environment names the cluster that has no name, rightly or not.
pub fn has_cluster() -> bool {
    clusters().contains(&None)
}

/// The clusters that the environment names, rightly or not, by their names: none is that of `PROXMOX_HOST`, and `lab` that of
/// `PROXMOX_LAB_HOST`.
pub fn clusters() -> BTreeSet<Option<String>> {
    let set = std::env::vars_os().filter(|(_, value)| !value.to_string_lossy().trim().is_empty());
    let names = set.filter_map(|(variable, _)| {
        let rest = variable.to_str()?.strip_prefix("PROXMOX_")?;
        let name = if rest == "HOST" { "" } else { rest.strip_suffix("_HOST")? }.to_ascii_lowercase();
        match name.as_str() {
            "" => Some(None),
            _ => qd_config::is_cluster(&format!("{CLUSTER}-{name}")).then_some(Some(name)),
        }
    });
    names.collect()
}

fn docker(config: &Config) -> qd_mcp_docker::Config {
    let section = &config.mcp.docker;
    qd_mcp_docker::Config {
        socket: section.socket.clone(),
        fleet: config.fleet.name.clone(),
        scope: match section.scope {
            McpDockerScope::Fleet => qd_mcp_docker::Scope::Fleet,
            McpDockerScope::Everything => qd_mcp_docker::Scope::Everything,
        },
        images: section.images.clone(),
        roots: section.roots.clone(),
        limits: qd_mcp_docker::Limits {
            memory_mib: section.limits.memory_mib,
            cpu_millis: section.limits.cpu_millis,
            pids: section.limits.pids,
        },
    }
}

/// The section, and whether the embedded forge has its repository. A team that works in one repository has that one.
fn github(config: &Config, repositories: &[RepositoryName]) -> (qd_mcp_github::Config, bool) {
    let section = |repository: &str| qd_mcp_github::Config {
        repository: repository.to_owned(),
        labels: Vec::new(),
        branches: "quarterdeck/".to_owned(),
    };
    match (&config.mcp.github, repositories) {
        (Some(named), _) => {
            let section = qd_mcp_github::Config {
                labels: named.labels.clone(),
                branches: named.branches.clone(),
                ..section(&named.repository)
            };
            (section, config.repositories.iter().any(|known| known.name.as_str() == named.repository))
        }
        (None, [only]) => (section(only.as_str()), true),
        (None, _) => (section(""), false),
    }
}

/// Without a channel of its own, a team has the fleet's: where it is told of the team, and of what went wrong.
fn discord(config: &Config) -> qd_mcp_discord::Config {
    let teams = config.teams.iter().flat_map(|team| {
        let named = config.mcp.discord.teams.get(&team.name);
        let (channel, reads) = match named {
            Some(named) => (named.channel.clone(), named.reads.clone()),
            None => ("dev".to_owned(), vec!["alerts".to_owned()]),
        };
        let channels = qd_mcp_discord::Team { id: team.id().clone(), channel, reads };
        // A team that was renamed is known by both.
        [(team.id().to_string(), channels.clone()), (team.name.to_string(), channels)]
    });
    qd_mcp_discord::Config { posts_per_minute: config.mcp.discord.posts_per_minute, teams: teams.collect() }
}

/// The repositories in which a team works.
pub fn repositories(config: &Config, team: &InstanceName) -> Vec<RepositoryName> {
    let named = config.teams.iter().find(|known| known.name == *team || known.id() == team);
    match named {
        Some(team) if !team.repositories.is_empty() => team.repositories.clone(),
        _ => config.repositories.iter().map(|repository| repository.name.clone()).collect(),
    }
}
