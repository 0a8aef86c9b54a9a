//! The instance as an executor of approvals of its own: their clocks, their trail, and that restarts lose nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use qd_approvals::{
    Ask, AskRefusal, Asked, Asker, Cast, Directory, Key, KeyId, KeyOwner, Known, Proof, Reopened, Rules,
    Statement, SurfaceKey, Swept, Terms, confirm::Way,
};
use qd_board::{FailureClass, NewFeature, RunEnd, Wanted};
use qd_store::{Applied, Keeper, NewRun, QUESTION, Settings, Store};
use qd_types::{
    Action, Approval, ApprovalId, ApprovalState, Ballot, Binding, Identity, Person, Question, Requirement,
    Role, RunId, Subject, Vote,
};
use qd_wire::v1::{Ack, ApprovalCard, Envelope, Order, Report, SignedVote};
use serde_json::Value;

const START: &str = "2026-03-02T08:00:00Z";

struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    key: SurfaceKey,
    keeper: Keeper,
    start: Timestamp,
}

fn open(dir: &Path) -> Store {
    let zone = jiff::tz::TimeZone::UTC;
    let settings = Settings {
        instance: "alpha".parse().unwrap(),
        prefix: "A".into(),
        slots: 1,
        reviews: None,
        repair_rounds: 1,
        rungs: 0,
        retry_pause: None,
        question: None,
        zone,
    };
    Store::open(&dir.join("board.db"), settings).unwrap()
}

impl Bench {
    async fn new() -> Self {
        let (dir, start) = (tempfile::tempdir().unwrap(), START.parse().unwrap());
        let store = open(dir.path());
        let wanted = Wanted { title: "Split".into(), ..Wanted::default() };
        let new = NewFeature { wanted, ready: true, ..NewFeature::default() };
        store.add(&"theo".parse().unwrap(), new, "sample".parse().unwrap(), start).await.unwrap();
        let run = NewRun {
            feature: "A-1".parse().unwrap(),
            agent: "claude".into(),
            model: None,
            assigned_by: "the default".into(),
            branch: "qd/alpha/A-1".into(),
        };
        store.open_run(run, start).await.unwrap();
        let key = SurfaceKey::new(&[7; 32]);
        let mut people = Directory::default();
        for (name, role) in [("ines", Role::Manager), ("theo", Role::Manager), ("vera", Role::Viewer)] {
            let identities = vec![Identity { service: "local".into(), account: name.into() }];
            let known = Known { roles: vec![role], identities, ..Known::default() };
            people.people.insert(name.parse().unwrap(), known);
        }
        people.add_key(key.public(), KeyOwner::Instance("alpha".parse().unwrap()));
        let keeper = Keeper::new(&"alpha".parse().unwrap(), Rules::default(), people);
        Self { dir, store, key, keeper, start }
    }

    fn after(&self, hours: i64) -> Timestamp {
        self.start.checked_add(SignedDuration::from_hours(hours)).unwrap()
    }

    fn run() -> RunId {
        RunId::new("A-1".parse().unwrap(), 1)
    }

    /// The agent's question, asked by nobody who could answer it.
    fn question() -> Ask {
        let subject = Subject {
            action: Action::Question(Question { text: "Which?".into(), answer: None }),
            binding: Some(Binding {
                tool: None,
                arguments: Value::Null,
                target: "A-1.1 question".into(),
                fingerprint: "1".into(),
                policies: "p".into(),
                askers: vec![Identity { service: "agent".into(), account: "A-1.1".into() }],
                reopens: None,
            }),
            instance: "alpha".parse().unwrap(),
            feature: "A-1".parse().unwrap(),
            run: Self::run(),
            requesters: vec![],
            requirement: Requirement { roles: vec![Role::Manager], count: 1, solo: false },
        };
        Ask {
            terms: Terms::default(),
            subject,
            items: vec![],
            words: None,
            places: vec![qd_store::place()],
            waiter: Some(QUESTION.into()),
            fresh: ulid::Ulid::generate(),
        }
    }

    async fn ask(&self, hours: i64) -> ApprovalId {
        match self.store.ask(&self.keeper, Self::question(), self.after(hours)).await.unwrap() {
            Asked::Opened(id) => id,
            other => panic!("{other:?}"),
        }
    }

    async fn state(&self, id: &ApprovalId, hours: i64) -> ApprovalState {
        self.store.own(&self.keeper, &id.key(), self.after(hours)).await.unwrap().unwrap().state()
    }

