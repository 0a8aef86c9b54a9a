#![doc = include_str!("../README.md")]

pub mod app;
pub mod client;
pub mod config;
mod forge;
mod known;
mod mark;
mod mirror;
mod pace;
pub mod protection;
pub mod reconcile;
pub mod rest;
pub mod setup;
pub mod webhook;

pub use app::{App, Bearer, Login, Scope};
pub use client::{CallError, Client};
pub use config::{Config, ConfigError, Place};
pub use forge::{GitHub, PushCredential};
