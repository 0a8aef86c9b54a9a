//! What the gateway costs: a client, the gateway and a provider in one process on one machine, over loopback, with bodies
//! of 1 KB. Not a benchmark of a provider. Prints one JSON object.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program that measures: it prints, and it may stop at the first thing that is wrong"
)]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, client::conn::http1, server, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::{Timestamp, tz::TimeZone};
use qd_gateway::{
    Gateway, Rates, Settings, Setup, bind_tcp,
    budget::{Budget, Budgets, RunBudgets},
    meter::{MemoryMeter, Meter, SqliteMeter},
    money::MicroDollars,
    prices::Prices,
    providers::{KeySource, ProviderConfig, ProviderConfigs},
    route::Shape,
    runs::{Pass, Tokens},
};
use secrecy::ExposeSecret as _;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::mpsc,
};

const CLIENTS: usize = 16;
const TIME: Duration = Duration::from_secs(5);
const PATH: &str = "/openai/v1/chat/completions";
const PRICES: &str = "[[price]]\nprovider = 'openai'\nmodel = 'model-x'\ninput = 1\noutput = 2\n\
                      date = '2026-11-01'\nsource = 'https://example.com'\n";

fn main() {
    let client = Runtime::new().unwrap();
    // The gateway has its own threads, so that its time can be told from the others'.
    let own = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("gateway")
        .enable_all()
        .build()
        .unwrap();
    let provider = client.block_on(provide());
    let folder = tempfile::tempdir().unwrap();
    for durable in [false, true] {
        let (address, token) = own.block_on(async {
            let meter: Arc<dyn Meter> = if durable {
                Arc::new(SqliteMeter::open(&folder.path().join("calls.db")).await.unwrap())
            } else {
                Arc::new(MemoryMeter::default())
            };
            start(provider, meter).await
        });
        client.block_on(async {
            let direct = format!("http://{provider}");
            latency(provider, &direct, "-", 500).await;
            latency(address, PATH, &token, 500).await;
            let without = latency(provider, &direct, "-", 2_000).await;
            let with = latency(address, PATH, &token, 2_000).await;
            let before = cpu();
            let calls = flood(address, &token).await;
            let spent = cpu() - before;
            let figures = serde_json::json!({
                "books": if durable { "sqlite" } else { "memory" },
                "gateway_added_ms_p50": round(with - without),
                "gateway_rps": round(calls as f64 / TIME.as_secs_f64()),
                "gateway_cpu_us_per_request": round(spent * 1e6 / calls as f64),
            });
            println!("{figures}");
        });
    }
}

fn round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Seconds of processor time of the gateway's own threads, and of the thread that writes the books.
fn cpu() -> f64 {
    let tick = 1.0 / rustix::param::clock_ticks_per_second() as f64;
    let of = |folder: std::fs::DirEntry| -> Option<f64> {
        let stat = std::fs::read_to_string(folder.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        if !(name.starts_with("gateway") || name.starts_with("sqlite")) {
            return None;
        }
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some((fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?) * tick)
    };
    std::fs::read_dir("/proc/self/task").unwrap().flatten().filter_map(of).sum()
}

async fn provide() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let text = format!(
        r#"{{"model":"model-x","choices":[{{"message":{{"content":"{}"}}}}],"usage":{{"prompt_tokens":250,"completion_tokens":250}}}}"#,
        "a".repeat(1_024)
    );
    let answer = Bytes::from(text);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let answer = answer.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let answer = answer.clone();
                async move {
                    request.into_body().collect().await.unwrap();
                    let response = Response::builder().header("content-type", "application/json");
                    Ok::<_, Infallible>(response.body(Full::new(answer)).unwrap())
                }
            });
            tokio::spawn(server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn start(provider: SocketAddr, meter: Arc<dyn Meter>) -> (SocketAddr, String) {
    let tokens = Tokens::new(Arc::new(Timestamp::now));
    let limit = Budget { money: Some(MicroDollars(u64::MAX)), tokens: Some(u64::MAX) };
    let budgets = RunBudgets { run: limit, feature: limit };
    let pass = Pass { run: "A-1.1".parse().unwrap(), budgets };
    let token = tokens.mint(pass, Duration::from_secs(600)).unwrap().expose_secret().to_owned();
    let config = ProviderConfig {
        shape: Shape::OpenAi,
        base_url: format!("http://{provider}"),
        key: KeySource::Value("sk-measured".into()),
        prices: None,
        fallback: vec![],
    };
    let setup = Setup {
        runs: Arc::new(tokens),
        meter,
        events: Arc::new(mpsc::channel(16).0),
        providers: ProviderConfigs::from([("openai".to_owned(), config)]),
        rates: Rates {
            prices: Prices::default().with("load", PRICES).unwrap(),
            budgets: Budgets { day: limit, month: limit, instance: limit },
            ..Rates::default()
        },
        settings: Settings::default(),
        clock: Arc::new(Timestamp::now),
        zone: TimeZone::UTC,
    };
    let gateway = Gateway::new(setup).unwrap();
    let listener = bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { gateway.serve_tcp(listener, std::future::pending()).await.unwrap() });
    (address, token)
}

struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
    path: String,
    token: String,
    body: Bytes,
}

impl Client {
    async fn connect(address: SocketAddr, path: &str, token: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let text = "b".repeat(1_024);
        let body = format!(r#"{{"model":"model-x","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        Self { sender, path: path.to_owned(), token: token.to_owned(), body: body.into() }
    }

    async fn call(&mut self) {
        let request = Request::post(&self.path)
            .header("host", "gateway")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::new(self.body.clone()))
            .unwrap();
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
    }
}

/// The median of so many calls, one after the other, in milliseconds.
async fn latency(address: SocketAddr, path: &str, token: &str, calls: usize) -> f64 {
    let mut client = Client::connect(address, path, token).await;
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let begun = Instant::now();
        client.call().await;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times[calls / 2]
}

/// As many calls as go through.
async fn flood(address: SocketAddr, token: &str) -> u64 {
    let calls = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + TIME;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let calls = Arc::clone(&calls);
        let mut client = Client::connect(address, PATH, token).await;
        clients.spawn(async move {
            while Instant::now() < end {
                client.call().await;
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    clients.join_all().await;
    calls.load(Ordering::Relaxed)
}
