//! The life of an approval: one total transition function, and one tally.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ApprovalId, Digest, Person, PersonId, Role, Subject};

/// Where an approval stands (`approvals.md`, Life).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// People are asked.
    Requested,
    /// A quorum said yes; not yet used.
    Granted,
    /// One eligible person said no.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// Whoever asked no longer wants it.
    Withdrawn,
    /// The effect's row is written; the effect is under way.
    Executing,
    /// Done, as approved.
    Executed,
    /// Tried, and refused by the world.
    Failed,
    /// It can't be told whether it happened. Never retried; a person is asked.
    Unknown,
    /// Granted, but the world changed before it was used.
    Lapsed,
}

/// What happens to an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalEvent {
    /// The tally reached the quorum.
    Grant,
    /// An eligible person denied.
    Deny,
    /// Decide-by passed.
    Expire,
    /// The asker took it back.
    Withdraw,
    /// The grant was spent and the effect's row written.
    Spend,
    /// The effect happened.
    Succeed,
    /// The effect was refused, and surely did not happen.
    Fail,
    /// It can't be told.
    Lose,
    /// The subject, rebuilt, differs; or execute-by passed.
    Lapse,
    /// A person asks for the same again, as an approval of its own. This one stays as it ended.
    Reopen,
}

/// The state has no such way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an approval that is {from:?} can't take {event:?}")]
pub struct IllegalApproval {
    /// Where it stands.
    pub from: ApprovalState,
    /// What was tried.
    pub event: ApprovalEvent,
}

impl ApprovalState {
    /// The one transition function.
    pub fn on(self, event: ApprovalEvent) -> Result<Self, IllegalApproval> {
        use ApprovalEvent as E;
        use ApprovalState as S;
        match (self, event) {
            (S::Requested, E::Grant) => Ok(S::Granted),
            (S::Requested, E::Deny) => Ok(S::Denied),
            (S::Requested, E::Expire) => Ok(S::Expired),
            (S::Requested, E::Withdraw) => Ok(S::Withdrawn),
            (S::Granted, E::Spend) => Ok(S::Executing),
            (S::Granted, E::Lapse) => Ok(S::Lapsed),
            (S::Executing, E::Succeed) => Ok(S::Executed),
            (S::Executing, E::Fail) => Ok(S::Failed),
            (S::Executing, E::Lose) => Ok(S::Unknown),
            (S::Expired, E::Reopen) => Ok(S::Expired),
            (from, event) => Err(IllegalApproval { from, event }),
        }
    }

    /// Whether people can still decide.
    pub fn is_open(self) -> bool {
        self == Self::Requested
    }

    /// Whether nothing can happen to it any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Requested | Self::Granted | Self::Executing)
    }
}

/// Who must decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requirement {
    /// Any of these roles.
    pub roles: Vec<Role>,
    /// How many people, from 1.
    pub count: u32,
    /// One person runs this fleet and may decide what they asked for. Shown on every card.
    pub solo: bool,
}

impl Requirement {
    /// "1 owner or reviewer, not the requester".
    pub fn describe(&self) -> String {
        let who = format!("{} {}", self.count, self.who(self.count as usize));
        if self.solo {
            format!("{who} (solo: the requester may decide)")
        } else {
            format!("{who}, not the requester")
        }
    }

    /// As many of those who may decide, without the number: "owner or reviewer", "owners or reviewers".
    pub fn who(&self, count: usize) -> String {
        let plural = if count == 1 { "" } else { "s" };
        let roles: Vec<String> = self.roles.iter().map(|role| format!("{role}{plural}")).collect();
        roles.join(" or ")
    }

    /// Why this person may not decide, or `None` if they may.
    pub fn refuses(&self, person: &Person, requesters: &[PersonId]) -> Option<String> {
        if !self.roles.iter().any(|role| person.roles.contains(role)) {
            let need: Vec<&str> = self.roles.iter().map(|role| role.as_str()).collect();
            let have: Vec<&str> = person.roles.iter().map(|role| role.as_str()).collect();
            let have = if have.is_empty() { "none".to_owned() } else { have.join(", ") };
            return Some(format!("You need the role {} for this. You have: {have}.", need.join(" or ")));
        }
        if !self.solo && requesters.contains(&person.id) {
            return Some(format!("{} asked for this, so somebody else has to decide.", person.id));
        }
        None
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ballot {
    /// Yes.
    Approve,
    /// No; one is final.
    Deny,
}

/// One person's word on one digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Vote {
    /// On which approval.
    pub approval: ApprovalId,
    /// On what: a vote for another digest does not count.
    pub digest: Digest,
    /// Whose, with the roles they held at that moment.
    pub person: Person,
    /// Where it was given: `board`, `console`, `cli`.
    pub surface: String,
    /// What they said.
    pub ballot: Ballot,
    /// Why, in their words.
    pub reason: Option<String>,
    /// When the surface took it.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// How the votes stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Who said yes, once each.
    pub approved: Vec<PersonId>,
    /// Who said no.
    pub denied: Vec<PersonId>,
    /// How many are needed.
    pub needed: u32,
}

impl Tally {
    /// A quorum said yes and nobody no.
    pub fn granted(&self) -> bool {
        self.denied.is_empty() && self.needed > 0 && self.approved.len() >= self.needed as usize
    }
}

/// An approval, as its executor keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// Everything it binds.
    pub subject: Subject,
    /// SHA-256 of the subject.
    pub digest: Digest,
    /// Where it stands.
    pub state: ApprovalState,
    /// All votes, in order of arrival.
    pub votes: Vec<Vote>,
    /// When it was asked for.
    #[schemars(with = "String")]
    pub requested_at: Timestamp,
    /// When it was decided.
    #[schemars(with = "Option<String>")]
    pub decided_at: Option<Timestamp>,
}

