//! The servers that come with the program, each alone: `quarterdeck mcp <name>`.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use qd_api::{Client, Target};
use qd_config::{BUILT_IN, Config, Loaded, Mcp};
use qd_engine::KnownTool;
use qd_guard::{Caller, Fault, Server, ToolError, Who};
use qd_mcp_board::{Desk, Voice};
use qd_types::{InstanceName, Tier};

use super::alone::{Called, Home};
use crate::{
    cli::{Alone, Common},
    context::{self, UserError},
    fleet::{self, FleetPlan, team_folder},
    people::{Roster, voucher::Vouching},
    policies::PolicyPlan,
    say,
    servers::built_in::{self, Behind},
    verbs::Done,
};

/// Makes one for whoever uses it alone; `None` if no server has that name. Neither the embedded forge nor the embedded chat
/// is behind it: they belong to the fleet that runs.
fn make(name: &str, config: &Config, reach: &Reach) -> Option<Result<Server, ToolError>> {
    let team = reach.teams.first().map(|(name, _)| name);
    let repositories = team.map(|team| built_in::repositories(config, team)).unwrap_or_default();
    let state = reach.loaded.as_ref().map(|loaded| loaded.state_dir.clone());
    let github = if name == "github" { reach.loaded.as_deref().and_then(on_github) } else { None };
    let discord = reach.discord.clone().filter(|_| name == "discord");
    let desk = Arc::new(reach.clone());
    let behind = Behind { desk, forge: None, github, discord, chat: None, apart: false, state };
    built_in::server(name, config, &repositories, &behind)
}

/// The plan of the fleet, as whoever uses a server alone has it.
fn plan(loaded: &Loaded) -> Result<FleetPlan, String> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let env: BTreeMap<String, String> = std::env::vars_os().filter_map(text).collect();
    context::plan(loaded, &env).map_err(|error| error.to_string())
}

/// GitHub, if the configuration has repositories there, and something to be there as.
fn on_github(loaded: &Loaded) -> Option<qd_github::GitHub> {
    loaded.config.github.as_ref()?;
    let github = plan(loaded).and_then(|plan| fleet::on_github(&plan).map_err(|error| error.to_string()));
    github
        .inspect_err(|error| tracing::warn!(error, "GitHub is configured, and not to be had here"))
        .ok()
        .flatten()
}