    async fn says(&self, id: &ApprovalId, name: &str, role: Role, answer: &str, hours: i64) -> Cast {
        self.vote(id, name, role, Some(answer.into()), hours).await
    }

    /// A yes with an answer, or a no without one.
    async fn vote(&self, id: &ApprovalId, name: &str, role: Role, answer: Option<Value>, hours: i64) -> Cast {
        let at = self.after(hours);
        let record = self.store.own(&self.keeper, &id.key(), at).await.unwrap().unwrap();
        let statement = Statement {
            vote: Vote {
                approval: id.clone(),
                digest: record.approval.digest,
                person: Person { id: name.parse().unwrap(), roles: vec![role] },
                surface: "board".into(),
                ballot: if answer.is_some() { Ballot::Approve } else { Ballot::Deny },
                reason: None,
                at,
            },
            identity: Identity { service: "local".into(), account: name.into() },
            proof: Proof::SignedIn,
            way: Way::Button,
            typed: None,
            answer,
        };
        let signed = self.key.sign(&statement).unwrap();
        let (key, signature) = (signed.key.as_str().to_owned(), signed.signature);
        let signed = SignedVote { payload: signed.payload, key, signature };
        self.store.cast_own(&self.keeper, signed, at).await.unwrap()
    }

    async fn alerts(&self) -> Vec<String> {
        let shipped = self.store.ship(1000).await.unwrap();
        let alert = |report| match report {
            Report::Alert(alert) if alert.key.starts_with("approval:") => Some(alert.text),
            _ => None,
        };
        shipped.into_iter().filter_map(|envelope| alert(envelope.body)).collect()
    }

    /// The trail, a line per row, after its chain was verified.
    fn trail(&self) -> String {
        let path = self.dir.path().join("board.db");
        let c = qd_sqlite::read_only(&path).unwrap();
        let report = qd_audit::verify(&c, &qd_audit::segments_beside(&path), &[], &[]).unwrap();
        assert!(report.fault.is_none(), "{report}");
        let sql = "SELECT kind, actor, payload ->> 'text' FROM audit_chain ORDER BY seq";
        let mut rows = c.prepare(sql).unwrap();
        let line = |row: &rusqlite::Row<'_>| -> rusqlite::Result<String> {
            let actor: String = row.get(1)?;
            let actor = if actor.starts_with("person:") { "a person".to_owned() } else { actor };
            Ok(format!("{} {actor}: {}", row.get::<_, String>(0)?, row.get::<_, String>(2)?))
        };
        let lines: Vec<String> = rows.query_map([], line).unwrap().map(Result::unwrap).collect();
        lines.join("\n")
    }
}