impl Approval {
    /// Counts each eligible person once, by their last vote on this very digest.
    pub fn tally(&self) -> Tally {
        let requirement = &self.subject.requirement;
        let mut last: Vec<&Vote> = Vec::new();
        for vote in &self.votes {
            let counts = vote.approval == self.id
                && vote.digest == self.digest
                && requirement.refuses(&vote.person, &self.subject.requesters).is_none();
            if counts {
                last.retain(|earlier| earlier.person.id != vote.person.id);
                last.push(vote);
            }
        }
        let of = |ballot| {
            last.iter().filter(|vote| vote.ballot == ballot).map(|vote| vote.person.id.clone()).collect()
        };
        Tally { approved: of(Ballot::Approve), denied: of(Ballot::Deny), needed: requirement.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Grant, Merge, RunId};
    use proptest::prelude::*;

    fn person(name: &str, role: Role) -> Person {
        Person { id: name.parse().unwrap(), roles: vec![role] }
    }

    fn approval(count: u32, solo: bool) -> Approval {
        let feature: crate::FeatureId = "A-1".parse().unwrap();
        let subject = Subject {
            action: Action::Merge(Merge {
                repository: "sample".parse().unwrap(),
                pull_request: 1,
                target: "main".into(),
                head: "a".repeat(40).parse().unwrap(),
                diff: "d".repeat(64),
                paths: None,
            }),
            binding: None,
            instance: "alpha".parse().unwrap(),
            run: RunId::new(feature.clone(), 1),
            feature,
            requesters: vec!["theo".parse().unwrap()],
            requirement: Requirement { roles: vec![Role::Owner, Role::Reviewer], count, solo },
        };
        Approval {
            id: "bot/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
            digest: subject.digest().unwrap(),
            subject,
            state: ApprovalState::Requested,
            votes: vec![],
            requested_at: Timestamp::UNIX_EPOCH,
            decided_at: None,
        }
    }

    fn vote(approval: &Approval, person: Person, ballot: Ballot) -> Vote {
        Vote {
            approval: approval.id.clone(),
            digest: approval.digest.clone(),
            person,
            surface: "board".into(),
            ballot,
            reason: None,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_person_counts_once_and_a_requester_never() {
        let mut asked = approval(2, false);
        for _ in 0..3 {
            asked.votes.push(vote(&asked, person("ines", Role::Owner), Ballot::Approve));
        }
        asked.votes.push(vote(&asked, person("theo", Role::Owner), Ballot::Approve));
        asked.votes.push(vote(&asked, person("olaf", Role::Viewer), Ballot::Approve));
        assert_eq!(asked.tally().approved.len(), 1);
        assert!(!asked.tally().granted());
        asked.votes.push(vote(&asked, person("mira", Role::Reviewer), Ballot::Approve));
        assert!(asked.tally().granted());
    }

    #[test]
    fn solo_lets_the_requester_decide() {
        let mut asked = approval(1, true);
        asked.votes.push(vote(&asked, person("theo", Role::Owner), Ballot::Approve));
        assert!(asked.tally().granted());
    }

    #[test]
    fn a_vote_on_another_digest_does_not_count() {
        let mut asked = approval(1, false);
        let mut other = approval(1, false);
        other.subject.run = RunId::new(other.subject.feature.clone(), 2);
        other.digest = other.subject.digest().unwrap();
        asked.votes.push(vote(&other, person("ines", Role::Owner), Ballot::Approve));
        assert!(!asked.tally().granted());
    }

    #[test]
    fn no_grant_without_a_standing_quorum() {
        let mut asked = approval(1, false);
        asked.votes.push(vote(&asked, person("ines", Role::Owner), Ballot::Approve));
        assert_eq!(Grant::of(&asked, &asked.digest), None, "not yet granted");
        asked.state = ApprovalState::Granted;
        assert!(Grant::of(&asked, &asked.digest).is_some());
        asked.state = ApprovalState::Executed;
        assert_eq!(Grant::of(&asked, &asked.digest), None, "used up");
    }

    #[test]
    fn refusals_name_the_right_that_is_missing() {
        let asked = approval(1, false);
        let refuses = |p: Person| asked.subject.requirement.refuses(&p, &asked.subject.requesters).unwrap();
        insta::assert_snapshot!(refuses(person("olaf", Role::Operator)), @"You need the role owner or reviewer for this. You have: operator.");
        insta::assert_snapshot!(refuses(person("theo", Role::Owner)), @"theo asked for this, so somebody else has to decide.");
        insta::assert_snapshot!(asked.subject.requirement.describe(), @"1 owner or reviewer, not the requester");
    }

    fn any_event() -> impl Strategy<Value = ApprovalEvent> {
        use ApprovalEvent::*;
        prop::sample::select(vec![Grant, Deny, Expire, Withdraw, Spend, Succeed, Fail, Lose, Lapse, Reopen])
    }

    proptest! {
        #[test]
        fn nothing_is_executed_without_grant_and_spend(events in prop::collection::vec(any_event(), 0..12)) {
            let (mut state, mut granted, mut spent) = (ApprovalState::Requested, false, 0);
            for event in events {
                if let Ok(next) = state.on(event) {
                    prop_assert!(!state.is_final() || (event == ApprovalEvent::Reopen && next == state));
                    granted |= event == ApprovalEvent::Grant;
                    spent += i32::from(event == ApprovalEvent::Spend);
                    state = next;
                }
            }
            prop_assert!(spent <= 1);
            if state == ApprovalState::Executed {
                prop_assert!(granted && spent == 1);
            }
        }
    }
}
