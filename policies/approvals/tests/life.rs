//! The life of an approval through its public face: queue, cards, clocks, plans, questions, those who wait.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

mod support;

use std::collections::BTreeSet;

use insta::assert_snapshot;
use qd_approvals::{
    Ask, Asked, Authorised, CardOrder, Cast, DENIALS_PER_RUN, EffectState, OPEN_PER_RUN, Outcome, Probe,
    Spending, Swept, Undelivered, WHOLE, authorise, confirm,
};
use qd_types::{
    Action, ApprovalId, ApprovalState, Ballot, Budget, Enrolment, Merge, Plan, PlanItem, PolicyChange,
    Question, Requirement, Role, RunId, Subject, Tier,
};
use serde_json::json;
use support::{DAY, World, binding, call, person, place, refused, restart};

/// The same, for one of many targets.
fn numbered(number: usize) -> Subject {
    let mut subject = restart();
    binding(&mut subject).target = format!("service-{number}");
    subject
}

/// Which requests have a card to be shown.
async fn to_show(world: &World) -> BTreeSet<ApprovalId> {
    let orders = world.run(|a| a.cards_due(100)).await;
    orders
        .into_iter()
        .filter_map(|order| if let CardOrder::Show(card) = order { Some(card.approval) } else { None })
        .collect()
}

/// What surfaces have to do.
async fn due(world: &World) -> Vec<String> {
    let orders = world.run(|a| a.cards_due(9)).await;
    let said = |order| match order {
        CardOrder::Show(card) => format!("show on {}", card.place.surface),
        CardOrder::Close(card) => format!("close on {}", card.place.surface),
    };
    orders.into_iter().map(said).collect()
}

#[tokio::test]
async fn five_are_open_and_the_rest_queue() {
    let mut world = World::new();
    let mut ids = Vec::new();
    for number in 0..OPEN_PER_RUN as usize {
        ids.push(world.asked(numbered(number)).await);
    }
    let Asked::Queued(sixth) = world.ask(numbered(6)).await else { panic!() };
    let Asked::Queued(seventh) = world.ask(numbered(7)).await else { panic!() };
    assert!(to_show(&world).await.is_empty());
    let statement = world.statement(&sixth, "ines", "board", Ballot::Approve).await;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"This waits behind 5 other requests of its run. Decide those first.");
    // Another run has its own.
    let mut other = numbered(8);
    other.run = RunId::new(other.feature.clone(), 2);
    world.asked(other).await;
    // A place that gets free goes to the oldest.
    world.vote(&ids[0], "ines", "board", Ballot::Approve).await;
    assert_eq!(to_show(&world).await, BTreeSet::from([sixth.clone()]));
    let first = ids[1].clone();
    assert!(world.run(move |a| a.withdraw(&first, "not needed")).await);
    assert_eq!(to_show(&world).await, BTreeSet::from([sixth, seventh]));
}

#[tokio::test]
async fn asking_again_gives_the_open_request() {
    let mut world = World::new();
    let id = world.asked(restart()).await;
    assert_eq!(world.ask(restart()).await, Asked::Already(id.clone()));
    world.vote(&id, "ines", "board", Ballot::Approve).await;
    assert_eq!(world.ask(restart()).await, Asked::Already(id.clone()), "granted, and not used");
    assert!(matches!(world.authorise(&id, restart(), "act-1").await, Authorised::Go(_)));
    let which = id.clone();
    assert!(world.run(move |a| a.finish(&which, WHOLE, &Outcome::Done("task-1".into()))).await);
    assert!(matches!(world.ask(restart()).await, Asked::Opened(other) if other != id), "used: another one");
}

