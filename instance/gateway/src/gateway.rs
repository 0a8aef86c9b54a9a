//! One request from its head to its answer: who calls, what it may spend, who answers.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Body as _, Incoming},
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    http::response::Parts,
};
use jiff::{civil::Date, tz::TimeZone};

use crate::{
    answer::{Answer, Passed},
    body::{Fields, receive, unpack},
    budget::{Budget, Budgets, RunBudgets, Scope},
    call::Call,
    event::{Event, Events},
    headers,
    meter::{Meter, Outcome, Record},
    prices::Prices,
    providers::{Provider, ProviderConfigs, ProviderError, Providers, Target},
    redact,
    refusal::Refusal,
    route::{self, Endpoint, Route, Shape},
    runs::{Clock, Pass, Runs, TokenError},
    upstream::{Reply, Upstream},
    usage::Reading,
};

/// Bounds, all of them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The largest request, in bytes.
    pub body_limit: usize,
    /// How long a request may take to arrive.
    pub body_time: Duration,
    /// Connections of agents at once, for each listener.
    pub connections: usize,
    /// How long a connection to a provider may take.
    pub connect: Duration,
    /// How long a provider may be silent before its answer begins. Answers that are not streamed begin late.
    pub silence: Duration,
    /// How long it may be silent between two pieces.
    pub idle: Duration,
    /// How long an answer may take in all.
    pub longest: Duration,
    /// Attempts at one provider.
    pub attempts: u32,
    /// The first pause between two; it doubles.
    pub pause: Duration,
    /// All pauses of a call together. A provider that wants more is not waited for.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_limit: 32 << 20,
            body_time: Duration::from_secs(60),
            connections: 1_024,
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(600),
            idle: Duration::from_secs(300),
            longest: Duration::from_secs(3_600),
            attempts: 3,
            pause: Duration::from_millis(500),
            patience: Duration::from_secs(60),
        }
    }
}

/// What the gateway stands on.
pub struct Setup {
    /// Whose token it is.
    pub runs: Arc<dyn Runs>,
    /// The books.
    pub meter: Arc<dyn Meter>,
    /// Who is told.
    pub events: Arc<dyn Events>,
    /// Who answers.
    pub providers: ProviderConfigs,
    /// What it costs, and what may be spent.
    pub rates: Rates,
    /// Bounds.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// The fleet's time zone: where a day begins.
    pub zone: TimeZone,
}

/// What may change while the gateway works.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    /// The table.
    pub prices: Prices,
    /// What holds for every run.
    pub budgets: Budgets,
    /// Limits that people have raised, where there is one to raise.
    pub raised: HashMap<Scope, Budget>,
}

impl Rates {
    /// The budget that is in force for a scope: what is set, or what people raised it to.
    pub fn budget(&self, scope: &Scope, run: &RunBudgets) -> Budget {
        let set = scope.budget(run, &self.budgets);
        let Some(raised) = self.raised.get(scope) else { return set };
        Budget {
            money: set.money.map(|money| raised.money.map_or(money, |raised| raised.max(money))),
            tokens: set.tokens.max(raised.tokens),
        }
    }
}

/// The gateway. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    runs: Arc<dyn Runs>,
    meter: Arc<dyn Meter>,
    pub(crate) events: Arc<dyn Events>,
    providers: Providers,
    pub(crate) rates: ArcSwap<Rates>,
    pub(crate) settings: Settings,
    upstream: Upstream,
    clock: Clock,
    zone: TimeZone,
}

/// A refusal, and in whose words it is said.
type Refused = (Shape, Refusal);

/// A request, as it goes on.
struct Asked {
    method: Method,
    /// The path below the provider.
    rest: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    /// For one target. A model in the path is that target's.
    fn request(&self, target: &Target, rest: &str, body: Bytes) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = target.provider.uri(rest, self.query.as_deref())?;
        *request.headers_mut() = self.headers.clone();
        target.provider.sign(request.headers_mut());
        Some(request)
    }
}

