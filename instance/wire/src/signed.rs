//! Envelopes as they travel: a header and the exact payload, signed together in the manner of DSSE. Nothing is serialised again
//! to verify them, so what a newer sender adds to either survives, and whoever carries them need not be trusted.

use std::{fmt::Write as _, str::FromStr as _};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::v1::{WIRE, WireVersion};

/// What the signed bytes are. Part of what is signed: the key that signs votes signs envelopes, too, and neither can be
/// taken for the other.
pub const TYPE: &str = "application/vnd.quarterdeck.envelope+json";

/// The name of the bot as a sender and a recipient. No instance has it.
pub const BOT: &str = "bot";

/// The largest envelope that is looked at, in bytes.
pub const LARGEST: usize = 4 * 1024 * 1024;

/// What an envelope is for. One is never taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A [`Report`](crate::v1::Report), up.
    Report,
    /// An [`Order`](crate::v1::Order), down.
    Order,
    /// A [`Call`](crate::call::Call) of an instance, answered live.
    Call,
    /// The [`Answer`](crate::call::Answer) to it.
    Answer,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Order => "order",
            Self::Call => "call",
            Self::Answer => "answer",
        }
    }
}

/// What an envelope says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// The sender's version.
    pub version: WireVersion,
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The name of the fleet.
    pub fleet: String,
    /// Who says it: `bot`, or an instance's id.
    pub from: String,
    /// To whom.
    pub to: String,
    /// Which of the sender's keys: SHA-256 of its public half, as lower-case hex.
    pub key: String,
    /// The sender's epoch; 0 in calls and answers.
    pub epoch: u64,
    /// Its number in that epoch, from 1; 0 in calls and answers.
    pub seq: u64,
    /// When it was written, by the sender's clock; of calls, by the bot's as far as the instance knows it.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// An envelope: the exact bytes, and who signed them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signed {
    /// The [`Header`]'s JSON.
    pub header: String,
    /// The payload's JSON.
    pub payload: String,
    /// Ed25519 over both, 64 bytes as lower-case hex.
    pub signature: String,
}

/// Why an envelope is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No envelope at all.
    #[error("the bytes are no envelope: {0}")]
    Malformed(String),
    /// Somebody newer speaks.
    #[error("it speaks version {theirs} of the wire, and this side {ours}: update this side")]
    Version {
        /// Theirs.
        theirs: WireVersion,
        /// Ours.
        ours: WireVersion,
    },
    /// A report is no order.
    #[error("it is {is}, where {wanted} belongs")]
    Kind {
        /// What came.
        is: &'static str,
        /// What was due.
        wanted: &'static str,
    },
    /// Another fleet's.
    #[error("it is for the fleet {is:?}, and this is {wanted:?}")]
    Fleet {
        /// What came.
        is: String,
        /// Here.
        wanted: String,
    },
    /// Somebody else's.
    #[error("it is for {is:?}, and this is {wanted:?}")]
    Recipient {
        /// What came.
        is: String,
        /// Here.
        wanted: String,
    },
    /// It says that somebody else speaks.
    #[error("it is from {is:?}, where {wanted:?} speaks")]
    Sender {
        /// What came.
        is: String,
        /// Who was expected.
        wanted: String,
    },
    /// A key that nobody enrolled.
    #[error(
        "{from} has no key {key} here: let it join anew (quarterdeck bot invite, quarterdeck instance join)"
    )]
    UnknownKey {
        /// Whose it is said to be.
        from: String,
        /// The beginning of its id.
        key: String,
    },
    /// A key that counts no more.
    #[error(
        "the key {key} of {from} was revoked: let it join anew (quarterdeck bot invite, quarterdeck instance join)"
    )]
    RevokedKey {
        /// Whose it was.
        from: String,
        /// The beginning of its id.
        key: String,
    },
    /// Not signed with the key that it names.
    #[error("the signature of {from} does not hold: the bytes are not as they were sent")]
    Forged {
        /// Who is said to have sent it.
        from: String,
    },
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It counts: its public half.
    Alive([u8; 32]),
    /// It counts no more.
    Revoked,
    /// Nobody enrolled it, or somebody else did.
    Unknown,
}

/// What an envelope has to be to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// What it is for.
    pub kind: Kind,
    /// Of which fleet.
    pub fleet: &'a str,
    /// From whom; `None` for whoever has a key.
    pub from: Option<&'a str>,
    /// To whom.
    pub to: &'a str,
}

