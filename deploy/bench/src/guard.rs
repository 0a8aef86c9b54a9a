//! What the guard of tool servers adds to a call: the same two tools with it and without it, by turns, over a byte stream and
//! over HTTP; and how many calls a second its proxy passes on.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1, header::HOST, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use qd_approvals::{Directory, Executor};
use qd_audit::Kind;
use qd_engine::{Engine, Facts, KnownPerson, Source};
use qd_guard::{
    Answer, Call, Caller, Change, Clock, EngineLaw, Event, Fault, Guard, Incoming, Ledger, Limits, Look,
    Mutation, Permit, Plan, Server, Settings, Spec, StoreError, Trail as _, Who,
    http::{self, Tokens},
    proxy::{Mapping, Pins, Proxy},
    stdio,
};
use qd_types::{Person, Role, Tier};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
    },
    service::{RequestContext, serve_server},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::{Failure, figures::Figures};

/// Calls that are timed, of each kind.
const READS: usize = 4_000;
const CHANGES: usize = 400;
/// Calls before the first that is timed.
const WARM: usize = 200;
/// Calls through the proxy, and how many of them are on their way at once.
const PROXIED: usize = 20_000;
const WINDOW: usize = 32;

#[derive(Deserialize, JsonSchema)]
struct Which {
    /// The service.
    service: String,
}

#[derive(Serialize, JsonSchema)]
struct Said {
    said: String,
}

fn said(service: &str) -> Said {
    Said { said: format!("{service} is up") }
}

struct Status;

#[async_trait]
impl Look for Status {
    type Input = Which;
    type Output = Said;

    fn spec(&self) -> Spec {
        Spec::new("status", Tier::Read, "service.status").described("Status", "Says how a service is.")
    }

    async fn look(&self, _: &Call, input: Which) -> Result<Said, Fault> {
        Ok(said(&input.service))
    }
}

struct Restart;

#[async_trait]
impl Mutation for Restart {
    type Input = Which;
    type Output = Said;

    fn spec(&self) -> Spec {
        Spec::new("restart", Tier::Operate, "service.restart").described("Restart", "Restarts a service.")
    }

    async fn plan(&self, _: &Call, input: &Which) -> Result<Plan, Fault> {
        Ok(Plan { target: input.service.clone(), fingerprint: "1".to_owned(), steps: Vec::new() })
    }
}

#[async_trait]
impl Change for Restart {
    async fn change(&self, _: &Call, input: Which, _: Permit) -> Result<Said, Fault> {
        Ok(said(&input.service))
    }
}

fn server() -> Result<Server, Failure> {
    Ok(Server::new("bench", "Services.").look(Status)?.change(Restart)?)
}

/// The same two tools, without the guard; a third one changes something as `restart` does, and makes one durable row first.
#[derive(Clone)]
struct Plain {
    rows: Option<Arc<Behind>>,
}

/// The tool that makes a durable row without the guard.
const COMMIT: &str = "commit";

impl ServerHandler for Plain {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = json!({
            "type": "object", "properties": { "service": { "type": "string" } }, "required": ["service"],
        });
        let schema = schema.as_object().cloned().unwrap_or_default();
        let reads = ToolAnnotations::new().read_only(true);
        let tool = Tool::new("status", "Says how a service is.", schema).with_annotations(reads);
        Ok(ListToolsResult::with_all_items(vec![tool]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let read = Which::deserialize(&arguments);
        let input = read.map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
        if request.name == COMMIT {
            let Some(behind) = &self.rows else {
                return Err(ErrorData::internal_error("there is no trail", None));
            };
            behind.commit().await.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        }
        let value = serde_json::to_value(said(&input.service)).unwrap_or_default();
        Ok(CallToolResult::structured(value).into())
    }
}

/// A guard in a folder of its own.
pub struct Behind {
    _folder: tempfile::TempDir,
    ledger: Arc<Ledger>,
    guard: Guard,
    caller: Caller,
}

impl Behind {
    /// With a person who may call what reads.
    pub async fn new(server: Server) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let team: qd_types::InstanceName = "alpha".parse()?;
        let person = Person { id: "ines".parse()?, roles: vec![Role::Operator] };
        let facts = Facts {
            people: vec![KnownPerson { person: person.clone(), identities: vec![] }],
            teams: vec![team.clone()],
            tools: server.known_tools(),
            ..Facts::default()
        };
        let law = EngineLaw::new(Arc::new(Engine::new(Source::Embedded, &facts, &[])?));
        let clock: Clock = Arc::new(Timestamp::now);
        let opened = Ledger::open(folder.path(), Executor::new("alpha"), Directory::default(), clock).await;
        let ledger = Arc::new(opened?);
        let limits = Limits { per_minute: 600_000_000, burst: 10_000_000, at_once: 2 * WINDOW, waiting: 1 };
        let settings = Settings { limits, ..Settings::default() };
        let guard = Guard::new(server, Arc::new(law), ledger.clone(), ledger.clone(), settings);
        Ok(Self { _folder: folder, ledger, guard, caller: Caller::new(Who::Person { person, team }) })
    }

