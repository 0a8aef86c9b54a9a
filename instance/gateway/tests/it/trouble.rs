//! Providers in trouble: repeated where it helps, said as what it is, and somebody else asked where that is configured.

use std::time::{Duration, Instant};

use qd_gateway::{
    budget::RunBudgets,
    event::{Event, Next},
    meter::Outcome,
    providers::Fallback,
    route::Shape,
    usage::{Reading, Usage},
};

use crate::support::{
    Bench, CHAT, GENERATE, KEY, MESSAGES, Options,
    client::Answered,
    money,
    upstream::{Piece, Reply},
};

/// What was told, in a word each.
fn words(events: &[Event]) -> Vec<String> {
    let shown = |event: &Event| match event {
        Event::Provider { provider, trouble, next, .. } => match next {
            Next::Retry { after } => {
                assert!(*after <= Duration::from_millis(500));
                format!("{provider} {trouble:?}: retry")
            }
            Next::Fallback { provider: to, model } => format!("{provider} {trouble:?}: {to} {model}"),
            Next::GivenUp => format!("{provider} {trouble:?}: given up"),
        },
        other => format!("{other:?}"),
    };
    events.iter().map(shown).collect()
}

async fn played(replies: impl IntoIterator<Item = Reply>) -> (Bench, Answered, Vec<String>) {
    let mut bench = Bench::usual().await;
    bench.upstream.plays(replies);
    let answered = bench.call(&CHAT).await;
    let told = words(&bench.told());
    (bench, answered, told)
}

fn good() -> Reply {
    Reply::json(CHAT.plain)
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    for (status, trouble) in
        [(429, "RateLimited"), (500, "Outage"), (502, "Outage"), (503, "Overloaded"), (529, "Overloaded")]
    {
        let (bench, answered, told) = played([Reply::error(status, "{}"), good()]).await;
        assert_eq!((answered.status.as_u16(), &*answered.body), (200, CHAT.plain));
        assert_eq!(told, [format!("openai {trouble}: retry")]);
        let record = bench.record().await;
        assert_eq!((record.attempts, record.status, record.outcome), (2, Some(200), Outcome::Answered));
        // The same was asked, byte for byte.
        let seen = bench.seen();
        assert_eq!((&seen[0].body, seen[0].body.as_str()), (&seen[1].body, CHAT.body));
    }
}

