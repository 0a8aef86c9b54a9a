//! What the metering gateway adds: a client, the gateway and a provider in one process on one machine, over loopback, with
//! bodies of 1 KB, budgets that are looked at, and books on disk. Not a benchmark of a provider.

use std::{
    net::SocketAddr,
    sync::Arc,
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
    meter::SqliteMeter,
    money::MicroDollars,
    prices::Prices,
    providers::{KeySource, ProviderConfig, ProviderConfigs},
    route::Shape,
    runs::{Pass, Tokens},
};
use secrecy::ExposeSecret as _;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::mpsc,
    task::JoinSet,
};

use crate::{Failure, figures::Figures};

/// Clients at once, where as many calls as possible are made.
const CLIENTS: usize = 16;
/// For how long.
const TIME: Duration = Duration::from_secs(5);
/// Calls, one after the other, whose time is taken.
const CALLS: usize = 2_000;
const PATH: &str = "/openai/v1/chat/completions";
const PRICES: &str = "[[price]]\nprovider = 'openai'\nmodel = 'model-x'\ninput = 1\noutput = 2\n\
                      date = '2026-11-01'\nsource = 'https://example.com'\n";

/// `gateway_added_ms_p50`, `gateway_rps` and `gateway_cpu_us_per_request`.
pub fn measure(client: &Runtime, figures: &mut Figures) -> Result<(), Failure> {
    // The gateway has its own threads, so that its time can be told from the others'.
    let own = Builder::new_multi_thread().worker_threads(2).thread_name("gateway").enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let provider = client.block_on(provide())?;
    let (address, token) = own.block_on(async {
        let meter = SqliteMeter::open(&folder.path().join("calls.db")).await?;
        start(provider, Arc::new(meter)).await
    })?;
    client.block_on(async {
        let direct = format!("http://{provider}");
        latency(provider, &direct, "-", CALLS / 4).await?;
        latency(address, PATH, &token, CALLS / 4).await?;
        let without = latency(provider, &direct, "-", CALLS).await?;
        let with = latency(address, PATH, &token, CALLS).await?;
        figures.add(
            "gateway_added_ms_p50",
            with - without,
            "ms",
            CALLS,
            format!("{with:.2} with it, {without:.2} without; at most 1"),
        );
        let before = cpu()?;
        let calls = flood(address, &token).await?;
        let spent = cpu()? - before;
        let count = usize::try_from(calls)?;
        let note = "bodies of 1 KB, load and provider on the same cores; at least 4000";
        figures.add("gateway_rps", calls as f64 / TIME.as_secs_f64(), "/s", count, note);
        let note = "its own threads and its books; at most 100";
        figures.add("gateway_cpu_us_per_request", spent * 1e6 / calls as f64, "us", count, note);
        Ok::<_, Failure>(())
    })?;
    own.shutdown_background();
    Ok(())
}

/// Seconds of processor time of the gateway's own threads, and of the thread that writes the books.
fn cpu() -> Result<f64, Failure> {
    let tick = 1.0 / rustix::param::clock_ticks_per_second() as f64;
    let of = |folder: std::fs::DirEntry| -> Option<f64> {
        let stat = std::fs::read_to_string(folder.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        if !(name.starts_with("gateway") || name.starts_with("sqlite")) {
            return None;
        }
        let mut times = rest.split_whitespace().skip(11).map(|time| time.parse::<f64>().ok());
        Some((times.next()?? + times.next()??) * tick)
    };
    Ok(std::fs::read_dir("/proc/self/task")?.flatten().filter_map(of).sum())
}

/// A provider that answers at once.
async fn provide() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let words = "a".repeat(1_024);
    let answer = Bytes::from(format!(
        r#"{{"model":"model-x","choices":[{{"message":{{"content":"{words}"}}}}],"usage":{{"prompt_tokens":250,"completion_tokens":250}}}}"#,
    ));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let answer = answer.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let answer = answer.clone();
                async move {
                    request.into_body().collect().await?;
                    let mut response = Response::new(Full::new(answer));
                    let json = hyper::header::HeaderValue::from_static("application/json");
                    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
                    Ok::<_, hyper::Error>(response)
                }
            });
            tokio::spawn(server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

/// A gateway in front of it, with budgets that are never reached.
async fn start(provider: SocketAddr, meter: Arc<SqliteMeter>) -> Result<(SocketAddr, String), Failure> {
    let tokens = Tokens::new(Arc::new(Timestamp::now));
    let limit = Budget { money: Some(MicroDollars(u64::MAX)), tokens: Some(u64::MAX) };
    let pass = Pass { run: "A-1.1".parse()?, budgets: RunBudgets { run: limit, feature: limit } };
    let token = tokens.mint(pass, Duration::from_secs(600))?.expose_secret().to_owned();
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
            prices: Prices::default().with("bench", PRICES)?,
            budgets: Budgets { day: limit, month: limit, instance: limit },
            ..Rates::default()
        },
        settings: Settings::default(),
        clock: Arc::new(Timestamp::now),
        zone: TimeZone::UTC,
    };
    let gateway = Gateway::new(setup)?;
    let listener = bind_tcp(([127, 0, 0, 1], 0).into()).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { gateway.serve_tcp(listener, std::future::pending()).await });
    Ok((address, token))
}

struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
    path: String,
    token: String,
    body: Bytes,
}

impl Client {
    async fn connect(address: SocketAddr, path: &str, token: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let text = "b".repeat(1_024);
        let body = format!(r#"{{"model":"model-x","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        Ok(Self { sender, path: path.to_owned(), token: token.to_owned(), body: body.into() })
    }

    async fn call(&mut self) -> Result<(), Failure> {
        let request = Request::post(&self.path)
            .header("host", "gateway")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::new(self.body.clone()))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        if response.status() != 200 {
            return Err(format!("the gateway answered {}", response.status()).into());
        }
        response.into_body().collect().await?;
        Ok(())
    }
}

/// The median of so many calls, one after the other, in milliseconds.
async fn latency(address: SocketAddr, path: &str, token: &str, calls: usize) -> Result<f64, Failure> {
    let mut client = Client::connect(address, path, token).await?;
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let begun = Instant::now();
        client.call().await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(*times.get(calls / 2).ok_or("no samples")?)
}

/// As many calls as go through.
async fn flood(address: SocketAddr, token: &str) -> Result<u64, Failure> {
    let end = Instant::now() + TIME;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = Client::connect(address, PATH, token).await?;
        clients.spawn(async move {
            let mut calls = 0_u64;
            while Instant::now() < end {
                client.call().await?;
                calls += 1;
            }
            Ok::<_, Failure>(calls)
        });
    }
    let mut all = 0;
    while let Some(calls) = clients.join_next().await {
        all += calls??;
    }
    Ok(all)
}