    /// One durable row of the trail, as the guard writes it before a change.
    async fn commit(&self) -> Result<(), StoreError> {
        let mut payload = Map::new();
        payload.insert("text".to_owned(), json!("calls bench.restart"));
        let (caller, call) = (self.caller.clone(), ulid::Ulid::generate().to_string());
        self.ledger.durable(Event { kind: Kind::Call, caller, call, approval: None, payload }).await
    }

    /// Answers a call of that person.
    pub async fn call(&self, incoming: Incoming) -> Answer {
        self.guard.call(&self.caller, incoming).await
    }
}

struct Anybody(Caller);

#[async_trait]
impl Tokens for Anybody {
    async fn caller(&self, _: Option<&str>) -> Result<Option<Caller>, StoreError> {
        Ok(Some(self.0.clone()))
    }
}

/// One client of one server.
enum Client {
    Stream { lines: Lines<BufReader<ReadHalf<DuplexStream>>>, writer: WriteHalf<DuplexStream> },
    Http { sender: http1::SendRequest<Full<Bytes>>, host: String },
}

impl Client {
    async fn stream(ours: DuplexStream) -> Result<Self, Failure> {
        let (reader, writer) = tokio::io::split(ours);
        let mut client = Self::Stream { lines: BufReader::new(reader).lines(), writer };
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}});
        client.send(&hello.to_string()).await?;
        client.next().await?;
        client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await?;
        Ok(client)
    }

    async fn http(address: std::net::SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self::Http { sender, host: address.to_string() })
    }

    async fn send(&mut self, message: &str) -> Result<(), Failure> {
        if let Self::Stream { writer, .. } = self {
            writer.write_all(format!("{message}\n").as_bytes()).await?;
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<String, Failure> {
        match self {
            Self::Stream { lines, .. } => Ok(lines.next_line().await?.ok_or("the server ended")?),
            Self::Http { .. } => Err("an answer over HTTP belongs to its request".into()),
        }
    }

    /// Calls, and returns how long it took, in microseconds.
    async fn call(&mut self, tool: &str) -> Result<f64, Failure> {
        let mut params = json!({ "name": tool, "arguments": { "service": "billing" } });
        if matches!(self, Self::Http { .. })
            && let Some(fields) = params.as_object_mut()
        {
            fields.insert(
                "_meta".to_owned(),
                json!({
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
                    "io.modelcontextprotocol/clientCapabilities": {},
                }),
            );
        }
        let message =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
        let begun = Instant::now();
        let answer = match self {
            Self::Stream { .. } => {
                self.send(&message).await?;
                self.next().await?
            }
            Self::Http { sender, host } => {
                let request = Request::post("/mcp")
                    .header(HOST, host.as_str())
                    .header("Authorization", "Bearer bench")
                    .header("Content-Type", "application/json")
                    .header("Accept", "application/json, text/event-stream")
                    .header("MCP-Protocol-Version", "2026-07-28")
                    .header("Mcp-Method", "tools/call")
                    .header("Mcp-Name", tool)
                    .body(Full::new(Bytes::from(message)))?;
                sender.ready().await?;
                let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
                String::from_utf8_lossy(&body).into_owned()
            }
        };
        let taken = begun.elapsed().as_secs_f64() * 1e6;
        if !answer.contains("billing is up") {
            return Err(format!("a call of {tool} was answered with {answer}").into());
        }
        Ok(taken)
    }
}

async fn plain_http(listener: TcpListener, plain: Plain) {
    let config = StreamableHttpServerConfig::default();
    let service: StreamableHttpService<Plain, LocalSessionManager> =
        StreamableHttpService::new(move || Ok(plain.clone()), Arc::default(), config);
    while let Ok((stream, _)) = listener.accept().await {
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let service = service.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let mut service = service.clone();
                async move { service.call(request).await }
            });
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await
        });
    }
}

