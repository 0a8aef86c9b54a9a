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

/// The same two tools, without the guard.
#[derive(Clone)]
struct Plain;

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

async fn plain_http(listener: TcpListener) {
    let config = StreamableHttpServerConfig::default();
    let service: StreamableHttpService<Plain, LocalSessionManager> =
        StreamableHttpService::new(|| Ok(Plain), Arc::default(), config);
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

/// The two servers by turns: sorted samples without the guard, and with it.
async fn by_turns(
    plain: &mut Client,
    guarded: &mut Client,
    tool: &str,
    samples: usize,
) -> Result<(Vec<f64>, Vec<f64>), Failure> {
    by_turns_and(plain, guarded, tool, samples, &mut async || Ok(())).await
}

/// The two servers by turns with something else that is measured beside them.
async fn by_turns_and(
    plain: &mut Client,
    guarded: &mut Client,
    tool: &str,
    samples: usize,
    beside: &mut impl AsyncFnMut() -> Result<(), Failure>,
) -> Result<(Vec<f64>, Vec<f64>), Failure> {
    let (mut without, mut with) = (Vec::with_capacity(samples), Vec::with_capacity(samples));
    for round in 0..WARM + samples {
        let (one, other) = (plain.call(tool).await?, guarded.call(tool).await?);
        beside().await?;
        if round >= WARM {
            without.push(one);
            with.push(other);
        }
    }
    without.sort_by(f64::total_cmp);
    with.sort_by(f64::total_cmp);
    Ok((without, with))
}

fn at(sorted: &[f64], percent: usize) -> Result<f64, Failure> {
    Ok(*sorted.get(sorted.len().saturating_sub(1) * percent / 100).ok_or("no samples")?)
}

/// What is added at a percentile.
fn added((without, with): &(Vec<f64>, Vec<f64>), percent: usize) -> Result<f64, Failure> {
    Ok(at(with, percent)? - at(without, percent)?)
}

/// The figures of the guard that are wanted.
pub async fn measure(figures: &mut Figures, wanted: &impl Fn(&str) -> bool) -> Result<(), Failure> {
    let reads = wanted("guard_added_us_p50") || wanted("guard_added_us_p99");
    let changes = wanted("guard_mutation_added_us_p50") || wanted("commit_us_p50");
    if reads || changes {
        let behind = Behind::new(server()?).await?;
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            serve_server(Plain, tokio::io::split(theirs)).await?.waiting().await.map_err(Failure::from)
        });
        let mut plain = Client::stream(ours).await?;
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(stdio::serve(behind.guard.clone(), behind.caller.clone(), reader, writer));
        let mut guarded = Client::stream(ours).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut plain_over_http = {
            let address = listener.local_addr()?;
            tokio::spawn(plain_http(listener));
            Client::http(address).await?
        };
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let tokens = Arc::new(Anybody(behind.caller.clone()));
        let (guard, settings) = (behind.guard.clone(), http::Settings::default());
        tokio::spawn(http::serve(listener, guard, tokens, settings, stop.clone()));
        let mut guarded_over_http = Client::http(address).await?;
        if reads {
            let stream = by_turns(&mut plain, &mut guarded, "status", READS).await?;
            let over_http = by_turns(&mut plain_over_http, &mut guarded_over_http, "status", READS).await?;
            for (name, percent, limit) in [("guard_added_us_p50", 50, 150), ("guard_added_us_p99", 99, 1_000)]
            {
                let (one, other) = (added(&stream, percent)?, added(&over_http, percent)?);
                let note = format!(
                    "reads, the worse of stdio {one:.0} and HTTP {other:.0}, beside {:.0} and {:.0} without; at most {limit}",
                    at(&stream.0, percent)?,
                    at(&over_http.0, percent)?,
                );
                if wanted(name) {
                    figures.add(name, one.max(other), "us", READS, note);
                }
            }
        }
        if changes {
            let mut commits = Vec::with_capacity(2 * CHANGES);
            let (stream, over_http) = {
                let mut committing = async || {
                    commits.push(commit(&behind).await?);
                    Ok(())
                };
                let (plain_http, guarded_http) = (&mut plain_over_http, &mut guarded_over_http);
                (
                    by_turns_and(&mut plain, &mut guarded, "restart", CHANGES, &mut committing).await?,
                    by_turns_and(plain_http, guarded_http, "restart", CHANGES, &mut committing).await?,
                )
            };
            commits.sort_by(f64::total_cmp);
            let commit = at(&commits, 50)?;
            let (one, other) = (added(&stream, 50)?, added(&over_http, 50)?);
            let note = format!(
                "the worse of stdio {one:.0} and HTTP {other:.0}; at most {:.0}: 150 and one durable commit",
                150.0 + commit
            );
            figures.add("guard_mutation_added_us_p50", one.max(other), "us", CHANGES, note);
            figures.add(
                "commit_us_p50",
                commit,
                "us",
                commits.len(),
                "one durable row of the trail, by turns with the calls",
            );
        }
        stop.cancel();
    }
    if wanted("guard_proxy_calls_per_s") {
        proxied(figures).await?;
    }
    Ok(())
}

/// One durable row of the trail: how long it took, in microseconds.
async fn commit(behind: &Behind) -> Result<f64, Failure> {
    let mut payload = Map::new();
    payload.insert("text".to_owned(), json!("calls bench.restart"));
    let (caller, call) = (behind.caller.clone(), ulid::Ulid::generate().to_string());
    let event = Event { kind: Kind::Call, caller, call, approval: None, payload };
    let begun = Instant::now();
    behind.ledger.durable(event).await?;
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

/// `guard_proxy_calls_per_s`: until the last call is answered and its row is on disk.
async fn proxied(figures: &mut Figures) -> Result<(), Failure> {
    let upstream = || {
        let (ours, theirs) = tokio::io::duplex(256 * 1024);
        tokio::spawn(async move {
            serve_server(Plain, tokio::io::split(theirs)).await?.waiting().await.map_err(Failure::from)
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
