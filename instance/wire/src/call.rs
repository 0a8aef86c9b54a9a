//! Calls: what an instance asks of the bot live. Each is a signed envelope, and so is its answer; neither is ever queued.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::v1::Ack;

/// What sealed credentials are for, as both sides name it.
pub const CREDENTIAL: &str = "quarterdeck credential";

/// What a sealed request to join is for, as both sides name it.
pub const JOIN: &str = "quarterdeck join";

/// How far a call's time may be from the bot's clock. One that is further is refused as a replay; the refusal says what time
/// it is, and the instance goes by that.
pub const FRESH: jiff::SignedDuration = jiff::SignedDuration::from_secs(120);

/// A call, told from every other by its nonce, which the answer repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asking {
    /// 16 random bytes as lower-case hex.
    pub nonce: String,
    /// What is asked.
    #[serde(flatten)]
    pub call: Call,
}

/// What an instance may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// Take these reports, which travel beside the call, or none. Answered with [`Said::Ack`].
    Ship,
    /// Send the orders after `after`, which are thereby acknowledged. Answered with orders.
    Orders {
        /// What the instance has.
        after: Ack,
    },
    /// Orders up to `ack` are kept. Answered with [`Said::Done`].
    Acknowledge {
        /// What the instance has.
        ack: Ack,
    },
    /// A credential, like the one to push with. Answered with [`Said::Sealed`].
    Credential {
        /// For which repository.
        repository: String,
    },
    /// The instance has another key from now on; the one that signs this counts beside it until the next change.
    /// Answered with [`Said::Done`].
    Rotate(NewKeys),
    /// An instance joins, with a token instead of an enrolled key. Answered with [`Said::Done`].
    Join {
        /// The secret of the one-time token.
        secret: String,
        /// Its keys. The first signs the call.
        keys: NewKeys,
    },
}

/// The keys of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewKeys {
    /// The Ed25519 key that signs, 32 bytes as lower-case hex.
    pub signing: String,
    /// The X25519 key that is sealed to, 32 bytes as lower-case hex.
    pub sealing: String,
    /// What the new key itself signed over the old one's id, as proof that the instance has it: 64 bytes as lower-case hex.
    /// Without an old one, the call is signed with the new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// The bot's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The call's.
    pub nonce: String,
    /// The bot's clock.
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub said: Said,
}

/// What the bot answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Said {
    /// Reports up to here are kept.
    Ack(Ack),
    /// It is done.
    Done,
    /// Sealed to the instance's key, as lower-case hex.
    Sealed {
        /// The bytes.
        sealed: String,
    },
    /// No, and why, for people.
    Refused {
        /// Why.
        reason: String,
    },
}

/// What the bot shows everybody, unsigned: whoever joins compares it with its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Card {
    /// The fleet.
    pub fleet: String,
    /// The version of the wire, like `1.0`.
    pub version: String,
    /// The Ed25519 key that the bot signs with, 32 bytes as lower-case hex.
    pub signing: String,
    /// The X25519 key that is sealed to, 32 bytes as lower-case hex.
    pub sealing: String,
    /// The bot's clock.
    #[schemars(with = "String")]
    pub now: Timestamp,
}

/// A refusal that comes without a signature, because the caller is not known or the call could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unheard {
    /// Why.
    pub refused: String,
    /// The bot's clock.
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// The call came from another time: the same again, by the bot's clock, is heard.
    #[serde(default)]
    pub stale: bool,
}
