//! The scheduler's choice, as a pure function. Not when to look: the team does that.

use qd_types::FeatureId;

use crate::Feature;

/// A feature in `ready` and what it still waits for.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The feature.
    pub feature: Feature,
    /// Dependencies that are not merged yet.
    pub unmet: Vec<FeatureId>,
}

/// The features that start now, in order: nothing held, nothing unmet, the most urgent first, then the oldest.
/// At most `slots`.
pub fn choose(candidates: &[Candidate], slots: usize) -> Vec<&Feature> {
    let mut free: Vec<&Feature> = candidates
        .iter()
        .filter(|candidate| candidate.unmet.is_empty() && candidate.feature.held.is_none())
        .map(|candidate| &candidate.feature)
        .collect();
    free.sort_by_key(|feature| (feature.priority, feature.created_at, feature.id.number()));
    free.truncate(slots);
    free
}
