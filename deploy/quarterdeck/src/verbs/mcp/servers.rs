//! The servers that come with the program. One line each in [`SERVERS`].

use std::{path::PathBuf, sync::Arc};

use qd_api::{Client, Target};
use qd_engine::KnownTool;
use qd_guard::{Caller, Fault, Server, ToolError};
use qd_mcp_board::{Desk, Voice};
use qd_types::{InstanceName, Tier};

use super::alone::Home;
use crate::{
    cli::Common,
    context::{self, UserError},
    fleet::team_folder,
    say,
    verbs::Done,
};

/// How a server is made for whoever uses it alone.
type Make = fn(&Reach) -> Result<Server, ToolError>;

/// By its name: `quarterdeck mcp <name>`. A further server is a line here, and its verb in `cli/mcp.rs`.
const SERVERS: &[(&str, Make)] =
    &[(qd_mcp_board::NAME, |reach| qd_mcp_board::server(Arc::new(reach.clone())))];

/// What a server used alone can reach.
#[derive(Debug, Clone, Default)]
struct Reach {
    /// The teams' sockets.
    teams: Vec<(InstanceName, PathBuf)>,
    /// Who asks there; left out, the person at this computer.
    token: Option<String>,
}

impl Reach {
    fn of(loaded: &qd_config::Loaded, token: Option<String>) -> Self {
        let socket = |id: &InstanceName| team_folder(&loaded.state_dir, id).join("api.sock");
        let teams = loaded.config.teams.iter().map(|team| (team.name.clone(), socket(team.id())));
        Self { teams: teams.collect(), token }
    }
}

impl Desk for Reach {
    fn teams(&self) -> Vec<InstanceName> {
        self.teams.iter().map(|(name, _)| name.clone()).collect()
    }

    fn client(&self, _: &Caller, team: &InstanceName, _: Voice) -> Result<Client, Fault> {
        let Some((name, socket)) = self.teams.iter().find(|(name, _)| name == team) else {
            return Err(Fault::failed(
                format!("There is no team {team} in this configuration."),
                "A person starts this server in the folder of quarterdeck.toml, or with --config FILE.",
            ));
        };
        Ok(Client::new(Target::Socket(socket.clone()), name.as_str(), self.token.clone()))
    }
}

/// Whether a server of that name comes with the program.
pub(super) fn is_one(name: &str) -> bool {
    SERVERS.iter().any(|(known, _)| *known == name)
}

/// The tools of all of them, as policies have to know them.
pub(crate) fn known_tools() -> Vec<KnownTool> {
    let nowhere = Reach::default();
    let made = SERVERS.iter().filter_map(|(name, make)| match make(&nowhere) {
        Ok(server) => Some(server.known_tools()),
        Err(error) => {
            tracing::error!(%error, name, "a tool server is not known to the policies");
            None
        }
    });
    made.flatten().collect()
}

/// Serves one of them.
pub(super) async fn serve(common: &Common, name: &str) -> Done {
    let home = Home::open(common).await?;
    let reach = Reach::of(&home.loaded, home.token.clone());
    let made = SERVERS.iter().find(|(known, _)| *known == name).map(|(_, make)| make(&reach));
    let made = made.ok_or_else(|| UserError::usage(format!("there is no server {name}")))?;
    home.serve(name, made.map_err(|error| UserError::from_error(&error))?).await
}

/// Lists them all, with their tools by tier.
pub(super) fn list(common: &Common) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    let reach = Reach::of(&loaded, None);
    let mut rows = Vec::new();
    for (name, make) in SERVERS {
        let tools = make(&reach).map_err(|error| UserError::from_error(&error))?.known_tools();
        let tiers: Vec<(Tier, Vec<String>)> = Tier::ALL
            .into_iter()
            .map(|tier| {
                let of = tools.iter().filter(|tool| tool.tier == tier).map(|tool| tool.name.clone());
                (tier, of.collect::<Vec<_>>())
            })
            .filter(|(_, names)| !names.is_empty())
            .collect();
        rows.push((*name, tiers));
    }
    if common.json {
        let row = |(name, tiers): &(&str, Vec<(Tier, Vec<String>)>)| {
            let tiers: serde_json::Map<String, serde_json::Value> =
                tiers.iter().map(|(tier, names)| (tier.as_str().to_owned(), names.clone().into())).collect();
            serde_json::json!({ "name": name, "tools": tiers })
        };
        say::json(&rows.iter().map(row).collect::<Vec<_>>());
        return Ok(());
    }
    for (name, tiers) in rows {
        say::line(&format!("{name}  quarterdeck mcp {name}"));
        for (tier, names) in tiers {
            say::line(&format!("  {:<9} {}", tier.as_str(), names.join(", ")));
        }
    }
    Ok(())
}
