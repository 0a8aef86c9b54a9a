//! Distillation through the one function: what people see of what happens, from facts, and every word of it.

#![allow(
    clippy::invisible_characters,
    reason = "what keeps a mention from calling anybody is shown as it is"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use proptest::prelude::*;
use qd_approvals::AskRefusal;
use qd_core::{
    Distil, Effect, Event, FleetState, Handled, Moment, Pipeline, PipelineKind, Rules, Save, Standing, Step,
    chat::{Channel, Given, Message, Proof, Way},
    handle,
};
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_types::{
    Approval, ApprovalState, Ballot, Confirm, InstanceName, Line, Mark, Merge, Person, Role, Spent, Stage,
    Vote,
};
use qd_wire::v1::{
    Alert, Blocked, Cost, FeatureReport, FleetAnswer, FleetAsk, FleetQuery, ForgeAct, ForgeRequest,
    MilestoneProgress, Order, Report,
};
use serde_json::{Value, json};

fn person(name: &str, role: Role) -> Person {
    Person { id: name.parse().unwrap(), roles: vec![role] }
}

/// The default policies, made once: that takes longer than all else here.
fn policies(people: &[Person], teams: &[InstanceName]) -> Arc<Policies> {
    static MADE: OnceLock<Arc<Policies>> = OnceLock::new();
    let known = |person| KnownPerson { person, identities: Vec::new() };
    let make = || {
        let facts = Facts {
            people: people.iter().cloned().map(known).collect(),
            teams: teams.to_vec(),
            repositories: vec!["sample".parse().unwrap()],
            ..Facts::default()
        };
        Arc::new(Policies::new(Bundle::embedded().unwrap(), &facts, &[]).unwrap())
    };
    Arc::clone(MADE.get_or_init(make))
}

struct Fleet {
    state: FleetState,
    now: Timestamp,
    fresh: u128,
}

impl Fleet {
    /// Two teams in Berlin, on a Friday at eight.
    fn new() -> Self {
        Self::with(&json!({}))
    }

    fn with(own: &Value) -> Self {
        let people = vec![person("ines", Role::Owner), person("vera", Role::Viewer)];
        let teams: Vec<_> = ["alpha", "beta"].map(|team| team.parse().unwrap()).to_vec();
        let rules = Rules {
            teams: teams.clone(),
            people: people.clone(),
            renamed: BTreeMap::new(),
            policies: policies(&people, &teams),
            merge_methods: BTreeMap::new(),
            read: BTreeSet::new(),
            protected: BTreeSet::new(),
            unprotected: BTreeSet::new(),
            approvals: qd_approvals::Rules::default(),
            distil: Distil::new(own, TimeZone::get("Europe/Berlin").unwrap()).unwrap(),
        };
        Self { state: FleetState::new(rules), now: "2026-11-20T07:00:00Z".parse().unwrap(), fresh: 0 }
    }

    fn happens(&mut self, event: Event) -> Handled {
        self.fresh += 1;
        handle(&mut self.state, event, Moment { at: self.now, fresh: ulid::Ulid::from_parts(1, self.fresh) })
    }

    /// The bot's process starts again: only what is in rows is left.
    fn restart(&mut self, rows: &[Save]) {
        let mut state = FleetState::new(self.state.rules.clone());
        state.features = self.state.features.clone();
        for save in rows {
            if let Save::Fact(fact) = save {
                let row = serde_json::to_string(fact).unwrap();
                state.facts.put(serde_json::from_str(&row).unwrap());
            }
        }
        self.state = state;
    }

    fn passes(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
    }

    fn report(&mut self, team: &str, report: Report) -> Vec<Effect> {
        self.happens(Event::Report { instance: team.parse().unwrap(), report: Box::new(report) }).effects
    }

    fn tick(&mut self) -> Vec<Message> {
        messages(&self.happens(Event::Tick).effects)
    }

    fn digests(&mut self) -> Vec<Message> {
        let mut all = self.tick();
        all.retain(|message| message.key.0.starts_with("digest:"));
        all
    }

