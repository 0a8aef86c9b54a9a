//! The desk through the one function: which steps follow from what happens, what follows from what the store of approvals
//! says, and every word that people read on the way. Whole lives, on the store itself, are in the tests of `bot/hub`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use qd_approvals::{Cast, Resumption, Swept};
use qd_core::{
    Asking, Effect, Event, FleetState, ForgeCall, Handled, Moment, Rules, Standing, Step, Word,
    chat::{Channel, Given, Message, Proof, Scope, Way},
    forge::Brought,
    handle,
};
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_types::{
    Action, Approval, ApprovalId, ApprovalState, Ballot, CommitId, Confirm, Line, Merge, Person, PolicyRule,
    Role, Stage, Tally, Vote,
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
    Arc::new(Policies::new(Bundle::embedded().unwrap(), &facts, rules).unwrap())
}

struct Fleet {
    state: FleetState,
}

impl Fleet {
    fn new() -> Self {
        let rules = Rules {
            teams: vec!["alpha".parse().unwrap()],
            people: people(),
            renamed: BTreeMap::new(),
            policies: policies(&[]),
            merge_methods: BTreeMap::new(),
            read: BTreeSet::new(),
            protected: BTreeSet::new(),
            unprotected: BTreeSet::new(),
            approvals: qd_approvals::Rules::default(),
            distil: qd_core::Distil::new(&serde_json::json!({}), jiff::tz::TimeZone::UTC).unwrap(),
        };
        Self { state: FleetState::new(rules) }
    }

    fn happens(&mut self, event: Event) -> Handled {
        let at = Timestamp::from_second(36_840).unwrap();
        handle(&mut self.state, event, Moment { at, fresh: ulid::Ulid::from_parts(1, 1) })
    }

    fn report(&mut self, report: Report) -> Vec<Effect> {
        self.happens(Event::Report { instance: "alpha".parse().unwrap(), report: Box::new(report) }).effects
    }

    fn says(&mut self, who: Person, text: &str) -> Handled {
        self.happens(Event::Command {
            person: who,
            given: Given::on_console(Proof::SignedIn),
            text: text.into(),
        })
    }

    fn request(&mut self, id: &str, act: ForgeAct) -> Vec<Effect> {
        let (feature, run) = ("A-1".parse().unwrap(), "A-1.1".parse().unwrap());
        self.report(Report::ForgeRequest(ForgeRequest { id: id.into(), feature, run, act }))
    }

    /// A run asks for its merge.
    fn asks(&mut self) -> Vec<Effect> {
        let act = ForgeAct::AskMerge {
            merge: merge(),
            requesters: vec!["theo".parse().unwrap()],
            words: Some("Splits it. **now**".into()),
            facts: "12 files, +214 −380. Passed on exactly this commit: test.".into(),
            findings: Vec::new(),
        };
        self.request("A-1.1/ask", act)
    }

    /// Asks, as the store would take it.
    fn ask(&mut self) -> (Standing, Vec<Effect>) {
        let asking = asked(&self.asks());
        let standing = Standing {
            approval: Approval {
                id: "bot/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
                digest: asking.subject.digest().unwrap(),
                subject: asking.subject.clone(),
                state: ApprovalState::Requested,
                votes: vec![],
                requested_at: Timestamp::UNIX_EPOCH,
                decided_at: None,
            },
            words: asking.words.clone(),
            reason: None,
            confirm: Confirm { way: Way::Button, typed: false },
            decide_until: Some("2026-11-24T12:00:00Z".parse().unwrap()),
        };
        let result = Ok(Box::new(standing.clone()));
        let effects = self.happens(Event::Asked { asking: Box::new(asking), result }).effects;
        (standing, effects)
    }

    /// The store says that it stands so now.
    fn stands(&mut self, standing: &Standing, state: ApprovalState, reason: &str) -> Vec<Effect> {
        let mut standing = standing.clone();
        standing.approval.state = state;
        standing.reason = Some(reason.into());
        self.happens(Event::Stands(Box::new(standing))).effects
    }
}

