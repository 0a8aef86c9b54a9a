//! Reading the configuration again while the fleet runs. A file that does not hold changes nothing.

use std::sync::Arc;

use qd_config::{Loaded, Reload, Sources, reload};
use qd_engine::{Principal, Refusal, Request, Resource};
use qd_types::{Person, Verb};

use super::{Fleet, live::Live};
use crate::context::{self, UserError};

/// The configuration in force, and what it is in force for.
pub struct Reloader {
    sources: Sources,
    loaded: Loaded,
    live: Option<Arc<Live>>,
}

impl Reloader {
    /// With the configuration that the fleet starts with.
    pub fn new(sources: Sources, loaded: Loaded) -> Self {
        Self { sources, loaded, live: None }
    }

    /// What it is in force for.
    pub fn attach(&mut self, fleet: &Fleet) {
        self.live = Some(fleet.live());
    }

    /// Nothing if the policies let this person have the configuration read again; else why not.
    pub fn permit(&self, person: &Person) -> Result<(), Refusal> {
        let principal = Principal::Person(person.clone());
        let request = Request::new(principal, Verb::ConfigReload, Resource::Fleet);
        self.live.as_ref().map_or(Ok(()), |live| live.policies().permit(&request))
    }

    /// Reads the layers again and puts in force what can be put in force. With what changed comes what of it waits for people,
    /// because it may widen rights.
    pub async fn reload(&mut self) -> Result<(Reload, Vec<String>), UserError> {
        let loaded = context::load(&self.sources)?;
        let plan = context::plan(&loaded, &self.sources.env)?;
        let difference = reload(&self.loaded, &loaded);
        let mut waits = Vec::new();
        if let Some(live) = &self.live {
            waits = live.apply(&plan).await.map_err(|error| UserError::from_error(&error))?;
        }
        // Keys that wait for a restart are still told the next time.
        if difference.needs_restart.is_empty() {
            self.loaded = loaded;
        }
        Ok((difference, waits))
    }
}
