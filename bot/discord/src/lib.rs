#![doc = include_str!("../README.md")]

mod calls;
mod config;
mod discord;
mod events;
mod files;
mod hears;
#[cfg(test)]
mod limited;
mod pace;
mod pictures;
mod registry;
mod render;
mod rooms;
pub mod setup;
mod slash;
mod surface;
mod talk;
mod threads;

pub use config::{ChannelIds, Config, Guild, People, Threads};
pub use discord::{Discord, DiscordError};
pub use rooms::{Answered, Room, RoomError, Words, Written};