fn merge() -> Merge {
    Merge {
        repository: "sample".parse().unwrap(),
        pull_request: 7,
        target: "main".into(),
        head: commit('4'),
        diff: "d".repeat(64),
        paths: Some(vec!["src/lib.rs".into()]),
    }
}

fn message(effects: &[Effect], channel: Channel) -> Message {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Put(message) | Effect::Refresh(message) if message.channel == channel => {
            Some(message.clone())
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no message in {channel:?}: {effects:?}"))
}

fn outcome(effects: &[Effect]) -> Option<ForgeOutcome> {
    effects.iter().find_map(|effect| match effect {
        Effect::Tell { order, .. } => match order.as_ref() {
            Order::ForgeOutcome { outcome, .. } => Some(outcome.clone()),
            _ => None,
        },
        _ => None,
    })
}

fn steps(effects: &[Effect]) -> Vec<&Step> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Step(step) = effect { Some(step) } else { None })
        .collect()
}

fn asked(effects: &[Effect]) -> Asking {
    let asking = steps(effects).into_iter().find_map(|step| match step {
        Step::Ask(asking) => Some(Asking::clone(asking)),
        _ => None,
    });
    asking.unwrap_or_else(|| panic!("nobody is asked: {effects:?}"))
}

fn vote(standing: &Standing, who: &str, ballot: Ballot, reason: Option<&str>) -> Vote {
    Vote {
        approval: standing.approval.id.clone(),
        digest: standing.approval.digest.clone(),
        person: person(who, Role::Owner),
        surface: "console".into(),
        ballot,
        reason: reason.map(str::to_owned),
        at: Timestamp::UNIX_EPOCH,
    }
}

fn do_merge(fleet: &mut Fleet, approval: &ApprovalId, merge: Merge) -> Vec<Effect> {
    let (approval, tested, base) = (approval.clone(), commit('5'), commit('0'));
    fleet.request("A-1.1/merge/1", ForgeAct::Merge { approval, merge, tested, base, checks: vec![] })
}

