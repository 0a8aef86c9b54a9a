//! What was spent on models, from the gateway's books to rows and reports: noted with the run while it works, told where a
//! provider is in trouble, and added up for people.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use qd_agents::OwnCount;
use qd_api::{CostBudget, CostBy, CostRow, CostView};
use qd_gateway::{
    budget::Scope,
    event::{Event, Next, Trouble},
    meter::Sum,
    prices::Prices,
    usage::Usage,
};
use qd_store::StoreError;
use qd_types::{RunId, Spent, Verb};
use tokio::sync::mpsc;

use crate::{
    metering::Metering,
    problem,
    team::{Answer, Caller, Team},
};

/// How often running runs are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// The same trouble of the same run is told once in this time.
const AGAIN: Duration = Duration::from_secs(60);
/// Rows in one answer.
const ROWS: usize = 1_000;

/// Takes the gateway's events and looks at what runs spend, until the team ends.
pub(crate) async fn follow(team: Team, mut events: mpsc::Receiver<Event>) {
    let mut told: HashMap<RunId, (String, Instant)> = HashMap::new();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            event = events.recv() => match event {
                Some(event) => take(&team, event, &mut told).await,
                None => return,
            },
            _ = look.tick() => look_at(&team).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "what was spent can't be noted now");
        }
    }
}

async fn take(
    team: &Team,
    event: Event,
    told: &mut HashMap<RunId, (String, Instant)>,
) -> Result<(), StoreError> {
    match event {
        Event::Refused { run, standing, .. } => {
            if let Some(metering) = team.metering() {
                metering.refuse(run.clone(), standing);
            }
            note(team, &run).await
        }
        Event::Budget { run, .. } => note(team, &run).await,
        Event::Provider { run, provider, trouble, next } => {
            let Some(text) = said(&provider, trouble, &next) else { return Ok(()) };
            let before = told.get(&run);
            if before.is_some_and(|(before, at)| *before == text && at.elapsed() < AGAIN) {
                return Ok(());
            }
            told.retain(|_, (_, at)| at.elapsed() < AGAIN);
            told.insert(run.clone(), (text.clone(), Instant::now()));
            team.store().tell(&run, "model", text, Timestamp::now()).await
        }
    }
}

/// What people are told of a provider's trouble. What is only tried again is not news.
fn said(provider: &str, trouble: Trouble, next: &Next) -> Option<String> {
    let what = match trouble {
        Trouble::Unreachable => "can't be reached",
        Trouble::Outage => "failed",
        Trouble::Overloaded => "has too much to do",
        Trouble::RateLimited => "wants fewer requests (429)",
        Trouble::Unpaid => "wants to be paid (402)",
        Trouble::KeyRefused => "does not take our key",
        Trouble::Silent => "did not answer in time",
        Trouble::Cut => "broke off its answer",
    };
    match next {
        Next::Retry { .. } => None,
        Next::Fallback { provider: other, model } => {
            Some(format!("{provider} {what}: {other} is asked, with {model}."))
        }
        Next::GivenUp => Some(format!("{provider} {what}. The agent was told.")),
    }
}

async fn look_at(team: &Team) -> Result<(), StoreError> {
    for run in team.store().active_runs().await? {
        if run.end.is_none() {
            note(team, &run.id).await?;
        }
    }
    Ok(())
}

/// Notes what an agent says that it used, where the gateway counted nothing: it has a login of its own, or there is no
/// gateway.
pub(crate) async fn own(team: &Team, run: &RunId, count: OwnCount) -> Result<(), StoreError> {
    let before = team.store().run(run).await?.spent.unwrap_or_default();
    let metered = before.calls > 0 && !before.estimated;
    if metered || count == OwnCount::default() {
        return Ok(());
    }
    let spent = Spent {
        tokens: before.tokens.saturating_add(count.tokens),
        // A session's cost grows from turn to turn.
        micro_dollars: before.micro_dollars.max(count.micro_dollars.unwrap_or_default()),
        unpriced_tokens: match count.micro_dollars {
            Some(_) => before.unpriced_tokens,
            None => before.unpriced_tokens.saturating_add(count.tokens),
        },
        estimated: true,
        ..before
    };
    team.store().spent(run, spent, Timestamp::now()).await
}

/// Notes what a run has spent so far; nothing, if it has called no model.
pub(crate) async fn note(team: &Team, run: &RunId) -> Result<(), StoreError> {
    let Some(metering) = team.metering() else { return Ok(()) };
    let feature = team.store().snapshot(run.feature(), Timestamp::now()).await?.feature;
    metering.set_budgets(run, &feature);
    let spent = metering.spent(run, &feature);
    if spent.calls == 0 && spent.warning.is_none() {
        return Ok(());
    }
    team.store().spent(run, spent, Timestamp::now()).await
}

/// Limits were raised: they hold from the next call on.
pub(crate) async fn raised(team: &Team) -> Result<(), StoreError> {
    let options = team.options();
    let (Some(metering), Some(metered)) = (team.metering(), &options.metering) else { return Ok(()) };
    metering.adopt(metered, &team.store().raises().await?);
    Ok(())
}

