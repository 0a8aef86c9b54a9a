//! The desk through the one function: asks, votes, merges, and every word that people read on the way.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use qd_core::{
    Effect, Event, FleetState, ForgeCall, Handled, Moment, Rules,
    chat::{Channel, Message},
    forge::ForgeError,
    handle,
};
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_types::{
    ApprovalId, ApprovalState, Ballot, CommitId, Line, Merge, Person, PolicyRule, Role, Stage, Vote,
};
use qd_wire::v1::{Alert, FeatureReport, ForgeAct, ForgeOutcome, ForgeRequest, Order, Report};

fn commit(letter: char) -> CommitId {
    letter.to_string().repeat(40).parse().unwrap()
}

fn person(name: &str, role: Role) -> Person {
    Person { id: name.parse().unwrap(), roles: vec![role] }
}

fn people() -> Vec<Person> {
    vec![person("ines", Role::Owner), person("theo", Role::Owner), person("olaf", Role::Operator)]
}

/// The default policies with rules of a configuration on top.
fn policies(rules: &[PolicyRule]) -> Arc<Policies> {
    let known = |person| KnownPerson { person, identities: Vec::new() };
    let facts = Facts {
        people: people().into_iter().map(known).collect(),
        teams: vec!["alpha".parse().unwrap()],
        repositories: vec!["sample".parse().unwrap()],
        ..Facts::default()
    };
    Arc::new(Policies::new(Arc::new(Bundle::embedded().unwrap()), &facts, rules).unwrap())
}

struct Fleet {
    state: FleetState,
    fresh: u64,
}

impl Fleet {
    fn new() -> Self {
        let rules = Rules {
            teams: vec!["alpha".parse().unwrap()],
            people: people(),
            renamed: BTreeMap::new(),
            policies: policies(&[]),
            merge_methods: BTreeMap::new(),
        };
        Self { state: FleetState::new(rules), fresh: 0 }
    }

    fn happens(&mut self, event: Event) -> Handled {
        self.fresh += 1;
        let at = Timestamp::from_second(36_840).unwrap();
        handle(
            &mut self.state,
            event,
            Moment { at, fresh: ulid::Ulid::from_parts(1, u128::from(self.fresh)) },
        )
    }

    fn report(&mut self, report: Report) -> Vec<Effect> {
        self.happens(Event::Report { instance: "alpha".parse().unwrap(), report: Box::new(report) }).effects
    }

    fn says(&mut self, who: Person, text: &str) -> (String, Vec<Effect>) {
        let handled =
            self.happens(Event::Command { person: who, surface: "console".into(), text: text.into() });
        (handled.reply.unwrap(), handled.effects)
    }

    fn request(&mut self, id: &str, act: ForgeAct) -> Vec<Effect> {
        let (feature, run) = ("A-1".parse().unwrap(), "A-1.1".parse().unwrap());
        self.report(Report::ForgeRequest(ForgeRequest { id: id.into(), feature, run, act }))
    }

    fn ask(&mut self) -> (ApprovalId, Vec<Effect>) {
        let act = ForgeAct::AskMerge {
            merge: merge(),
            requesters: vec!["theo".parse().unwrap()],
            words: Some("Splits it. **now**".into()),
            facts: "12 files, +214 −380. Passed on exactly this commit: test.".into(),
        };
        let effects = self.request("A-1.1/ask", act);
        let id = self.state.approvals.values().next_back().unwrap().card.approval.id.clone();
        (id, effects)
    }

    fn state_of(&self, id: &ApprovalId) -> ApprovalState {
        self.state.desk(id).unwrap().card.approval.state
    }
}

fn merge() -> Merge {
    Merge {
        repository: "sample".parse().unwrap(),
        pull_request: 7,
        target: "main".into(),
        head: commit('4'),
        diff: "d".repeat(64),
    }
}