/// Discord, if the configuration has it: said by the fleet's bot, heard by nobody here.
async fn on_discord(loaded: &Loaded) -> Option<qd_discord::Discord> {
    loaded.config.discord.as_ref()?;
    let discord = match plan(loaded) {
        Ok(plan) => Roster::beside(&loaded.state_dir)
            .await
            .map(|roster| fleet::on_discord(&plan, &roster))
            .map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    discord
        .inspect_err(|error| tracing::warn!(error, "Discord is configured, and not to be had here"))
        .ok()
        .flatten()
}

/// What a server used alone can reach.
#[derive(Clone, Default)]
struct Reach {
    /// The teams' sockets.
    teams: Vec<(InstanceName, PathBuf)>,
    /// What policies are in force by, once somebody reads them.
    loaded: Option<Arc<Loaded>>,
    /// Discord, for its server.
    discord: Option<qd_discord::Discord>,
    /// Who asks there; left out, the person at this computer.
    token: Option<String>,
    /// Has each call be its caller's own: without a token, and where people agreed to what a service account asked for.
    vouching: Option<Arc<Vouching>>,
}

impl Reach {
    fn of(loaded: &Loaded, token: Option<String>) -> Self {
        let socket = |id: &InstanceName| team_folder(&loaded.state_dir, id).join("api.sock");
        let teams = loaded.config.teams.iter().map(|team| (team.name.clone(), socket(team.id())));
        let (teams, loaded) = (teams.collect(), Some(Arc::new(loaded.clone())));
        Self { teams, loaded, token, ..Self::default() }
    }

    /// What is shown to a team in the name of a caller; none for the person at this computer.
    fn shown(&self, caller: &Caller, voice: Voice) -> Result<Option<String>, Fault> {
        let granted = voice == Voice::Granted && matches!(caller.who, Who::Service { .. });
        let vouching = match &self.vouching {
            Some(vouching) if granted || self.token.is_none() => vouching,
            _ => return Ok(self.token.clone()),
        };
        let (person, service) = match &caller.who {
            Who::Person { person, .. } => (Some(&person.id), None),
            Who::Service { name, on_behalf, .. } => (on_behalf.first(), Some(name.as_str())),
            Who::Agent { .. } => (None, None),
        };
        let no = |why: String| Fault::failed(why, "Use quarterdeck mcp board in the run itself.");
        let person = person.ok_or_else(|| no(format!("Nobody stands behind {caller} here.")))?;
        let voucher = vouching.of(person, service.filter(|_| !granted), Timestamp::now());
        voucher.map(Some).map_err(|error| no(format!("{caller} can't be vouched for: {error}.")))
    }
}

impl Desk for Reach {
    fn teams(&self) -> Vec<InstanceName> {
        self.teams.iter().map(|(name, _)| name.clone()).collect()
    }

    fn client(&self, caller: &Caller, team: &InstanceName, voice: Voice) -> Result<Client, Fault> {
        let Some((name, socket)) = self.teams.iter().find(|(name, _)| name == team) else {
            return Err(Fault::failed(
                format!("There is no team {team} in this configuration."),
                "A person starts this server in the folder of quarterdeck.toml, or with --config FILE.",
            ));
        };
        let shown = self.shown(caller, voice)?;
        Ok(Client::new(Target::Socket(socket.clone()), name.as_str(), shown))
    }

    fn policies(&self, _: &Caller) -> Result<String, Fault> {
        let wrong = |why: String| Fault::failed(why, "A person looks at it with: quarterdeck policy check.");
        let Some(loaded) = &self.loaded else { return Err(wrong("No policies are known here.".to_owned())) };
        let policies = PolicyPlan::of(loaded).engine().map_err(|error| wrong(error.to_string()))?;
        Ok(policies.current().bundle().matrix().table())
    }
}

/// Whether a server of that name comes with the program.
pub(super) fn is_one(name: &str) -> bool {
    qd_config::is_built_in(name)
}

/// The tools of all of them that runs may get, as policies have to know them.
pub(crate) fn known_tools(mcp: &Mcp) -> Vec<KnownTool> {
    let (nowhere, config) = (Reach::default(), Config::default());
    let mut names = mcp.built_in();
    let cluster = || built_in::CLUSTER.to_owned();
    if built_in::has_cluster() && !names.contains(&cluster()) {
        // Machines are ordered in chat, whether or not agents have the server.
        names.push(cluster());
    }
    let made = names.iter().filter_map(|name| match make(name, &config, &nowhere)? {
        Ok(server) => Some(server.known_tools()),
        Err(error) => {
            tracing::error!(%error, name, "a tool server is not known to the policies");
            None
        }
    });
    made.flatten().collect()
}

/// Serves one of them. Over HTTP each call is its caller's: neither the token of whoever starts it nor their place at this
/// computer stands for anybody else.
pub(super) async fn serve(common: &Common, name: &str, asked: Alone) -> Done {
    if qd_config::is_cluster(name) {
        // Which cluster, and by which token, is never taken for granted.
        built_in::cluster(name).map_err(|error| UserError::usage(error.to_string()))?;
    }
    let home = Home::open(common).await?;
    let over_http = asked.listening.listen.is_some();
    let mut reach = Reach::of(&home.loaded, home.token.clone().filter(|_| !over_http));
    if over_http || home.service.is_some() {
        let vouching = Vouching::open(&home.loaded.state_dir);
        reach.vouching = Some(Arc::new(vouching.map_err(|error| UserError::from_error(&error))?));
    }
    if name == "discord" {
        reach.discord = on_discord(&home.loaded).await;
    }
    let made = make(name, &home.loaded.config, &reach);
    let made = made.ok_or_else(|| UserError::usage(format!("there is no server {name}")))?;
    let server = made.map_err(|error| UserError::from_error(&error))?;
    if over_http {
        let (listening, private) = (&asked.listening, asked.allow_private);
        return Box::pin(home.listen(common, name, server, listening, private)).await;
    }
    Box::pin(home.serve(common, name, server)).await
}

/// The guard over one of them, for a command that calls its tools as the person at this computer.
pub(crate) async fn alone_with(common: &Common, name: &str) -> Result<Called, UserError> {
    if qd_config::is_cluster(name) {
        built_in::cluster(name).map_err(|error| UserError::usage(error.to_string()))?;
    }
    let home = Home::open(common).await?;
    let reach = Reach::of(&home.loaded, home.token.clone());
    let made = make(name, &home.loaded.config, &reach);
    let made = made.ok_or_else(|| UserError::usage(format!("there is no server {name}")))?;
    home.called(name, made.map_err(|error| UserError::from_error(&error))?).await
}

/// Lists them all, with their tools by tier.
pub(super) fn list(common: &Common) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    let reach = Reach::of(&loaded, None);
    let mut rows = Vec::new();
    for name in BUILT_IN {
        let Some(made) = make(name, &loaded.config, &reach) else { continue };
        let tools = made.map_err(|error| UserError::from_error(&error))?.known_tools();
        let tiers: Vec<(Tier, Vec<String>)> = Tier::ALL
            .into_iter()
            .map(|tier| {
                let of = tools.iter().filter(|tool| tool.tier == tier).map(|tool| tool.name.clone());
                (tier, of.collect::<Vec<_>>())
            })
            .filter(|(_, names)| !names.is_empty())
            .collect();
        rows.push((name, tiers));
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
