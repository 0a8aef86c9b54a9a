//! Approvals on their way: cards, signed votes, receipts. A question is an approval, and its answer is a signed vote.

use jiff::Timestamp;
use qd_types::{Approval, ApprovalId, Confirm, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An approval and the facts its card shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalCard {
    /// The approval.
    pub approval: Approval,
    /// "12 files, +214 −380. Checks passed on exactly this commit."
    pub facts: String,
    /// What the agent said, quoted on the card.
    pub words: Option<String>,
    /// How it ended, once it did: "approved by ines, merged as 4f2a91c".
    pub ended: Option<String>,
    /// How a yes has to be given. A bot of before does not say.
    #[serde(default)]
    pub confirm: Option<Confirm>,
    /// Until when people have to decide, once a card was delivered.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub decide_until: Option<Timestamp>,
}

/// What a person said on a surface, signed with the key of whoever owns that surface: the instance's on its way up, the
/// bot's on its way down. Whoever keeps the approval verifies the bytes as they came; on the way nobody reads them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedVote {
    /// The statement's JSON, exactly as it was signed.
    pub payload: String,
    /// SHA-256 of the public key, as lower-case hex.
    pub key: String,
    /// Ed25519, 64 bytes as lower-case hex.
    pub signature: String,
}

/// What became of a vote, or of the wish to have something asked again, that was given in chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heard {
    /// On which approval.
    pub approval: ApprovalId,
    /// Whose word.
    pub person: PersonId,
    /// Whether it counts.
    pub counted: bool,
    /// What they are told.
    pub text: String,
}

/// The receipt of a card on the team's board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// Which approval.
    pub approval: ApprovalId,
}
