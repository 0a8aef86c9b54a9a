//! The record of every call, in its database: it outlives the process, and nothing in it is changed.

use std::sync::Arc;

use proptest::prelude::*;
use qd_gateway::{
    budget::Scope,
    meter::{MemoryMeter, Meter as _, Outcome, Record, SqliteMeter},
    money::MicroDollars,
    prices::Priced,
    route::Endpoint,
    usage::{Reading, Usage},
};

use crate::support::{Bench, CASES, CHAT, COST, MESSAGES, Options, upstream::Reply};

fn record(run: &str, cost: Option<u64>) -> Record {
    let charged = Usage { input: 10, output: 5, ..Usage::default() };
    Record {
        at: "2026-11-21T10:00:00Z".parse().unwrap(),
        day: "2026-11-21".parse().unwrap(),
        run: run.parse().unwrap(),
        provider: "openai".to_owned(),
        endpoint: Endpoint::Responses,
        priced: Priced { list: "openai".to_owned(), model: "model-x".to_owned() },
        answered: Some("model-x-2026-01-01".to_owned()),
        reading: Reading::Whole(charged),
        charged,
        cost: cost.map(MicroDollars),
        outcome: Outcome::Answered,
        status: Some(200),
        attempts: 1,
        sent: 30,
        received: 15,
        first_byte_ms: Some(3),
        total_ms: 7,
    }
}

#[tokio::test]
async fn nothing_is_asked_when_nothing_can_be_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.db");
    let meter = Arc::new(SqliteMeter::open(&path).await.unwrap());
    let bench = Bench::new(Options { meter: Some(meter.clone()), ..Options::default() }).await;
    bench.upstream.plays([Reply::json(CHAT.plain)]);
    // Another process takes the file over.
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let other = rusqlite::Connection::open_with_flags(&path, flags).unwrap();
    other.execute("UPDATE generation SET number = number + 1", []).unwrap();
    let mut answered = bench.call(&CHAT).await;
    for _ in 0..200 {
        if answered.status == 503 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        answered = bench.call(&CHAT).await;
    }
    insta::assert_snapshot!(answered.shown(), @r#"503 {"error":{"message":"Quarterdeck: the record of model calls can't be written: the disk takes no rows; look at its space and at the log","type":"server_error","param":null,"code":null}}"#);
    let asked = bench.seen().len();
    assert_eq!(bench.call(&CHAT).await.status, 503);
    assert_eq!(bench.seen().len(), asked);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_books_read_back_what_was_summed(calls in prop::collection::vec((0..3_usize, 0..3_u32, 0..4_u32, prop::option::of(0..1_000_u64), 0..1_000_u64, any::<bool>()), 0..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("calls.db");
            let (kept, summed) = (SqliteMeter::open(&path).await.unwrap(), MemoryMeter::default());
            let mut scopes = vec![];
            for (run, day, model, cost, tokens, closes) in calls {
                let mut record = record(["A-1.1", "A-1.2", "B-1.1"][run], cost);
                record.day = jiff::civil::date(2026, 11, 29).saturating_add(jiff::Span::new().days(day));
                record.priced.model = format!("model-{model}");
                record.charged = Usage { input: tokens, reasoning: tokens / 2, ..record.charged };
                scopes.extend(Scope::all(&record.run, record.day));
                let ticket = kept.open(record.clone()).await.unwrap();
                if closes {
                    ticket.close(record.clone());
                }
                summed.open(record.clone()).await.unwrap().close(record);
            }
            kept.close().await;
            let kept = SqliteMeter::open(&path).await.unwrap();
            for scope in scopes {
                assert_eq!(kept.spent(&scope), summed.spent(&scope), "{scope}");
            }
            kept.close().await;
        });
    }
}

