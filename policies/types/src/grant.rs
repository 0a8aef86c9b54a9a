//! A capability as a value: the function that carries out an approved action takes a [`SpentGrant`].

use crate::{Action, ApprovalId, ApprovalState, Digest, Tier, approval::Approval};

/// A verified quorum on one digest. Only [`Grant::of`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    approval: ApprovalId,
    digest: Digest,
}

impl Grant {
    /// The grant of an approval whose own votes, tallied afresh, fulfil what it asked for, on exactly `digest`.
    pub fn of(approval: &Approval, digest: &Digest) -> Option<Self> {
        let standing = matches!(approval.state, ApprovalState::Granted | ApprovalState::Executing);
        (standing && approval.digest == *digest && approval.tally().granted())
            .then(|| Self { approval: approval.id.clone(), digest: digest.clone() })
    }

    /// The grant of one item of an approved plan, on exactly the item's digest. There is none for an item of the destroy
    /// tier: that takes an approval of its own.
    pub fn of_item(approval: &Approval, item: &str, digest: &Digest) -> Option<Self> {
        let Action::Plan(plan) = &approval.subject.action else { return None };
        let listed = plan.items.iter().find(|listed| listed.item == item)?;
        let whole = Self::of(approval, &approval.digest)?;
        (listed.digest == *digest && listed.tier != Tier::Destroy)
            .then(|| Self { approval: whole.approval, digest: digest.clone() })
    }

    /// Which approval.
    pub fn approval(&self) -> &ApprovalId {
        &self.approval
    }

    /// What was approved.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// Proof that a grant was spent: the row that says so is committed, together with the effect it pays for.
/// `cargo xtask tidy` allows [`SpentGrant::committed`] in the approvals' store alone.
#[derive(Debug)]
pub struct SpentGrant {
    grant: Grant,
}

impl SpentGrant {
    /// To be called by the store, after the transaction that wrote the spending is durable.
    pub fn committed(grant: Grant) -> Self {
        Self { grant }
    }

    /// What was granted.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}
