//! What models cost, as the API says it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What costs are added up by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CostBy {
    /// By run.
    Run,
    /// By feature.
    Feature,
    /// By repository.
    Repository,
    /// By agent.
    Agent,
    /// By provider and model.
    Model,
    /// By day, in the fleet's time zone; the newest first.
    #[default]
    Day,
}

/// What models have cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostView {
    /// What it is added up by.
    pub by: CostBy,
    /// Whether the team has a gateway. Without one nothing is known.
    pub metered: bool,
    /// At most 1,000.
    pub rows: Vec<CostRow>,
    /// Rows that were left out.
    pub more: usize,
    /// All together.
    pub total: CostRow,
    /// Today, this month and all, and their limits.
    pub budgets: Vec<CostBudget>,
}

/// One sum. A price that is not known is not 0: its tokens are in `unpriced_tokens`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostRow {
    /// The run, feature, repository, agent, model or day.
    pub key: String,
    /// The feature's title, where the key is a run or a feature.
    pub title: Option<String>,
    /// Calls.
    pub calls: u64,
    /// Of these, calls whose tokens are estimated, at least in part.
    pub estimated_calls: u64,
    /// Tokens of all kinds.
    pub tokens: u64,
    /// Read afresh.
    pub input: u64,
    /// Read from a cache.
    pub cached: u64,
    /// Written to a cache.
    pub cache_write: u64,
    /// Written, with what was thought.
    pub output: u64,
    /// Of `output`, what was thought.
    pub reasoning: u64,
    /// Millionths of a US dollar, of what has a price.
    pub micro_dollars: u64,
    /// Tokens whose price is not known.
    pub unpriced_tokens: u64,
}

/// A budget and how much of it is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostBudget {
    /// `day 2026-11-21`, `month 2026-11`, `instance`.
    pub of: String,
    /// Spent, in millionths of a US dollar.
    pub micro_dollars: u64,
    /// Spent, in tokens.
    pub tokens: u64,
    /// The limit in money, in millionths of a US dollar.
    pub limit_micro_dollars: Option<u64>,
    /// The limit in tokens.
    pub limit_tokens: Option<u64>,
}
