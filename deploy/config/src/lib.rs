#![doc = include_str!("../README.md")]

mod chat;
mod check;
pub mod detect;
mod discord;
mod error;
mod file;
mod gateway;
mod github;
mod hub;
mod layers;
mod mcp;
mod origin;
mod reload;
mod secret;
mod sections;
mod show;
mod state;
mod template;
mod uplink;
mod values;

pub use chat::{Chat, ChatBudget, ChatChannel, ChatDigests, ChatForm, ChatRisks, ChatRule};
pub use discord::{
    Discord, DiscordChannels, DiscordGuild, DiscordRoles, DiscordThreads, NoSnowflake, Snowflake,
};
pub use error::{ConfigError, Problem};
pub use gateway::{Budgets, Fallback, Gateway, Limit, Provider, ProviderKind};
pub use github::{Github, Level};
pub use hub::Hub;
pub use layers::{Loaded, Sources, load};
pub use mcp::{
    BUILT_IN, Mcp, McpChannel, McpDiscord, McpDocker, McpDockerLimits, McpDockerScope, McpGithub, McpLimits,
    McpServer, folded, is_built_in, is_cluster, no_name,
};
pub use origin::Origin;
pub use reload::{Reload, reload};
pub use secret::{Secret, SecretError};
pub use sections::*;
pub use show::{ShowRow, show};
pub use template::{InitFacts, template};
pub use uplink::Uplink;
pub use values::schema;
