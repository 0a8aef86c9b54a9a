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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_says_how_it_was_proven_and_given() {
        let said = |proof: Proof, typed: Option<&str>, answer: Option<Value>| {
            let vote = serde_json::from_value(serde_json::json!({
                "approval": "bot/01ARZ3NDEKTSV4RRFFQ69G5FAV", "digest": "d".repeat(64),
                "person": { "id": "ines", "roles": ["owner"] }, "surface": "board", "ballot": "approve",
                "reason": null, "at": "2026-11-21T12:00:00Z",
            }));
            let given = Given { proof, typed: typed.map(str::to_owned), answer };
            let signed = signed(&SurfaceKey::new(&[7; 32]), vote.unwrap(), given).unwrap();
            let statement: Statement = serde_json::from_str(&signed.payload).unwrap();
            (statement.proof, statement.way, statement.typed, statement.answer)
        };
        let typed = said(Proof::Passphrase, Some("billing-db"), None);
        assert_eq!(typed, (Proof::Passphrase, Way::Typed, Some("billing-db".into()), None));
        let answered = said(Proof::SignedIn, None, Some("blue".into()));
        assert_eq!(answered, (Proof::SignedIn, Way::Button, None, Some("blue".into())));
    }
}