#[tokio::test]
async fn a_card_that_nobody_can_see_never_expires() {
    let mut world = World::new();
    let mut ask = world.ask_of(restart());
    let (here, there, last) = (place("discord", 0), place("github", 1), place("board", 2));
    ask.places = vec![last.clone(), here.clone(), there.clone()];
    let Asked::Opened(id) = world.run(move |a| a.ask(ask)).await else { panic!() };
    assert_eq!(due(&world).await, ["show on discord"]);
    let fails = |place: qd_approvals::Place| {
        let id = id.clone();
        move |a: &qd_approvals::Approvals<'_>| a.undeliverable(&id, &place, "403")
    };
    assert_eq!(world.run(fails(here.clone())).await, Undelivered::Fallback(vec![there.clone()]));
    assert_eq!(world.run(fails(here)).await, Undelivered::Nothing, "said twice");
    assert_eq!(due(&world).await, ["show on github"]);
    assert_eq!(world.run(fails(there)).await, Undelivered::Fallback(vec![last.clone()]));
    assert_eq!(world.run(fails(last.clone())).await, Undelivered::Alert);
    world.pass(30 * DAY);
    assert_eq!(world.run(|a| a.sweep()).await, [], "told already, and still open");
    assert_eq!(world.state(&id).await, "Requested");
    // A card without the service's id is none.
    let (which, where_) = (id.clone(), last.clone());
    assert!(!world.run(move |a| a.delivered(&which, &where_, " ")).await);
    let (which, where_) = (id.clone(), last.clone());
    assert!(world.run(move |a| a.delivered(&which, &where_, "card-9")).await);
    // Now its clock runs; at half of it somebody is called, once.
    world.pass(DAY / 2);
    let roles = vec![Role::Owner, Role::Operator];
    assert_eq!(world.run(|a| a.sweep()).await, [Swept::Escalate(id.clone(), roles)]);
    assert_eq!(world.run(|a| a.sweep()).await, []);
    world.pass(DAY / 2);
    assert_eq!(world.run(|a| a.sweep()).await, [Swept::Expired(id.clone())]);
    assert_eq!(due(&world).await, ["close on board"]);
    let which = id.clone();
    assert!(world.run(move |a| a.closed(&which, &last)).await);
    assert!(due(&world).await.is_empty());
}

#[tokio::test]
async fn a_card_that_is_long_on_its_way_alerts() {
    let mut world = World::new();
    let Asked::Opened(id) = world.ask(restart()).await else { panic!() };
    assert_eq!(world.run(|a| a.sweep()).await, []);
    world.pass(15);
    assert_eq!(world.run(|a| a.sweep()).await, [Swept::Unseen(id)]);
    assert_eq!(world.run(|a| a.sweep()).await, []);
}

#[tokio::test]
async fn a_clock_that_was_ahead_does_not_make_long_deadlines() {
    let mut world = World::new();
    let open = world.asked(restart()).await;
    world.pass(1000 * DAY);
    world.run(|a| a.sweep()).await;
    assert_eq!(world.state(&open).await, "Expired");
    let later = world.granted(numbered(1)).await;
    // It is set right again. Nothing comes back, and an hour is an hour.
    world.pass(-1000 * DAY);
    world.run(|a| a.sweep()).await;
    assert_eq!((world.state(&open).await, world.state(&later).await), ("Expired".into(), "Granted".into()));
    world.pass(61);
    assert_eq!(world.run(|a| a.sweep()).await, [Swept::Lapsed(later)]);
}

#[tokio::test]
async fn callers_that_come_in_another_order_do_not_make_the_clock_fast() {
    let mut world = World::new();
    let id = world.granted(restart()).await;
    let (early, late) = (world.now, world.now + jiff::SignedDuration::from_secs(50));
    for turn in 0..90 {
        world.now = if turn % 2 == 0 { late } else { early };
        world.run(|a| a.sweep()).await;
    }
    assert_eq!(world.state(&id).await, "Granted", "less than a minute passed");
}

#[tokio::test]
async fn one_no_is_final_even_if_a_yes_overtook_it() {
    let mut world = World::new();
    let id = world.asked(call("container.remove", Tier::Destroy)).await;
    let no = world.sign(&world.statement(&id, "ines", "discord", Ballot::Deny).await);
    world.pass(1);
    let mut yes = world.statement(&id, "ines", "board", Ballot::Approve).await;
    (yes.way, yes.typed) = (confirm::Way::Typed, Some("billing-db".into()));
    assert!(matches!(world.cast(world.sign(&yes)).await, Cast::Counted(_)));
    assert!(matches!(world.cast(no).await, Cast::Denied { .. }));
}

#[tokio::test]
async fn five_denials_pause_the_run() {
    let mut world = World::new();
    for number in 0..DENIALS_PER_RUN as usize {
        let id = world.asked(numbered(number)).await;
        let Cast::Denied { pause, .. } = world.vote(&id, "ines", "board", Ballot::Deny).await else {
            panic!()
        };
        assert_eq!(pause, number + 1 == DENIALS_PER_RUN as usize);
    }
    assert_snapshot!(refused(world.ask(numbered(9)).await), @"5 requests of this run were denied. The run is paused until a person lets it go on.");
}

