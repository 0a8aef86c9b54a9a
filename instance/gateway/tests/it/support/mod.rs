//! One gateway, one upstream, one run's token.

pub(crate) mod client;
pub(crate) mod upstream;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use qd_gateway::{
    Gateway, Rates, Settings, Setup, bind_tcp,
    budget::{Budget, Budgets, RunBudgets},
    event::Event,
    meter::{MemoryMeter, Meter, Record},
    money::MicroDollars,
    prices::Prices,
    providers::{Fallback, KeySource, ProviderConfig, ProviderConfigs},
    route::{Endpoint, Shape},
    runs::{Pass, Tokens},
};
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;

use client::Answered;
use upstream::{Seen, Upstream};

/// The provider's key. It must never come out on the agent's side.
pub(crate) const KEY: &str = "sk-provider-key-0123456789";

/// Simple numbers: a token in is a millionth of a dollar, one out is two.
pub(crate) const PRICES: &str = "
    [[price]]
    provider = 'test'
    model = 'model-x'
    input = 1
    cached = 0.1
    output = 2
    date = '2026-11-01'
    source = 'https://example.com'
";

/// What every endpoint is called by, and how its answers look.
pub(crate) struct Case {
    pub(crate) endpoint: Endpoint,
    pub(crate) provider: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: &'static str,
    pub(crate) plain: &'static str,
    pub(crate) streamed: &'static [&'static str],
}

pub(crate) const CHAT: Case = Case {
    endpoint: Endpoint::ChatCompletions,
    provider: "openai",
    path: "/v1/chat/completions",
    body: r#"{"model":"model-x","messages":[{"role":"user","content":"hi"}]}"#,
    plain: r#"{"model":"model-x","choices":[{"message":{"content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":400},"completion_tokens_details":{"reasoning_tokens":20}}}"#,
    streamed: &[
        "data: {\"model\":\"model-x\",\"choices\":[{\"delta\":{\"content\":\"o\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":50,\"prompt_tokens_details\":{\"cached_tokens\":400},\"completion_tokens_details\":{\"reasoning_tokens\":20}}}\n\ndata: [DONE]\n\n",
    ],
};

pub(crate) const RESPONSES: Case = Case {
    endpoint: Endpoint::Responses,
    provider: "openai",
    path: "/v1/responses",
    body: r#"{"model":"model-x","input":"hi"}"#,
    plain: r#"{"model":"model-x","status":"completed","usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":400},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":20}}}"#,
    streamed: &[
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"model\":\"model-x\",\"usage\":null}}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"ok\"}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"model-x\",\"usage\":{\"input_tokens\":1000,\"input_tokens_details\":{\"cached_tokens\":400},\"output_tokens\":50,\"output_tokens_details\":{\"reasoning_tokens\":20}}}}\n\n",
    ],
};

pub(crate) const MESSAGES: Case = Case {
    endpoint: Endpoint::Messages,
    provider: "anthropic",
    path: "/v1/messages",
    body: r#"{"model":"model-x","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
    plain: r#"{"type":"message","model":"model-x","content":[],"usage":{"input_tokens":600,"cache_read_input_tokens":400,"output_tokens":50}}"#,
    streamed: &[
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"model-x\",\"usage\":{\"input_tokens\":600,\"cache_read_input_tokens\":400,\"output_tokens\":1}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"ok\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":50}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ],
};

pub(crate) const GENERATE: Case = Case {
    endpoint: Endpoint::GenerateContent,
    provider: "gemini",
    path: "/v1beta/models/model-x:generateContent",
    body: r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
    plain: r#"{"candidates":[{"finishReason":"STOP"}],"modelVersion":"model-x","usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":30,"cachedContentTokenCount":400,"thoughtsTokenCount":20}}"#,
    streamed: &[
        "data: {\"candidates\":[{}],\"modelVersion\":\"model-x\",\"usageMetadata\":{\"promptTokenCount\":1000}}\r\n\r\n",
        "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1000,\"candidatesTokenCount\":30,\"cachedContentTokenCount\":400,\"thoughtsTokenCount\":20}}\r\n\r\n",
    ],
};

pub(crate) const CASES: [&Case; 4] = [&CHAT, &RESPONSES, &MESSAGES, &GENERATE];

/// The price of each case's answer: 600 fresh, 400 from the cache, 50 out.
pub(crate) const COST: MicroDollars = MicroDollars(600 + 40 + 100);

/// The path of a streamed call, and the body that asks for it.
pub(crate) fn streaming(case: &Case) -> (String, String) {
    if case.endpoint == Endpoint::GenerateContent {
        (case.path.replace(":generateContent", ":streamGenerateContent?alt=sse"), case.body.to_owned())
    } else {
        let body = case.body.trim_end_matches('}');
        (
            case.path.to_owned(),
            format!("{body},\"stream\":true,\"stream_options\":{{\"include_usage\":true}}}}"),
        )
    }
}

pub(crate) fn money(limit: u64) -> Budget {
    Budget { money: Some(MicroDollars(limit)), tokens: None }
}

pub(crate) fn prices() -> Prices {
    Prices::default().with("test", PRICES).unwrap()
}

pub(crate) struct Bench {
    pub(crate) upstream: Upstream,
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) meter: MemoryMeter,
    pub(crate) token: String,
    events: mpsc::Receiver<Event>,
    server: tokio::task::JoinHandle<()>,
}