#[tokio::test]
async fn a_provider_is_asked_again_when_it_wishes() {
    let begun = Instant::now();
    let wish = Reply::error(429, "{}").header("retry-after-ms", "300");
    let (_, answered, told) = played([wish, good()]).await;
    assert_eq!(answered.status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(told, ["openai RateLimited: retry"]);
    // A wish that is longer than our patience goes to the client, with its own words.
    let wish = Reply::error(429, r#"{"error":"slow down"}"#).header("retry-after", "30");
    let (bench, answered, told) = played([wish, good()]).await;
    assert_eq!(answered.shown(), r#"429 {"error":"slow down"}"#);
    assert_eq!(answered.headers["retry-after"], "30");
    assert_eq!(told, ["openai RateLimited: given up"]);
    let record = bench.record().await;
    assert_eq!((record.outcome, record.attempts), (Outcome::Refused, 1));
    assert_eq!(record.reading, Reading::Whole(Usage::default()));
}

#[tokio::test]
async fn what_does_not_pass_is_said() {
    let (bench, answered, told) = played([Reply::error(503, r#"{"error":"busy"}"#)]).await;
    assert_eq!(answered.shown(), r#"503 {"error":"busy"}"#);
    assert_eq!(told, ["openai Overloaded: retry", "openai Overloaded: retry", "openai Overloaded: given up"]);
    assert_eq!(bench.record().await.attempts, 3);
}

#[tokio::test]
async fn what_waiting_does_not_mend_is_not_repeated() {
    let empty = r#"{"error":{"code":"insufficient_quota"}}"#;
    for (reply, status, trouble) in [
        (Reply::error(402, "{}"), 402, "openai Unpaid: given up"),
        (Reply::error(429, empty), 429, "openai Unpaid: given up"),
        (Reply::error(401, "{}"), 502, "openai KeyRefused: given up"),
        (Reply::error(403, "{}"), 403, "openai KeyRefused: given up"),
    ] {
        let (bench, answered, told) = played([reply]).await;
        assert_eq!(answered.status, status);
        assert_eq!(told, [trouble]);
        assert_eq!((bench.seen().len(), bench.record().await.outcome), (1, Outcome::Refused));
    }
    // The agent's own mistake is nobody's trouble.
    let (bench, answered, told) = played([Reply::error(400, r#"{"error":"no"}"#)]).await;
    assert_eq!((answered.shown(), told), (r#"400 {"error":"no"}"#.to_owned(), vec![]));
    assert_eq!(bench.record().await.status, Some(400));
}

#[tokio::test]
async fn nobody_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = Some(format!("http://{}", listener.local_addr().unwrap()));
    drop(listener);
    let mut bench = Bench::new(Options { base_url, ..Options::default() }).await;
    let mut shown = vec![];
    for case in [&CHAT, &MESSAGES, &GENERATE] {
        shown.push(bench.call(case).await.shown());
    }
    insta::assert_snapshot!(shown.join("\n"), @r#"
    502 {"error":{"message":"Quarterdeck: provider openai can't be reached","type":"server_error","param":null,"code":null}}
    502 {"type":"error","error":{"type":"api_error","message":"Quarterdeck: provider anthropic can't be reached"}}
    502 {"error":{"code":502,"message":"Quarterdeck: provider gemini can't be reached","status":"UNAVAILABLE"}}
    "#);
    let records = bench.records(3).await;
    assert!(records.iter().all(|record| record.outcome == Outcome::Unreachable && record.attempts == 3));
    assert!(records.iter().all(|record| record.charged == Usage::default()));
    assert!(words(&bench.told()).contains(&"anthropic Unreachable: given up".to_owned()));
}

fn fallback(provider: &str, model: Option<&str>) -> Fallback {
    Fallback { when: None, provider: provider.to_owned(), model: model.map(str::to_owned) }
}

#[tokio::test]
async fn somebody_else_is_asked_instead() {
    let mut other = fallback("spare", None);
    other.when = Some("another-model".to_owned());
    let fallback = vec![other, fallback("openai", Some("model-y")), fallback("spare", Some("model-x"))];
    let mut bench = Bench::new(Options { fallback, ..Options::default() }).await;
    bench.upstream.plays([Reply::error(402, "{}"), Reply::error(402, "{}"), good()]);
    assert_eq!(bench.call(&CHAT).await.body, CHAT.plain);
    assert_eq!(words(&bench.told()), ["openai Unpaid: openai model-y", "openai Unpaid: spare model-x"]);
    let seen = bench.seen();
    let asked: Vec<_> = seen.iter().map(|seen| format!("{} {}", seen.path, seen.body)).collect();
    insta::assert_snapshot!(asked.join("\n"), @r#"
    /v1/chat/completions {"model":"model-x","messages":[{"role":"user","content":"hi"}]}
    /v1/chat/completions {"messages":[{"role":"user","content":"hi"}],"model":"model-y"}
    /spare/v1/chat/completions {"model":"model-x","messages":[{"role":"user","content":"hi"}]}
    "#);
    let record = bench.record().await;
    assert_eq!((&*record.provider, record.attempts, record.status), ("spare", 3, Some(200)));
}

#[tokio::test]
async fn a_fallback_without_a_price_is_not_used_under_a_money_budget() {
    let run = RunBudgets { run: money(1_000_000), ..RunBudgets::default() };
    let fallback = vec![fallback("spare", Some("model-unknown"))];
    let mut bench = Bench::new(Options { run, fallback, ..Options::default() }).await;
    bench.upstream.plays([Reply::error(402, "{}")]);
    assert_eq!(bench.call(&CHAT).await.status, 402);
    assert_eq!(bench.seen().len(), 1);
    assert!(words(&bench.told()).contains(&"openai Unpaid: given up".to_owned()));
}

#[tokio::test]
async fn a_silent_provider_is_replaced_and_not_repeated() {
    let fallback = vec![fallback("spare", None)];
    let mut bench = Bench::new(Options { fallback, ..Options::default() }).await;
    bench.upstream.plays([good().first(Piece::Wait(Duration::from_secs(30))), good()]);
    assert_eq!(bench.call(&CHAT).await.status, 200);
    assert_eq!(words(&bench.told()), ["openai Silent: spare model-x"]);
}

#[tokio::test]
async fn what_a_silent_provider_may_have_done_is_not_free() {
    let fallback = vec![fallback("spare", None)];
    let bench = Bench::new(Options { fallback, ..Options::default() }).await;
    bench.upstream.plays([good().first(Piece::Wait(Duration::from_secs(30))), Reply::error(402, "{}")]);
    assert_eq!(bench.call(&CHAT).await.status, 402);
    let record = bench.record().await;
    assert_eq!(record.reading, Reading::Unknown);
    assert!(record.charged.input > 0);
}

#[tokio::test]
async fn what_is_not_encrypted_is_not_reached_by_https() {
    let peer = Bench::usual().await;
    let base_url = Some(peer.upstream.url().replace("http://", "https://"));
    let bench = Bench::new(Options { base_url, ..Options::default() }).await;
    assert_eq!(bench.call(&CHAT).await.status, 502);
    assert_eq!(bench.record().await.outcome, Outcome::Unreachable);
    assert_eq!(peer.seen().len(), 0);
}

#[tokio::test]
async fn https_begins_with_a_handshake_and_the_key_does_not_go_before_it() {
    use tokio::io::AsyncReadExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = Some(format!("https://localhost:{}", listener.local_addr().unwrap().port()));
    let bench = Bench::new(Options { base_url, ..Options::default() }).await;
    let peer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = vec![0; 300];
        let length = stream.read(&mut hello).await.unwrap();
        hello.truncate(length);
        drop(listener);
        hello
    };
    let (answered, hello) = tokio::join!(bench.call(&CHAT), peer);
    // A record of type 22, TLS, with the name of whom it wants.
    assert_eq!(hello[..2], [22, 3]);
    assert!(hello.windows(9).any(|window| window == b"localhost"));
    assert!(!String::from_utf8_lossy(&hello).contains(KEY));
    assert_eq!(answered.status, 502);
}

#[tokio::test]
async fn a_fallback_may_have_another_model_in_its_path() {
    let fallback = vec![fallback("gemini", Some("model-y"))];
    let bench = Bench::new(Options { fallback, shape: Some(Shape::Gemini), ..Options::default() }).await;
    let answer = GENERATE.plain.replace("model-x", "model-y");
    bench.upstream.plays([Reply::error(402, "{}"), Reply::json(&answer)]);
    assert_eq!(bench.call(&GENERATE).await.body, answer);
    let paths: Vec<_> = bench.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v1beta/models/model-x:generateContent", "/v1beta/models/model-y:generateContent"]);
    // It has no price, and there is no budget: its cost is unknown.
    let record = bench.record().await;
    assert_eq!((record.priced.model.as_str(), record.cost), ("model-y", None));
}
