//! Heads of audit chains, and each other's signatures under them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place in an audit chain: everything up to it is fixed by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditHead {
    /// Whose chain: `bot`, or an instance's name.
    pub chain: String,
    /// The row, from 1.
    pub seq: u64,
    /// Its hash, 32 bytes as lower-case hex.
    pub hash: String,
}

/// A head, signed by the other side, which has noted it before it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditSigned {
    /// What was signed.
    pub head: AuditHead,
    /// Who signed: `bot`, or an instance's name.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// The signer's Ed25519 key, 32 bytes as lower-case hex.
    pub key: String,
    /// Ed25519, 64 bytes as lower-case hex.
    pub signature: String,
}