/// An envelope whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its header.
    pub header: Header,
    /// The payload, exactly as it was signed.
    pub payload: String,
}

/// The id of a key: SHA-256 of its public half, as lower-case hex.
pub fn key_id(public: &[u8; 32]) -> String {
    hex(&Sha256::digest(public))
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes from hex; `None` if it is none.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        pair.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(pair, 16).ok())?
    };
    digits.map(byte).collect()
}

/// What people compare: the beginning of a key's id, in groups.
pub fn fingerprint(public: &[u8; 32]) -> String {
    let id = key_id(public);
    let groups = id.as_bytes().chunks(4).take(8);
    groups.map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
}

/// What is signed: each part with its length, so that none can lend bytes to another.
fn encoded(header: &str, payload: &str) -> Vec<u8> {
    format!("DSSEv1 {} {TYPE} {} {header} {} {payload}", TYPE.len(), header.len(), payload.len()).into_bytes()
}

impl Signed {
    /// Signs. `header.key` is set to the key's id.
    ///
    /// # Errors
    /// If the header has no JSON.
    pub fn new(header: &Header, payload: String, key: &SigningKey) -> Result<Self, serde_json::Error> {
        let public = key.verifying_key().to_bytes();
        let header = serde_json::to_string(&Header { key: key_id(&public), ..header.clone() })?;
        let signature = hex(&key.sign(&encoded(&header, &payload)).to_bytes());
        Ok(Self { header, payload, signature })
    }

    /// One line of JSON: what a transport carries.
    ///
    /// # Errors
    /// If it has no JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Back from what was carried.
    ///
    /// # Errors
    /// If it is no envelope, or too large.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > LARGEST {
            return Err(Refused::Malformed(format!("{} bytes, at most {LARGEST} are taken", bytes.len())));
        }
        serde_json::from_slice(bytes).map_err(|error| Refused::Malformed(error.to_string()))
    }

    /// What it says about itself, unproven.
    ///
    /// # Errors
    /// If that can't be understood; a newer major version is named as such.
    pub fn header(&self) -> Result<Header, Refused> {
        #[derive(Deserialize)]
        struct Spoken {
            version: WireVersion,
        }
        let malformed = |error: serde_json::Error| Refused::Malformed(error.to_string());
        // First the version: a newer header may be another altogether.
        let Spoken { version: theirs } = serde_json::from_str(&self.header).map_err(malformed)?;
        if theirs.major != WIRE.major {
            return Err(Refused::Version { theirs, ours: WIRE });
        }
        serde_json::from_str(&self.header).map_err(malformed)
    }

    /// What it says, if it is what is expected and `held` has the key that signed exactly these bytes. `held` is asked with the
    /// sender and the key's id.
    ///
    /// # Errors
    /// The first reason why it is not taken.
    pub fn open(
        self,
        expected: &Expected<'_>,
        held: impl FnOnce(&str, &str) -> Held,
    ) -> Result<Opened, Refused> {
        let header = self.header()?;
        let Expected { kind, fleet, from, to } = *expected;
        if header.kind != kind {
            return Err(Refused::Kind { is: header.kind.as_str(), wanted: kind.as_str() });
        }
        if header.fleet != fleet {
            return Err(Refused::Fleet { is: header.fleet, wanted: fleet.to_owned() });
        }
        if header.to != to {
            return Err(Refused::Recipient { is: header.to, wanted: to.to_owned() });
        }
        if let Some(from) = from.filter(|from| header.from != **from) {
            return Err(Refused::Sender { is: header.from, wanted: from.to_owned() });
        }
        let (from, key) = (header.from.clone(), header.key.chars().take(16).collect());
        let public = match held(&header.from, &header.key) {
            Held::Alive(public) if key_id(&public) == header.key => public,
            Held::Alive(_) | Held::Unknown => return Err(Refused::UnknownKey { from, key }),
            Held::Revoked => return Err(Refused::RevokedKey { from, key }),
        };
        let holds = || {
            let public = VerifyingKey::from_bytes(&public).ok()?;
            let signature = Signature::from_str(&self.signature).ok()?;
            public.verify_strict(&encoded(&self.header, &self.payload), &signature).ok()
        };
        match holds() {
            Some(()) => Ok(Opened { header, payload: self.payload }),
            None => Err(Refused::Forged { from }),
        }
    }
}