#[tokio::test]
async fn what_nobody_decides_escalates_once_expires_and_is_opened_again_by_a_person() {
    let bench = Bench::new().await;
    let id = bench.ask(0).await;
    let sweep = async |hours| bench.store.sweep(&bench.keeper, bench.after(hours)).await.unwrap();
    assert_eq!(sweep(11).await, []);
    assert_eq!(sweep(13).await, [Swept::Escalate(id.clone(), vec![Role::Manager])]);
    assert_eq!(sweep(14).await, [], "said once");
    assert_eq!(sweep(25).await, [Swept::Expired(id.clone())]);
    insta::assert_snapshot!(bench.alerts().await.join("\n"), @"over");
    let again = bench.store.ask(&bench.keeper, Bench::question(), bench.after(26)).await.unwrap();
    assert_eq!(again, Asked::Refused(AskRefusal::Expired { id: id.clone() }));

    let reopen = async |by| {
        bench.store.reopen(&bench.keeper, &id, &by, Bench::question(), bench.after(27)).await.unwrap()
    };
    assert!(matches!(reopen(Asker::Agent(Bench::run())).await, Reopened::Refused(_)));
    assert!(matches!(reopen(Asker::Person("vera".parse().unwrap())).await, Reopened::Refused(_)));
    let Reopened::Opened(new) = reopen(Asker::Person("theo".parse().unwrap())).await else { panic!() };
    assert_eq!(bench.state(&new, 27).await, ApprovalState::Requested);
    assert!(matches!(bench.says(&new, "vera", Role::Manager, "Mine.", 28).await, Cast::Refused(_)));
    assert!(matches!(bench.says(&new, "ines", Role::Manager, "Blue.", 29).await, Cast::Granted(_)));
    assert_eq!(bench.state(&new, 29).await, ApprovalState::Executed);
    insta::assert_snapshot!(bench.trail(), @"
    feature a person: filed
    run team:alpha: opened for the agent claude
    request agent:A-1.1: Answer a question
    card team:alpha: shown on the board
    decision team:alpha: expired
    request a person: Answer a question
    card team:alpha: shown on the board
    vote a person: yes, on the board
    decision team:alpha: granted
    outcome team:alpha: executed: ines said yes.
    ");

    let Bench { dir, store, keeper, .. } = bench;
    drop(store);
    let store = open(dir.path());
    let answers = store.answers(&new).await.unwrap();
    assert_eq!(answers.iter().map(|answer| &answer.value).collect::<Vec<_>>(), ["Blue."]);
    let now: Timestamp = "2026-03-05T08:00:00Z".parse().unwrap();
    let inbox = store.inbox(&keeper, &"ines".parse().unwrap(), 10, now).await.unwrap();
    let ended: Vec<_> = inbox.into_iter().filter_map(|row| row.card.ended).collect();
    insta::assert_snapshot!(ended.join("\n").replace(&new.to_string(), "NEW"), @"
    ines answered: “Blue.”
    Expired. Nobody decided in time. theo opened it again as NEW.
    ");
}

#[tokio::test]
async fn the_end_of_a_run_ends_what_it_asks() {
    let bench = Bench::new().await;
    let id = bench.ask(0).await;
    assert_eq!(bench.store.asking().await.unwrap(), [Bench::run()]);
    let end = RunEnd::Failed { reason: "It gave up.".into(), class: FailureClass::GaveUp };
    bench.store.end_run(&Bench::run(), None, end, bench.after(1)).await.unwrap();
    assert_eq!(bench.state(&id, 1).await, ApprovalState::Withdrawn);
    assert_eq!(bench.store.asks(&"ines".parse().unwrap(), bench.after(1)).await.unwrap(), 0);
    let trail = bench.trail();
    assert!(trail.ends_with("decision team:alpha: withdrawn\nrun team:alpha: ended: failed"), "{trail}");
}

#[tokio::test]
async fn a_no_ends_what_asks_for_the_same_and_five_end_all_asking() {
    let bench = Bench::new().await;
    let about = |target: usize, fingerprint: &str| {
        let mut ask = Bench::question();
        if let Some(binding) = &mut ask.subject.binding {
            (binding.target, binding.fingerprint) = (format!("question {target}"), fingerprint.to_owned());
        }
        ask
    };
    let ask = async |ask| bench.store.ask(&bench.keeper, ask, bench.start).await.unwrap();
    for target in 0..5 {
        let Asked::Opened(first) = ask(about(target, "1")).await else { panic!() };
        let Asked::Opened(same) = ask(about(target, "2")).await else { panic!() };
        let cast = bench.vote(&first, "ines", Role::Manager, None, 0).await;
        let Cast::Denied { pause, .. } = cast else { panic!("{cast:?}") };
        assert_eq!(pause, target == 4);
        assert_eq!(bench.state(&same, 0).await, ApprovalState::Withdrawn);
        assert!(bench.trail().ends_with("decision team:alpha: withdrawn"), "{}", bench.trail());
    }
    assert!(matches!(ask(about(5, "1")).await, Asked::Refused(AskRefusal::Paused { count: 5 })));
    let shipped = bench.store.ship(1000).await.unwrap();
    let told = shipped.into_iter().find_map(|envelope| match envelope.body {
        Report::Alert(alert) if alert.key == "denials:A-1.1" => Some(alert.text),
        _ => None,
    });
    insta::assert_snapshot!(told.unwrap(), @"A-1.1 was told no 5 times. It is paused, and may not ask for anything any more: let it go on with `quarterdeck feature resume A-1`, or stop it.");

    // The run is paused, and says so, until a person lets it go on.
    let (store, run, feature) = (&bench.store, Bench::run(), "A-1".parse().unwrap());
    let snapshot = store.snapshot(&feature, bench.start).await.unwrap();
    assert_eq!(snapshot.why.waits, Some(qd_board::Waits::Paused));
    assert_eq!(Some(snapshot.why.sentence), snapshot.feature.paused);
    assert!(store.held_back(&run, bench.start).await.unwrap());
    store.pause(&"ines".parse().unwrap(), &feature, None, bench.start).await.unwrap();
    assert!(!store.held_back(&run, bench.start).await.unwrap());
    assert!(matches!(ask(about(6, "1")).await, Asked::Refused(AskRefusal::Paused { count: 5 })));
}

#[tokio::test]
async fn a_run_that_rests_gives_its_slot_to_others_and_takes_one_again() {
    let bench = Bench::new().await;
    let (store, run) = (&bench.store, Bench::run());
    let limits = |slots| qd_board::schedule::Limits { slots, ..Default::default() };
    let takes = async |run: &RunId, slots| store.take_slot(run, limits(slots)).await.unwrap();
    let running = async || store.scene(9).await.unwrap().open.iter().filter(|open| open.running).count();
    assert!(takes(&run, 0).await, "it never gave its own away");
    assert!(store.rest(&run).await.unwrap() && !store.rest(&run).await.unwrap());
    assert_eq!(running().await, 0);

    let wanted = Wanted { title: "Other".into(), ..Wanted::default() };
    let new = NewFeature { wanted, ready: true, ..NewFeature::default() };
    store.add(&"theo".parse().unwrap(), new, "sample".parse().unwrap(), bench.start).await.unwrap();
    let other = NewRun {
        feature: "A-2".parse().unwrap(),
        agent: "claude".into(),
        model: None,
        assigned_by: "the default".into(),
        branch: "qd/alpha/A-2".into(),
    };
    let other = store.open_run(other, bench.start).await.unwrap();
    assert!(!takes(&run, 1).await && store.rests(&run).await.unwrap());
    let waits = store.snapshot(run.feature(), bench.start).await.unwrap().why;
    insta::assert_snapshot!(waits.sentence, @"Goes on when a slot is free.");
    let one_each = [("claude".to_owned(), 1)].into();
    let tight = qd_board::schedule::Limits { slots: 9, per_agent: one_each, ..Default::default() };
    assert!(!store.take_slot(&run, tight).await.unwrap());

    let end = RunEnd::Stopped { reason: "Enough.".into() };
    store.end_run(&other.id, None, end.clone(), bench.start).await.unwrap();
    assert!(takes(&run, 1).await && !store.rests(&run).await.unwrap());
    assert_eq!(running().await, 1);
    store.rest(&run).await.unwrap();
    store.end_run(&run, None, end, bench.start).await.unwrap();
    assert!(!store.rests(&run).await.unwrap(), "what has ended does not rest");
}

#[tokio::test]
async fn whoever_voted_is_told_when_the_bot_does_not_count_it() {
    let bench = Bench::new().await;
    let subject = Bench::question().subject;
    let approval = Approval {
        id: "bot/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        digest: subject.digest().unwrap(),
        subject,
        state: ApprovalState::Requested,
        votes: Vec::new(),
        requested_at: bench.start,
        decided_at: None,
    };
    let vote = Vote {
        approval: approval.id.clone(),
        digest: approval.digest.clone(),
        person: Person { id: "ines".parse().unwrap(), roles: vec![Role::Manager] },
        surface: "board".into(),
        ballot: Ballot::Approve,
        reason: None,
        at: bench.start,
    };
    let mut seq = 0;
    let mut arrives = async |votes: &[Vote]| {
        seq += 1;
        let approval = Approval { votes: votes.to_vec(), ..approval.clone() };
        let card = ApprovalCard {
            approval,
            facts: String::new(),
            words: None,
            ended: None,
            confirm: None,
            decide_until: None,
        };
        let order = Envelope { epoch: 1, seq, at: bench.start, body: Order::Approval(Box::new(card)) };
        bench.store.apply(order, None, None, bench.start).await.unwrap();
    };
    let sent = async || {
        let signed = SignedVote { payload: "{}".into(), key: "k".into(), signature: "s".into() };
        bench.store.cast(vote.clone(), signed, bench.start).await.unwrap();
    };
    let told = async || {
        let log = bench.store.history(&"A-1".parse().unwrap()).await.unwrap();
        log.into_iter()
            .filter(|event| event.kind == "vote_refused")
            .map(|event| event.text)
            .collect::<Vec<_>>()
    };
    arrives(&[]).await;
    arrives(&[]).await;
    assert!(told().await.is_empty(), "nobody voted here");
    sent().await;
    arrives(std::slice::from_ref(&vote)).await;
    assert!(told().await.is_empty(), "it was counted");
    sent().await;
    arrives(std::slice::from_ref(&vote)).await;
    insta::assert_snapshot!(told().await.join("\n"), @"Answer a question: a vote that was given here does not count. One from this computer does not while an agent runs beside it: quarterdeck doctor says more. Vote again, or somewhere else.");
}

/// What the bot was sent about an approval: where it stood, and how many votes it had.
async fn mirrored(bench: &Bench) -> Vec<(ApprovalState, usize)> {
    let shipped = bench.store.ship(1000).await.unwrap();
    let card = |report| match report {
        Report::Approval(card) => Some((card.approval.state, card.approval.votes.len())),
        _ => None,
    };
    shipped.into_iter().filter_map(|envelope| card(envelope.body)).collect()
}

/// A word of ines in chat, signed with `key`.
async fn word(
    bench: &Bench,
    id: &ApprovalId,
    on: &ApprovalId,
    key: &SurfaceKey,
    digest: Option<&str>,
) -> SignedVote {
    let record = bench.store.own(&bench.keeper, &id.key(), bench.start).await.unwrap().unwrap();
    let digest = digest.map(|text| serde_json::from_value(text.into()).unwrap());
    let statement = Statement {
        vote: Vote {
            approval: on.clone(),
            digest: digest.unwrap_or(record.approval.digest),
            person: Person { id: "ines".parse().unwrap(), roles: vec![Role::Manager] },
            surface: "console".into(),
            ballot: Ballot::Approve,
            reason: None,
            at: bench.start,
        },
        identity: Identity { service: "local".into(), account: "ines".into() },
        proof: Proof::SignedIn,
        way: Way::Button,
        typed: None,
        answer: Some("Blue.".into()),
    };
    let signed = key.sign(&statement).unwrap();
    let (key, signature) = (signed.key.as_str().to_owned(), signed.signature);
    SignedVote { payload: signed.payload, key, signature }
}

#[tokio::test]
async fn the_bot_is_shown_every_change_and_only_what_its_key_signed_for_exactly_this_counts() {
    let mut bench = Bench::new().await;
    let (old, bot) = (SurfaceKey::new(&[8; 32]), SurfaceKey::new(&[9; 32]));
    for key in [&old, &bot] {
        bench.store.enrol(bench.key.public(), vec![key.public()]).await.unwrap();
    }
    let mut people = bench.keeper.people().clone();
    for (public, revoked) in bench.store.bot_keys().await.unwrap() {
        people.keys.insert(KeyId::of(&public), Key { public, owner: KeyOwner::Bot, revoked });
    }
    bench.keeper = Keeper::new(&"alpha".parse().unwrap(), Rules::default(), people);
    let id = bench.ask(0).await;
    assert_eq!(mirrored(&bench).await, [(ApprovalState::Requested, 0)]);

    let elsewhere: ApprovalId = format!("beta/{}", id.key()).parse().unwrap();
    let stranger = SurfaceKey::new(&[1; 32]);
    let mut words = Vec::new();
    for (on, key, digest) in [
        (&id, &stranger, None),
        (&id, &old, None),
        (&id, &bot, Some("e".repeat(64))),
        (&elsewhere, &bot, None),
        (&id, &bot, None),
        (&id, &bot, None),
    ] {
        words.push(word(&bench, &id, on, key, digest.as_deref()).await);
    }
    words[4].payload = words[4].payload.replace("Blue.", "Red.");
    let seqs = (1_u64..).zip(words).collect::<Vec<_>>();
    let order = |seq, word| Envelope { epoch: 1, seq, at: bench.start, body: Order::Vote(word) };
    let last = seqs.last().unwrap().clone();
    let apply = async |seq, word| {
        bench.store.apply_word(&bench.keeper, order(seq, word), None, bench.start).await.unwrap()
    };
    assert_eq!(apply(2, last.1.clone()).await, Applied::Gap, "what comes too early is not taken");
    for (seq, word) in seqs {
        assert_eq!(apply(seq, word).await, Applied::Yes);
    }
    assert_eq!(apply(last.0, last.1.clone()).await, Applied::Again);
    assert_eq!(apply(last.0 + 1, last.1).await, Applied::Yes, "sent twice, it changes nothing");
    assert_eq!(bench.state(&id, 0).await, ApprovalState::Executed);

    let shipped = bench.store.ship(1000).await.unwrap();
    let heard: Vec<String> = shipped
        .into_iter()
        .filter_map(|envelope| match envelope.body {
            Report::Heard(heard) => Some(format!("{} {}", heard.counted, heard.text)),
            _ => None,
        })
        .collect();
    let expected = [
        "false This vote is signed with a key that is not known here.",
        "false This vote is signed with a key of the bot that was withdrawn.",
        "false This vote is for the digest ",
        "false This vote is for beta/",
        "false The signature of this vote is not good",
        "true Answered.",
        "true That vote was noted before.",
    ];
    assert_eq!(heard.len(), expected.len(), "{heard:?}");
    for (heard, expected) in heard.iter().zip(expected) {
        assert!(heard.starts_with(expected), "{heard}");
    }
    assert_eq!(mirrored(&bench).await, [(ApprovalState::Requested, 0), (ApprovalState::Executed, 1)]);
    assert_eq!(bench.trail().matches("vote a person").count(), 1);
}

#[tokio::test]
async fn one_person_on_two_surfaces_counts_once_and_two_are_summed() {
    let mut bench = Bench::new().await;
    let bot = SurfaceKey::new(&[9; 32]);
    let mut people = bench.keeper.people().clone();
    people.add_key(bot.public(), KeyOwner::Bot);
    bench.keeper = Keeper::new(&"alpha".parse().unwrap(), Rules::default(), people);
    let mut ask = Bench::question();
    ask.subject.requirement.count = 2;
    let Asked::Opened(id) = bench.store.ask(&bench.keeper, ask, bench.start).await.unwrap() else { panic!() };
    assert!(matches!(bench.says(&id, "ines", Role::Manager, "Red.", 0).await, Cast::Counted(_)));
    let signed = word(&bench, &id, &id, &bot, None).await;
    let cast = bench.store.cast_own(&bench.keeper, signed, bench.start).await.unwrap();
    assert!(matches!(cast, Cast::Counted(tally) if tally.approved.len() == 1));
    assert!(matches!(bench.says(&id, "theo", Role::Manager, "Red.", 0).await, Cast::Granted(_)));
}

#[tokio::test]
async fn a_bot_that_knows_nothing_is_sent_what_is_open_and_one_that_knows_is_not() {
    let bench = Bench::new().await;
    let Asked::Opened(open) = bench.store.ask(&bench.keeper, Bench::question(), bench.start).await.unwrap()
    else {
        panic!()
    };
    let greeted =
        async |epoch, seq| bench.store.greeted(&bench.keeper, Ack { epoch, seq }, bench.start).await.unwrap();
    let last = bench.store.ship(1000).await.unwrap().last().unwrap().seq;
    bench.store.acknowledged(Ack { epoch: 1, seq: last }).await.unwrap();
    assert!(!greeted(1, last).await);
    assert!(bench.store.ship(1000).await.unwrap().is_empty(), "it has all of it");
    assert!(greeted(0, 0).await);
    let again = bench.store.ship(1000).await.unwrap();
    assert!(again.iter().all(|envelope| envelope.epoch == 2));
    let card = again.iter().any(|it| matches!(&it.body, Report::Approval(card) if card.approval.id == open));
    let feature = again.iter().any(|it| matches!(&it.body, Report::Feature(_)));
    assert!(card && feature, "{again:?}");
    assert!(!greeted(0, 0).await, "it is told once, and hears it from the beginning");
    assert_eq!(bench.store.ship(1000).await.unwrap(), again);
}

#[tokio::test]
async fn one_person_on_the_board_and_in_a_channel_counts_once() {
    let mut bench = Bench::new().await;
    let bot = SurfaceKey::new(&[9; 32]);
    let mut people = bench.keeper.people().clone();
    people.add_key(bot.public(), KeyOwner::Bot);
    bench.keeper = Keeper::new(&"alpha".parse().unwrap(), Rules::default(), people);
    let mut two = Bench::question();
    two.subject.requirement.count = 2;
    let Asked::Opened(id) = bench.store.ask(&bench.keeper, two, bench.start).await.unwrap() else { panic!() };
    let cast = bench.vote(&id, "ines", Role::Manager, Some("Green.".into()), 0).await;
    assert!(matches!(cast, Cast::Counted(_)), "{cast:?}");
    let body = Order::Vote(word(&bench, &id, &id, &bot, None).await);
    let order = Envelope { epoch: 1, seq: 1, at: bench.start, body };
    let applied = bench.store.apply_word(&bench.keeper, order, None, bench.start).await.unwrap();
    assert_eq!((applied, bench.state(&id, 0).await), (Applied::Yes, ApprovalState::Requested));
    let record = bench.store.own(&bench.keeper, &id.key(), bench.start).await.unwrap().unwrap();
    assert_eq!(record.approval.tally().approved.len(), 1, "one person is not two");
    let cast = bench.vote(&id, "theo", Role::Manager, Some("Blue.".into()), 0).await;
    assert!(matches!(cast, Cast::Granted(_)), "{cast:?}");
}
