#![doc = include_str!("../README.md")]

pub mod bot;
pub mod chance;
pub mod disk;
pub mod faults;
pub mod forge;
pub mod invariants;
pub mod network;
pub mod process;
pub mod story;
pub mod team;
pub mod trace;
pub mod world;

use std::fmt;

pub use world::{Fleet, run};

/// What must not be: an invariant does not hold, or the product says that something is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

macro_rules! broken {
    ($($error:ty),*) => {
        $(impl From<$error> for Broken {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        })*
    };
}

broken!(
    rusqlite::Error,
    qd_sqlite::DbError,
    qd_hub::HubError,
    qd_store::StoreError,
    qd_engine::BundleError,
    qd_engine::PoliciesError,
    serde_json::Error,
    jiff::Error
);
