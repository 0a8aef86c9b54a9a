#![doc = include_str!("../README.md")]

mod check;
pub mod detect;
mod error;
mod layers;
mod reload;
mod secret;
mod sections;
mod show;
mod template;
mod unknown;

pub use error::{ConfigError, Problem};
pub use layers::{Loaded, Origin, Sources, load};
pub use reload::{Reload, reload};
pub use secret::{Secret, SecretError};
pub use sections::*;
pub use show::{ShowRow, show};
pub use template::{InitFacts, template};
pub use unknown::schema;