    fn says(&mut self, who: Person, text: &str) -> Handled {
        let given = Given::on_console(Proof::SignedIn);
        self.happens(Event::Command { person: who, given, text: text.into() })
    }

    fn asks(&mut self, text: &str) -> String {
        self.says(person("ines", Role::Owner), text).reply.unwrap()
    }

    fn feature(&mut self, team: &str, id: &str, stage: Stage, sentence: &str) -> Vec<Effect> {
        self.report(team, Report::Feature(feature(id, stage, sentence)))
    }

    /// A run of alpha asks for its merge; the store takes it.
    fn asks_merge(&mut self, id: &str) -> Standing {
        let merge = Merge {
            repository: "sample".parse().unwrap(),
            pull_request: 7,
            head: "4".repeat(40).parse().unwrap(),
            target: "main".into(),
            diff: "d".repeat(64),
            paths: None,
        };
        let act = ForgeAct::AskMerge {
            merge,
            requesters: vec![],
            words: None,
            facts: "2 files.".into(),
            findings: vec![],
        };
        let run = format!("{id}.1").parse().unwrap();
        let request = ForgeRequest { id: format!("{id}.1/ask"), feature: id.parse().unwrap(), run, act };
        let effects = self.report("alpha", Report::ForgeRequest(request));
        let asking = effects.into_iter().find_map(|effect| match effect {
            Effect::Step(Step::Ask(asking)) => Some(*asking),
            _ => None,
        });
        let asking = asking.unwrap();
        let standing = Standing {
            approval: Approval {
                id: format!("bot/01ARZ3NDEKTSV4RRFFQ69G{:04}", self.fresh).parse().unwrap(),
                digest: asking.subject.digest().unwrap(),
                subject: asking.subject.clone(),
                state: ApprovalState::Requested,
                votes: vec![],
                requested_at: self.now,
                decided_at: None,
            },
            words: None,
            reason: None,
            confirm: Confirm { way: Way::Button, typed: false },
            decide_until: None,
        };
        let result: Result<_, AskRefusal> = Ok(Box::new(standing.clone()));
        self.happens(Event::Asked { asking: Box::new(asking), result });
        standing
    }

    fn decided(&mut self, mut standing: Standing, state: ApprovalState, why: Option<&str>) {
        standing.approval.state = state;
        standing.approval.decided_at = Some(self.now);
        standing.approval.votes.push(Vote {
            approval: standing.approval.id.clone(),
            digest: standing.approval.digest.clone(),
            person: person("ines", Role::Owner),
            surface: "console".into(),
            ballot: if why.is_some() { Ballot::Deny } else { Ballot::Approve },
            reason: why.map(str::to_owned),
            at: self.now,
        });
        self.happens(Event::Stands(Box::new(standing)));
    }

    fn ran(&mut self, kind: PipelineKind, name: &str, commit: char, passed: bool) -> Vec<Message> {
        let event = Event::Ran {
            pipeline: Pipeline { repository: "sample".parse().unwrap(), kind, name: name.into() },
            commit: commit.to_string().repeat(40).parse().unwrap(),
            passed,
            url: Some("https://forge.example/runs/7".into()),
        };
        messages(&self.happens(event).effects)
    }
}

fn feature(id: &str, stage: Stage, sentence: &str) -> FeatureReport {
    let mut line = Line::default();
    line.0[0] = Mark::Done;
    line.0[1] = Mark::Now;
    FeatureReport {
        feature: id.parse().unwrap(),
        title: format!("Title of {id}"),
        stage,
        line,
        sentence: sentence.into(),
        agent: (stage != Stage::Ready).then(|| "claude".into()),
        pull_request: None,
        merged: None,
        seconds: None,
        needs_person: sentence.contains("Needs"),
        spent: None,
        repository: None,
        issue: None,
        run: None,
        question: None,
    }
}

fn messages(effects: &[Effect]) -> Vec<Message> {
    let said = effects.iter().filter_map(|effect| match effect {
        Effect::Put(message) | Effect::Refresh(message) => Some(message.clone()),
        _ => None,
    });
    said.collect()
}