impl Team {
    /// What models have cost, added up, most first; days in their order.
    pub async fn costs(&self, caller: &Caller, by: CostBy) -> Answer<CostView> {
        self.permit(caller, Verb::TeamView)?;
        let Some(metering) = self.metering() else {
            return Ok(CostView { by, metered: false, ..CostView::default() });
        };
        let sums = metering.sums().await.map_err(|error| problem::internal("adding up the costs", &error))?;
        let prices = metering.prices();
        let names = self.names(by, &sums).await.map_err(problem::from_store)?;
        let mut rows: BTreeMap<String, CostRow> = BTreeMap::new();
        let mut total = CostRow::default();
        for sum in &sums {
            let key = match by {
                CostBy::Run => sum.run.to_string(),
                CostBy::Feature => sum.run.feature().to_string(),
                CostBy::Day => sum.day.to_string(),
                CostBy::Model => format!("{}/{}", sum.priced.list, sum.priced.model),
                CostBy::Agent | CostBy::Repository => {
                    names.get(&sum.run).map_or_else(|| "unknown".to_owned(), |(key, _)| key.clone())
                }
            };
            let row = rows.entry(key.clone()).or_insert_with(|| CostRow {
                key,
                title: names.get(&sum.run).and_then(|(_, title)| title.clone()),
                ..CostRow::default()
            });
            add(row, sum, &prices.prices);
            add(&mut total, sum, &prices.prices);
        }
        let mut rows: Vec<CostRow> = rows.into_values().collect();
        if by == CostBy::Day {
            rows.reverse();
        } else {
            rows.sort_by_key(|row| std::cmp::Reverse((row.micro_dollars, row.tokens)));
        }
        let more = rows.len().saturating_sub(ROWS);
        rows.truncate(ROWS);
        Ok(CostView { by, metered: true, rows, more, total, budgets: budgets(&metering) })
    }

    /// Today, in the fleet's time zone.
    pub fn day(&self) -> jiff::civil::Date {
        Timestamp::now().to_zoned(self.options().zone.clone()).date()
    }

    /// What a run is added up under, and the title beside it.
    async fn names(
        &self,
        by: CostBy,
        sums: &[Sum],
    ) -> Result<HashMap<RunId, (String, Option<String>)>, StoreError> {
        let mut names = HashMap::new();
        if matches!(by, CostBy::Day | CostBy::Model) {
            return Ok(names);
        }
        for sum in sums {
            if names.contains_key(&sum.run) {
                continue;
            }
            // The books outlive what a board forgets.
            let Ok(run) = self.store().run(&sum.run).await else { continue };
            let feature = self.store().snapshot(&run.feature, Timestamp::now()).await?.feature;
            let name = match by {
                CostBy::Agent => (run.agent, None),
                CostBy::Repository => (feature.repository.to_string(), None),
                _ => (String::new(), Some(feature.wanted.title)),
            };
            names.insert(sum.run.clone(), name);
        }
        Ok(names)
    }
}

fn budgets(metering: &Metering) -> Vec<CostBudget> {
    let standings = metering.standings().into_iter();
    let budget = |(scope, money, tokens, budget): (Scope, _, _, qd_gateway::budget::Budget)| {
        let money: qd_gateway::money::MicroDollars = money;
        CostBudget {
            of: scope.to_string(),
            micro_dollars: money.0,
            tokens,
            limit_micro_dollars: budget.money.map(|limit| limit.0),
            limit_tokens: budget.tokens,
        }
    };
    standings.map(budget).collect()
}

fn add(row: &mut CostRow, sum: &Sum, prices: &Prices) {
    let Usage { input, cached, cache_write, cache_write_hour, output, reasoning } = sum.charged;
    row.calls = row.calls.saturating_add(sum.calls);
    row.estimated_calls = row.estimated_calls.saturating_add(sum.estimated);
    row.tokens = row.tokens.saturating_add(sum.charged.tokens());
    row.input = row.input.saturating_add(input);
    row.cached = row.cached.saturating_add(cached);
    row.cache_write = row.cache_write.saturating_add(cache_write).saturating_add(cache_write_hour);
    row.output = row.output.saturating_add(output);
    row.reasoning = row.reasoning.saturating_add(reasoning);
    // A price that is set later counts for what came before.
    let price = || prices.find(&sum.priced.list, &sum.priced.model).map(|price| price.of(&sum.charged));
    match sum.cost.or_else(price) {
        Some(cost) => row.micro_dollars = row.micro_dollars.saturating_add(cost.0),
        None => row.unpriced_tokens = row.unpriced_tokens.saturating_add(sum.charged.tokens()),
    }
}

#[cfg(test)]
mod tests {
    use qd_gateway::event::{Next, Trouble};

    use super::said;

    #[test]
    fn trouble_is_told_as_what_it_is() {
        let fallback = Next::Fallback { provider: "second".into(), model: "gpt-x".into() };
        let told = [
            said("openai", Trouble::Unpaid, &Next::GivenUp),
            said("openai", Trouble::RateLimited, &Next::GivenUp),
            said("openai", Trouble::Overloaded, &fallback),
            said("openai", Trouble::Outage, &Next::Retry { after: std::time::Duration::ZERO }),
        ];
        let told: Vec<String> = told.into_iter().flatten().collect();
        insta::assert_snapshot!(told.join("\n"), @"
        openai wants to be paid (402). The agent was told.
        openai wants fewer requests (429). The agent was told.
        openai has too much to do: second is asked, with gpt-x.
        ");
    }
}
