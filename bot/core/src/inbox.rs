//! The port Inbox: what a forge delivers is kept before it is answered, and worked off afterwards, in order and once. The hub
//! implements it; an adapter of a forge with a webhook calls it.

use async_trait::async_trait;

use crate::outside::Outside;

/// One delivery, as it came. It was proven to come from the forge before it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Unique at the forge: the same again is the same delivery.
    pub id: String,
    /// What it is about, in the forge's word: `issue_comment`.
    pub kind: String,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// What became of a delivery that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is on disk.
    New,
    /// It was there before.
    Again,
}

/// A delivery that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the order.
    pub place: i64,
    /// How often it was begun before.
    pub attempts: u32,
    /// The delivery.
    pub delivery: Delivery,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was worked off.
    Done,
    /// Nothing is made of what it says. Its bytes stay for a while.
    Ignored,
    /// It could not be worked off, so often that it is left. What it was about is found by reconciling.
    Left,
}

/// Something that happened outside, told once.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// The same key again is the same news, whichever way it came. Without one, telling it twice does no harm.
    pub key: Option<String>,
    /// What.
    pub what: Outside,
}

/// Why a delivery was not taken, or not settled.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// There is no place.
    #[error(
        "{waiting} deliveries wait already, and no more than {most} fit: the forge delivers this one again later"
    )]
    Full {
        /// How many wait.
        waiting: u64,
        /// How many fit.
        most: u64,
    },
    /// The database.
    #[error("the inbox can't be written: {0}")]
    Broken(String),
}

/// Where deliveries lie until they are worked off.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Keeps a delivery. When this returns it is on disk.
    async fn take(&self, delivery: Delivery) -> Result<Taken, InboxError>;

    /// The oldest delivery that waits, its attempt counted. Waits until there is one.
    async fn next(&self) -> Result<Waiting, InboxError>;

    /// Settles a delivery and tells the core what it means, in one transaction: all of it, once, or nothing. `became` says in
    /// a few words what became of it.
    async fn settle(
        &self,
        place: i64,
        settled: Settled,
        became: &str,
        news: Vec<News>,
    ) -> Result<(), InboxError>;

    /// Tells the core something that no delivery told.
    async fn tell(&self, news: Vec<News>) -> Result<(), InboxError>;

    /// Keeps a word of the adapter's own under a key, over restarts: where it has read to.
    async fn note(&self, key: &str, value: &str) -> Result<(), InboxError>;

    /// What was kept under a key.
    async fn noted(&self, key: &str) -> Result<Option<String>, InboxError>;
}