fn one(messages: &[Message]) -> &Message {
    assert_eq!(messages.len(), 1, "{messages:?}");
    &messages[0]
}

/// A day of alpha: two merged, one runs, one is blocked, one asks, one is next; people said yes and no.
fn day(fleet: &mut Fleet) {
    fleet.tick();
    fleet.feature("alpha", "A-1", Stage::Running, "Works.");
    fleet.feature("alpha", "A-1", Stage::Done, "Merged.");
    fleet.feature("alpha", "A-2", Stage::Done, "Merged.");
    fleet.feature("alpha", "A-3", Stage::Running, "Works.");
    fleet.feature("alpha", "A-4", Stage::Running, "Needs a decision on SameSite.");
    fleet.feature("alpha", "A-5", Stage::Review, "Asks to merge.");
    fleet.feature("alpha", "A-6", Stage::Ready, "Waits for a slot.");
    fleet.feature("beta", "B-1", Stage::Done, "Merged.");
    let yes = fleet.asks_merge("A-1");
    fleet.decided(yes, ApprovalState::Executed, None);
    let no = fleet.asks_merge("A-4");
    fleet.decided(no, ApprovalState::Denied, Some("use a *migration*"));
    fleet.asks_merge("A-5");
    let spent = Spent { calls: 9, tokens: 120_000, micro_dollars: 12_400_000, ..Spent::default() };
    fleet.report("alpha", Report::Cost(Cost { day: "2026-11-20".parse().unwrap(), spent }));
    fleet.report(
        "alpha",
        Report::Milestone(MilestoneProgress {
            project: "API".into(),
            milestone: "2.0".into(),
            done: 3,
            features: 5,
            percent: 60,
            due: Some("2026-12-01".parse().unwrap()),
            forecast: Some("2026-12-04".parse().unwrap()),
            repository: Some("sample".parse().unwrap()),
            blocked: vec!["A-4".parse().unwrap()],
            risks: Vec::new(),
        }),
    );
}