#[test]
fn a_card_says_what_happens_and_quotes_the_agent_inertly() {
    let mut fleet = Fleet::new();
    let (standing, effects) = fleet.ask();
    let card = message(&effects, Channel::Approvals);
    let digest = standing.approval.digest.short();
    insta::assert_snapshot!(card.text.replace(&digest, "9be1 40c7 d2aa"), @r#"
    **Merge 4444444 into main** (A-1, alpha)
    12 files, +214 −380. Passed on exactly this commit: test.
    Decide until 2026-11-24 12:00 UTC: 1 owner or reviewer, not the requester. 0 of 1 so far. By button.
    Digest 9be1 40c7 d2aa
    > "Splits it. \*\*now\*\*" (the agent's words)
    "#);
    assert_eq!(card.buttons.len(), 2);
    assert!(!qd_core::text::inert("@everyone", 20).contains("@everyone"), "nobody is mentioned");
}

#[test]
fn a_request_binds_its_target_its_state_and_the_rules() {
    let mut fleet = Fleet::new();
    let (standing, _) = fleet.ask();
    let binding = standing.approval.subject.binding.unwrap();
    assert_eq!((&*binding.target, binding.fingerprint), ("sample main #7", "d".repeat(64)));
    assert_eq!(binding.policies, policies(&[]).hash().as_str());
}

#[test]
fn a_word_in_chat_is_a_vote_to_be_signed() {
    let mut fleet = Fleet::new();
    let (standing, _) = fleet.ask();
    let handled = fleet.says(person("ines", Role::Owner), "deny A-1 use a migration");
    let mut wanted = vote(&standing, "ines", Ballot::Deny, Some("use a migration"));
    wanted.at = Timestamp::from_second(36_840).unwrap();
    let identity = Given::on_console(Proof::SignedIn).identity(&wanted.person.id);
    let word =
        Word { vote: wanted, identity, proof: Proof::SignedIn, way: Way::Button, typed: None, answer: None };
    assert_eq!((steps(&handled.effects), handled.reply), (vec![&Step::Vote(word)], None));
    // What stands behind a yes is the name of what it is done to.
    let handled = fleet.says(person("ines", Role::Owner), "approve A-1 sample main #7");
    let Some(Step::Vote(word)) = steps(&handled.effects).pop() else { panic!() };
    assert_eq!((word.way, word.typed.as_deref()), (Way::Typed, Some("sample main #7")));
}

#[test]
fn only_what_the_forge_rebuilt_is_spent_on() {
    let mut fleet = Fleet::new();
    let (standing, _) = fleet.ask();
    let id = &standing.approval.id;
    fleet.stands(&standing, ApprovalState::Granted, "ines said yes.");
    let effects = do_merge(&mut fleet, id, merge());
    assert!(steps(&effects).is_empty(), "first the forge is asked");
    for (diff, path, same) in
        [('d', "src/lib.rs", true), ('e', "src/lib.rs", false), ('d', "docs/README.md", false)]
    {
        let result = Ok(Brought { diff: diff.to_string().repeat(64), paths: vec![path.to_owned()] });
        let effects = fleet.happens(Event::Rebuilt { approval: id.clone(), result }).effects;
        let [Step::Spend { call: ForgeCall::Merge { rebuilt, .. }, .. }] = steps(&effects)[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(**rebuilt == standing.approval.subject, same);
    }
}

#[test]
fn how_it_ended_is_a_sentence() {
    let mut fleet = Fleet::new();
    let (mut standing, _) = fleet.ask();
    standing.approval.votes = vec![vote(&standing, "ines", Ballot::Approve, None)];
    let mut said = Vec::new();
    for (state, reason) in [
        (ApprovalState::Granted, "ines said yes."),
        (ApprovalState::Executed, &*"9".repeat(40)),
        (ApprovalState::Expired, "Nobody decided in time."),
        (ApprovalState::Withdrawn, "Its run has ended."),
        (ApprovalState::Lapsed, "It was not carried out in time."),
        (ApprovalState::Failed, "Conflicts in README.md."),
        (ApprovalState::Unknown, "The forge did not answer: timeout."),
    ] {
        said.push(message(&fleet.stands(&standing, state, reason), Channel::Approvals).text);
    }
    standing.approval.votes = vec![vote(&standing, "ines", Ballot::Deny, Some("use a migration"))];
    let denied = fleet.stands(&standing, ApprovalState::Denied, "ines said no.");
    said.push(message(&denied, Channel::Approvals).text);
    assert!(message(&denied, Channel::Approvals).buttons.is_empty());
    insta::assert_snapshot!(said.join("\n"), @"
    ✔ Merge 4444444 into main (A-1, alpha): approved by ines, under way.
    ✔ Merge 4444444 into main (A-1, alpha): approved by ines, merged as 9999999.
    ✘ Merge 4444444 into main (A-1, alpha): Nobody decided in time. A person can ask again: `reopen 01ARZ3NDEKTSV4RRFFQ69G5FAV`
    ✘ Merge 4444444 into main (A-1, alpha): It was withdrawn: Its run has ended.
    ✘ Merge 4444444 into main (A-1, alpha): The approval lapsed: It was not carried out in time.
    ✘ Merge 4444444 into main (A-1, alpha): Conflicts in README.md.
    ✘ Merge 4444444 into main (A-1, alpha): It can't be told whether it was merged: The forge did not answer: timeout. Look at the pull request.
    ✘ Merge 4444444 into main (A-1, alpha): Merge denied by ines. Reason: use a migration
    ");
}

#[test]
fn whoever_waits_is_told_unless_the_run_gave_it_up_or_it_may_be_asked_again() {
    let mut fleet = Fleet::new();
    let (standing, _) = fleet.ask();
    let mut told = Vec::new();
    for state in [ApprovalState::Granted, ApprovalState::Expired, ApprovalState::Withdrawn] {
        fleet.stands(&standing, state, "Nobody decided in time.");
        let effects = fleet
            .happens(Event::Decided(Resumption {
                approval: standing.approval.id.clone(),
                waiter: "A-1.1/ask".into(),
                state,
                reason: String::new(),
                answers: vec![],
            }))
            .effects;
        told.push(outcome(&effects));
    }
    insta::assert_debug_snapshot!(told, @r#"
    [
        Some(
            Approved {
                approval: ApprovalId {
                    executor: "bot",
                    ulid: Ulid(
                        1777027686520646174104517696511196507,
                    ),
                },
                by: [],
            },
        ),
        None,
        None,
    ]
    "#);
}

#[test]
fn what_the_clock_says_reaches_people() {
    let mut fleet = Fleet::new();
    let (standing, _) = fleet.ask();
    let id = standing.approval.id;
    let half = Swept::Escalate(id.clone(), vec![Role::Owner, Role::Reviewer]);
    let effects = fleet.happens(Event::Swept(half)).effects;
    assert_eq!(message(&effects, Channel::Approvals).mentions, [Role::Owner, Role::Reviewer]);
    insta::assert_snapshot!(message(&effects, Channel::Approvals).text, @"⏳ owner, reviewer: half of the time to decide is over. **Merge 4444444 into main** (A-1, alpha): `approve 01ARZ3NDEKTSV4RRFFQ69G5FAV` or `deny 01ARZ3NDEKTSV4RRFFQ69G5FAV`");
    let effects = fleet.happens(Event::Swept(Swept::Unseen(id.clone()))).effects;
    insta::assert_snapshot!(message(&effects, Channel::Alerts).text, @"⚠ alpha: the card of A-1 can't be shown: Merge 4444444 into main. It does not expire meanwhile: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV or deny 01ARZ3NDEKTSV4RRFFQ69G5FAV");
    let tally = Tally { approved: vec![], denied: vec!["ines".parse().unwrap()], needed: 1 };
    let cast = Cast::Denied { tally, pause: true };
    let effects = fleet.happens(Event::Voted { approval: id, cast }).effects;
    insta::assert_snapshot!(message(&effects, Channel::Alerts).text, @"⚠ alpha: too much was denied to A-1.1. Nothing more is asked for it.");
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
        spent: None,
        repository: None,
        issue: None,
        run: None,
        question: None,
    };
    let silent = |effects: &[Effect]| {
        effects.iter().all(|effect| !matches!(effect, Effect::Put(_) | Effect::Refresh(_)))
    };
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
    let subject = |fleet: &mut Fleet| asked(&fleet.asks()).subject;
    let usual = subject(&mut fleet);
    assert_eq!(usual.requirement.describe(), "1 owner or reviewer, not the requester");
    let bound = usual.binding.unwrap();
    assert_eq!(
        (bound.target.as_str(), bound.policies.as_str()),
        ("sample main #7", policies(&[]).hash().as_str())
    );

    let two =
        rule(r#"{"name": "main", "actions": ["merge"], "branch": "main", "effect": "ask", "quorum": 2}"#);
    fleet.state.rules.policies = policies(&two);
    let stricter = subject(&mut fleet);
    assert_ne!(stricter.binding.unwrap().policies, bound.policies, "other policies ask anew");
    assert_eq!(stricter.requirement.describe(), "2 owners or reviewers, not the requester");

    let free = rule(r#"{"name": "free", "actions": ["merge"], "effect": "allow", "loosen": true}"#);
    fleet.state.rules.policies = policies(&free);
    assert_eq!(
        subject(&mut fleet).requirement.describe(),
        "1 owner or reviewer (solo: the requester may decide)",
        "nothing merges without a person"
    );

    let never =
        rule(r#"{"name": "freeze", "actions": ["merge"], "effect": "deny", "reason": "We ship on Monday."}"#);
    fleet.state.rules.policies = policies(&never);
    let effects = fleet.asks();
    let Some(Effect::Tell { order, .. }) = effects.first() else { panic!("{effects:?}") };
    let Order::ForgeOutcome { outcome: ForgeOutcome::NotApproved { reason }, .. } = order.as_ref() else {
        panic!("{order:?}")
    };
    insta::assert_snapshot!(reason, @"We ship on Monday. So says the rule freeze of the configuration.");
}

#[test]
fn who_decides_on_a_merge_goes_by_its_paths_and_by_the_protection_of_its_target() {
    let rule = |text: &str| serde_json::from_str::<PolicyRule>(text).unwrap();
    let stricter =
        rule(r#"{"name": "law", "actions": ["merge"], "path": "law/**", "effect": "ask", "quorum": 2}"#);
    let looser = rule(
        r#"{"name": "docs", "actions": ["merge"], "path": "docs/**", "effect": "ask", "way": "reaction", "loosen": true}"#,
    );
    let mut fleet = Fleet::new();
    fleet.state.rules.policies = policies(&[stricter, looser]);
    let mut asked = |paths: Option<&[&str]>, protected: bool| {
        let rules = &mut fleet.state.rules;
        rules.protected = protected.then(|| "sample".to_owned()).into_iter().collect();
        let paths = paths.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect());
        let merge = Action::Merge(Merge { paths, ..merge() });
        let asked = rules.asks(&"alpha".parse().unwrap(), &merge).unwrap();
        (asked.requirement.count, asked.policy)
    };
    let mut table = String::new();
    for paths in
        [None, Some(&["src/lib.rs"][..]), Some(&["law/1", "src/lib.rs"]), Some(&["docs/a", "docs/b"])]
    {
        for protected in [false, true] {
            let (count, policy) = asked(paths, protected);
            table += &format!("{paths:?} protected={protected}: {count} by {policy}\n");
        }
    }
    insta::assert_snapshot!(table, @r#"
    None protected=false: 2 by law
    None protected=true: 2 by merge.protected
    Some(["src/lib.rs"]) protected=false: 1 by merge
    Some(["src/lib.rs"]) protected=true: 2 by merge.protected
    Some(["law/1", "src/lib.rs"]) protected=false: 2 by law
    Some(["law/1", "src/lib.rs"]) protected=true: 2 by merge.protected
    Some(["docs/a", "docs/b"]) protected=false: 1 by docs
    Some(["docs/a", "docs/b"]) protected=true: 2 by docs
    "#);
}

fn report(stage: Stage, title: &str) -> FeatureReport {
    FeatureReport {
        feature: "A-1".parse().unwrap(),
        title: title.into(),
        stage,
        line: Line::default(),
        sentence: "Claude works.".into(),
        agent: Some("claude".into()),
        pull_request: None,
        merged: None,
        seconds: None,
        needs_person: false,
        spent: None,
        repository: None,
        issue: None,
        run: None,
        question: None,
    }
}

#[test]
fn what_people_say_goes_to_the_run_as_what_they_say_it_is() {
    let mut fleet = Fleet::new();
    let manager = || person("ines", Role::Owner);
    let said = |fleet: &mut Fleet, text: &str| fleet.says(manager(), text).reply.unwrap();
    fleet.report(Report::Feature(report(Stage::Ready, "Split it")));
    insta::assert_snapshot!(said(&mut fleet, "feature guide A-1 Keep it small."), @"No run works on A-1, so nobody was told. Say it in its description, by an edit.");
    fleet.report(Report::Feature(report(Stage::Running, "Split it")));
    insta::assert_snapshot!(said(&mut fleet, "feature review A-1 Name it so."), @"A-1 has no pull request yet, so there is nothing to review. Say it as guidance.");
    insta::assert_snapshot!(said(&mut fleet, "feature guide A-1 Keep it small."), @"Taken as guidance for A-1. Sent to alpha.");
    fleet.report(Report::Feature(FeatureReport {
        pull_request: Some(7),
        ..report(Stage::Review, "Split it")
    }));
    insta::assert_snapshot!(said(&mut fleet, "feature review A-1 Name it so."), @"Taken as a review comment on A-1. Sent to alpha.");
    insta::assert_snapshot!(said(&mut fleet, "feature guide A-9 Name it so."), @"No team has reported a feature A-9. Did you mean A-1?");
    // On another service what was said is known by where it was said, so that it can be meant otherwise.
    let account = Some("7".to_owned());
    let proof = Proof::Service("1234".into());
    let given = Given { surface: "discord".into(), account, proof, way: Way::Button, scope: Scope::Fleet };
    let text = "feature review A-1 Name it so.\nAnd so.".to_owned();
    let handled = fleet.happens(Event::Command { person: manager(), given, text });
    let told = handled.effects.iter().find_map(|effect| match effect {
        Effect::Tell { order, .. } => match order.as_ref() {
            Order::Command { command, .. } => Some(serde_json::to_value(command).unwrap()),
            _ => None,
        },
        _ => None,
    });
    insta::assert_snapshot!(serde_json::to_string(&told).unwrap(), @r#"{"command":"guide","feature":"A-1","text":"Name it so.\nAnd so.","remark":"review","said":"discord/1234"}"#);
}

#[test]
fn from_a_place_with_some_teams_the_others_are_neither_seen_nor_commanded() {
    let mut fleet = Fleet::new();
    fleet.ask();
    fleet.report(Report::Feature(report(Stage::Running, "Split it")));
    let mut says = |scope: Scope, text: &str| {
        let (account, proof) = (Some("7".to_owned()), Proof::Service("1".into()));
        let given = Given { surface: "discord".into(), account, proof, way: Way::Button, scope };
        let owner = person("ines", Role::Owner);
        let handled = fleet.happens(Event::Command { person: owner, given, text: text.into() });
        format!("{} [{}]", handled.reply.unwrap_or_default(), handled.effects.len())
    };
    let elsewhere = || Scope::Only(vec!["beta".parse().unwrap()]);
    let all = [
        "approvals",
        "board",
        "fleet teams",
        "feature show A-1",
        "approve A-1",
        "team pause alpha",
        "announce Hello",
    ];
    let told: Vec<String> = all.iter().map(|text| format!("{text}: {}", says(elsewhere(), text))).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    approvals: Nothing waits for people. [0]
    board: No runs yet. [0]
    fleet teams: There is no team. [0]
    feature show A-1: No team has reported a feature A-1. [0]
    approve A-1: Nothing is asked under A-1. What waits: `approvals list` [0]
    team pause alpha: There is no team. [0]
    announce Hello: Told to 0 teams. [1]
    ");
    insta::assert_snapshot!(says(Scope::Except(vec!["beta".parse().unwrap()]), "feature show A-1"), @"
    **A-1 Split it** · alpha · claude
    `▱▱▱▱▱▱▱▱▱` Claude works. [0]
    ");
    insta::assert_snapshot!(says(Scope::Fleet, "approvals"), @"01ARZ3NDEKTSV4RRFFQ69G5FAV Merge 4444444 into main (A-1, alpha) [0]");
}

#[test]
fn letters_that_deceive_are_shown_as_such() {
    let mut fleet = Fleet::new();
    let effects = fleet.report(Report::Feature(report(
        Stage::Running,
        "Pay \u{202e}lap\u{200b}yap\u{202c} and r\u{0430}ypal",
    )));
    insta::assert_snapshot!(message(&effects, Channel::Dev).text, @"
    **A-1 Pay ⟨U+202E⟩lap⟨U+200B⟩yap⟨U+202C⟩ and rаypal** · alpha · claude
    `▱▱▱▱▱▱▱▱▱` Claude works.
    Careful: It holds marks that turn the direction of writing; they are shown as ⟨U+…⟩.
    Careful: It holds characters that can't be seen; they are shown as ⟨U+…⟩.
    Careful: “rаypal” mixes letters of several scripts.
    ");
    let long = "\u{1f980}".repeat(200);
    let effects = fleet.report(Report::Feature(report(Stage::Running, &long)));
    let shown = message(&effects, Channel::Dev).text;
    assert_eq!(shown.matches('\u{1f980}').count(), 120, "cut where a character ends");
}
