//! The contract with the scripted LLM, a program of its own that speaks all four shapes. It lies beside the repository,
//! in `../shared/peers`, or where `QUARTERDECK_PEERS` says; where it is not, this says so and tests nothing.

use std::{path::PathBuf, process::Stdio, time::Duration};

use qd_gateway::{
    meter::Outcome,
    usage::{Reading, Usage},
};
use tokio::process::{Child, Command};

use crate::support::{Bench, CASES, Case, Options, settings};

fn script() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/peers");
    let peers = std::env::var_os("QUARTERDECK_PEERS").map_or_else(beside, PathBuf::from);
    let script = peers.join("scripted_llm.py");
    let found = script.is_file();
    if !found {
        eprintln!("skipped: no {}; say with QUARTERDECK_PEERS where the peers are", script.display());
    }
    found.then_some(script)
}

struct Peer {
    _process: Child,
    _folder: tempfile::TempDir,
    url: String,
    log: PathBuf,
}

async fn peer() -> Option<Peer> {
    let script = script()?;
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let process = Command::new("python3")
        .arg(script)
        .arg(port.to_string())
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            let log = folder.path().join("llm.log");
            return Some(Peer {
                _process: process,
                _folder: folder,
                url: format!("http://127.0.0.1:{port}"),
                log,
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the scripted LLM does not start");
}

/// A request that plays `steps`: it has a tool, and a text that holds the script.
fn body(case: &Case, steps: &str, stream: bool) -> (String, String) {
    use serde_json::json;
    let text = format!("[[cwd=/tmp steps={steps}]]");
    let mut body: serde_json::Value = serde_json::from_str(case.body).unwrap();
    match case.provider {
        "gemini" => {
            body["contents"] = json!([{"role": "user", "parts": [{"text": text}]}]);
            body["tools"] = json!([{"functionDeclarations": [{"name": "bash"}]}]);
        }
        "anthropic" => {
            body["messages"] = json!([{"role": "user", "content": text}]);
            body["tools"] = json!([{"name": "bash", "input_schema": {}}]);
        }
        _ if case.path.ends_with("responses") => {
            body["input"] = json!(text);
            body["tools"] = json!([{"type": "function", "name": "bash", "parameters": {}}]);
        }
        _ => {
            body["messages"] = json!([{"role": "user", "content": text}]);
            body["tools"] = json!([{"type": "function", "function": {"name": "bash"}}]);
        }
    }
    let mut path = case.path.to_owned();
    if stream && case.provider == "gemini" {
        path = path.replace(":generateContent", ":streamGenerateContent?alt=sse");
    } else if stream {
        body["stream"] = json!(true);
    }
    (path, body.to_string())
}

async fn bench(peer: &Peer) -> Bench {
    let settings = qd_gateway::Settings { ..settings() };
    let base_url = Some(peer.url.clone());
    Bench::new(Options { base_url, settings: Some(settings), ..Options::default() }).await
}

#[tokio::test]
async fn every_shape_is_counted() {
    let Some(peer) = peer().await else { return };
    let counted = Reading::Whole(Usage { input: 1_000, output: 50, ..Usage::default() });
    for case in CASES {
        for stream in [false, true] {
            let bench = bench(&peer).await;
            let (path, body) = body(case, "", stream);
            let answered = bench.post(case.provider, &path, &body).await;
            assert!(
                answered.whole && answered.status == 200 && answered.body.contains("DONE"),
                "{answered:?}"
            );
            let record = bench.record().await;
            assert_eq!(
                (record.reading, record.outcome),
                (counted, Outcome::Answered),
                "{:?} {stream}",
                case.endpoint
            );
        }
    }
    let log = std::fs::read_to_string(&peer.log).unwrap();
    assert_eq!(log.lines().count(), 8, "{log}");
}

#[tokio::test]
async fn errors_and_silence_come_through() {
    let Some(peer) = peer().await else { return };
    for case in CASES {
        let bench = bench(&peer).await;
        let (path, refused) = body(case, "err:402", true);
        let answered = bench.post(case.provider, &path, &refused).await;
        assert_eq!(answered.status, 402);
        assert!(answered.body.contains("scripted failure"));
        let (path, overloaded) = body(case, "err:529", false);
        assert_eq!(bench.post(case.provider, &path, &overloaded).await.status, 529);
        let (path, hangs) = body(case, "hang:4", true);
        assert_eq!(bench.post(case.provider, &path, &hangs).await.status, 504);
        let outcomes: Vec<_> =
            bench.records(3).await.into_iter().map(|record| (record.outcome, record.attempts)).collect();
        assert_eq!(outcomes, [(Outcome::Refused, 1), (Outcome::Refused, 3), (Outcome::TimedOut, 1)]);
    }
}

#[tokio::test]
async fn a_slow_stream_comes_word_by_word() {
    let Some(peer) = peer().await else { return };
    let settings = qd_gateway::Settings { idle: Duration::from_secs(5), ..settings() };
    let base_url = Some(peer.url.clone());
    let bench = Bench::new(Options { base_url, settings: Some(settings), ..Options::default() }).await;
    let (path, body) = body(CASES[2], "slow:3", true);
    let stream = tokio::net::TcpStream::connect(bench.address).await.unwrap();
    let mut coming = crate::support::client::open(stream, bench.request("anthropic", &path, &body)).await;
    let mut text = String::new();
    while !text.contains("word0") {
        text += &coming.next().await.unwrap();
    }
    let begun = std::time::Instant::now();
    while let Some(more) = coming.next().await {
        text += &more;
    }
    assert!(text.contains("word2") && text.contains("message_stop"));
    // The first word was here long before the last one was written.
    assert!(begun.elapsed() > Duration::from_secs(1));
    assert!(matches!(bench.record().await.reading, Reading::Whole(_)));
}
