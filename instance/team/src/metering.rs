//! The team's metering gateway: its books and listener, a token for each turn of an agent, what a run has spent, and which
//! budget keeps one from going on. Not the approval that raises a budget: the saga asks for it.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use qd_agents::{Metered, registry::Api};
use qd_board::Feature;
use qd_gateway::{
    Gateway, Rates, ServeError, Settings, Setup, bind_tcp,
    budget::{Amount, Budget, Budgets, RunBudgets, Scope, Standing},
    event::Event,
    meter::{Meter as _, SqliteMeter, Sum},
    money::MicroDollars,
    prices::{Priced, Prices},
    providers::{ProviderConfigs, ProviderError},
    route::Shape,
    runs::{MintError, Pass, Tokens},
};
use qd_store::Raises;
use qd_types::{RunId, Spent};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// How long a token lives at most. It is taken back when its turn is over.
const LIVES: Duration = Duration::from_secs(24 * 60 * 60);
/// Events that may wait to be told.
const EVENTS: usize = 1_024;
/// What is asked for where a price is not known: so many tokens.
const TOKENS: u64 = 1_000_000;
/// The least that a limit in money is raised to, in cents.
const CENTS: u64 = 100;

/// What a team's gateway is configured to be.
#[derive(Debug, Clone)]
pub struct MeteringOptions {
    /// Who answers. Read once, when the team starts.
    pub providers: ProviderConfigs,
    /// What models cost.
    pub prices: Prices,
    /// What a run may spend, and a feature that says nothing itself.
    pub each: RunBudgets,
    /// What all of them may spend.
    pub all: Budgets,
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum MeteringError {
    /// Its books.
    #[error("the record of model calls can't be opened")]
    Books(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// Its address.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Its address is not known.
    #[error("the gateway's address can't be had")]
    Address(#[from] std::io::Error),
}

/// A running gateway.
pub(crate) struct Metering {
    gateway: Gateway,
    tokens: Arc<Tokens>,
    meter: Arc<SqliteMeter>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    base_urls: BTreeMap<Api, String>,
    zone: TimeZone,
    each: Mutex<RunBudgets>,
    /// Why calls of a run were refused last.
    refused: watch::Sender<HashMap<RunId, Standing>>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// A turn's token, taken back when the turn is over, however it ends.
pub(crate) struct Turn {
    metering: Arc<Metering>,
    run: RunId,
    pub(crate) metered: Metered,
}

impl Turn {
    /// What works on this turn since before a restart goes on with the token that it has.
    pub(crate) fn take_over(&mut self, token: SecretString, feature: &Feature) {
        let Self { metering, run, metered } = self;
        metering.tokens.revoke(run);
        let pass = Pass { run: run.clone(), budgets: metering.budgets(feature) };
        metering.tokens.keep(token.expose_secret(), pass, LIVES);
        metered.token = token;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.metering.tokens.revoke(&self.run);
    }
}

/// A budget that keeps a run from going on, and what it could become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Over {
    /// Whose it is, if not the feature's own.
    pub(crate) of: Option<String>,
    /// For people: `A-1`, `day 2026-11-21`.
    pub(crate) whose: String,
    /// `cents` or `tokens`.
    pub(crate) unit: &'static str,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The model whose price is not known, if that is why.
    pub(crate) unpriced: Option<Priced>,
}

impl Metering {
    /// Opens the books below `folder` and serves a free port of this machine.
    pub(crate) async fn start(
        folder: &Path,
        options: &MeteringOptions,
        zone: TimeZone,
        raises: &Raises,
    ) -> Result<(Self, mpsc::Receiver<Event>), MeteringError> {
        let meter = SqliteMeter::open(&folder.join("calls.db"))
            .await
            .map_err(|error| MeteringError::Books(error.into()))?;
        let meter = Arc::new(meter);
        let tokens = Arc::new(Tokens::new(Arc::new(Timestamp::now)));
        let (events, told) = mpsc::channel(EVENTS);
        let gateway = Gateway::new(Setup {
            runs: Arc::clone(&tokens) as _,
            meter: Arc::clone(&meter) as _,
            events: Arc::new(events),
            providers: options.providers.clone(),
            rates: rates(options, raises),
            settings: Settings::default(),
            clock: Arc::new(Timestamp::now),
            zone: zone.clone(),
        })?;
        let listener = bind_tcp(([127, 0, 0, 1], 0).into()).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = gateway.clone();
        let served = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            if let Err(error) = serving.serve_tcp(listener, stopped).await {
                tracing::error!(%error, "the gateway can't serve");
            }
        });
        tracing::info!(%address, "models are metered");
        let metering = Self {
            gateway,
            tokens,
            meter,
            address,
            base_urls: base_urls(&options.providers, &address.to_string()),
            zone,
            each: Mutex::new(options.each),
            refused: watch::Sender::default(),
            stop,
            served,
        };
        Ok((metering, told))
    }

    /// Ends it: calls that are under way are recorded as cancelled, and every row is on disk.
    pub(crate) async fn close(self) {
        let Self { gateway, meter, stop, served, .. } = self;
        let _ = stop.send(());
        if served.await.is_err() {
            tracing::error!("the gateway ended in a panic");
        }
        drop(gateway);
        match Arc::into_inner(meter) {
            Some(meter) => meter.close().await,
            None => tracing::warn!("the record of model calls is still in use"),
        }
    }

    /// Puts other prices and budgets in force.
    pub(crate) fn adopt(&self, options: &MeteringOptions, raises: &Raises) {
        *self.each.lock().unwrap_or_else(PoisonError::into_inner) = options.each;
        self.gateway.set_rates(rates(options, raises));
    }

    /// A token for a turn of this run. What it was refused before is forgotten.
    pub(crate) fn turn(self: &Arc<Self>, run: &RunId, feature: &Feature) -> Result<Turn, MintError> {
        self.refused.send_if_modified(|refused| refused.remove(run).is_some());
        let pass = Pass { run: run.clone(), budgets: self.budgets(feature) };
        let token = self.tokens.mint(pass, LIVES)?;
        let metered = Metered { base_urls: self.base_urls.clone(), token };
        Ok(Turn { metering: Arc::clone(self), run: run.clone(), metered })
    }

    /// A feature was edited while its run works.
    pub(crate) fn set_budgets(&self, run: &RunId, feature: &Feature) {
        self.tokens.set_budgets(run, self.budgets(feature));
    }

    fn budgets(&self, feature: &Feature) -> RunBudgets {
        let each = *self.each.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = &feature.wanted.budget;
        let feature = Budget {
            money: wanted.cents.map(MicroDollars::cents).or(each.feature.money),
            tokens: wanted.tokens.or(each.feature.tokens),
        };
        RunBudgets { run: each.run, feature }
    }

    /// Notes that a call was refused.
    pub(crate) fn refuse(&self, run: RunId, standing: Standing) {
        self.refused.send_modify(|refused| {
            refused.insert(run, standing);
        });
    }

    /// Whether a call of this turn was refused.
    pub(crate) fn was_refused(&self, run: &RunId) -> bool {
        self.refused.borrow().contains_key(run)
    }

    /// Ends when a call of the run is refused.
    pub(crate) async fn refused(&self, run: &RunId) {
        let mut refused = self.refused.subscribe();
        if refused.wait_for(|refused| refused.contains_key(run)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What the run has spent so far, with the warning of the budget that is nearest to its end.
    pub(crate) fn spent(&self, run: &RunId, feature: &Feature) -> Spent {
        let rates = self.gateway.rates();
        let spent = self.meter.spent(&Scope::Run(run.clone()));
        let (money, unpriced_tokens) = spent.known(&rates.prices);
        let standings = self.scopes(run).map(|scope| {
            let budget = rates.budget(&scope, &self.budgets(feature));
            let standing = budget.standing(&self.meter.spent(&scope), None, &rates.prices);
            (scope, standing)
        });
        let nearest = standings
            .filter_map(|(scope, standing)| match standing {
                Standing::Warned(amount) | Standing::Reached(amount) => Some((scope, amount)),
                Standing::Free | Standing::Unpriced(_) => None,
            })
            .max_by_key(|(_, amount)| amount.percent());
        Spent {
            calls: spent.calls,
            tokens: spent.usage.tokens(),
            micro_dollars: money.0,
            unpriced_tokens,
            warning: nearest.map(|(scope, amount)| warning(&scope, &amount)),
            estimated: false,
        }
    }

    /// The budget that keeps a run from going on, if there is one.
    pub(crate) fn over(&self, run: &RunId, feature: &Feature) -> Option<Over> {
        let rates = self.gateway.rates();
        let next = match self.refused.borrow().get(run) {
            Some(Standing::Unpriced(priced)) => Some(priced.clone()),
            _ => None,
        };
        let budgets = self.budgets(feature);
        self.scopes(run).find_map(|scope| {
            let spent = self.meter.spent(&scope);
            let standing = rates.budget(&scope, &budgets).standing(&spent, next.as_ref(), &rates.prices);
            let (unit, from, to, unpriced) = match standing {
                Standing::Free | Standing::Warned(_) => return None,
                Standing::Reached(Amount::Money { spent, limit }) => {
                    let from = limit.0 / 10_000;
                    ("cents", from, beyond(from, spent.0.div_ceil(10_000), CENTS), None)
                }
                Standing::Reached(Amount::Tokens { spent, limit }) => {
                    ("tokens", limit, beyond(limit, spent, TOKENS), None)
                }
                Standing::Unpriced(priced) => {
                    ("tokens", 0, beyond(0, spent.usage.tokens(), TOKENS), Some(priced))
                }
            };
            let own = matches!(scope, Scope::Feature(_));
            let whose = if own { feature.id.to_string() } else { scope.to_string() };
            Some(Over { of: (!own).then(|| scope.to_string()), whose, unit, from, to, unpriced })
        })
    }

    /// What holds where neither the feature nor people have said anything.
    pub(crate) fn default_of(&self, over: &qd_types::Budget) -> Option<u64> {
        let each = *self.each.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.gateway.rates().budgets;
        let budget = match over.of.as_deref().map(|of| of.split(' ').next().unwrap_or_default()) {
            None => each.feature,
            Some("run") => each.run,
            Some("day") => all.day,
            Some("month") => all.month,
            Some("instance") => all.instance,
            Some(_) => Budget::default(),
        };
        match over.unit.as_str() {
            "cents" => budget.money.map(|money| money.0 / 10_000),
            "tokens" => budget.tokens,
            _ => None,
        }
    }

    /// The sums of all calls by run, day and model.
    pub(crate) async fn sums(&self) -> Result<Vec<Sum>, qd_gateway::meter::MeterError> {
        self.meter.sums().await
    }

    /// How the budgets of everything stand now: whose, what was spent, and the limits.
    pub(crate) fn standings(&self) -> Vec<(Scope, MicroDollars, u64, Budget)> {
        let rates = self.gateway.rates();
        let today = self.today();
        let scopes = [Scope::Day(today), Scope::Month(today.first_of_month()), Scope::Instance];
        let standing = |scope: Scope| {
            let spent = self.meter.spent(&scope);
            let budget = rates.budget(&scope, &RunBudgets::default());
            (scope, spent.known(&rates.prices).0, spent.usage.tokens(), budget)
        };
        scopes.into_iter().map(standing).collect()
    }

    pub(crate) fn prices(&self) -> Arc<Rates> {
        self.gateway.rates()
    }

    pub(crate) fn today(&self) -> jiff::civil::Date {
        Timestamp::now().to_zoned(self.zone.clone()).date()
    }

    fn scopes(&self, run: &RunId) -> impl Iterator<Item = Scope> + use<> {
        Scope::all(run, self.today()).into_iter()
    }
}

/// Twice as much, and enough for what was spent already not to reach its warning at once.
fn beyond(from: u64, spent: u64, least: u64) -> u64 {
    let mut to = from.saturating_mul(2).max(if from == 0 { least } else { 1 });
    while to < u64::MAX / 2 && to / 10 * 8 < spent {
        to *= 2;
    }
    to
}

fn warning(scope: &Scope, amount: &Amount) -> String {
    let (spent, limit) = match amount {
        Amount::Money { spent, limit } => (qd_types::dollars(spent.0), qd_types::dollars(limit.0)),
        Amount::Tokens { spent, limit } => {
            (qd_types::grouped(*spent), format!("{} tokens", qd_types::grouped(*limit)))
        }
    };
    format!("{} % of the budget for {scope} is used: {spent} of {limit}.", amount.percent())
}

fn rates(options: &MeteringOptions, raises: &Raises) -> Rates {
    let mut raised: HashMap<Scope, Budget> = HashMap::new();
    for ((of, unit), amount) in raises {
        let Some(scope) = scope_of(of) else {
            tracing::warn!(of, "a raised limit is of nothing that is known");
            continue;
        };
        let budget = raised.entry(scope).or_default();
        match unit.as_str() {
            "cents" => budget.money = Some(MicroDollars::cents(*amount)),
            _ => budget.tokens = Some(*amount),
        }
    }
    Rates { prices: options.prices.clone(), budgets: options.all, raised }
}

/// What a scope's words stand for.
fn scope_of(words: &str) -> Option<Scope> {
    let (kind, which) = words.split_once(' ').unwrap_or((words, ""));
    Some(match kind {
        "run" => Scope::Run(which.parse().ok()?),
        "feature" => Scope::Feature(which.parse().ok()?),
        "day" => Scope::Day(which.parse().ok()?),
        "month" => Scope::Month(format!("{which}-01").parse().ok()?),
        "instance" => Scope::Instance,
        _ => return None,
    })
}

/// Each shape's address: the provider that has its kind's name, else the first of that kind.
fn base_urls(providers: &ProviderConfigs, address: &str) -> BTreeMap<Api, String> {
    let shapes = [
        (Shape::OpenAi, "openai", [Api::OpenaiChat, Api::OpenaiResponses].as_slice()),
        (Shape::Anthropic, "anthropic", &[Api::Anthropic]),
        (Shape::Gemini, "gemini", &[Api::Gemini]),
    ];
    let mut urls = BTreeMap::new();
    for (shape, kind, apis) in shapes {
        let mut of_kind = providers.iter().filter(|(_, config)| config.shape == shape).map(|(name, _)| name);
        let first = of_kind.next();
        let named = first.into_iter().chain(of_kind).find(|name| *name == kind).or(first);
        let Some(name) = named else { continue };
        urls.extend(apis.iter().map(|api| (*api, format!("http://{address}/{name}"))));
    }
    urls
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use qd_gateway::{
        budget::{Amount, Scope},
        money::MicroDollars,
    };

    use super::{beyond, scope_of, warning};

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        let scopes = ["run A-1.2", "feature A-1", "day 2026-11-21", "month 2026-11", "instance"];
        for words in scopes {
            assert_eq!(scope_of(words).map(|scope| scope.to_string()).as_deref(), Some(words));
        }
        assert_eq!(scope_of("year 2026"), None);
    }

    #[test]
    fn a_warning_says_what_of_how_much() {
        let money = Amount::Money { spent: MicroDollars(4_100_000), limit: MicroDollars::cents(500) };
        insta::assert_snapshot!(warning(&Scope::Day("2026-11-21".parse().unwrap()), &money), @"82 % of the budget for day 2026-11-21 is used: $4.10 of $5.00.");
        let tokens = Amount::Tokens { spent: 9_000, limit: 10_000 };
        insta::assert_snapshot!(warning(&Scope::Instance, &tokens), @"90 % of the budget for instance is used: 9,000 of 10,000 tokens.");
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_enough_to_go_on(from in 0..1_u64 << 40, spent in 0..1_u64 << 40) {
            let to = beyond(from, spent, 100);
            prop_assert!(to > from && to / 10 * 8 >= spent);
        }
    }
}
