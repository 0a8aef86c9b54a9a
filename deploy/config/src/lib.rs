#![doc = include_str!("../README.md")]

mod check;
pub mod detect;
mod error;
mod file;
mod gateway;
mod layers;
mod origin;
mod reload;
mod secret;
mod sections;
mod show;
mod state;
mod template;
mod values;

pub use error::{ConfigError, Problem};
pub use gateway::{Budgets, Fallback, Gateway, Limit, Provider, ProviderKind};
pub use layers::{Loaded, Sources, load};
pub use origin::Origin;
pub use reload::{Reload, reload};
pub use secret::{Secret, SecretError};
pub use sections::*;
pub use show::{ShowRow, show};
pub use template::{InitFacts, template};
pub use values::schema;