fn message(effects: &[Effect], channel: Channel) -> Message {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Put(message) if message.channel == channel => Some(message.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no message in {channel:?}: {effects:?}"))
}

fn outcome(effects: &[Effect]) -> ForgeOutcome {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Tell { order, .. } => match order.as_ref() {
            Order::ForgeOutcome { outcome, .. } => Some(outcome.clone()),
            _ => None,
        },
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no outcome: {effects:?}"))
}

fn calls(effects: &[Effect]) -> Vec<&ForgeCall> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Forge { call, .. } => Some(call),
            _ => None,
        })
        .collect()
}

fn do_merge(fleet: &mut Fleet, approval: &ApprovalId, merge: Merge) -> Vec<Effect> {
    let (approval, tested, base) = (approval.clone(), commit('5'), commit('0'));
    fleet.request("A-1.1/merge/1", ForgeAct::Merge { approval, merge, tested, base, checks: vec![] })
}

#[test]
fn a_card_says_what_happens_and_quotes_the_agent_inertly() {
    let mut fleet = Fleet::new();
    let (id, effects) = fleet.ask();
    let card = message(&effects, Channel::Approvals);
    let digest = fleet.state.desk(&id).unwrap().card.approval.digest.short();
    insta::assert_snapshot!(card.text.replace(&digest, "9be1 40c7 d2aa"), @r#"
    **Merge 4444444 into main** (A-1, alpha)
    12 files, +214 −380. Passed on exactly this commit: test.
    Decide: 1 owner or reviewer, not the requester. 0 of 1 so far.
    Digest 9be1 40c7 d2aa
    > "Splits it. \*\*now\*\*" (the agent's words)
    "#);
    assert_eq!(card.buttons.len(), 2);
    assert!(!qd_core::text::inert("@everyone", 20).contains("@everyone"), "nobody is mentioned");
}

#[test]
fn asking_again_for_the_same_gives_the_open_request() {
    let mut fleet = Fleet::new();
    let (first, _) = fleet.ask();
    let (again, effects) = fleet.ask();
    assert_eq!(first, again);
    assert_eq!(outcome(&effects), ForgeOutcome::Asked { approval: first });
    assert_eq!(fleet.state.approvals.len(), 1);
}

#[test]
fn private_answers_name_the_right_that_is_missing() {
    let mut fleet = Fleet::new();
    let (id, _) = fleet.ask();
    insta::assert_snapshot!(fleet.says(person("olaf", Role::Operator), "approve A-1").0, @"You need the role owner or reviewer for this. You have: operator.");
    insta::assert_snapshot!(fleet.says(person("theo", Role::Owner), "approve A-1").0, @"theo asked for this, so somebody else has to decide.");
    insta::assert_snapshot!(fleet.says(person("stranger", Role::Owner), "approve A-1").0, @"stranger is not known here.");
    assert_eq!(fleet.state_of(&id), ApprovalState::Requested);
    insta::assert_snapshot!(fleet.says(person("ines", Role::Owner), "approve A-1").0, @"Approved.");
    insta::assert_snapshot!(fleet.says(person("ines", Role::Owner), "deny A-1 too late").0, @"A-1 was already approved at 10:14 UTC.");
    insta::assert_snapshot!(fleet.says(person("ines", Role::Owner), "approve A-9").0, @"Nothing is asked under A-9. Type approvals for what waits.");
}

#[test]
fn roles_that_a_surface_asserts_do_not_count() {
    let mut fleet = Fleet::new();
    let (id, _) = fleet.ask();
    let approval = fleet.state.desk(&id).unwrap().card.approval.clone();
    let vote = Vote {
        approval: id.clone(),
        digest: approval.digest,
        person: person("olaf", Role::Owner),
        surface: "board".into(),
        ballot: Ballot::Approve,
        reason: None,
        at: Timestamp::UNIX_EPOCH,
    };
    fleet.report(Report::Vote(vote));
    assert_eq!(fleet.state_of(&id), ApprovalState::Requested, "the executor knows olaf as an operator");
}

#[test]
fn one_no_is_final_and_says_why() {
    let mut fleet = Fleet::new();
    let (id, _) = fleet.ask();
    let (_, effects) = fleet.says(person("ines", Role::Owner), "deny A-1 use a migration");
    assert_eq!(fleet.state_of(&id), ApprovalState::Denied);
    let ForgeOutcome::NotApproved { reason } = outcome(&effects) else { panic!("{effects:?}") };
    insta::assert_snapshot!(reason, @"Merge denied by ines. Reason: use a migration");
    let card = message(&effects, Channel::Approvals);
    insta::assert_snapshot!(card.text, @"✘ Merge 4444444 into main (A-1, alpha): Merge denied by ines. Reason: use a migration");
    assert!(card.buttons.is_empty());
}

#[test]
fn what_is_approved_is_what_is_executed() {
    let mut fleet = Fleet::new();
    let (id, _) = fleet.ask();
    assert!(calls(&do_merge(&mut fleet, &id, merge())).is_empty(), "not yet approved");
    fleet.says(person("ines", Role::Owner), "approve A-1");
    let other = Merge { head: commit('6'), ..merge() };
    let refused = ForgeOutcome::Refused { reason: "What is to be merged is not what was approved.".into() };
    assert_eq!(outcome(&do_merge(&mut fleet, &id, other)), refused);

    let effects = do_merge(&mut fleet, &id, merge());
    assert!(matches!(calls(&effects)[..], [ForgeCall::Rebuild { .. }]), "first the forge is asked");
    assert_eq!(fleet.state_of(&id), ApprovalState::Granted, "nothing is spent yet");
    let effects = fleet.happens(Event::Rebuilt { approval: id.clone(), result: Ok("d".repeat(64)) }).effects;
    assert!(matches!(calls(&effects)[..], [ForgeCall::Merge { .. }]));
    assert_eq!(fleet.state_of(&id), ApprovalState::Executing);

    let moved = Err(ForgeError::BaseMoved { actual: commit('8') });
    let effects = fleet.happens(Event::Merged { approval: id.clone(), result: moved }).effects;
    assert_eq!(outcome(&effects), ForgeOutcome::BaseMoved { base: commit('8') });
    assert_eq!(fleet.state_of(&id), ApprovalState::Executing, "the same row is taken up again");
    do_merge(&mut fleet, &id, merge());
    fleet.happens(Event::Rebuilt { approval: id.clone(), result: Ok("d".repeat(64)) });
    let effects = fleet.happens(Event::Merged { approval: id.clone(), result: Ok(commit('9')) }).effects;
    assert_eq!(fleet.state_of(&id), ApprovalState::Executed);
    insta::assert_snapshot!(message(&effects, Channel::Approvals).text, @"✔ Merge 4444444 into main (A-1, alpha): approved by ines, merged as 9999999.");
    assert!(calls(&do_merge(&mut fleet, &id, merge())).is_empty(), "used up");
}

#[test]
fn a_change_that_is_not_the_approved_one_lapses_the_approval() {
    for result in [Ok("e".repeat(64)), Err(ForgeError::HeadMoved { actual: commit('7') })] {
        let mut fleet = Fleet::new();
        let (id, _) = fleet.ask();
        fleet.says(person("ines", Role::Owner), "approve A-1");
        do_merge(&mut fleet, &id, merge());
        let effects = fleet.happens(Event::Rebuilt { approval: id.clone(), result }).effects;
        assert_eq!(fleet.state_of(&id), ApprovalState::Lapsed);
        assert!(calls(&effects).is_empty(), "nothing is executed");
        assert!(matches!(outcome(&effects), ForgeOutcome::NotApproved { .. }));
    }
}

#[test]
fn one_living_message_per_feature_and_one_alert_per_cause() {
    let mut fleet = Fleet::new();
    let mut report = FeatureReport {
        feature: "A-1".parse().unwrap(),
        title: "Split the *importer*".into(),
        stage: Stage::Review,
        line: Line::default(),
        sentence: "Asks to merge 4444444 into main. 1 more owner or reviewer.".into(),
        agent: None,
        pull_request: Some(7),
        merged: None,
        seconds: None,
        needs_person: false,
    };
    let silent = |effects: &[Effect]| effects.iter().all(|effect| !matches!(effect, Effect::Put(_)));
    assert!(silent(&fleet.report(Report::Feature(report.clone()))), "what never ran is not news");
    report.agent = Some("claude".into());
    let effects = fleet.report(Report::Feature(report.clone()));
    insta::assert_snapshot!(message(&effects, Channel::Dev).text, @r"
    **A-1 Split the \*importer\*** · alpha · claude
    `▱▱▱▱▱▱▱▱▱` In review: pull request #7. Asks to merge 4444444 into main. 1 more owner or reviewer.
    ");
    assert!(silent(&fleet.report(Report::Feature(report))), "nothing new is no news");

    let text = "A-1 X: checks red. Needs a person.";
    let alert = |over| Report::Alert(Alert { key: "held:A-1".into(), text: text.into(), over });
    let first = message(&fleet.report(alert(false)), Channel::Alerts);
    let second = message(&fleet.report(alert(false)), Channel::Alerts);
    let over = message(&fleet.report(alert(true)), Channel::Alerts);
    assert!(first.key == second.key && second.key == over.key);
    insta::assert_snapshot!(second.text, @"⚠ alpha: A-1 X: checks red. Needs a person. (2 times)");
    insta::assert_snapshot!(over.text, @"✔ alpha: over after 0 min: A-1 X: checks red. Needs a person.");
    assert!(fleet.report(alert(true)).is_empty());
}

#[test]
fn the_policies_say_who_decides_a_merge() {
    let rule = |json: &str| vec![serde_json::from_str::<PolicyRule>(json).unwrap()];
    let mut fleet = Fleet::new();
    let (id, _) = fleet.ask();
    let subject = |fleet: &Fleet, id| fleet.state.desk(id).unwrap().card.approval.subject.clone();
    assert_eq!(subject(&fleet, &id).requirement.describe(), "1 owner or reviewer, not the requester");
    let bound = subject(&fleet, &id).binding.unwrap();
    assert_eq!(
        (bound.target.as_str(), bound.policies.as_str()),
        ("sample main #7", policies(&[]).hash().as_str())
    );

    let two =
        rule(r#"{"name": "main", "actions": ["merge"], "branch": "main", "effect": "ask", "quorum": 2}"#);
    fleet.state.rules.policies = policies(&two);
    let (stricter, _) = fleet.ask();
    assert_ne!(stricter, id, "other policies ask anew");
    assert_eq!(subject(&fleet, &stricter).requirement.describe(), "2 owners or reviewers, not the requester");

    let free = rule(r#"{"name": "free", "actions": ["merge"], "effect": "allow", "loosen": true}"#);
    fleet.state.rules.policies = policies(&free);
    let (free, _) = fleet.ask();
    assert_eq!(
        subject(&fleet, &free).requirement.describe(),
        "1 owner or reviewer (solo: the requester may decide)",
        "nothing merges without a person"
    );

    let never =
        rule(r#"{"name": "freeze", "actions": ["merge"], "effect": "deny", "reason": "We ship on Monday."}"#);
    fleet.state.rules.policies = policies(&never);
    let (_, effects) = fleet.ask();
    let Some(Effect::Tell { order, .. }) = effects.first() else { panic!("{effects:?}") };
    let Order::ForgeOutcome { outcome: ForgeOutcome::NotApproved { reason }, .. } = order.as_ref() else {
        panic!("{order:?}")
    };
    insta::assert_snapshot!(reason, @"We ship on Monday. So says the rule freeze of the configuration.");
}
