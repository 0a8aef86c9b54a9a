//! What people vote on the team's own surfaces, signed with the instance's key, for whoever keeps the approval.

use qd_approvals::{Proof, Statement, SurfaceKey, confirm::Way};
use qd_types::{Identity, Vote};
use qd_wire::v1::SignedVote;

/// By what door a vote came: the board's page, or the command line. Programs that act for a person count as the latter.
pub(crate) fn surface(door: &str) -> &'static str {
    if door == "board" { "board" } else { "cli" }
}

/// Signs a vote of a person whom the door has let in, with their answer if it is to a question.
///
/// # Errors
/// If the vote has no JSON.
pub(crate) fn signed(
    key: &SurfaceKey,
    vote: Vote,
    answer: Option<serde_json::Value>,
) -> Result<SignedVote, serde_json::Error> {
    let identity = Identity { service: "local".into(), account: vote.person.id.to_string() };
    let statement =
        Statement { vote, identity, proof: Proof::SignedIn, way: Way::Button, typed: None, answer };
    let signed = key.sign(&statement)?;
    Ok(SignedVote {
        payload: signed.payload,
        key: signed.key.as_str().to_owned(),
        signature: signed.signature,
    })
}
