#![doc = include_str!("../README.md")]

mod ask;
mod cards;
pub mod clock;
pub mod confirm;
mod continuation;
mod decide;
pub mod difference;
mod directory;
mod effects;
mod error;
mod exposure;
pub mod face;
pub mod inert;
mod keyfile;
mod life;
mod plan;
pub mod question;
mod reopen;
mod rows;
mod schema;
mod spend;
mod surface;
mod sweep;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod trail;
mod vote;

pub use ask::{Ask, AskRefusal, Asked, Terms};
pub use cards::{Card, CardOrder, Place, Undelivered};
pub use continuation::{Answer, Resumption};
pub use decide::{Cast, VoteRefusal};
pub use difference::Difference;
pub use directory::{Directory, Key, KeyId, KeyOwner, Known};
pub use effects::{Effect, EffectState, Outcome, Probe};
pub use error::ApprovalError;
pub use exposure::{Exposed, Exposure};
pub use keyfile::{KeyFileError, secret_file};
pub use life::{Approvals, DENIALS_PER_RUN, Executor, OPEN_PER_RUN, Rules};
pub use reopen::{Asker, ReopenRefusal, Reopened};
pub use rows::Record;
pub use schema::{SCHEMA, SCHEMA_TERMS};
pub use spend::{Authorised, SpendRefusal, Spending, WHOLE, authorise};
pub use surface::{CardSurface, SurfaceError};
pub use sweep::Swept;
pub use vote::{PAYLOAD_TYPE, Proof, SignedVote, Statement, SurfaceKey};

/// Bytes as lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