#[tokio::test]
async fn a_disabled_persons_votes_are_dropped_for_good() {
    let mut world = World::new();
    let mut subject = restart();
    subject.requirement.count = 2;
    let id = world.asked(subject).await;
    assert!(matches!(world.vote(&id, "ines", "board", Ballot::Approve).await, Cast::Counted(_)));
    world.people.people.get_mut(&person("ines")).unwrap().disabled = true;
    assert_eq!(world.run(|a| a.drop_votes(&person("ines"))).await, std::slice::from_ref(&id));
    world.people.people.get_mut(&person("ines")).unwrap().disabled = false;
    let Cast::Counted(tally) = world.vote(&id, "mira", "board", Ballot::Approve).await else { panic!() };
    assert_eq!(tally.approved, [person("mira")]);
}

#[tokio::test]
async fn whoever_waits_is_resumed_once() {
    let mut world = World::new();
    let id = world.asked(restart()).await;
    let resume = |id: &ApprovalId| {
        let id = id.clone();
        move |a: &qd_approvals::Approvals<'_>| a.resume(&id, "turn-1")
    };
    assert_eq!(world.run(resume(&id)).await, None, "not decided");
    world.vote(&id, "ines", "board", Ballot::Approve).await;
    world.restart();
    assert_eq!(world.run(|a| a.resumable()).await, [(id.clone(), "turn-1".to_owned())]);
    let resumed = world.run(resume(&id)).await.unwrap();
    assert_eq!((resumed.state, resumed.reason.as_str()), (ApprovalState::Granted, "ines said yes."));
    world.restart();
    assert_eq!(world.run(resume(&id)).await, None);
    assert!(world.run(|a| a.resumable()).await.is_empty());
}

fn question() -> Subject {
    let answer = Some(json!({"enum": ["blue", "green"]}));
    let mut subject = restart();
    subject.action = Action::Question(Question { text: "Which colour?".into(), answer });
    subject.requirement = Requirement { roles: vec![Role::Manager], count: 1, solo: false };
    binding(&mut subject).tool = None;
    subject
}

#[tokio::test]
async fn a_question_is_answered_with_what_its_schema_takes() {
    let mut world = World::new();
    let id = world.asked(question()).await;
    let mut statement = world.statement(&id, "mira", "discord", Ballot::Approve).await;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"It is a question, and takes an answer.");
    statement.answer = Some(json!("red"));
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @r#"That is not one of its answers: "red" is not one of "blue" or "green"."#);
    statement.answer = Some(json!("green"));
    assert!(matches!(world.cast(world.sign(&statement)).await, Cast::Granted(_)));
    let which = id.clone();
    let resumed = world.run(move |a| a.resume(&which, "turn-1")).await.unwrap();
    assert_eq!((resumed.state, resumed.answers.len()), (ApprovalState::Executed, 1));
    assert_eq!(resumed.answers[0].value, json!("green"));
    // The last answer by the time at which it was given, not by that at which it came.
    let mut two = question();
    (two.requirement.count, two.run) = (2, RunId::new(two.feature.clone(), 2));
    let id = world.asked(two).await;
    let mut early = world.statement(&id, "mira", "discord", Ballot::Approve).await;
    world.pass(1);
    let mut late = world.statement(&id, "mira", "board", Ballot::Approve).await;
    (early.answer, late.answer) = (Some(json!("blue")), Some(json!("green")));
    let mut ines = world.statement(&id, "ines", "board", Ballot::Approve).await;
    ines.answer = Some(json!("green"));
    for statement in [late, early, ines] {
        world.cast(world.sign(&statement)).await;
    }
    let resumed = world.run(move |a| a.resume(&id, "turn-1")).await.unwrap();
    let said: Vec<_> = resumed.answers.into_iter().map(|answer| (answer.person, answer.value)).collect();
    assert_eq!(said, [(person("ines"), json!("green")), (person("mira"), json!("green"))]);
    let mut broken = question();
    broken.run = RunId::new(broken.feature.clone(), 3);
    broken.action = Action::Question(Question { text: "?".into(), answer: Some(json!({"type": "colour"})) });
    assert_snapshot!(refused(world.ask(broken).await), @r#"This can't be asked: Its answers can't be checked: "colour" is not valid under any of the schemas listed in the 'anyOf' keyword."#);
}

