//! Questions from afar: filed once, answered once, and said to be unknown where nothing more is tried.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

use jiff::Timestamp;
use qd_board::{Budget, FailureClass, PlanMode, RunEnd};
use qd_store::{Applied, NewRun, RunFact, Settings, Store};
use qd_types::{Person, RepositoryName, Role, RunId, Stage, Step};
use qd_wire::v1::{Ack, Answer, BoardCommand, Envelope, OnBehalf, Order, Reply, Report};

struct Board {
    store: Store,
    orders: u64,
    _dir: tempfile::TempDir,
}

fn now() -> Timestamp {
    "2026-11-21T08:00:00Z".parse().unwrap()
}

impl Board {
    fn new(question: Option<Budget>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            instance: "alpha".parse().unwrap(),
            prefix: "A".into(),
            slots: 2,
            reviews: None,
            repair_rounds: 3,
            rungs: 0,
            retry_pause: None,
            question,
            zone: jiff::tz::TimeZone::UTC,
        };
        let store = Store::open(&dir.path().join("board.db"), settings).unwrap();
        Self { store, orders: 0, _dir: dir }
    }

    async fn asks(&mut self, question: &str, refused: Option<&str>) -> Applied {
        let person = Person { id: "ines".parse().unwrap(), roles: vec![Role::Manager] };
        let by = OnBehalf { person, surface: "console".into(), identity: None, at: None };
        self.orders += 1;
        let command = BoardCommand::Ask { id: format!("q{}", self.orders), question: question.into() };
        let body = Order::Command { by, command };
        let order = Envelope { epoch: 1, seq: self.orders, at: now(), body };
        let repository: RepositoryName = "sample".parse().unwrap();
        self.store.apply(order, Some(repository), refused.map(str::to_owned), now()).await.unwrap()
    }

    async fn run(&self, feature: &str) -> RunId {
        let new = NewRun {
            feature: feature.parse().unwrap(),
            agent: "claude".into(),
            model: None,
            assigned_by: "the default".into(),
            branch: format!("qd/alpha/{feature}"),
        };
        self.store.open_run(new, now()).await.unwrap().id
    }

    async fn ends(&self, feature: &str, words: &str, end: RunEnd) {
        let run = self.run(feature).await;
        self.store.note(&run, vec![RunFact::Words(Some(words.into()))]).await.unwrap();
        self.store.end_run(&run, Some(Step::Agent), end, now()).await.unwrap();
    }

    /// The answers that wait to be shipped, acknowledged.
    async fn answers(&self) -> Vec<Answer> {
        let batch = self.store.ship(128).await.unwrap();
        if let Some(last) = batch.last() {
            self.store.acknowledged(Ack { epoch: last.epoch, seq: last.seq }).await.unwrap();
        }
        let answer = |envelope: Envelope<Report>| match envelope.body {
            Report::Answer(answer) => Some(*answer),
            _ => None,
        };
        batch.into_iter().filter_map(answer).collect()
    }
}

#[tokio::test]
async fn a_question_is_the_most_urgent_work_and_its_end_is_told() {
    let budget = Budget { minutes: Some(10), ..Budget::default() };
    let mut board = Board::new(Some(budget));
    let long = format!("Why is it\nso {}?", "very ".repeat(40));
    assert_eq!(board.asks(&long, None).await, Applied::Yes);
    let feature = board.store.snapshot(&"A-1".parse().unwrap(), now()).await.unwrap().feature;
    assert_eq!((feature.stage, feature.wanted.priority, feature.wanted.budget), (Stage::Ready, 0, budget));
    assert_eq!((feature.wanted.plan, feature.wanted.description.as_str()), (PlanMode::Answer, long.as_str()));
    assert!(feature.wanted.title.starts_with("Why is it so very") && feature.wanted.title.ends_with('…'));
    assert_eq!(board.answers().await, Vec::new());

    let end = RunEnd::Answered { cites: vec!["A-7".into()], known: true };
    board.ends("A-1", "Because of A-7.", end).await;
    let [answer] = board.answers().await.try_into().unwrap();
    assert_eq!((answer.asked.id.as_str(), answer.asked.by.as_str()), ("q1", "ines"));
    assert_eq!(answer.reply, Reply::Said { text: "Because of A-7.".into(), cites: vec!["A-7".into()] });
    assert_eq!(
        board.store.snapshot(&"A-1".parse().unwrap(), now()).await.unwrap().feature.stage,
        Stage::Done
    );

    board.asks("Who?", None).await;
    board.ends("A-2", "I don't know: nobody says.", RunEnd::Answered { cites: vec![], known: false }).await;
    board.asks("When?", None).await;
    let reason = "10 min of A-3 are used up.".to_owned();
    board.ends("A-3", "", RunEnd::Failed { reason, class: FailureClass::Budget }).await;
    board.asks("Where?", Some("mira may not ask here.")).await;
    let why: Vec<String> = board
        .answers()
        .await
        .into_iter()
        .map(|answer| match answer.reply {
            Reply::Unknown { why } => format!("{}: {why}", answer.asked.id),
            other => panic!("{other:?}"),
        })
        .collect();
    insta::assert_snapshot!(why.join("\n"), @r"
    q2: Nobody says.
    q3: 10 min of A-3 are used up.
    q4: mira may not ask here.
    ");
    let over = board.store.snapshot(&"A-3".parse().unwrap(), now()).await.unwrap();
    assert_eq!(
        (over.feature.stage, over.feature.held),
        (Stage::Cancelled, None),
        "no person has to do anything"
    );
    insta::assert_snapshot!(over.why.sentence, @"Not answered: 10 min of A-3 are used up.");
}

#[tokio::test]
async fn without_an_agent_nothing_is_filed() {
    let mut board = Board::new(None);
    assert_eq!(board.asks("Who?", None).await, Applied::Yes);
    let [answer] = board.answers().await.try_into().unwrap();
    assert_eq!((answer.reply, answer.feature, answer.question.as_str()), (Reply::NoAgent, None, "Who?"));
    assert!(board.store.snapshots(None, 10, now()).await.unwrap().is_empty());
}
