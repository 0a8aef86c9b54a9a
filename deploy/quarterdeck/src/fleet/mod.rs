//! The composition root: which adapter stands behind which port, and what runs in this process. The only place that
//! sees both the bot and the instances; they still speak to each other in envelopes alone.

mod agents;
mod channels;
mod forges;
mod github;
mod link;
mod live;
mod plan;
mod policies;
mod push;
mod reload;
mod rules;
mod start;
mod told;
mod tools;
mod trail;

pub use agents::{AgentPlan, KnownAgent, words};
pub use channels::on_discord;
pub use link::nats;
pub use live::Live;
pub use plan::{AuditPlan, FleetPlan, GithubPlan, RepositoryPlan, TeamPlan, bot_folder, team_folder};
pub use reload::Reloader;
pub use start::{Bot, Fleet, Roles, on_github};
pub use told::TRUSTED;
