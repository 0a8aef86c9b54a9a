//! The metering gateway: who answers for models, and what may be spent. Not the prices themselves: they are a table.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Config, Secret};

/// The metering gateway. It works as soon as a provider is configured: agents then reach their models through it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Who answers, by a name of your own: letters, digits, `-` and `_`. An agent is pointed at the provider that has its
    /// kind's name, else at the first of its kind.
    pub providers: BTreeMap<String, Provider>,
    /// A table of prices that replace those that come with the program, in its form; relative to this file.
    pub prices: Option<PathBuf>,
    /// What may be spent at most.
    pub budgets: Budgets,
}

/// A provider of models.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Whose way of speaking it has: `openai`, `anthropic` or `gemini`.
    pub kind: ProviderKind,
    /// Its address without the version, like `https://api.openai.com`. With a key, plain http only to this computer.
    pub base_url: String,
    /// Its key, `{ env = "NAME" }` or `{ file = "…" }`. It never reaches an agent. Default: none, a model on this computer.
    #[serde(default)]
    pub key: Option<Secret>,
    /// Its list in the table of prices. Default: its name.
    #[serde(default)]
    pub prices: Option<String>,
    /// Who is asked instead when it is out, in this order.
    #[serde(default)]
    pub fallback: Vec<Fallback>,
}

/// Whose way of speaking a provider has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Chat completions and responses; also what most others speak.
    Openai,
    /// Messages.
    Anthropic,
    /// generateContent.
    Gemini,
}

/// Who is asked when a provider is out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Only for this model. Default: for every one.
    #[serde(default)]
    pub when: Option<String>,
    /// A provider of the same kind.
    pub provider: String,
    /// Its model. Default: the same.
    #[serde(default)]
    pub model: Option<String>,
}

/// What may be spent at most. Days and months are those of the fleet's time zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// By each run.
    pub run: Limit,
    /// By all runs of a feature, where the feature itself says nothing.
    pub feature: Limit,
    /// By a question, where nothing else is said than that somebody asked.
    pub question: Limit,
    /// In a day, by each team.
    pub day: Limit,
    /// In a calendar month, by each team.
    pub month: Limit,
    /// In all, by each team.
    pub instance: Limit,
}

/// A limit. What is not given is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// In hundredths of a US dollar. A model without a price reaches it at once, unless there is a limit in tokens.
    pub cents: Option<u32>,
    /// In tokens of all kinds.
    pub tokens: Option<u32>,
}

/// What must hold of it across sections.
pub(crate) fn check(config: &Config, add: &mut impl FnMut(String, String)) {
    let providers = &config.gateway.providers;
    for (name, provider) in providers {
        let key = |field: &str| format!("gateway.providers.{name}.{field}");
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            add(format!("gateway.providers.{name}"), "a provider's name is letters, digits, - and _".into());
        }
        if !["http://", "https://"].iter().any(|scheme| provider.base_url.starts_with(scheme)) {
            let text = format!("{:?} is not an address like https://api.openai.com", provider.base_url);
            add(key("base_url"), text);
        }
        if matches!(provider.key, Some(Secret::Value(_))) {
            let text = "a key has no place in this file: give { env = \"NAME\" } or { file = \"…\" }";
            add(key("key"), text.into());
        }
        for (index, fallback) in provider.fallback.iter().enumerate() {
            let to = providers.get(&fallback.provider);
            if !to.is_some_and(|to| to.kind == provider.kind) {
                let text = format!("{} is not a provider of the same kind", fallback.provider);
                add(key(&format!("fallback.{index}.provider")), text);
            }
        }
        let Some(Secret::Env { env }) = &provider.key else { continue };
        for (agent, _) in config.agents.iter().filter(|(_, agent)| agent.env.contains(env)) {
            let text = format!("{env} holds the key of the provider {name}, which no agent may see");
            add(format!("agents.{agent}.env"), text);
        }
    }
}
