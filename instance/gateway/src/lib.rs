#![doc = include_str!("../README.md")]

mod answer;
mod body;
pub mod budget;
mod call;
pub mod event;
mod gateway;
mod headers;
pub mod meter;
pub mod money;
pub mod prices;
pub mod providers;
mod redact;
mod refusal;
pub mod route;
pub mod runs;
mod serve;
mod upstream;
pub mod usage;

pub use gateway::{Gateway, Rates, Settings, Setup};
pub use serve::{ServeError, bind_tcp, bind_unix};
