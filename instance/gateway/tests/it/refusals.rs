//! What the gateway says no to, in each provider's words; and what never gets through it.

use std::time::Duration;

use qd_gateway::{budget::RunBudgets, runs::Pass};
use secrecy::ExposeSecret as _;

use crate::support::{
    Bench, CASES, CHAT, GENERATE, KEY, MESSAGES, Options, client, credentials, money, settings,
    upstream::{Piece, Reply},
};

/// One refusal in all three shapes.
async fn in_all(bench: &Bench, change: impl Fn(client::Request) -> client::Request) -> String {
    let mut shown = vec![];
    for case in [&CHAT, &MESSAGES, &GENERATE] {
        let request = change(bench.request(case.provider, case.path, case.body));
        let answered = client::send(bench.address, request).await;
        assert_eq!(answered.headers["content-type"], "application/json");
        let again = answered.headers["x-should-retry"].to_str().unwrap();
        shown.push(format!("{} (retry: {again})", answered.shown()));
    }
    assert_eq!(bench.seen().len(), 0, "nothing goes out");
    shown.join("\n")
}

#[tokio::test]
async fn a_budget_that_is_used_up() {
    let run = RunBudgets { run: money(0), ..RunBudgets::default() };
    let bench = Bench::new(Options { run, ..Options::default() }).await;
    insta::assert_snapshot!(in_all(&bench, |request| request).await, @r#"
    402 {"error":{"message":"Quarterdeck: the budget of run A-1.1 is used up ($0.00 of $0.00): a person has to raise it before this goes on","type":"insufficient_quota","param":null,"code":"insufficient_quota"}} (retry: false)
    402 {"type":"error","error":{"type":"billing_error","message":"Quarterdeck: the budget of run A-1.1 is used up ($0.00 of $0.00): a person has to raise it before this goes on"}} (retry: false)
    402 {"error":{"code":402,"message":"Quarterdeck: the budget of run A-1.1 is used up ($0.00 of $0.00): a person has to raise it before this goes on","status":"RESOURCE_EXHAUSTED"}} (retry: false)
    "#);
}

#[tokio::test]
async fn a_token_that_is_none() {
    let bench = Bench::usual().await;
    let without = |mut request: client::Request| {
        request.headers_mut().clear();
        request
    };
    insta::assert_snapshot!(in_all(&bench, without).await, @r#"
    401 {"error":{"message":"Quarterdeck: the request carries no token: give the agent its run's token as API key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}} (retry: false)
    401 {"type":"error","error":{"type":"authentication_error","message":"Quarterdeck: the request carries no token: give the agent its run's token as API key"}} (retry: false)
    401 {"error":{"code":401,"message":"Quarterdeck: the request carries no token: give the agent its run's token as API key","status":"UNAUTHENTICATED"}} (retry: false)
    "#);
    let other = |mut request: client::Request| {
        for name in ["authorization", "x-api-key", "x-goog-api-key"] {
            if request.headers_mut().remove(name).is_some() {
                request.headers_mut().insert("x-api-key", "qdr_00".parse().unwrap());
            }
        }
        request
    };
    insta::assert_snapshot!(in_all(&bench, other).await, @r#"
    401 {"error":{"message":"Quarterdeck: the token is unknown or was taken back: its run is over, or it is no run's token","type":"invalid_request_error","param":null,"code":"invalid_api_key"}} (retry: false)
    401 {"type":"error","error":{"type":"authentication_error","message":"Quarterdeck: the token is unknown or was taken back: its run is over, or it is no run's token"}} (retry: false)
    401 {"error":{"code":401,"message":"Quarterdeck: the token is unknown or was taken back: its run is over, or it is no run's token","status":"UNAUTHENTICATED"}} (retry: false)
    "#);
    bench.tokens.revoke(&"A-1.1".parse().unwrap());
    let answered = bench.call(&CHAT).await;
    assert_eq!(answered.status, 401);
    let pass = Pass { run: "A-1.2".parse().unwrap(), budgets: RunBudgets::default() };
    let expired = bench.tokens.mint(pass, Duration::ZERO).unwrap();
    let headers = [credentials("openai", expired.expose_secret())];
    let request = client::request("POST", "/openai/v1/responses", &headers, b"{}");
    insta::assert_snapshot!(client::send(bench.address, request).await.shown(), @r#"401 {"error":{"message":"Quarterdeck: the token has expired: its run has to be given a new one","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#);
}

#[tokio::test]
async fn a_path_that_is_not_passed_on() {
    let bench = Bench::usual().await;
    let elsewhere = |mut request: client::Request| {
        let path = request.uri().path();
        let provider = path.split('/').nth(1).unwrap();
        *request.uri_mut() = format!("/{provider}/v1/files").parse().unwrap();
        request
    };
    insta::assert_snapshot!(in_all(&bench, elsewhere).await, @r#"
    404 {"error":{"message":"Quarterdeck: the gateway does not pass on POST /v1/files: only calls that it can count, and lists of models","type":"invalid_request_error","param":null,"code":"unknown_url"}} (retry: false)
    404 {"type":"error","error":{"type":"not_found_error","message":"Quarterdeck: the gateway does not pass on POST /v1/files: only calls that it can count, and lists of models"}} (retry: false)
    404 {"error":{"code":404,"message":"Quarterdeck: the gateway does not pass on POST /v1/files: only calls that it can count, and lists of models","status":"NOT_FOUND"}} (retry: false)
    "#);
    let nobody = bench.post("nobody", "/v1/responses", "{}").await;
    insta::assert_snapshot!(nobody.shown(), @r#"404 {"error":{"message":"Quarterdeck: no provider is called nobody: the base URL is the gateway's address and a provider's name","type":"invalid_request_error","param":null,"code":"unknown_url"}}"#);
}

#[tokio::test]
async fn a_request_that_is_none() {
    let bench = Bench::usual().await;
    let large = format!(r#"{{"model":"model-x","input":"{}"}}"#, "x".repeat(100_000));
    let large = bench.post("openai", "/v1/responses", &large).await;
    insta::assert_snapshot!(large.shown(), @r#"413 {"error":{"message":"Quarterdeck: the request is larger than 100000 bytes","type":"invalid_request_error","param":null,"code":null}}"#);
    let large = format!(r#"{{"model":"model-x","input":"{}"}}"#, "x".repeat(100_000));
    let large = bench.post("anthropic", "/v1/messages", &large).await;
    insta::assert_snapshot!(large.shown(), @r#"413 {"type":"error","error":{"type":"request_too_large","message":"Quarterdeck: the request is larger than 100000 bytes"}}"#);
    let shown = async |body: &str| bench.post("openai", "/v1/responses", body).await.shown();
    insta::assert_snapshot!(shown("hello").await, @r#"400 {"error":{"message":"Quarterdeck: the request can't be taken: it is no JSON object (line 1, column 1)","type":"invalid_request_error","param":null,"code":null}}"#);
    insta::assert_snapshot!(shown(r#"{"input":"hi"}"#).await, @r#"400 {"error":{"message":"Quarterdeck: the request can't be taken: it names no model","type":"invalid_request_error","param":null,"code":null}}"#);
    insta::assert_snapshot!(shown(r#"{"model":"model-x","background":true}"#).await, @r#"400 {"error":{"message":"Quarterdeck: the request can't be taken: an answer in the background can't be counted: ask without background","type":"invalid_request_error","param":null,"code":null}}"#);
    let headers = [credentials("openai", &bench.token), ("content-encoding", "zstd".to_owned())];
    let request = client::request("POST", "/openai/v1/responses", &headers, b"{}");
    insta::assert_snapshot!(client::send(bench.address, request).await.shown(), @r#"400 {"error":{"message":"Quarterdeck: the request can't be taken: it is packed in another way than gzip: send it plain","type":"invalid_request_error","param":null,"code":null}}"#);
    assert_eq!(bench.seen().len(), 0);
    assert_eq!(bench.meter.records(), []);
}

#[tokio::test]
async fn a_small_request_that_unpacks_large_is_refused() {
    use std::io::Write as _;
    let bench = Bench::usual().await;
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    packed.write_all(&vec![b' '; 50_000_000]).unwrap();
    let packed = packed.finish().unwrap();
    let headers = [credentials("openai", &bench.token), ("content-encoding", "gzip".to_owned())];
    let request = client::request("POST", "/openai/v1/responses", &headers, &packed);
    assert_eq!(client::send(bench.address, request).await.status, 413);
}

#[tokio::test]
async fn the_key_never_comes_out_and_the_token_never_goes_in() {
    let bench = Bench::usual().await;
    let leak = format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}."}}}}"#);
    for case in CASES {
        let token = &bench.token;
        let everywhere = [
            ("authorization", format!("Bearer {token}")),
            ("x-api-key", token.clone()),
            ("x-goog-api-key", token.clone()),
            ("x-note", format!("sent by {token}")),
            ("cookie", format!("session={token}")),
            ("openai-organization", "somebody-else".to_owned()),
            ("accept-encoding", "gzip, br".to_owned()),
        ];
        let path = format!("/{}{}?key={token}&note={token}&alt=json", case.provider, case.path);
        for status in [200, 400, 401, 403, 404] {
            let reply = if status == 200 { Reply::json(case.plain) } else { Reply::error(status, &leak) };
            let reply = reply.header("x-echo", KEY).header("set-cookie", "a=b").header("x-fine", "yes");
            bench.upstream.plays([reply]);
            // An agent may have printed its environment.
            let body = case.body.replace("hi", &format!("OPENAI_API_KEY={token}"));
            let request = client::request("POST", &path, &everywhere, body.as_bytes());
            let answered = client::send(bench.address, request).await;
            assert!(!format!("{answered:?}").contains(KEY), "{answered:?}");
            assert!(!answered.headers.contains_key("set-cookie"));
            assert_eq!(answered.headers.contains_key("x-fine"), status != 401);
        }
        let seen = bench.seen();
        assert!(seen.iter().all(|seen| seen.query.as_deref() == Some("alt=json")));
        assert!(seen.iter().all(|seen| seen.body.contains("OPENAI_API_KEY=[redacted]")));
    }
    // And what the key is not taken for is said without it.
    let refused = bench.call(&CHAT).await;
    assert_eq!(refused.status, 404);
    bench.upstream.plays([Reply::error(401, &leak)]);
    insta::assert_snapshot!(bench.call(&CHAT).await.shown(), @r#"502 {"error":{"message":"Quarterdeck: provider openai does not take the gateway's key: a person has to set another","type":"server_error","param":null,"code":null}}"#);
}

#[tokio::test]
async fn a_request_that_does_not_come_is_not_waited_for() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let settings = qd_gateway::Settings { body_time: Duration::from_millis(200), ..settings() };
    let bench = Bench::new(Options { settings: Some(settings), ..Options::default() }).await;
    let mut stream = tokio::net::TcpStream::connect(bench.address).await.unwrap();
    let head = format!(
        "POST /openai/v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 90\r\n\r\n{{",
        bench.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_given_up() {
    let bench = Bench::usual().await;
    bench.upstream.plays([Reply::json(CHAT.plain).first(Piece::Wait(Duration::from_secs(30)))]);
    let (chat, messages, generate) =
        tokio::join!(bench.call(&CHAT), bench.call(&MESSAGES), bench.call(&GENERATE));
    let shown = [chat.shown(), messages.shown(), generate.shown()];
    // Not asked again: it may be working.
    assert_eq!(bench.seen().len(), 3);
    insta::assert_snapshot!(shown.join("\n"), @r#"
    504 {"error":{"message":"Quarterdeck: provider openai did not answer within 2 s","type":"server_error","param":null,"code":null}}
    504 {"type":"error","error":{"type":"timeout_error","message":"Quarterdeck: provider anthropic did not answer within 2 s"}}
    504 {"error":{"code":504,"message":"Quarterdeck: provider gemini did not answer within 2 s","status":"DEADLINE_EXCEEDED"}}
    "#);
}
