#![doc = include_str!("../README.md")]

mod calls;
mod config;
mod discord;
mod events;
mod hears;
mod pace;
mod pictures;
mod registry;
mod render;
mod replies;
pub mod setup;
mod slash;
mod surface;

pub use config::{ChannelIds, Config, People};
pub use discord::{Discord, DiscordError};
