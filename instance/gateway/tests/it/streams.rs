//! Streams as they happen: the first byte at once, clients that go away, providers that break off or fall silent.

use std::time::{Duration, Instant};

use qd_gateway::{
    Settings,
    event::{Event, Next, Trouble},
    meter::Outcome,
    usage::{Reading, Usage},
};
use tokio::net::TcpStream;

use crate::support::{
    Bench, CHAT, MESSAGES, Options, client, settings, streaming,
    upstream::{Piece, Reply},
};

const LONG: Piece = Piece::Wait(Duration::from_secs(30));

async fn opened(bench: &Bench) -> client::Coming {
    let (path, body) = streaming(&MESSAGES);
    let stream = TcpStream::connect(bench.address).await.unwrap();
    client::open(stream, bench.request("anthropic", &path, &body)).await
}

fn patient() -> Options {
    let settings = Settings { idle: Duration::from_secs(20), ..settings() };
    Options { settings: Some(settings), ..Options::default() }
}

#[tokio::test]
async fn the_first_byte_goes_on_at_once() {
    let bench = Bench::new(patient()).await;
    bench.upstream.plays([Reply::stream(&MESSAGES.streamed[..1]).then(LONG)]);
    let begun = Instant::now();
    let mut coming = opened(&bench).await;
    assert_eq!(coming.next().await.as_deref(), Some(MESSAGES.streamed[0]));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(bench.meter.records(), []);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call_with_what_was_counted() {
    let bench = Bench::new(patient()).await;
    bench.upstream.plays([Reply::stream(&MESSAGES.streamed[..2]).then(LONG)]);
    let mut coming = opened(&bench).await;
    coming.next().await.unwrap();
    coming.hang_up();
    let record = bench.record().await;
    assert_eq!(record.outcome, Outcome::Cancelled);
    let counted = Usage { input: 600, cached: 400, output: 1, ..Usage::default() };
    assert_eq!(record.reading, Reading::Partial(counted));
    assert!(record.charged.output >= record.received / 3, "{:?}", record.charged);
    for _ in 0..200 {
        if bench.upstream.ended() == [false] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the provider still works for nobody");
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_the_head_is_recorded_too() {
    let bench = Bench::new(Options {
        settings: Some(Settings { silence: Duration::from_secs(20), ..settings() }),
        ..Options::default()
    })
    .await;
    bench.upstream.plays([Reply::json(CHAT.plain).first(LONG)]);
    let asked = async {
        while bench.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        answered = bench.call(&CHAT) => panic!("{answered:?}"),
        () = asked => {}
    }
    let record = bench.record().await;
    assert_eq!((record.outcome, record.reading), (Outcome::Cancelled, Reading::Unknown));
    assert!(record.charged.input > 0);
}

#[tokio::test]
async fn a_stream_that_breaks_off_breaks_off_for_the_client() {
    let mut bench = Bench::usual().await;
    bench.upstream.plays([Reply::stream(&MESSAGES.streamed[..2]).then(Piece::Cut)]);
    let answered = bench.stream(&MESSAGES).await;
    assert!(!answered.whole);
    assert_eq!(answered.body, MESSAGES.streamed[..2].concat());
    let record = bench.record().await;
    assert_eq!(record.outcome, Outcome::Cut);
    assert!(matches!(record.reading, Reading::Partial(_)));
    // What was passed on is not asked for again.
    assert_eq!(bench.seen().len(), 1);
    assert!(matches!(bench.told()[..], [Event::Provider { trouble: Trouble::Cut, next: Next::GivenUp, .. }]));
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_ended() {
    let mut bench = Bench::usual().await;
    bench.upstream.plays([Reply::stream(&CHAT.streamed[..1]).then(LONG)]);
    let answered = bench.stream(&CHAT).await;
    assert!(!answered.whole);
    let record = bench.record().await;
    assert_eq!((record.outcome, record.reading), (Outcome::TimedOut, Reading::Unknown));
    assert!(matches!(bench.told()[..], [Event::Provider { trouble: Trouble::Silent, .. }]));
}

#[tokio::test]
async fn an_answer_may_not_take_for_ever() {
    let settings = Settings { longest: Duration::from_millis(300), ..settings() };
    let bench = Bench::new(Options { settings: Some(settings), ..Options::default() }).await;
    let mut reply = Reply::stream(&[]);
    for _ in 0..100 {
        reply = reply.then(Piece::Wait(Duration::from_millis(20))).then(Piece::Bytes(b": ping\n\n".to_vec()));
    }
    bench.upstream.plays([reply]);
    let answered = bench.stream(&CHAT).await;
    assert!(!answered.whole && answered.body.len() < 8 * 100);
    assert_eq!(bench.record().await.outcome, Outcome::TimedOut);
}

#[tokio::test]
async fn a_failure_inside_a_stream_is_recorded_as_what_it_is() {
    let bench = Bench::usual().await;
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    bench.upstream.plays([Reply::stream(&[MESSAGES.streamed[0], error])]);
    bench.stream(&MESSAGES).await;
    let record = bench.record().await;
    assert_eq!(record.outcome, Outcome::Failed("overloaded_error".to_owned()));
    assert!(matches!(record.reading, Reading::Partial(_)));
}

#[tokio::test]
async fn calls_that_are_under_way_at_the_end_are_recorded() {
    let bench = Bench::new(patient()).await;
    bench.upstream.plays([Reply::stream(&MESSAGES.streamed[..1]).then(LONG)]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let listener = qd_gateway::bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = bench.gateway.clone();
    let serving = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        gateway.serve_tcp(listener, stopped).await
    });
    let (path, body) = streaming(&MESSAGES);
    let stream = TcpStream::connect(address).await.unwrap();
    let mut coming = client::open(stream, bench.request("anthropic", &path, &body)).await;
    coming.next().await.unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert_eq!(bench.meter.records()[0].outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_unix_socket_serves_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::usual().await;
    bench.upstream.plays([Reply::json(CHAT.plain)]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    for _ in 0..2 {
        // The second one finds the first one's socket, as after a crash.
        let listener = qd_gateway::bind_unix(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let gateway = bench.gateway.clone();
        let serving = tokio::spawn(async move { gateway.serve_unix(listener, std::future::pending()).await });
        let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let coming = client::open(stream, bench.request("openai", CHAT.path, CHAT.body)).await;
        assert_eq!(client::finish(coming).await.body, CHAT.plain);
        serving.abort();
    }
}

#[tokio::test]
async fn more_connections_than_are_allowed_wait() {
    let settings = Settings { connections: 1, ..settings() };
    let bench = Bench::new(Options { settings: Some(settings), ..Options::default() }).await;
    bench.upstream.plays([Reply::json(CHAT.plain)]);
    let first = TcpStream::connect(bench.address).await.unwrap();
    // Another one is not looked at while the first is there.
    assert!(tokio::time::timeout(Duration::from_millis(300), bench.call(&CHAT)).await.is_err());
    assert_eq!(bench.seen().len(), 0);
    drop(first);
    assert_eq!(bench.call(&CHAT).await.status, 200);
}

#[tokio::test]
async fn nobody_else_can_reach_it() {
    let error = qd_gateway::bind_tcp("0.0.0.0:0".parse().unwrap()).await.unwrap_err();
    insta::assert_snapshot!(error, @"the gateway listens on this machine only, not on 0.0.0.0:0: use 127.0.0.1 or [::1]");
    let bench = Bench::usual().await;
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(bench.gateway.serve_tcp(listener, std::future::pending()).await.is_err());
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("file");
    std::fs::write(&taken, "precious").unwrap();
    assert!(qd_gateway::bind_unix(&taken).is_err());
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "precious");
}