#[tokio::test]
async fn a_plan_pays_for_its_items_and_never_for_destruction() {
    let mut world = World::new();
    let items: Vec<(String, Subject)> =
        [("stop", Tier::Operate), ("start", Tier::Operate), ("remove", Tier::Destroy)]
            .map(|(does, tier)| (does.to_owned(), call(&format!("container.{does}"), tier)))
            .to_vec();
    let mut plan = restart();
    let listed = items.iter().map(|(item, subject)| PlanItem {
        item: item.clone(),
        tier: subject.action.tier(),
        digest: subject.digest().unwrap(),
    });
    plan.action = Action::Plan(Plan { title: "Renew the database".into(), items: listed.collect() });
    plan.requirement = Requirement { roles: vec![Role::Manager], count: 1, solo: false };
    assert_snapshot!(refused(world.ask(plan.clone()).await), @"This can't be asked: The items of a plan have names of their own, and a subject each.");
    let mut ask = world.ask_of(plan.clone());
    ask.items = items.clone();
    let Asked::Opened(id) = world.run(move |a| a.ask(ask)).await else { panic!() };
    let which = id.clone();
    assert_eq!(world.run(move |a| a.need_own_card(&which)).await, ["remove"]);
    world.deliver(&id).await;
    world.vote(&id, "ines", "board", Ballot::Approve).await;

    let go = |item: &'static str, subject: Subject| {
        let key = (id.clone(), format!("act-{item}"));
        let (db, executor, people) = (world.db().clone(), world.executor.clone(), world.people.clone());
        let now = world.now;
        async move { authorise(&db, &executor, &people, (&key.0, item), subject, &key.1, now).await.unwrap() }
    };
    let Authorised::Refused(own) = go("remove", items[2].1.clone()).await else { panic!() };
    assert_snapshot!(own.to_string(), @"The item remove can't be brought back, so the plan's approval does not pay for it: ask for it on its own.");
    let Authorised::Refused(none) = go("other", plan.clone()).await else { panic!() };
    assert_snapshot!(none.to_string(), @"alpha/00000000000000000000000002 has no item other.");
    let Authorised::Refused(whole) = go(WHOLE, plan).await else { panic!() };
    assert_snapshot!(whole.to_string(), @"alpha/00000000000000000000000002 has no item whole.");
    let Authorised::Go(grant) = go("stop", items[0].1.clone()).await else { panic!() };
    assert_eq!(*grant.grant().digest(), items[0].1.digest().unwrap(), "an item's grant is for that item");
    let which = id.clone();
    assert!(world.run(move |a| a.finish(&which, "stop", &Outcome::Done("1".into()))).await);
    assert_eq!(world.state(&id).await, "Executing");
    // One item for another is another digest. That item is over, and with it the plan.
    let Authorised::Lapsed { reason, .. } = go("start", items[0].1.clone()).await else { panic!() };
    assert_snapshot!(reason, @"What was approved is not what would be done: what it does (approved: “container.start”; now: “container.stop”).");
    assert_eq!(world.state(&id).await, "Failed");
}

