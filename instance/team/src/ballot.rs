//! What people vote on the team's own surfaces, signed with the instance's key, for whoever keeps the approval.

use qd_approvals::{Proof, Statement, SurfaceKey, confirm::Way};
use qd_types::{Identity, Vote};
use qd_wire::v1::SignedVote;
use serde_json::Value;

/// How a vote was given.
pub(crate) struct Given {
    /// How the door knew who it was.
    pub(crate) proof: Proof,
    /// The target's name, typed out.
    pub(crate) typed: Option<String>,
    /// The answer to a question.
    pub(crate) answer: Option<Value>,
}

/// By what door a vote came: the board's page, or the command line. Programs that act for a person count as the latter.
pub(crate) fn surface(door: &str) -> &'static str {
    if door == "board" { "board" } else { "cli" }
}

/// Signs a vote of a person whom the door has let in, and how it was given.
///
/// # Errors
/// If the vote has no JSON.
pub(crate) fn signed(key: &SurfaceKey, vote: Vote, given: Given) -> Result<SignedVote, serde_json::Error> {
    let Given { proof, typed, answer } = given;
    let identity = Identity { service: "local".into(), account: vote.person.id.to_string() };
    let way = if typed.is_some() { Way::Typed } else { Way::Button };
    let signed = key.sign(&Statement { vote, identity, proof, way, typed, answer })?;
    Ok(SignedVote {
        payload: signed.payload,
        key: signed.key.as_str().to_owned(),
        signature: signed.signature,
    })
}
