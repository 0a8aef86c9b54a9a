//! Votes on the wire: what a surface states about a person's word, signed over its exact bytes (DSSE, v1).
//! Nothing is serialised again to verify it.

use std::str::FromStr as _;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use qd_types::{Identity, Vote};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{Key, KeyId, confirm::Way, hex};

/// What the signed bytes are. Part of what is signed, so that they can't be taken for anything else.
pub const PAYLOAD_TYPE: &str = "application/vnd.quarterdeck.vote.v1+json";

/// Largest payload that is looked at, in bytes.
const MAX_PAYLOAD: usize = 64 * 1024;

/// How the surface knew who it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The service said so, and membership and role were checked at that moment: its id of the interaction or review.
    Service(String),
    /// The person's passphrase, at a terminal.
    Passphrase,
    /// A signed-in page.
    SignedIn,
    /// A local socket's user id. An agent may run as the same user: never enough.
    Socket,
}

/// What a surface states, and signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The vote. Its surface is one of `discord`, `github`, `console`, `board`, `cli`.
    pub vote: Vote,
    /// The account that gave it.
    pub identity: Identity,
    /// How that was known.
    pub proof: Proof,
    /// How it was given.
    pub way: Way,
    /// What was typed, where the name of the target has to be.
    pub typed: Option<String>,
    /// The answer, if it is a question.
    pub answer: Option<Value>,
}

/// A statement and its signature, as they travel and as they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedVote {
    /// The statement's JSON, exactly as it was signed.
    pub payload: String,
    /// Which key.
    pub key: KeyId,
    /// 64 bytes as hex.
    pub signature: String,
}

/// Why the bytes are not a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAVote {
    Forged,
    Malformed,
}

/// A surface's key. It signs, and shows nothing of itself.
pub struct SurfaceKey(SigningKey);

impl std::fmt::Debug for SurfaceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SurfaceKey").field(&self.id().as_str()).finish()
    }
}

impl SurfaceKey {
    /// From 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The public half, for the [`Directory`](crate::Directory).
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The key itself, for what else its owner signs. Nothing that is signed with it may look like a vote: those begin with
    /// DSSE's own word.
    pub fn signing(&self) -> &SigningKey {
        &self.0
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.public())
    }

    /// Signs a statement. The bytes that are signed are the bytes that travel.
    ///
    /// # Errors
    /// If the statement has no JSON.
    pub fn sign(&self, statement: &Statement) -> Result<SignedVote, serde_json::Error> {
        let payload = serde_json::to_string(statement)?;
        let signature = self.0.sign(&encoded(&payload));
        Ok(SignedVote { payload, key: self.id(), signature: hex(&signature.to_bytes()) })
    }
}

impl SignedVote {
    /// What tells this vote from every other: SHA-256 over what is signed. The signature is not part of it.
    pub(crate) fn hash(&self) -> String {
        hex(&Sha256::digest(encoded(&self.payload)))
    }

    /// The statement, if this key signed exactly these bytes.
    pub(crate) fn open(&self, key: &Key) -> Result<Statement, NotAVote> {
        if self.payload.len() > MAX_PAYLOAD {
            return Err(NotAVote::Malformed);
        }
        let public = VerifyingKey::from_bytes(&key.public).map_err(|_| NotAVote::Forged)?;
        let signature = Signature::from_str(&self.signature).map_err(|_| NotAVote::Forged)?;
        public.verify_strict(&encoded(&self.payload), &signature).map_err(|_| NotAVote::Forged)?;
        serde_json::from_str(&self.payload).map_err(|_| NotAVote::Malformed)
    }
}

/// DSSE's pre-authentication encoding.
fn encoded(payload: &str) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload.as_bytes()].concat()
}