#[test]
fn a_stand_up_is_made_of_facts_once_a_day() {
    let mut fleet = Fleet::new();
    day(&mut fleet);
    fleet.passes(1);
    let digests = fleet.digests();
    assert_eq!(digests.len(), 2, "one per team: {digests:?}");
    assert_snapshot!(digests[0].key.0, @"digest:standup:alpha:1795161600");
    assert_eq!(digests[0].channel, Channel::Standup);
    assert_snapshot!(digests[0].text, @r"
    **alpha, since 08:00** Merged 2 (A-1, A-2) · Running 1 · Asks 1 · Blocked 1: A-4, Needs a decision on SameSite · 120,000 tokens, $12.40
    Decisions: 1 approved, 1 denied (Merge 4444444 into main in A-4: use a \*migration\*) · Next: A-6
    Milestones: API 2.0: 60 %, 3 of 5 merged, due 2026-12-01, at this pace 2026-12-04
    ");
    assert_snapshot!(digests[1].text, @"**beta, since 08:00** Merged 1 (B-1)");
    assert!(fleet.digests().is_empty(), "once");
    fleet.passes(23);
    assert!(fleet.digests().is_empty(), "not before its hour");
    fleet.passes(1);
    let digests = fleet.digests();
    assert_snapshot!(one(&digests).text, @"
    **alpha, since yesterday** Running 1 · Asks 1 · Blocked 1: A-4, Needs a decision on SameSite
    Next: A-6
    Risks: Merge 4444444 into main (A-5, alpha) waits for people since 25 h; A-3 Title of A-3 has not moved for 25 h in agent
    ");
    fleet.passes(24 * 3);
    let digests = fleet.digests();
    assert_eq!(digests.len(), 2, "one of the days that it was away, and the week: {digests:?}");
    assert_snapshot!(digests[0].text, @"
    **alpha, since Sat 21 Nov** Running 1 · Asks 1 · Blocked 1: A-4, Needs a decision on SameSite
    Next: A-6
    Risks: Merge 4444444 into main (A-5, alpha) waits for people since 97 h; A-3 Title of A-3 has not moved for 97 h in agent
    ");
    assert_snapshot!(digests[1].text, @r"
    **The fleet, since Fri 20 Nov** Merged 3 (alpha 2, beta 1) · Blocked 1: A-4, Needs a decision on SameSite · 120,000 tokens, $12.40
    Decisions: 1 approved, 1 denied (Merge 4444444 into main in A-4: use a \*migration\*)
    Milestones: API 2.0: 60 %, 3 of 5 merged, due 2026-12-01, at this pace 2026-12-04
    Risks: Merge 4444444 into main (A-5, alpha) waits for people since 97 h; A-3 Title of A-3 has not moved for 97 h in agent
    ");
}

#[test]
fn whoever_asks_is_told_at_once() {
    let mut fleet = Fleet::new();
    assert_snapshot!(fleet.asks("standup now"), @"Nothing happened since the last stand-up.");
    assert_snapshot!(fleet.asks("standup now gamma"), @"There is no team gamma. There is alpha, beta.");
    assert_snapshot!(fleet.asks("fleet risks"), @"No risk is known: nothing is red, nothing is stuck, nobody keeps anybody waiting.");
    day(&mut fleet);
    assert_snapshot!(fleet.asks("standup now beta"), @"**beta, since 08:00** Merged 1 (B-1)");
    assert_snapshot!(fleet.asks("fleet week"), @r"
    **The fleet, since 08:00** Merged 3 (alpha 2, beta 1) · Blocked 1: A-4, Needs a decision on SameSite · 120,000 tokens, $12.40
    Decisions: 1 approved, 1 denied (Merge 4444444 into main in A-4: use a \*migration\*)
    Milestones: API 2.0: 60 %, 3 of 5 merged, due 2026-12-01, at this pace 2026-12-04
    ");
    assert_eq!(fleet.digests(), [], "that is no digest");
}

#[test]
fn a_team_has_a_message_that_says_how_it_stands() {
    let mut fleet = Fleet::new();
    assert!(fleet.tick().is_empty(), "nothing was begun");
    day(&mut fleet);
    let said = fleet.tick();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_snapshot!(said[0].key.0, @"team:alpha");
    assert_snapshot!(said[0].text, @"
    **alpha**
    Running 1 · Asks 1 · Blocked 1: A-4, Needs a decision on SameSite · 120,000 tokens, $12.40
    Merged 2 since 08:00
    ");
    assert_snapshot!(said[1].text, @"
    **beta**
    Nothing runs.
    Merged 1 since 08:00
    ");
    assert!(fleet.tick().is_empty(), "nothing changed");
    let blocked = |why: Option<&str>, at: &str| {
        let (why, since) = (why.map(Into::into), at.parse().unwrap());
        Report::Blocked(Blocked { feature: "A-4".parse().unwrap(), run: None, why, since })
    };
    fleet.report("alpha", blocked(Some("Needs a decision."), "2026-11-20T01:00:00Z"));
    assert_eq!(fleet.tick().len(), 1);
    assert!(fleet.report("alpha", blocked(Some("Needs a decision."), "2026-11-20T01:00:00Z")).is_empty());
}

#[test]
fn risks_are_what_needs_no_alert_yet() {
    let mut fleet = Fleet::new();
    day(&mut fleet);
    fleet.ran(PipelineKind::Workflow, "test", '4', false);
    for (day, dollars) in [(17, 5), (18, 6), (19, 4)] {
        let spent = Spent { micro_dollars: dollars * 1_000_000, tokens: 1, ..Spent::default() };
        let day = jiff::civil::date(2026, 11, day);
        fleet.report("alpha", Report::Cost(Cost { day, spent }));
    }
    fleet.passes(5);
    assert_snapshot!(fleet.asks("fleet risks"), @"
    ⚠ the default branch of sample is red: test fails on 4444444.
    ⚠ alpha is silent since 08:00 (last heard with no run). Its work is safe on its machine; orders wait.
    ⚠ beta is silent since 08:00 (last heard with no run). Its work is safe on its machine; orders wait.
    ⚠ alpha: Merge 4444444 into main (A-5, alpha) waits for people since 5 h.
    ⚠ alpha: A-3 Title of A-3 has not moved for 5 h in agent.
    ⚠ alpha has spent $12.40 today, a usual day costs $5.00.
    ");
    let query = Report::FleetQuery(FleetQuery { id: "q".into(), ask: FleetAsk::Risks });
    let effects = fleet.report("beta", query);
    let [Effect::Tell { order, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let Order::FleetAnswer { answer: FleetAnswer::Risks { risks }, .. } = order.as_ref() else { panic!() };
    assert_eq!(risks.len(), 5);
    let query = Report::FleetQuery(FleetQuery { id: "c".into(), ask: FleetAsk::Cost { days: 2 } });
    let effects = fleet.report("beta", query);
    let [Effect::Tell { order, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let Order::FleetAnswer { answer: FleetAnswer::Cost { days }, .. } = order.as_ref() else { panic!() };
    assert_eq!(days.len(), 2);
}

#[test]
fn a_red_branch_is_one_message_however_often_it_is_red() {
    let mut fleet = Fleet::new();
    assert!(fleet.ran(PipelineKind::Workflow, "test", '1', true).is_empty(), "green is no news");
    let first = fleet.ran(PipelineKind::Workflow, "test", '2', false);
    assert_snapshot!(one(&first).text, @"⚠ The default branch of sample is red: test fails on 2222222. https://forge.example/runs/7");
    assert!(fleet.ran(PipelineKind::Workflow, "test", '2', false).is_empty(), "delivered twice");
    fleet.passes(2);
    let second = fleet.ran(PipelineKind::Workflow, "test", '3', false);
    assert_snapshot!(one(&second).text, @"⚠ The default branch of sample is red: test fails on 3333333 (2 commits in a row). https://forge.example/runs/7");
    let green = fleet.ran(PipelineKind::Workflow, "test", '4', true);
    assert_snapshot!(one(&green).text, @"✔ The default branch of sample is green: test passes with 4444444. It was red for 2 h 0 min. https://forge.example/runs/7");
    let again = fleet.ran(PipelineKind::Workflow, "test", '5', false);
    let keys: BTreeSet<_> = [&first, &second, &green, &again].map(|said| one(said).key.clone()).into();
    assert_eq!(keys.len(), 1, "one message for the workflow");
    assert_eq!(one(&again).channel, Channel::Alerts);
    let deployed = fleet.ran(PipelineKind::Environment, "production", '5', false);
    assert_snapshot!(one(&deployed).text, @"⚠ sample can't be deployed to production: it fails on 5555555. https://forge.example/runs/7");
    let deployed = fleet.ran(PipelineKind::Environment, "production", '6', true);
    assert_snapshot!(one(&deployed).text, @"✔ sample is deployed to production with 6666666. It was red for 0 min. https://forge.example/runs/7");
}

#[test]
fn whoever_may_tells_all_teams() {
    let mut fleet = Fleet::new();
    let refused = fleet.says(person("vera", Role::Viewer), "announce No merges before noon.");
    assert!(refused.effects.is_empty());
    assert_snapshot!(refused.reply.unwrap(), @"You need the role owner, manager or operator for this. You have: viewer. Who may: ines.");
    let said = fleet.says(person("ines", Role::Owner), "announce No merges before noon, <everyone>.");
    assert_snapshot!(said.reply.as_deref().unwrap(), @"Told to 2 teams.");
    assert_snapshot!(one(&messages(&said.effects)).text, @r"
    **ines to all teams**
    No merges before noon, \<everyone\>.
    ");
    let told: Vec<_> = said.effects.iter().filter(|effect| matches!(effect, Effect::Tell { .. })).collect();
    assert_eq!(told.len(), 2, "each team: {told:?}");
}

#[test]
fn rules_say_what_goes_where() {
    let rule = |channel: &str, form: &str| json!({ "channel": channel, "form": form });
    let mut fleet = Fleet::with(&json!({ "rules": {
        "feature": rule("standup", "living"),
        "instance": rule("dev", "nothing"),
        "alert": rule("alerts", "digest"),
        "milestone": rule("dev", "living"),
        "workflow": rule("alerts", "digest"),
    } }));
    fleet.tick();
    let said = messages(&fleet.feature("alpha", "A-1", Stage::Running, "Works."));
    assert_eq!(one(&said).channel, Channel::Standup);
    let held = |over| Report::Alert(Alert { key: "held:A-1".into(), text: "A-1: checks red.".into(), over });
    assert!(messages(&fleet.report("alpha", held(false))).is_empty());
    assert!(fleet.ran(PipelineKind::Workflow, "test", '2', false).is_empty());
    assert!(fleet.tick().is_empty());
    assert_snapshot!(fleet.asks("standup now alpha"), @"
    **alpha, since 08:00** Running 1
    ⚠ alpha: A-1: checks red.
    ");
    assert_snapshot!(fleet.asks("fleet week"), @"
    **The fleet, since 08:00** Merged nothing
    Risks: the default branch of sample is red: test fails on 2222222
    ⚠ The default branch of sample is red: test fails on 2222222. https://forge.example/runs/7
    ");
}

#[test]
fn what_comes_and_goes_is_one_cause() {
    let mut fleet = Fleet::new();
    let mut keys = BTreeSet::new();
    for round in 0..6 {
        let text = format!("A-1 at 09:0{round}: the disk is full.");
        for over in [false, true] {
            let alert = Report::Alert(Alert { key: "disk".into(), text: text.clone(), over });
            keys.insert(one(&messages(&fleet.report("alpha", alert))).key.clone());
            fleet.now += SignedDuration::from_mins(5);
        }
    }
    assert_eq!(keys.len(), 1, "by its cause, never by a text with a time in it");
    fleet.passes(1);
    let alert = Report::Alert(Alert { key: "disk".into(), text: "Full.".into(), over: false });
    let anew = messages(&fleet.report("alpha", alert));
    assert!(!keys.contains(&one(&anew).key), "another day, another message");
    assert_snapshot!(one(&anew).text, @"⚠ alpha: Full.");
}

#[test]
fn nothing_that_somebody_wrote_acts_in_a_digest() {
    let mut fleet = Fleet::new();
    fleet.tick();
    fleet.feature("alpha", "A-1", Stage::Running, "Needs **everyone** [x](http://y).");
    assert_snapshot!(fleet.asks("standup now alpha").replace('\u{200b}', "~"), @r"**alpha, since 08:00** Blocked 1: A-1, Needs \*\*everyone\*\* \[x\](http:~//y)");
}

proptest! {
    /// Whatever the clock does, and however often the bot starts again from its rows: never two digests for one hour, and
    /// never more than one of each kind at once.
    #[test]
    fn each_digest_is_sent_once(steps in prop::collection::vec((-2_i64..30, any::<bool>()), 1..40)) {
        let mut fleet = Fleet::new();
        let mut rows: BTreeMap<String, Save> = BTreeMap::new();
        let mut sent = BTreeSet::new();
        fleet.feature("alpha", "A-3", Stage::Running, "Works.");
        for (hours, restart) in steps {
            fleet.passes(hours);
            let effects = fleet.happens(Event::Tick).effects;
            for effect in &effects {
                match effect {
                    Effect::Save(Save::Fact(fact)) => {
                        rows.insert(fact.key(), Save::Fact(fact.clone()));
                    }
                    Effect::Save(Save::Forget(key)) => {
                        rows.remove(key);
                    }
                    _ => {}
                }
            }
            let mut kinds = BTreeSet::new();
            for message in messages(&effects).into_iter().filter(|message| message.key.0.starts_with("digest:")) {
                let (kind, _) = message.key.0.rsplit_once(':').unwrap();
                prop_assert!(kinds.insert(kind.to_owned()), "two at once: {}", message.key.0);
                prop_assert!(message.text.chars().count() <= 2000);
                prop_assert!(sent.insert(message.key.0.clone()), "sent twice: {}", message.key.0);
            }
            if restart {
                let rows: Vec<Save> = rows.values().cloned().collect();
                fleet.restart(&rows);
            }
        }
    }
}
