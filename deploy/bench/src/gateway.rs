//! What the metering gateway costs: the same requests of 1 KB with it and without it, by turns and then many at once, with
//! load generator, provider and gateway in this process.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use jiff::{Timestamp, tz::TimeZone};
use qd_gateway::{
    Gateway, Rates, Settings, Setup, bind_tcp,
    meter::SqliteMeter,
    providers::{KeySource, ProviderConfig},
    route::Shape,
    runs::{Pass, Tokens},
};
use secrecy::ExposeSecret as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

use crate::{Failure, figures::Figures};

/// Requests by turns, and before the first that is timed.
const TURNS: usize = 4_000;
const WARM: usize = 200;
/// Requests of a load, over so many connections.
const LOAD: usize = 20_000;
const CONNECTIONS: usize = 32;
/// The events that may wait: nobody takes them here.
const EVENTS: usize = 1_024;
const NAMES: [&str; 3] = ["gateway_added_ms_p50", "gateway_cpu_us_per_request", "gateway_rps"];

/// The three figures.
pub async fn measure(figures: &mut Figures, wanted: &impl Fn(&str) -> bool) -> Result<(), Failure> {
    if !NAMES.iter().any(|name| wanted(name)) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let provider = provider().await?;
    let (gateway, token, stop) = gateway(folder.path(), provider).await?;
    let direct = Place { address: provider, path: "/v1/chat/completions", token: String::new() };
    let through = Place { address: gateway, path: "/openai/v1/chat/completions", token };

    let (mut one, mut other) = (direct.connect().await?, through.connect().await?);
    let (mut bare, mut metered) = (Vec::with_capacity(TURNS), Vec::with_capacity(TURNS));
    for turn in 0..TURNS + WARM {
        let (fast, slow) = (direct.timed(&mut one).await?, through.timed(&mut other).await?);
        if turn >= WARM {
            bare.push(fast);
            metered.push(slow);
        }
    }
    let added = (median(metered) - median(bare)) * 1e3;
    figures.add("gateway_added_ms_p50", added, "ms", TURNS, "1 KB, median over a direct call; at most 1");

    let (_, without) = load(&direct).await?;
    let (seconds, with) = load(&through).await?;
    let (count, cpu) = (f64::from(u32::try_from(LOAD)?), with - without);
    let note = "all of this process over the same load without the gateway; at most 100";
    figures.add("gateway_cpu_us_per_request", cpu * 1e6 / count, "us", LOAD, note);
    let note = "1 KB, 32 connections, load and provider on the same cores; at least 4,000";
    figures.add("gateway_rps", count / seconds, "/s", LOAD, note);
    let _ = stop.send(());
    Ok(())
}

/// Where a request goes.
#[derive(Clone)]
struct Place {
    address: SocketAddr,
    path: &'static str,
    token: String,
}

type Sender = SendRequest<Full<Bytes>>;

impl Place {
    async fn connect(&self) -> Result<Sender, Failure> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn ask(&self, sender: &mut Sender) -> Result<(), Failure> {
        let request = Request::post(self.path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::new(question()))?;
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(())
    }

    async fn timed(&self, sender: &mut Sender) -> Result<f64, Failure> {
        let begun = Instant::now();
        self.ask(sender).await?;
        Ok(begun.elapsed().as_secs_f64())
    }
}

/// Many at once: the seconds it took, and the seconds of processor time.
async fn load(place: &Place) -> Result<(f64, f64), Failure> {
    let (begun, before) = (Instant::now(), processor()?);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let place = place.clone();
        tasks.spawn(async move {
            let mut sender = place.connect().await?;
            for _ in 0..LOAD / CONNECTIONS {
                place.ask(&mut sender).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok((begun.elapsed().as_secs_f64(), processor()? - before))
}

/// Seconds of processor time of this process so far, in steps of 10 ms.
fn processor() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/self/stat has another form")?;
    // User and system time are the 14th and the 15th field; the 3rd comes first here.
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    Ok(ticks.sum::<Result<u32, _>>().map(f64::from)? / 100.0)
}

fn question() -> Bytes {
    let text = "x".repeat(900);
    format!(r#"{{"model":"scripted","messages":[{{"role":"user","content":"{text}"}}]}}"#).into()
}

fn answer() -> Bytes {
    let text = "y".repeat(700);
    let usage = r#"{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050}"#;
    let message = format!(r#"{{"role":"assistant","content":"{text}"}}"#);
    let choices = format!(r#"[{{"index":0,"finish_reason":"stop","message":{message}}}]"#);
    format!(
        r#"{{"id":"c1","object":"chat.completion","created":1,"model":"scripted","choices":{choices},"usage":{usage}}}"#
    )
    .into()
}

/// A provider that answers at once.
async fn provider() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
                request.into_body().collect().await?;
                let body = Full::new(answer());
                Ok::<_, Failure>(Response::builder().header(CONTENT_TYPE, "application/json").body(body)?)
            });
            let serving = hyper::server::conn::http1::Builder::new();
            tokio::spawn(serving.serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

/// A gateway as a team has it, with its books on disk, and a run's token.
async fn gateway(
    folder: &Path,
    provider: SocketAddr,
) -> Result<(SocketAddr, String, oneshot::Sender<()>), Failure> {
    let clock: qd_gateway::runs::Clock = Arc::new(Timestamp::now);
    let tokens = Tokens::new(Arc::clone(&clock));
    let pass = Pass { run: "B-1.1".parse()?, budgets: qd_gateway::budget::RunBudgets::default() };
    let token = tokens.mint(pass, std::time::Duration::from_secs(3_600))?;
    let config = ProviderConfig {
        shape: Shape::OpenAi,
        base_url: format!("http://{provider}"),
        key: KeySource::None,
        prices: None,
        fallback: Vec::new(),
    };
    let (events, mut told) = mpsc::channel(EVENTS);
    tokio::spawn(async move { while told.recv().await.is_some() {} });
    let gateway = Gateway::new(Setup {
        runs: Arc::new(tokens),
        meter: Arc::new(SqliteMeter::open(&folder.join("calls.db")).await?),
        events: Arc::new(events),
        providers: [("openai".to_owned(), config)].into(),
        rates: Rates::default(),
        settings: Settings::default(),
        clock,
        zone: TimeZone::UTC,
    })?;
    let listener = bind_tcp(([127, 0, 0, 1], 0).into()).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        if let Err(error) = gateway.serve_tcp(listener, stopped).await {
            eprintln!("the gateway can't serve: {error}");
        }
    });
    Ok((address, token.expose_secret().to_owned(), stop))
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or_default()
}
