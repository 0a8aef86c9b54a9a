#![doc = include_str!("../README.md")]

mod archive;
mod chain;
mod entry;
mod error;
mod file;
mod hash;
mod head;
mod known;
mod names;
mod offline;
mod rows;
mod schema;
mod show;
mod text;
mod verify;
mod walk;

pub use archive::{Archived, Retention, archive};
pub use chain::{append, begin, head};
pub use entry::{About, Actor, Entry, Kind, MAX_PAYLOAD};
pub use error::AuditError;
pub use file::{export, verify_file};
pub use hash::RowHash;
pub use head::{Countersignature, Head, Signer, keep, sign, signatures, witness, witnessed};
pub use known::{enrol, signers};
pub use names::{Pseudonym, erase, name_of, pseudonym};
pub use offline::{ChainFile, segments_beside};
pub use rows::Row;
pub use schema::{SCHEMA, WITNESSES};
pub use show::{Of, Story, Told, outline, select, timeline, told};
pub use verify::{Report, verify};
pub use walk::{Damage, Fault};
