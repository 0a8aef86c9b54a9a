#![doc = include_str!("../README.md")]

mod change;
mod departure;
mod error;
mod export;
mod links;
mod lookup;
mod membership;
mod passphrase;
mod people;
mod person;
mod roles;
mod schema;
mod seed;
mod tokens;

pub use change::{By, Change, Host, HostError, What};
pub use departure::Departure;
pub use error::PeopleError;
pub use export::{Export, export};
pub use lookup::{SignedIn, by_identity, by_token, find, has_invitation, list};
pub use membership::{INVITATION_HOURS, Invitation};
pub use passphrase::{Attempt, LEAST_CHARACTERS, PassphraseHash, Proof};
pub use people::People;
pub use person::{Identity, IllegalState, Profile, Scope, State, StateEvent};
/// What every verb works on. Re-exported, so that a [`Host`] needs not name who reads the tables.
pub use rusqlite::Connection;
pub use schema::{SCHEMA, SCHEMA_SERVICES};
pub use seed::{Seed, Seeded};
pub use tokens::TokenKind;