#[tokio::test]
async fn sums_are_the_same_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.db");
    let scopes: Vec<Scope> = ["A-1.1", "A-1.2", "A-2.1"]
        .iter()
        .flat_map(|run| Scope::all(&run.parse().unwrap(), "2026-11-21".parse().unwrap()))
        .collect();
    let meter = SqliteMeter::open(&path).await.unwrap();
    for (run, cost) in [("A-1.1", Some(7)), ("A-1.2", Some(8)), ("A-1.2", None), ("A-2.1", Some(0))] {
        let ticket = meter.open(record(run, cost)).await.unwrap();
        ticket.close(record(run, cost));
    }
    let before: Vec<_> = scopes.iter().map(|scope| meter.spent(scope)).collect();
    meter.close().await;
    let meter = SqliteMeter::open(&path).await.unwrap();
    let after: Vec<_> = scopes.iter().map(|scope| meter.spent(scope)).collect();
    assert_eq!(before, after);
    let all = meter.spent(&Scope::Instance);
    assert_eq!((all.calls, all.money, all.usage.tokens(), all.unpriced.len()), (4, MicroDollars(15), 60, 1));
    assert_eq!(meter.newest(1).await.unwrap(), [record("A-2.1", Some(0))]);
    meter.close().await;
}

#[tokio::test]
async fn a_call_that_was_under_way_when_the_process_died_is_not_free() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.db");
    let meter = SqliteMeter::open(&path).await.unwrap();
    let open = Record { outcome: Outcome::Open, reading: Reading::Unknown, ..record("A-1.1", Some(9)) };
    let ticket = meter.open(open.clone()).await.unwrap();
    assert_eq!(meter.spent(&Scope::Instance).calls, 0);
    // Nobody closes it.
    drop(ticket);
    meter.close().await;
    let meter = SqliteMeter::open(&path).await.unwrap();
    let spent = meter.spent(&Scope::Run("A-1.1".parse().unwrap()));
    assert_eq!((spent.calls, spent.money), (1, MicroDollars(9)));
    assert_eq!(meter.newest(9).await.unwrap(), [open]);
    meter.close().await;
}

#[tokio::test]
async fn nothing_in_the_books_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.db");
    let meter = SqliteMeter::open(&path).await.unwrap();
    meter.open(record("A-1.1", None)).await.unwrap().close(record("A-1.1", None));
    meter.close().await;
    let db = qd_sqlite::Db::open(&path, &["", ""]).map(|_| ());
    assert!(db.is_ok(), "{db:?}");
    let db = qd_sqlite::Db::open(&path, &["", ""]).unwrap();
    for sql in ["UPDATE entry SET cost = 0", "DELETE FROM entry"] {
        let done: Result<(), qd_sqlite::DbError> =
            db.write(move |connection| Ok(connection.execute_batch(sql)?)).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(done.unwrap_err(), @"the database refused: entries are only added");
        }
    }
}

#[tokio::test]
async fn calls_through_the_gateway_are_in_the_books() {
    let folder = tempfile::tempdir().unwrap();
    let meter = Arc::new(SqliteMeter::open(&folder.path().join("calls.db")).await.unwrap());
    let bench = Bench::new(Options { meter: Some(meter.clone()), ..Options::default() }).await;
    for case in CASES {
        bench.upstream.plays([Reply::json(case.plain)]);
        bench.call(case).await;
        bench.upstream.plays([Reply::stream(case.streamed)]);
        bench.stream(case).await;
    }
    bench.upstream.plays([Reply::error(400, "{}")]);
    bench.call(&MESSAGES).await;
    bench.upstream.plays([Reply::stream(&CHAT.streamed[..1])]);
    bench.stream(&CHAT).await;
    let mut records = vec![];
    for _ in 0..200 {
        records = meter.newest(100).await.unwrap();
        if records.len() == 10 && records.iter().all(|record| record.outcome != Outcome::Open) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let lines: Vec<_> = records
        .iter()
        .rev()
        .map(|record| {
            let reading = match record.reading {
                Reading::Whole(usage) => format!("{} tokens", usage.tokens()),
                Reading::Partial(usage) => format!("at least {} tokens", usage.tokens()),
                Reading::Unknown => "unknown".to_owned(),
            };
            let cost = record.cost.map_or("unknown".to_owned(), |cost| cost.to_string());
            format!("{} {} {reading} {cost}", record.endpoint.name(), record.outcome.name())
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    chat_completions answered 1050 tokens $0.00074
    chat_completions answered 1050 tokens $0.00074
    responses answered 1050 tokens $0.00074
    responses answered 1050 tokens $0.00074
    messages answered 1050 tokens $0.00074
    messages answered 1050 tokens $0.00074
    generate_content answered 1050 tokens $0.00074
    generate_content answered 1050 tokens $0.00074
    messages refused 0 tokens $0.00
    chat_completions answered unknown $0.000083
    ");
    assert!(meter.spent(&Scope::Instance).money >= MicroDollars(COST.0 * 8));
}
