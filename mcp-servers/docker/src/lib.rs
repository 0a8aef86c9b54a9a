#![doc = include_str!("../README.md")]

mod config;
mod engine;
mod inspect;
mod lists;
mod mounts;
mod names;
mod operate;
mod pull;
#[cfg(test)]
mod real;
mod remove;
mod run;
mod secrets;
mod state;
mod walls;
mod watch;

use std::sync::Arc;

use qd_guard::{CAREFUL, Server, ToolError};

pub use config::{Config, Limits, Scope};

use engine::Engine;

/// The label that says whose a container is: `quarterdeck.fleet=<fleet>`.
pub const FLEET: &str = "quarterdeck.fleet";

/// The label that says for which team a container runs.
pub const TEAM: &str = "quarterdeck.team";

/// The label that says which approval a container was made on.
pub const APPROVAL: &str = "quarterdeck.approval";

/// The server, over the engine of this configuration. It connects when it is first called.
pub fn server(config: Config) -> Result<Server, ToolError> {
    let engine = Arc::new(Engine::new(config));
    Server::new("docker", format!("Containers, images, networks and volumes of one engine. {CAREFUL}"))
        .look(lists::Containers(engine.clone()))?
        .look(lists::Images(engine.clone()))?
        .look(lists::Networks(engine.clone()))?
        .look(lists::Volumes(engine.clone()))?
        .look(inspect::Inspect(engine.clone()))?
        .look(watch::Logs(engine.clone()))?
        .look(watch::Stats(engine.clone()))?
        .look(watch::Events(engine.clone()))?
        .change(operate::Start(engine.clone()))?
        .change(operate::Stop(engine.clone()))?
        .change(operate::Restart(engine.clone()))?
        .approved(pull::Pull(engine.clone()))?
        .approved(run::Run(engine.clone()))?
        .approved(remove::Remove(engine.clone()))?
        .approved(remove::RemoveImage(engine.clone()))?
        .approved(remove::Prune(engine))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_schema_is_one() {
        super::server(super::Config::default()).unwrap().verify().unwrap();
    }
}