impl Gateway {
    /// Reads the providers' keys. Nothing is asked yet.
    pub fn new(setup: Setup) -> Result<Self, ProviderError> {
        let Setup { runs, meter, events, providers, rates, settings, clock, zone } = setup;
        let providers = Providers::new(&providers)?;
        let upstream = Upstream::new(Arc::clone(&clock), settings.connect)?;
        let rates = ArcSwap::from_pointee(rates);
        let inner = Inner { runs, meter, events, providers, rates, settings, upstream, clock, zone };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The prices and budgets that are in force.
    pub fn rates(&self) -> Arc<Rates> {
        self.inner.rates.load_full()
    }

    /// Other prices, or budgets, from the next call on.
    pub fn set_rates(&self, rates: Rates) {
        self.inner.rates.store(Arc::new(rates));
    }

    /// One request.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Response<Answer> {
        match self.answer(request).await {
            Ok(response) => response,
            Err((shape, refusal)) => {
                tracing::info!(%refusal, "a call was refused");
                let mut response = Response::new(Answer::Whole(Full::new(refusal.body(shape).into())));
                *response.status_mut() = refusal.status();
                *response.headers_mut() = refusal.headers();
                response
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Answer>, Refused> {
        let path = request.uri().path();
        let found = route::provider_and_rest(path)
            .and_then(|(name, rest)| Some((self.inner.providers.find(name)?, rest.to_owned())));
        let Some((provider, rest)) = found else {
            let name = path.split('/').nth(1).unwrap_or_default().to_owned();
            return Err((Shape::OpenAi, Refusal::Provider(name)));
        };
        // Some agents look whether anybody is there.
        if request.method() == Method::HEAD {
            return Ok(Response::new(Answer::Whole(Full::default())));
        }
        let provider = Arc::clone(provider);
        let said_by = |refusal: Refusal| (provider.shape, refusal);
        let query = request.uri().query();
        let token =
            headers::token(request.headers(), query).ok_or_else(|| said_by(TokenError::Missing.into()))?;
        let pass = self.inner.runs.find(&token).map_err(|error| said_by(error.into()))?;
        let post = request.method() == Method::POST;
        let route = match request.method() {
            &Method::POST | &Method::GET => route::route(provider.shape, post, &rest),
            _ => None,
        };
        let route = route.ok_or_else(|| {
            let (method, path) = (request.method().to_string(), rest.clone());
            said_by(Refusal::Path { method, path })
        })?;
        let asked = self.receive(request, rest, &token).await.map_err(said_by)?;
        match route {
            Route::Free => self.pass_on(&provider, asked).await,
            Route::Metered(endpoint) => self.meter(&provider, endpoint, pass, asked).await,
        }
        .map_err(said_by)
    }

    async fn receive(&self, request: Request<Incoming>, rest: String, token: &str) -> Result<Asked, Refusal> {
        let Settings { body_limit: limit, body_time, .. } = self.inner.settings;
        let (head, body) = request.into_parts();
        if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > limit) {
            return Err(Refusal::TooLarge { limit });
        }
        let body = receive(body, limit, body_time).await?;
        let body = unpack(body, head.headers.get(CONTENT_ENCODING), limit)?;
        // What an agent prints of its environment comes along in its next prompt.
        let body = redact::without(body, token);
        let query = headers::query_without(head.uri.query(), token);
        let headers = headers::towards_provider(head.headers, token);
        Ok(Asked { method: head.method, rest, query, headers, body })
    }

    /// What costs nothing.
    async fn pass_on(&self, provider: &Arc<Provider>, asked: Asked) -> Result<Response<Answer>, Refusal> {
        let settings = &self.inner.settings;
        let target = [Target { provider: Arc::clone(provider), model: String::new(), tier: None }];
        let make = |target: &Target| asked.request(target, &asked.rest, asked.body.clone());
        let (reply, target) = self.inner.upstream.ask(settings, &mut None, &target, make).await?;
        Ok(self.reply(reply, None, target))
    }

    /// What is counted.
    async fn meter(
        &self,
        provider: &Arc<Provider>,
        endpoint: Endpoint,
        pass: Pass,
        asked: Asked,
    ) -> Result<Response<Answer>, Refusal> {
        let fields = Fields::of(&asked.body)?;
        fields.check(endpoint)?;
        let in_path = endpoint == Endpoint::GenerateContent;
        let model = if in_path {
            let model = route::model_in_path(&asked.rest).map(str::to_owned);
            model.ok_or_else(|| Refusal::Body("its path names no model".to_owned()))?
        } else {
            fields.model()?
        };
        let mut changes = vec![];
        changes.extend(fields.usage_option(endpoint)?.map(|options| ("stream_options", options)));
        // The same bytes for every attempt, unless a fallback has another model.
        let as_asked = if changes.is_empty() { asked.body.clone() } else { fields.with(&changes).into() };
        let make = |target: &Target| {
            if target.model == model {
                return asked.request(target, &asked.rest, as_asked.clone());
            }
            if in_path {
                let rest = route::with_model_in_path(&asked.rest, &target.model)?;
                return asked.request(target, &rest, as_asked.clone());
            }
            let mut changes = changes.clone();
            changes.push(("model", serde_json::Value::from(&*target.model).to_string()));
            asked.request(target, &asked.rest, fields.with(&changes).into())
        };

        let at = (self.inner.clock)();
        let day = at.to_zoned(self.inner.zone.clone()).date();
        let all = self.inner.providers.targets(provider, &model, fields.tier().as_deref());
        let targets = self.admitted(&pass, day, all)?;
        let sent = u64::try_from(as_asked.len()).unwrap_or(u64::MAX);
        let Some(priced) = targets.first().map(|target| target.priced(&model)) else {
            return Err(Refusal::Body("there is nobody to ask".to_owned()));
        };
        let charged = Reading::Unknown.charged(sent, 0);
        let record = Record {
            at,
            day,
            run: pass.run.clone(),
            provider: provider.name.clone(),
            endpoint,
            answered: None,
            reading: Reading::Unknown,
            charged,
            cost: self
                .inner
                .rates
                .load()
                .prices
                .find(&priced.list, &priced.model)
                .map(|price| price.of(&charged)),
            priced,
            outcome: Outcome::Open,
            status: None,
            attempts: 0,
            sent,
            received: 0,
            first_byte_ms: None,
            total_ms: 0,
        };
        let ticket = self.inner.meter.open(record.clone()).await?;
        let mut call = Some(Call::new(Arc::clone(&self.inner), ticket, pass, record));
        let (reply, target) =
            self.inner.upstream.ask(&self.inner.settings, &mut call, &targets, make).await?;
        Ok(self.reply(reply, call, target))
    }

    /// Those targets that the budgets let through; the first one has to be among them.
    fn admitted(&self, pass: &Pass, day: Date, targets: Vec<Target>) -> Result<Vec<Target>, Refusal> {
        let mut admitted = Vec::with_capacity(targets.len());
        for target in targets {
            match self.admit(pass, day, &target) {
                Ok(()) => admitted.push(target),
                Err(refusal) if admitted.is_empty() => return Err(refusal),
                Err(refusal) => tracing::info!(%refusal, "a fallback is not used"),
            }
        }
        Ok(admitted)
    }

    fn admit(&self, pass: &Pass, day: Date, target: &Target) -> Result<(), Refusal> {
        let rates = self.inner.rates.load();
        let priced = target.priced(&target.model);
        for scope in Scope::all(&pass.run, day) {
            let budget = rates.budget(&scope, &pass.budgets);
            if budget == Budget::default() {
                continue;
            }
            let standing = budget.standing(&self.inner.meter.spent(&scope), Some(&priced), &rates.prices);
            if standing.refuses() {
                let run = pass.run.clone();
                let event = Event::Refused { run, scope: scope.clone(), standing: standing.clone() };
                self.inner.events.tell(event);
                return Err(Refusal::Budget { scope, standing });
            }
        }
        Ok(())
    }

    fn reply(&self, reply: Reply, call: Option<Call>, target: Target) -> Response<Answer> {
        let settings = &self.inner.settings;
        let (head, answer) = match reply {
            Reply::Error(head, body) => {
                let body = match target.provider.key() {
                    Some(key) => key.redact(body),
                    None => body,
                };
                if let Some(mut call) = call {
                    call.finish(Outcome::Refused);
                }
                (head, Answer::Whole(Full::new(body)))
            }
            Reply::Coming(response) => {
                let (head, body) = response.into_parts();
                let metered = call.map(|mut call| {
                    call.begin(is_stream(&head));
                    (call, target.clone())
                });
                let passed = Passed::new(body, metered, settings.idle, settings.longest);
                (head, Answer::Passed(Box::new(passed)))
            }
        };
        let mut response = Response::new(answer);
        *response.status_mut() = head.status;
        *response.headers_mut() = headers::towards_agent(head.headers, target.provider.key());
        response
    }
}

fn is_stream(head: &Parts) -> bool {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
}