/// What differs from the usual.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) run: RunBudgets,
    pub(crate) all: Budgets,
    pub(crate) settings: Option<Settings>,
    pub(crate) base_url: Option<String>,
    pub(crate) fallback: Vec<Fallback>,
    /// Whose fallback it is; OpenAI's, if not set.
    pub(crate) shape: Option<Shape>,
    pub(crate) meter: Option<Arc<dyn Meter>>,
    /// The clock, and the fleet's time zone; the machine's and UTC, if not set.
    pub(crate) time: Option<(qd_gateway::runs::Clock, TimeZone)>,
}

/// Quick enough for a test, and still in the right order.
pub(crate) fn settings() -> Settings {
    Settings {
        pause: Duration::from_millis(20),
        patience: Duration::from_millis(500),
        silence: Duration::from_secs(2),
        idle: Duration::from_secs(2),
        body_limit: 100_000,
        ..Settings::default()
    }
}

impl Bench {
    pub(crate) async fn new(options: Options) -> Self {
        let tokens = Arc::new(Tokens::new(Arc::new(Timestamp::now)));
        let token = mint(&tokens, "A-1.1", options.run);
        let upstream = Upstream::start(KEY, token.clone()).await;
        let base = options.base_url.unwrap_or_else(|| upstream.url());
        let config = |shape, fallback| ProviderConfig {
            shape,
            base_url: base.clone(),
            key: KeySource::Value(KEY.into()),
            prices: Some("test".to_owned()),
            fallback,
        };
        let whose = options.shape.unwrap_or(Shape::OpenAi);
        let fallback = |shape| if shape == whose { options.fallback.clone() } else { vec![] };
        let mut providers = ProviderConfigs::new();
        providers.insert("openai".to_owned(), config(Shape::OpenAi, fallback(Shape::OpenAi)));
        providers.insert("anthropic".to_owned(), config(Shape::Anthropic, fallback(Shape::Anthropic)));
        providers.insert("gemini".to_owned(), config(Shape::Gemini, fallback(Shape::Gemini)));
        let mut spare = config(Shape::OpenAi, vec![]);
        spare.base_url = format!("{}/spare", upstream.url());
        providers.insert("spare".to_owned(), spare);

        let (clock, zone) = options.time.unwrap_or_else(|| (Arc::new(Timestamp::now), TimeZone::UTC));
        let meter = MemoryMeter::default();
        let (tell, events) = mpsc::channel(100);
        let gateway = Gateway::new(Setup {
            runs: tokens.clone(),
            meter: options.meter.unwrap_or_else(|| Arc::new(meter.clone())),
            events: Arc::new(tell),
            providers,
            rates: Rates { prices: prices(), budgets: options.all, ..Rates::default() },
            settings: options.settings.unwrap_or_else(settings),
            clock,
            zone,
        })
        .unwrap();
        let listener = bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = gateway.clone();
        let server = tokio::spawn(async move {
            serving.serve_tcp(listener, std::future::pending()).await.unwrap();
        });
        Self { upstream, gateway, address, tokens, meter, token, events, server }
    }

    pub(crate) async fn usual() -> Self {
        Self::new(Options::default()).await
    }

    /// A call as its client library makes it, with the token where that puts its key.
    pub(crate) async fn call(&self, case: &Case) -> Answered {
        self.post(case.provider, case.path, case.body).await
    }

    pub(crate) async fn stream(&self, case: &Case) -> Answered {
        let (path, body) = streaming(case);
        self.post(case.provider, &path, &body).await
    }

    pub(crate) async fn post(&self, provider: &str, path: &str, body: &str) -> Answered {
        client::send(self.address, self.request(provider, path, body)).await
    }

    pub(crate) fn request(&self, provider: &str, path: &str, body: &str) -> client::Request {
        client::request(
            "POST",
            &format!("/{provider}{path}"),
            &[credentials(provider, &self.token)],
            body.as_bytes(),
        )
    }

    /// The record of the only call, which may still be about to be closed.
    pub(crate) async fn record(&self) -> Record {
        let mut records = self.records(1).await;
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }

    /// Waits for so many records.
    pub(crate) async fn records(&self, count: usize) -> Vec<Record> {
        for _ in 0..200 {
            if self.meter.records().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.meter.records()
    }

    /// What was told so far.
    pub(crate) fn told(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.upstream.seen()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn mint(tokens: &Tokens, run: &str, budgets: RunBudgets) -> String {
    let pass = Pass { run: run.parse().unwrap(), budgets };
    tokens.mint(pass, Duration::from_secs(600)).unwrap().expose_secret().to_owned()
}

/// Where each client library puts its key.
pub(crate) fn credentials(provider: &str, token: &str) -> (&'static str, String) {
    match provider {
        "anthropic" => ("x-api-key", token.to_owned()),
        "gemini" => ("x-goog-api-key", token.to_owned()),
        _ => ("authorization", format!("Bearer {token}")),
    }
}