#[tokio::test]
async fn a_plan_that_is_carried_out_in_one_transaction_is_spent_once_and_whole() {
    let mut world = World::new();
    let plan_of = |tiers: &[(&str, Tier)]| {
        let items: Vec<(String, Subject)> =
            tiers.iter().map(|(does, tier)| ((*does).to_owned(), call(does, *tier))).collect();
        let listed = items.iter().map(|(item, subject)| PlanItem {
            item: item.clone(),
            tier: subject.action.tier(),
            digest: subject.digest().unwrap(),
        });
        let mut plan = restart();
        plan.action = Action::Plan(Plan { title: "File".into(), items: listed.collect() });
        plan.requirement = Requirement { roles: vec![Role::Manager], count: 1, solo: false };
        (plan, items)
    };
    let mut granted = async |tiers: &[(&str, Tier)]| {
        let (plan, items) = plan_of(tiers);
        let ask = Ask { items, ..world.ask_of(plan.clone()) };
        let Asked::Opened(id) = world.run(move |a| a.ask(ask)).await else { panic!() };
        world.deliver(&id).await;
        world.vote(&id, "ines", "board", Ballot::Approve).await;
        (id, plan)
    };
    let (id, plan) = granted(&[("file.one", Tier::Operate), ("file.two", Tier::Operate)]).await;
    let (changed, _) = granted(&[("file.three", Tier::Operate)]).await;
    let (own, destroys) = granted(&[("file.four", Tier::Operate), ("vm.remove", Tier::Destroy)]).await;

    let spend = async |id: &ApprovalId, plan: &Subject| {
        let (id, plan) = (id.clone(), plan.clone());
        world.run(move |a| a.spend_plan(&id, &plan, "plan/1")).await
    };
    assert_eq!(spend(&id, &plan).await, Spending::Planned);
    let which = id.clone();
    world.run(move |a| a.finish_plan(&which, "2 features are filed")).await;
    assert_eq!(world.state(&id).await, "Executed");
    let Spending::Refused(again) = spend(&id, &plan).await else { panic!() };
    assert_snapshot!(again.to_string(), @"alpha/00000000000000000000000001 is executed, not granted. 2 features are filed");

    let Spending::Lapsed { reason, .. } = spend(&changed, &plan).await else { panic!() };
    assert!(reason.starts_with("What was approved is not what would be done: "), "{reason}");
    assert_eq!(world.state(&changed).await, "Lapsed");
    let Spending::Refused(alone) = spend(&own, &destroys).await else { panic!() };
    assert_snapshot!(alone.to_string(), @"The item vm.remove can't be brought back, so the plan's approval does not pay for it: ask for it on its own.");
    assert_eq!(world.state(&own).await, "Granted");
}

#[tokio::test]
async fn the_act_is_written_first_and_carried_out_later() {
    let mut world = World::new();
    let id = world.granted(restart()).await;
    let spend = |effect: &'static str| {
        let id = id.clone();
        move |a: &qd_approvals::Approvals<'_>| a.spend(&id, WHOLE, &restart(), effect)
    };
    assert_eq!(world.run(spend("act-1")).await, Spending::Planned);
    assert_eq!(world.run(spend("act-1")).await, Spending::Planned, "the same row is not a second use");
    let Spending::Refused(second) = world.run(spend("act-2")).await else { panic!() };
    assert_snapshot!(second.to_string(), @"The grant of alpha/00000000000000000000000001 was spent on act-1. A grant pays once: ask again for something else.");
    world.restart();
    assert!(matches!(world.authorise(&id, restart(), "act-1").await, Authorised::Go(_)));
    // Once it is begun, nobody begins it again without a look at the world.
    assert_snapshot!(world.stopped(&id, restart()).await, @"The effect act-1 was begun. Look whether it happened, and say so, before it is tried again.");
    world.restart();
    let open = world.run(|a| a.interrupted()).await;
    assert_eq!((open.len(), open[0].state), (1, EffectState::UnderWay));
    let which = id.clone();
    assert!(world.run(move |a| a.probed(&which, WHOLE, &Probe::CantTell("the host is gone".into()))).await);
    assert_eq!(world.state(&id).await, "Unknown");
    assert_snapshot!(world.stopped(&id, restart()).await, @"The effect act-1 has ended: unknown.");
}

#[tokio::test]
async fn a_run_that_ended_asks_and_does_nothing_more() {
    let mut world = World::new();
    let (granted, open) = (world.granted(restart()).await, world.asked(numbered(1)).await);
    let ended = world.run(|a| a.run_ended(&restart().run, "The run was cancelled.")).await;
    assert_eq!(ended, [granted.clone(), open.clone()]);
    assert_eq!(
        (world.state(&granted).await, world.state(&open).await),
        ("Lapsed".into(), "Withdrawn".into())
    );
}

#[tokio::test]
async fn after_a_restore_no_grant_holds() {
    let mut world = World::new();
    let (granted, open) = (world.granted(restart()).await, world.asked(numbered(1)).await);
    let lapsed = world.run(|a| a.lapse_all("The database was restored.")).await;
    assert_eq!(lapsed, std::slice::from_ref(&granted));
    assert_eq!(
        (world.state(&granted).await, world.state(&open).await),
        ("Lapsed".into(), "Requested".into())
    );
    assert_snapshot!(world.stopped(&granted, restart()).await, @"alpha/00000000000000000000000001 is lapsed, not granted. The database was restored.");
}