/// One after the other, again and again, each round beginning with another: what one leaves behind for the next, such as a disk
/// that just wrote, is shared out. The sorted samples of each. What each is called on and calls.
async fn by_turns<const N: usize>(
    clients: &mut [Client],
    calls: [(usize, &str); N],
    samples: usize,
) -> Result<[Vec<f64>; N], Failure> {
    let mut taken = [const { Vec::new() }; N];
    for round in 0..WARM + samples {
        let mut each: Vec<_> = taken.iter_mut().zip(calls).collect();
        each.rotate_left(round % N);
        for (own, (client, tool)) in each {
            let client = clients.get_mut(client).ok_or("no such client")?;
            let one = client.call(tool).await?;
            if round >= WARM {
                own.push(one);
            }
        }
    }
    taken.iter_mut().for_each(|own| own.sort_by(f64::total_cmp));
    Ok(taken)
}

fn at(sorted: &[f64], percent: usize) -> Result<f64, Failure> {
    Ok(*sorted.get(sorted.len().saturating_sub(1) * percent / 100).ok_or("no samples")?)
}

/// What is added at a percentile.
fn added(without: &[f64], with: &[f64], percent: usize) -> Result<f64, Failure> {
    Ok(at(with, percent)? - at(without, percent)?)
}

/// A server without the guard and one with it, over one transport.
const PLAIN: usize = 0;
const GUARDED: usize = 1;

/// The figures of the guard that are wanted.
pub async fn measure(figures: &mut Figures, wanted: &impl Fn(&str) -> bool) -> Result<(), Failure> {
    let of_reads = wanted("guard_added_us_p50") || wanted("guard_added_us_p99");
    let of_changes = wanted("guard_mutation_added_us_p50") || wanted("commit_us_p50");
    if of_reads || of_changes {
        let behind = Arc::new(Behind::new(server()?).await?);
        let stop = CancellationToken::new();
        let mut stream = over_stream(&behind).await?;
        let mut over_http = over_http(&behind, &stop).await?;
        if of_reads {
            reads(figures, wanted, &mut stream, &mut over_http).await?;
        }
        if of_changes {
            changes(figures, &mut stream, &mut over_http).await?;
        }
        stop.cancel();
    }
    if wanted("guard_proxy_calls_per_s") {
        proxied(figures).await?;
    }
    Ok(())
}

async fn over_stream(behind: &Arc<Behind>) -> Result<[Client; 2], Failure> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let without = Plain { rows: Some(behind.clone()) };
    tokio::spawn(async move {
        serve_server(without, tokio::io::split(theirs)).await?.waiting().await.map_err(Failure::from)
    });
    let plain = Client::stream(ours).await?;
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(stdio::serve(behind.guard.clone(), behind.caller.clone(), reader, writer));
    Ok([plain, Client::stream(ours).await?])
}

async fn over_http(behind: &Arc<Behind>, stop: &CancellationToken) -> Result<[Client; 2], Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(plain_http(listener, Plain { rows: Some(behind.clone()) }));
    let plain = Client::http(address).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let tokens = Arc::new(Anybody(behind.caller.clone()));
    let (guard, settings) = (behind.guard.clone(), http::Settings::default());
    tokio::spawn(http::serve(listener, guard, tokens, settings, stop.clone()));
    Ok([plain, Client::http(address).await?])
}

