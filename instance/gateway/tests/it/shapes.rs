//! Four shapes, streamed and not: what comes out is what went in, and it is counted.

use proptest::prelude::*;
use qd_gateway::{
    meter::Outcome,
    usage::{Reading, Usage},
};

use crate::support::{
    Bench, CASES, CHAT, COST, Case, client,
    upstream::{Piece, Reply},
};

const COUNTED: Usage =
    Usage { input: 600, cached: 400, cache_write: 0, cache_write_hour: 0, output: 50, reasoning: 20 };

/// Anthropic does not tell apart what was thought.
fn counted(case: &Case) -> Usage {
    if case.provider == "anthropic" { Usage { reasoning: 0, ..COUNTED } } else { COUNTED }
}

#[tokio::test]
async fn answers_pass_unchanged_and_are_counted() {
    for case in CASES {
        for streamed in [false, true] {
            let bench = Bench::usual().await;
            let expected = if streamed { case.streamed.concat() } else { case.plain.to_owned() };
            let reply = if streamed { Reply::stream(case.streamed) } else { Reply::json(case.plain) };
            bench.upstream.plays([reply.header("x-request-id", "r1")]);
            let answered = if streamed { bench.stream(case).await } else { bench.call(case).await };
            assert_eq!((answered.status.as_u16(), &answered.body), (200, &expected), "{:?}", case.endpoint);
            assert_eq!(answered.headers["x-request-id"], "r1");

            let record = bench.record().await;
            assert_eq!(record.reading, Reading::Whole(counted(case)), "{:?} {streamed}", case.endpoint);
            assert_eq!(record.charged, counted(case));
            assert_eq!(record.cost, Some(COST));
            assert_eq!((record.outcome, record.status, record.attempts), (Outcome::Answered, Some(200), 1));
            assert_eq!((record.endpoint, &*record.provider), (case.endpoint, case.provider));
            assert_eq!(
                (record.received, record.run.to_string()),
                (expected.len() as u64, "A-1.1".to_owned())
            );
            assert_eq!(record.answered.as_deref(), Some("model-x"));
            let seen = bench.seen();
            assert_eq!(seen.len(), 1);
            let path = if streamed {
                case.path.replace(":generate", ":streamGenerate")
            } else {
                case.path.to_owned()
            };
            assert_eq!(seen[0].path, path);
        }
    }
}

#[tokio::test]
async fn a_chat_stream_is_asked_for_its_usage() {
    let bench = Bench::usual().await;
    bench.upstream.plays([Reply::stream(CHAT.streamed)]);
    for body in [
        r#"{"model":"model-x","stream":true,"messages":[ ]}"#,
        r#"{"model":"model-x","stream":true,"stream_options":{"include_usage":false,"a":1}}"#,
        r#"{"model":"model-x","stream":true,"stream_options":{"include_usage":true}, "n" : 1}"#,
        r#"{"model":"model-x", "stream":false}"#,
    ] {
        bench.post("openai", CHAT.path, body).await;
    }
    let bodies: Vec<_> = bench.seen().into_iter().map(|seen| seen.body).collect();
    insta::assert_snapshot!(bodies.join("\n"), @r#"
    {"model":"model-x","stream":true,"messages":[ ],"stream_options":{"include_usage":true}}
    {"model":"model-x","stream":true,"stream_options":{"a":1,"include_usage":true}}
    {"model":"model-x","stream":true,"stream_options":{"include_usage":true}, "n" : 1}
    {"model":"model-x", "stream":false}
    "#);
    let records = bench.records(4).await;
    assert!(records.iter().all(|record| record.reading == Reading::Whole(COUNTED)));
}

#[tokio::test]
async fn a_packed_request_is_unpacked() {
    use std::io::Write as _;
    let bench = Bench::usual().await;
    bench.upstream.plays([Reply::json(CHAT.plain)]);
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    packed.write_all(CHAT.body.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let headers =
        [("authorization", format!("Bearer {}", bench.token)), ("content-encoding", "gzip".to_owned())];
    let request = client::request("POST", "/openai/v1/chat/completions", &headers, &packed);
    assert_eq!(client::send(bench.address, request).await.status, 200);
    assert_eq!(bench.seen()[0].body, CHAT.body);
}

#[tokio::test]
async fn lists_and_counts_of_tokens_are_free() {
    let bench = Bench::usual().await;
    bench.upstream.plays([Reply::json(r#"{"data":[]}"#)]);
    let token = [("authorization", format!("Bearer {}", bench.token))];
    let list = client::send(bench.address, client::request("GET", "/openai/v1/models", &token, b"")).await;
    assert_eq!(list.shown(), r#"200 {"data":[]}"#);
    let count = bench.post("anthropic", "/v1/messages/count_tokens", "{}").await;
    assert_eq!(count.status, 200);
    let head = client::send(bench.address, client::request("HEAD", "/anthropic/", &[], b"")).await;
    assert_eq!(head.status, 200);
    assert_eq!(bench.seen().len(), 2);
    assert_eq!(bench.meter.records(), []);
}

#[tokio::test]
async fn an_answer_without_usage_is_unknown_and_not_zero() {
    let bench = Bench::usual().await;
    let silent = r#"{"model":"model-x","choices":[{"message":{"content":"a good long answer"}}]}"#;
    bench.upstream.plays([Reply::json(silent)]);
    bench.call(&CHAT).await;
    let record = bench.record().await;
    assert_eq!(record.reading, Reading::Unknown);
    assert_eq!(record.outcome, Outcome::Answered);
    let charged = Usage {
        input: (CHAT.body.len() as u64).div_ceil(3),
        output: (silent.len() as u64).div_ceil(3),
        ..Usage::default()
    };
    assert_eq!(record.charged, charged);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_network_may_cut_where_it_likes(which in 0..CASES.len(), sizes in prop::collection::vec(1..40_usize, 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let case = CASES[which];
            let whole = case.streamed.concat();
            let mut rest = whole.as_bytes();
            let mut sizes = sizes.iter().cycle();
            let mut pieces = vec![];
            while !rest.is_empty() {
                let (piece, left) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                pieces.push(Piece::Bytes(piece.to_vec()));
                rest = left;
            }
            let bench = Bench::usual().await;
            bench.upstream.plays([Reply { pieces, ..Reply::stream(&[]) }]);
            assert_eq!(bench.stream(case).await.body, whole);
            assert_eq!(bench.record().await.reading, Reading::Whole(counted(case)));
        });
    }
}
