//! Calls: what an instance asks of the bot live. Each is a signed envelope, and so is its answer; neither is ever queued.

use std::{fmt, str::FromStr};

use ed25519_dalek::{Signature, VerifyingKey};
use jiff::Timestamp;
use qd_types::InstanceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use sha2::{Digest as _, Sha256};

use crate::{
    signed::{hex, key_id, unhex},
    v1::Ack,
};

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
        /// The X25519 key to seal to, as hex, of an instance that runs beside the bot and enrolled none. One that was enrolled
        /// counts before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sealing: Option<String>,
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

impl NewKeys {
    /// The bytes that the new key signs, as proof.
    pub fn proves(old: &str) -> String {
        format!("quarterdeck takes the place of key {old}")
    }

    /// Whether the new key signed that it takes the place of `old`.
    pub fn proven(&self, old: &[u8; 32]) -> bool {
        let holds = || {
            let signature = Signature::from_slice(&unhex(self.proof.as_deref()?)?).ok()?;
            let key = VerifyingKey::from_bytes(&self.public().ok()?.0).ok()?;
            key.verify_strict(Self::proves(&key_id(old)).as_bytes(), &signature).ok()
        };
        holds().is_some()
    }

    /// Both public keys.
    ///
    /// # Errors
    /// If one of them is none.
    pub fn public(&self) -> Result<([u8; 32], [u8; 32]), String> {
        let key = |name: &str, text: &str| {
            let bytes = unhex(text).and_then(|bytes| bytes.try_into().ok());
            bytes.ok_or_else(|| format!("the {name} key is not 32 bytes of hex"))
        };
        Ok((key("signing", &self.signing)?, key("sealing", &self.sealing)?))
    }
}

/// The keys of an instance, or of the bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewKeys {
    /// The Ed25519 key that signs, 32 bytes as lower-case hex.
    pub signing: String,
    /// The X25519 key that is sealed to, 32 bytes as lower-case hex.
    pub sealing: String,
    /// What the new key itself signed over the old one's id, as proof that whoever says this has it: 64 bytes as lower-case hex.
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
    /// The version of the wire.
    pub version: crate::v1::WireVersion,
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

/// What an owner hands to whoever sets up an instance: once, for fifteen minutes. It names the bot's keys, so that nobody on
/// the way can stand in for the bot.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Who may join with it.
    pub instance: InstanceName,
    /// 16 random bytes as lower-case hex; the bot keeps its hash.
    pub secret: String,
    /// See [`keys_of`].
    pub bot: String,
}

/// The beginning of SHA-256 over both public keys, 32 hex digits: what tells a bot from everybody else.
pub fn keys_of(signing: &[u8; 32], sealing: &[u8; 32]) -> String {
    hex(&Sha256::digest([*signing, *sealing].concat())).chars().take(32).collect()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("instance", &self.instance)
            .field("bot", &self.bot)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.instance, self.secret, self.bot)
    }
}

impl FromStr for Token {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "that is no token: it has to be what quarterdeck bot invite printed, as a whole".to_owned();
        let hex = |text: &&str| text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let (rest, bot) = text.trim().rsplit_once('.').ok_or_else(wrong)?;
        let (instance, secret) = rest.rsplit_once('.').ok_or_else(wrong)?;
        let [secret, bot] = [secret, bot].map(|part| Some(part).filter(hex).map(str::to_owned));
        Ok(Self {
            instance: instance.parse().map_err(|_| wrong())?,
            secret: secret.ok_or_else(wrong)?,
            bot: bot.ok_or_else(wrong)?,
        })
    }
}
