//! The two ends of a transport: bytes in, bytes out. HTTP, NATS and a process of its own carry the same bytes between them;
//! what these mean is settled on either side, and nobody between has to be trusted.
//!
//! Reports travel beside a signed [`Call::Ship`](crate::call::Call::Ship) and are acknowledged by its signed answer, after the
//! bot's commit. Orders come as signed envelopes, and are acknowledged by a call. All bytes are lines of JSON as
//! [`Signed::to_bytes`](crate::signed::Signed::to_bytes) makes them.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    call::{Card, Unheard},
    signed::Refused,
    v1::Ack,
};

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarryError {
    /// Nobody answers, or the way is broken: the same is tried again.
    #[error("{0}")]
    Away(String),
    /// The bot heard it and takes nothing of it.
    #[error("the bot refuses: {}", .0.refused)]
    Unheard(Unheard),
}

/// The instance's end of a transport.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// What the bot shows everybody.
    async fn card(&self) -> Result<Card, CarryError>;

    /// Carries a request to join that is sealed to the bot; gives the signed answer.
    async fn join(&self, sealed: String) -> Result<Vec<u8>, CarryError>;

    /// Carries a signed call and the signed reports beside it; gives the signed answer.
    async fn call(&self, call: Vec<u8>, reports: Vec<Vec<u8>>) -> Result<Vec<u8>, CarryError>;

    /// Carries a signed [`Call::Orders`](crate::call::Call::Orders) and gives signed orders as they come. Waits a while if there
    /// are none. `after` is what the call says. A transport that has a stream open goes on with it, and needs no call.
    async fn orders(&self, call: Vec<u8>, after: Ack) -> Result<Vec<Vec<u8>>, CarryError>;
}

/// The bot's end of a transport.
#[async_trait]
pub trait Gate: Send + Sync {
    /// What everybody may know of the bot.
    fn card(&self) -> Card;

    /// Takes a sealed request to join; gives the signed answer. A refusal is shown unsigned.
    async fn join(&self, sealed: &str) -> Result<Vec<u8>, Unheard>;

    /// Takes a signed call, and the signed reports beside it; gives the signed answer. A refusal is shown unsigned.
    async fn call(&self, call: &[u8], reports: &[Vec<u8>]) -> Result<Vec<u8>, Unheard>;

    /// Takes a signed [`Call::Orders`](crate::call::Call::Orders): from now on the instance's orders are asked for with
    /// [`Gate::orders`].
    async fn open(&self, call: &[u8]) -> Result<Reader, Unheard>;

    /// Signed orders after those the reader has, as many as may be under way, each with its place. Waits at most 20 seconds;
    /// none is no error. Nothing is acknowledged by it.
    async fn orders(&self, reader: &mut Reader) -> Result<Vec<(Ack, Vec<u8>)>, Unheard>;
}

/// Who reads orders, and up to where it was sent them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The instance.
    pub instance: String,
    /// The id of the key that asked: once that is revoked, nothing more is sent.
    pub key: String,
    /// The last order that it was sent.
    pub sent: Ack,
}

impl Unheard {
    /// From a reason, now.
    pub fn because(refused: &Refused) -> Self {
        Self { refused: refused.to_string(), now: Timestamp::now(), stale: false }
    }

    /// A failure of the bot's own: nothing was taken, and the same can be tried again.
    pub fn failed(problem: impl Into<String>) -> Self {
        Self { refused: problem.into(), now: Timestamp::now(), stale: false }
    }
}