#[tokio::test]
async fn a_quorum_that_nobody_can_reach_is_named() {
    let mut world = World::new();
    let mut subject = call("container.remove", Tier::Destroy);
    assert_eq!(confirm::unreachable(&subject, &world.people), None);
    subject.requesters.push(person("mira"));
    assert_snapshot!(confirm::unreachable(&subject, &world.people).unwrap(), @"2 owners, not the requester must decide, and of the people that are known only 1 could.");
    world.people.people.clear();
    subject.requirement.solo = true;
    assert!(confirm::unreachable(&subject, &world.people).is_some());
}

#[test]
fn how_everything_is_confirmed() {
    let call = |tier| Action::Tool(qd_types::Call { does: "x".into(), tier });
    let merge = Action::Merge(Merge {
        repository: "sample".parse().unwrap(),
        pull_request: 1,
        target: "main".into(),
        head: "a".repeat(40).parse().unwrap(),
        diff: "d".repeat(64),
        paths: None,
    });
    let all = [
        ("operate", call(Tier::Operate)),
        ("merge", merge),
        ("plan", Action::Plan(Plan { title: "x".into(), items: vec![] })),
        ("budget", Action::Budget(Budget { unit: "cents".into(), of: None, from: 1, to: 2 })),
        ("question", Action::Question(Question { text: "x".into(), answer: None })),
        ("provision", call(Tier::Provision)),
        ("destroy", call(Tier::Destroy)),
        ("policy", Action::Policy(PolicyChange { from: "1".into(), to: "2".into(), person: None })),
        (
            "enrolment",
            Action::Enrolment(Enrolment::Instance { instance: "beta".parse().unwrap(), key: "k".into() }),
        ),
    ];
    let table: Vec<String> = all
        .iter()
        .map(|(name, action)| {
            let [plain, protected, solo] = [(false, false), (true, false), (true, true)]
                .map(|(protected, solo)| confirm::floor(action, protected, solo));
            let (way, roles) = (plain.way, plain.requirement.describe());
            format!(
                "{name}: {way:?}, {roles}; protected {}; solo {}",
                protected.requirement.count, solo.requirement.count
            )
        })
        .collect();
    assert_snapshot!(table.join("\n"), @"
    operate: Reaction, 1 operator, not the requester; protected 1; solo 1
    merge: Button, 1 owner or reviewer, not the requester; protected 2; solo 1
    plan: Button, 1 manager, not the requester; protected 1; solo 1
    budget: Button, 1 manager, not the requester; protected 1; solo 1
    question: Button, 1 manager, not the requester; protected 1; solo 1
    provision: Button, 1 manager, not the requester; protected 1; solo 1
    destroy: Typed, 2 owners, not the requester; protected 2; solo 1
    policy: Typed, 2 owners, not the requester; protected 2; solo 1
    enrolment: Typed, 2 owners, not the requester; protected 2; solo 1
    ");
}

#[tokio::test]
async fn what_is_called_off_does_not_happen_unless_it_was_begun() {
    let mut world = World::new();
    let asked = world.asked(numbered(1)).await;
    assert!(world.run(off(&asked)).await);
    let granted = world.granted(numbered(2)).await;
    assert!(world.run(off(&granted)).await);
    let planned = world.granted(numbered(3)).await;
    let spend = planned.clone();
    world.run(move |a| a.spend(&spend, WHOLE, &numbered(3), "act")).await;
    assert!(world.run(off(&planned)).await);
    let begun = world.granted(numbered(4)).await;
    assert!(matches!(world.authorise(&begun, numbered(4), "act").await, Authorised::Go(_)));
    assert!(!world.run(off(&begun)).await, "what is under way is not stopped by words");
    let mut states = Vec::new();
    for id in [asked, granted, planned, begun] {
        states.push(world.run(move |a| a.show(&id)).await.state());
    }
    use ApprovalState::{Executing, Failed, Lapsed, Withdrawn};
    assert_eq!(states, [Withdrawn, Lapsed, Failed, Executing]);
}

fn off(
    id: &ApprovalId,
) -> impl FnOnce(&qd_approvals::Approvals<'_>) -> Result<bool, qd_approvals::ApprovalError> + Send + 'static {
    let id = id.clone();
    move |a| a.call_off(&id, "The run ended.")
}
