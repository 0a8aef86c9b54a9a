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

impl CostBy {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Feature => "feature",
            Self::Repository => "repository",
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Day => "day",
        }
    }
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

impl CostView {
    /// The rows as comma-separated values (RFC 4180), a line each, the names of the columns first. Money is in US dollars.
    pub fn csv(&self) -> Vec<String> {
        let head = format!(
            "{},title,calls,estimated_calls,tokens,input,cached,cache_write,output,reasoning,usd,unpriced_tokens",
            self.by.as_str()
        );
        std::iter::once(head).chain(self.rows.iter().map(line)).collect()
    }
}

fn line(row: &CostRow) -> String {
    let usd = format!("{}.{:06}", row.micro_dollars / 1_000_000, row.micro_dollars % 1_000_000);
    let numbers = [
        row.calls,
        row.estimated_calls,
        row.tokens,
        row.input,
        row.cached,
        row.cache_write,
        row.output,
        row.reasoning,
    ];
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let title = field(row.title.as_deref().unwrap_or_default());
    format!("{},{title},{},{usd},{}", field(&row.key), numbers.join(","), row.unpriced_tokens)
}

/// Quoted where it must be. What a spreadsheet would take for a formula is a text.
fn field(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::{CostBy, CostRow, CostView};

    #[test]
    fn a_spreadsheet_reads_values_and_no_formulas() {
        let row = |key: &str, title: Option<&str>, micro_dollars, unpriced_tokens| CostRow {
            key: key.into(),
            title: title.map(str::to_owned),
            calls: 3,
            tokens: 3_150,
            input: 3_000,
            output: 150,
            micro_dollars,
            unpriced_tokens,
            ..CostRow::default()
        };
        let rows = vec![
            row("A-1", Some("Split, \"now\""), 12_340_000, 0),
            row("A-2", Some("=1+1"), 0, 3_150),
            row("A-3", None, 40, 1_050),
        ];
        let costs = CostView { by: CostBy::Feature, rows, ..CostView::default() };
        insta::assert_snapshot!(costs.csv().join("\n"), @r#"
        feature,title,calls,estimated_calls,tokens,input,cached,cache_write,output,reasoning,usd,unpriced_tokens
        A-1,"Split, ""now""",3,0,3150,3000,0,0,150,0,12.340000,0
        A-2,'=1+1,3,0,3150,3000,0,0,150,0,0.000000,3150
        A-3,,3,0,3150,3000,0,0,150,0,0.000040,1050
        "#);
    }
}
