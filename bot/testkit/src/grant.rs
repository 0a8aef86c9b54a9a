//! A spent grant for tests, made from an approval with a counted vote. Not a way around the tally:
//! an adapter's test holds the same value that the approvals' store hands out.

use jiff::Timestamp;
use qd_types::{
    Action, Approval, ApprovalState, Ballot, FeatureId, Grant, Merge, Person, Requirement, Role, RunId,
    SpentGrant, Subject, Vote,
};

/// The grant of `merge`, asked for by theo, approved by ines, and spent.
pub fn granted(merge: Merge) -> SpentGrant {
    let feature = FeatureId::new("T", 1).unwrap();
    let subject = Subject {
        action: Action::Merge(merge),
        binding: None,
        instance: "alpha".parse().unwrap(),
        run: RunId::new(feature.clone(), 1),
        feature,
        requesters: vec!["theo".parse().unwrap()],
        requirement: Requirement { roles: vec![Role::Reviewer], count: 1, solo: false },
    };
    let digest = subject.digest().unwrap();
    let mut approval = Approval {
        id: "bot/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        subject,
        digest: digest.clone(),
        state: ApprovalState::Granted,
        votes: Vec::new(),
        requested_at: Timestamp::UNIX_EPOCH,
        decided_at: Some(Timestamp::UNIX_EPOCH),
    };
    approval.votes.push(Vote {
        approval: approval.id.clone(),
        digest: digest.clone(),
        person: Person { id: "ines".parse().unwrap(), roles: vec![Role::Reviewer] },
        surface: "test".into(),
        ballot: Ballot::Approve,
        reason: None,
        at: Timestamp::UNIX_EPOCH,
    });
    SpentGrant::committed(Grant::of(&approval, &digest).expect("one vote of one needed is a quorum"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_binds_the_merge_it_was_made_for() {
        let merge = |number| Merge {
            repository: "sample".parse().unwrap(),
            pull_request: number,
            target: "main".into(),
            head: "a".repeat(40).parse().unwrap(),
            diff: "d".repeat(64),
            paths: None,
        };
        let (one, two) = (granted(merge(1)), granted(merge(2)));
        assert_ne!(one.grant().digest(), two.grant().digest());
    }
}
