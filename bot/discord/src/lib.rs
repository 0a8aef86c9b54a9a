#![doc = include_str!("../README.md")]

mod calls;
mod config;
mod discord;
mod events;
mod hears;
mod registry;
mod render;
mod slash;
mod surface;

pub use config::{ChannelIds, Config, ConfigError, TokenSource};
pub use discord::{Discord, DiscordError};
