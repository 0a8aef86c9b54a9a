//! From the configuration of the metering gateway to what a team's gateway works with. Keys are read here, and are shown
//! nowhere.

use std::collections::BTreeMap;

use qd_config::{Gateway, Limit, ProviderKind};
use qd_gateway::{
    budget::{Budget, Budgets, RunBudgets},
    money::MicroDollars,
    prices::Prices,
    providers::{Fallback, KeySource, ProviderConfig},
    route::Shape,
};
use qd_team::MeteringOptions;

use crate::context::UserError;

/// What a team's gateway works with; `None` without a provider.
pub fn metering(
    config: &Gateway,
    env: &BTreeMap<String, String>,
) -> Result<Option<MeteringOptions>, UserError> {
    if config.providers.is_empty() {
        return Ok(None);
    }
    let mut providers = BTreeMap::new();
    for (name, provider) in &config.providers {
        let key = provider.key.as_ref().map(|key| key.resolve(env)).transpose();
        let key = key.map_err(|error| UserError::failed(format!("gateway.providers.{name}.key: {error}")))?;
        let fallback = provider.fallback.iter().map(|fallback| Fallback {
            when: fallback.when.clone(),
            provider: fallback.provider.clone(),
            model: fallback.model.clone(),
        });
        let provider = ProviderConfig {
            shape: match provider.kind {
                ProviderKind::Openai => Shape::OpenAi,
                ProviderKind::Anthropic => Shape::Anthropic,
                ProviderKind::Gemini => Shape::Gemini,
            },
            base_url: provider.base_url.clone(),
            key: key.map_or(KeySource::None, KeySource::Value),
            prices: provider.prices.clone(),
            fallback: fallback.collect(),
        };
        providers.insert(name.clone(), provider);
    }
    let budgets = &config.budgets;
    Ok(Some(MeteringOptions {
        providers,
        prices: prices(config)?,
        each: RunBudgets { run: budget(&budgets.run), feature: budget(&budgets.feature) },
        all: Budgets {
            day: budget(&budgets.day),
            month: budget(&budgets.month),
            instance: budget(&budgets.instance),
        },
    }))
}

fn prices(config: &Gateway) -> Result<Prices, UserError> {
    let prices = Prices::built_in().map_err(|error| UserError::from_error(&error))?;
    let Some(path) = &config.prices else { return Ok(prices) };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| UserError::failed(format!("gateway.prices: {name} can't be read: {error}")))?;
    prices.with(&name, &text).map_err(|error| UserError::from_error(&error))
}

fn budget(limit: &Limit) -> Budget {
    Budget {
        money: limit.cents.map(|cents| MicroDollars::cents(cents.into())),
        tokens: limit.tokens.map(u64::from),
    }
}
