//! `cost`: what models have cost, as a table with bars for people or as comma-separated values.

use qd_api::{CostBudget, CostBy, CostRow, CostView};
use qd_types::{dollars, grouped};

use super::{Done, connect, explain};
use crate::{
    cli::{Common, CostFlags},
    say,
};

/// The longest bar, in characters.
const BAR: u64 = 16;

pub(super) async fn cost(common: &Common, flags: CostFlags) -> Done {
    let path = format!("costs?by={}", CostBy::from(flags.by).as_str());
    let costs: CostView = connect(common)?.get(&path).await.map_err(explain)?;
    if common.json {
        say::json(&costs);
    } else if flags.csv {
        costs.csv().iter().for_each(|line| say::line(line));
        if costs.more > 0 {
            say::note(&format!(
                "{} more are left out. Add up by something else to see them in sums, like --by repository.",
                costs.more
            ));
        }
    } else {
        table(&costs).iter().for_each(|line| say::line(line));
    }
    Ok(())
}

fn table(costs: &CostView) -> Vec<String> {
    if !costs.metered {
        return vec!["Models are not metered here: configure a provider, see gateway.providers.".to_owned()];
    }
    if costs.rows.is_empty() {
        return vec!["No model was called yet.".to_owned()];
    }
    let width = costs.rows.iter().map(|row| row.key.chars().count()).max().unwrap_or(0).max(5);
    let most = costs.rows.iter().map(|row| row.micro_dollars).max().unwrap_or(0);
    let line = |key: &str, row: &CostRow, bar: &str| {
        let title = row.title.as_ref().map_or_else(String::new, |title| format!("  {title}"));
        let estimated = if row.estimated_calls == 0 {
            String::new()
        } else {
            format!("  ({} calls estimated)", row.estimated_calls)
        };
        let text = format!(
            "{key:<width$} {:>7} calls {:>15} tokens {:>14}{bar}{title}{estimated}",
            grouped(row.calls),
            grouped(row.tokens),
            money(row)
        );
        text.trim_end().to_owned()
    };
    let mut lines: Vec<String> = costs.rows.iter().map(|row| line(&row.key, row, &bar(row, most))).collect();
    if costs.more > 0 {
        lines.push(format!("… and {} more", costs.more));
    }
    lines.push(line("all", &costs.total, ""));
    lines.extend(costs.budgets.iter().filter_map(budget));
    lines
}

/// A row beside the dearest one. What has no price has no bar.
fn bar(row: &CostRow, most: u64) -> String {
    let Some(parts) = row.micro_dollars.saturating_mul(BAR).checked_div(most) else { return String::new() };
    let parts = if row.micro_dollars > 0 { parts.max(1) } else { 0 };
    let bar = "▇".repeat(usize::try_from(parts).unwrap_or_default());
    format!("  {bar:<16}")
}

/// Never 0 where a price is not known.
fn money(row: &CostRow) -> String {
    match (row.unpriced_tokens, row.micro_dollars) {
        (0, money) => dollars(money),
        (_, 0) => "price unknown".to_owned(),
        (_, money) => format!("over {}", dollars(money)),
    }
}

fn budget(budget: &CostBudget) -> Option<String> {
    let money = budget
        .limit_micro_dollars
        .map(|limit| format!("{} of {}", dollars(budget.micro_dollars), dollars(limit)));
    let tokens =
        budget.limit_tokens.map(|limit| format!("{} of {} tokens", grouped(budget.tokens), grouped(limit)));
    let parts: Vec<String> = money.into_iter().chain(tokens).collect();
    (!parts.is_empty()).then(|| format!("budget for {}: {}", budget.of, parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use qd_api::{CostBudget, CostBy, CostRow, CostView};

    use super::table;

    fn row(key: &str, title: Option<&str>, micro_dollars: u64, unpriced_tokens: u64) -> CostRow {
        CostRow {
            key: key.into(),
            title: title.map(str::to_owned),
            calls: 3,
            tokens: 3_150,
            input: 3_000,
            output: 150,
            micro_dollars,
            unpriced_tokens,
            ..CostRow::default()
        }
    }

    fn costs() -> CostView {
        CostView {
            by: CostBy::Feature,
            metered: true,
            rows: vec![
                row("A-1", Some("Split, \"now\""), 12_340_000, 0),
                row("A-2", Some("=1+1"), 0, 3_150),
                row("A-3", None, 40, 1_050),
            ],
            more: 2,
            total: row("", None, 12_340_040, 4_200),
            budgets: vec![CostBudget {
                of: "day 2026-11-21".into(),
                micro_dollars: 12_340_040,
                limit_micro_dollars: Some(20_000_000),
                tokens: 9_450,
                limit_tokens: Some(1_000_000),
            }],
        }
    }

    #[test]
    fn people_read_a_table() {
        insta::assert_snapshot!(table(&costs()).join("\n"), @r#"
        A-1         3 calls           3,150 tokens         $12.34  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇  Split, "now"
        A-2         3 calls           3,150 tokens  price unknown                    =1+1
        A-3         3 calls           3,150 tokens  over $0.00004  ▇
        … and 2 more
        all         3 calls           3,150 tokens    over $12.34
        budget for day 2026-11-21: $12.34 of $20.00, 9,450 of 1,000,000 tokens
        "#);
        insta::assert_snapshot!(table(&CostView::default()).join("\n"), @"Models are not metered here: configure a provider, see gateway.providers.");
    }
}