async fn reads(
    figures: &mut Figures,
    wanted: &impl Fn(&str) -> bool,
    stream: &mut [Client],
    over_http: &mut [Client],
) -> Result<(), Failure> {
    let calls = [(PLAIN, "status"), (GUARDED, "status")];
    let [bare, behind] = by_turns(stream, calls, READS).await?;
    let [bare_http, behind_http] = by_turns(over_http, calls, READS).await?;
    for (name, percent, limit) in [("guard_added_us_p50", 50, 150), ("guard_added_us_p99", 99, 1_000)] {
        let one = added(&bare, &behind, percent)?;
        let other = added(&bare_http, &behind_http, percent)?;
        let note = format!(
            "reads, the worse of stdio {one:.0} and HTTP {other:.0}, beside {:.0} and {:.0} without; at most {limit}",
            at(&bare, percent)?,
            at(&bare_http, percent)?,
        );
        if wanted(name) {
            figures.add(name, one.max(other), "us", READS, note);
        }
    }
    Ok(())
}

/// Changes, beside what one durable row adds to a call of the same server without the guard.
async fn changes(
    figures: &mut Figures,
    stream: &mut [Client],
    over_http: &mut [Client],
) -> Result<(), Failure> {
    let calls = [(PLAIN, "restart"), (GUARDED, "restart"), (PLAIN, COMMIT)];
    let mut worst: Option<(f64, f64, &str)> = None;
    let mut said = Vec::new();
    for (clients, transport) in [(stream, "stdio"), (over_http, "HTTP")] {
        let [bare, behind, committing] = by_turns(clients, calls, CHANGES).await?;
        let (own, commit) = (added(&bare, &behind, 50)?, added(&bare, &committing, 50)?);
        said.push(format!("{transport} {own:.0} (at most {:.0})", 150.0 + commit));
        if worst.is_none_or(|(most, least, _)| own - commit > most - least) {
            worst = Some((own, commit, transport));
        }
    }
    let (own, commit, transport) = worst.ok_or("no samples")?;
    let note = format!("the worse of {}: 150 and one durable commit", said.join(" and "));
    figures.add("guard_mutation_added_us_p50", own, "us", CHANGES, note);
    let note = format!("what one durable row adds to a call without the guard, over {transport}, by turns");
    figures.add("commit_us_p50", commit, "us", CHANGES, note);
    Ok(())
}

/// `guard_proxy_calls_per_s`: until the last call is answered and its row is on disk.
async fn proxied(figures: &mut Figures) -> Result<(), Failure> {
    let upstream = || {
        let (ours, theirs) = tokio::io::duplex(256 * 1024);
        tokio::spawn(async move {
            serve_server(Plain { rows: None }, tokio::io::split(theirs))
                .await?
                .waiting()
                .await
                .map_err(Failure::from)
        });
        ours
    };
    let mut pins = Pins::default();
    for found in Proxy::connect("plain", upstream(), pins.clone(), Mapping::default()).await?.found() {
        pins.trust(&found.tool);
    }
    let proxy = Proxy::connect("plain", upstream(), pins, Mapping::default()).await?;
    let behind = Behind::new(proxy.server()?).await?;
    let (ours, theirs) = tokio::io::duplex(256 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(stdio::serve(behind.guard.clone(), behind.caller.clone(), reader, writer));
    let mut client = Client::stream(ours).await?;
    client.call("status").await?;
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "status", "arguments": { "service": "billing" } } })
    .to_string();
    let begun = Instant::now();
    for sent in 0..PROXIED + WINDOW {
        if sent < PROXIED {
            let id = format!("\"id\":{}", sent + 2);
            client.send(&call.replacen("\"id\":1", &id, 1)).await?;
        }
        if sent >= WINDOW {
            let answer = client.next().await?;
            if !answer.contains("billing is up") {
                return Err(format!("a call was answered with {answer}").into());
            }
        }
    }
    behind.ledger.flush().await?;
    let rate = PROXIED as f64 / begun.elapsed().as_secs_f64();
    let note = "through the proxy to another server, every row of the trail on disk; at least 5,000";
    figures.add("guard_proxy_calls_per_s", rate, "/s", PROXIED, note);
    Ok(())
}
