//! Reading the configuration again while the fleet runs. A file that does not hold changes nothing.

use qd_config::{Loaded, Reload, Sources, reload};
use qd_hub::Hub;
use qd_team::Team;

use super::{Fleet, start};
use crate::context::{self, UserError};

/// The configuration in force, and what it is in force for.
pub struct Reloader {
    sources: Sources,
    loaded: Loaded,
    teams: Vec<Team>,
    hub: Option<Hub>,
}

impl Reloader {
    /// With the configuration that the fleet starts with.
    pub fn new(sources: Sources, loaded: Loaded) -> Self {
        Self { sources, loaded, teams: Vec::new(), hub: None }
    }

    /// What it is in force for.
    pub fn attach(&mut self, fleet: &Fleet) {
        self.teams.clone_from(&fleet.teams);
        self.hub = fleet.bot.as_ref().map(|bot| bot.hub.clone());
    }

    /// Reads the layers again and puts in force what can be put in force.
    pub async fn reload(&mut self) -> Result<Reload, UserError> {
        let loaded = context::load(&self.sources)?;
        let plan = context::plan(&loaded, &self.sources.env)?;
        let difference = reload(&self.loaded, &loaded);
        for team in &self.teams {
            if let Some(team_plan) = plan.teams.iter().find(|each| each.name == team.name()) {
                // What needs a restart stays as it is: prefix, state and remotes are the running team's own.
                team.adopt(start::options(&plan, team_plan));
            }
        }
        if let Some(hub) = &self.hub {
            hub.set_rules(start::rules(&plan)).await;
        }
        // Keys that wait for a restart are still told the next time.
        if difference.needs_restart.is_empty() {
            self.loaded = loaded;
        }
        Ok(difference)
    }
}
