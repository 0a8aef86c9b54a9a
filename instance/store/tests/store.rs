//! The board's rows: an old file is upgraded, an order is applied once, a circle is refused with its path.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use jiff::Timestamp;
use qd_board::{EditFeature, NewFeature, Wanted};
use qd_store::{Applied, Settings, Store};
use qd_types::{FeatureId, Person, Role, Stage};
use qd_wire::v1::{BoardCommand, Envelope, NewWork, OnBehalf, Order, Report};

fn settings() -> Settings {
    Settings {
        instance: "alpha".parse().unwrap(),
        prefix: "A".into(),
        slots: 2,
        reviews: None,
        repair_rounds: 3,
        rungs: 0,
        retry_pause: None,
        question: None,
        zone: jiff::tz::TimeZone::UTC,
    }
}

async fn add(store: &Store, title: &str, needs: &[&str]) -> FeatureId {
    let depends_on = needs.iter().map(|id| id.parse().unwrap()).collect();
    let wanted = Wanted { title: title.into(), depends_on, ..Wanted::default() };
    let new = NewFeature { wanted, ready: true, ..NewFeature::default() };
    let snapshot =
        store.add(&"ines".parse().unwrap(), new, "sample".parse().unwrap(), Timestamp::now()).await.unwrap();
    snapshot.feature.id
}

#[tokio::test]
async fn a_file_of_the_first_version_is_upgraded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("board.db");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/board-v1.db"), &path).unwrap();
    let store = Store::open(&path, settings()).unwrap();
    let old = store.snapshot(&"A-1".parse().unwrap(), Timestamp::now()).await.unwrap();
    assert_eq!((old.feature.wanted.title.as_str(), old.feature.version), ("From the first version", 3));
    assert_eq!(add(&store, "New", &["A-1"]).await.to_string(), "A-2");
    assert_eq!(store.ship(10).await.unwrap().len(), 1, "what came later has its tables");
}

#[tokio::test]
async fn a_circle_is_refused_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("board.db"), settings()).unwrap();
    let first = add(&store, "One", &[]).await;
    let second = add(&store, "Two", &["A-1"]).await;
    let third = add(&store, "Three", &["A-2"]).await;
    let edit = EditFeature::of(None).set("depends_on", [third]);
    let refused =
        store.edit(&"ines".parse().unwrap(), &first, edit, None, Timestamp::now()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "depends_on: would make a circle: A-1 waits for A-3 waits for A-2 waits for A-1"
    );
    let after = store.snapshot(&first, Timestamp::now()).await.unwrap().feature;
    assert!(after.wanted.depends_on.is_empty() && after.version == 1, "nothing is half-done");
    let waits = store.snapshot(&second, Timestamp::now()).await.unwrap().why.sentence;
    assert_eq!(waits, "Waits for A-1 to be merged.");
}

#[tokio::test]
async fn an_order_is_applied_once_and_a_refused_one_blocks_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("board.db"), settings()).unwrap();
    let order = |seq, title: &str| Envelope {
        epoch: 1,
        seq,
        at: Timestamp::now(),
        body: Order::Command {
            by: OnBehalf {
                person: Person { id: "ines".parse().unwrap(), roles: vec![Role::Manager] },
                surface: "console".into(),
                identity: None,
                at: None,
            },
            command: BoardCommand::AddFeature {
                title: title.into(),
                stage: Stage::Backlog,
                work: NewWork::default(),
            },
        },
    };
    let repository = || Some("sample".parse().unwrap());
    let apply = |order| store.apply(order, repository(), None, Timestamp::now());
    assert_eq!(apply(order(1, "One")).await.unwrap(), Applied::Yes);
    assert_eq!(apply(order(1, "One")).await.unwrap(), Applied::Again);
    assert_eq!(apply(order(3, "Three")).await.unwrap(), Applied::Gap);
    let may_not = Some("You may not.".to_owned());
    let refused = store.apply(order(2, "Two"), repository(), may_not, Timestamp::now()).await.unwrap();
    assert_eq!(refused, Applied::Refused("You may not.".into()));
    assert_eq!(
        apply(order(3, "")).await.unwrap(),
        Applied::Refused("title: is empty: say in one line what is wanted".into())
    );
    assert_eq!(apply(order(4, "Four")).await.unwrap(), Applied::Yes);
    let titles: Vec<String> = store
        .snapshots(None, 10, Timestamp::now())
        .await
        .unwrap()
        .into_iter()
        .map(|s| s.feature.wanted.title)
        .collect();
    assert_eq!(titles, ["Four", "One"]);
}

#[tokio::test]
async fn reports_of_one_feature_are_merged_until_they_are_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("board.db"), settings()).unwrap();
    let id = add(&store, "One", &[]).await;
    for priority in 0..4 {
        let edit = EditFeature::of(None).set("priority", priority);
        store.edit(&"ines".parse().unwrap(), &id, edit, None, Timestamp::now()).await.unwrap();
    }
    let shipped = store.ship(10).await.unwrap();
    assert_eq!(shipped.len(), 1);
    assert!(shipped.iter().all(|envelope| envelope.seq == 1 && matches!(envelope.body, Report::Feature(_))));
}

#[tokio::test]
async fn what_recurs_is_filed_once_and_left_out_where_it_can_not_be() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("board.db"), settings()).unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let mira = "mira".parse().unwrap();
    let tidy = NewFeature::titled("Tidy up");
    let start = at("2026-11-21T05:00:00Z");
    let recurring = qd_board::recurring::Recurring::new("tidy", "0 6 * * *".parse().unwrap(), tidy, start);
    store.add_recurring(&mira, recurring, start).await.unwrap();
    let due = async |text: &str| {
        let (zone, sample) = (jiff::tz::TimeZone::UTC, "sample".parse().ok());
        store.file_due(zone, sample, "team".parse().unwrap(), at(text)).await.unwrap()
    };
    assert_eq!(due("2026-11-21T05:59:00Z").await, 0);
    assert_eq!(due("2026-11-21T06:00:10Z").await, 1);
    assert_eq!(due("2026-11-21T06:00:20Z").await, 0, "once");
    assert_eq!(due("2026-11-22T06:00:10Z").await, 0, "the last one is open");
    let first: FeatureId = "A-1".parse().unwrap();
    store.happen(&mira, &first, qd_board::Happened::Cancelled, None, None, start).await.unwrap();
    assert_eq!(due("2026-11-23T08:00:00Z").await, 0, "too late");
    assert_eq!(due("2026-11-24T06:30:00Z").await, 1);
    let said: Vec<String> = store
        .events_after(0, 100)
        .await
        .unwrap()
        .into_iter()
        .filter(|event| event.kind == "recurring")
        .map(|event| event.text)
        .collect();
    insta::assert_snapshot!(said.join("\n"), @"
    Recurring feature tidy is added: 0 6 * * *.
    Recurring feature tidy left 2026-11-22T06:00:00Z out: A-1, made the last time, is still open.
    Recurring feature tidy left 2026-11-23T06:00:00Z out: 120 minutes late; it may start up to 60 minutes late.
    ");
}
