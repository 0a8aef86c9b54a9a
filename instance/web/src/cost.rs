//! Cost: what models have cost, day by day as a chart, added up as the reader wants, and how the budgets stand.

use jiff::{ToSpan as _, civil::Date};
use maud::{Markup, html};
use qd_api::{CostBudget, CostBy, CostRow, CostView, TeamView};
use qd_look::parts;
use qd_types::{dollars, grouped};

/// Days in the chart.
const DAYS: i64 = 30;
/// The chart's height, in its own units.
const HEIGHT: u64 = 120;
/// A day's width.
const WIDTH: u64 = 20;

/// What it can be added up by, with the words of the links.
const BY: [(CostBy, &str); 6] = [
    (CostBy::Day, "Day"),
    (CostBy::Feature, "Feature"),
    (CostBy::Run, "Run"),
    (CostBy::Repository, "Repository"),
    (CostBy::Agent, "Agent"),
    (CostBy::Model, "Model"),
];

pub(crate) fn page(team: &TeamView, days: &CostView, costs: &CostView, today: Date) -> Markup {
    let base = format!("/teams/{}/", team.name);
    let by = costs.by.as_str();
    html! {
        div.head data-events=(base) data-seq=(team.seq) data-page={ (base) "cost?by=" (by) } data-every="15" {
            h1 { "Cost" }
        }
        div #cost .page.one data-live {
            @if !costs.metered {
                section.panel {
                    (parts::empty("Models are not metered here. Configure a provider, gateway.providers: agents then reach \
                                   their models through the gateway, which counts, prices and stops."))
                }
            } @else {
                section.panel {
                    h2 { "The last 30 days" }
                    (chart(&days.rows, today))
                    @for budget in &costs.budgets { (standing(budget)) }
                }
                section.panel {
                    nav.by aria-label="Added up by" {
                        @for (which, name) in BY {
                            a href={ (base) "cost?by=" (which.as_str()) } aria-current=[(which == costs.by).then_some("true")] { (name) }
                        }
                        a href={ (base) "cost.csv?by=" (by) } download { "As CSV" }
                    }
                    (table(&base, costs))
                }
            }
        }
    }
}

/// A bar for each day, as high as its money. Days whose tokens have no price are marked: they were not free.
fn chart(rows: &[CostRow], today: Date) -> Markup {
    let days: Vec<Date> = (0..DAYS).rev().filter_map(|ago| today.checked_sub(ago.days()).ok()).collect();
    let of = |day: &Date| rows.iter().find(|row| row.key == day.to_string());
    let most = days.iter().filter_map(of).map(|row| row.micro_dollars).max().unwrap_or(0).max(1);
    let width = WIDTH * u64::try_from(days.len()).unwrap_or(0);
    let sum = days.iter().filter_map(of).fold(0_u64, |sum, row| sum.saturating_add(row.micro_dollars));
    let label = format!("{} in the last {DAYS} days, at most {} in a day", dollars(sum), dollars(most));
    html! {
        svg.chart viewBox={ "0 0 " (width) " " (HEIGHT + 18) } role="img" aria-label=(label) {
            @for (index, day) in days.iter().enumerate() {
                @let x = u64::try_from(index).unwrap_or(0) * WIDTH;
                @if let Some(row) = of(day) {
                    @let high = (row.micro_dollars.saturating_mul(HEIGHT) / most).max(2);
                    rect x=(x + 3) y=(HEIGHT - high) width=(WIDTH - 6) height=(high) rx="2"
                        class=(if row.unpriced_tokens > 0 { "unpriced" } else { "priced" }) {
                        title { (day) ": " (money(row)) ", " (grouped(row.tokens)) " tokens" }
                    }
                }
                @if index % 7 == 1 {
                    text x=(x + WIDTH - 3) y=(HEIGHT + 14) text-anchor="end" { (day.strftime("%b %-d")) }
                }
            }
            line x1="0" x2=(width) y1=(HEIGHT) y2=(HEIGHT) {}
        }
    }
}

fn standing(budget: &CostBudget) -> Markup {
    let money = budget.limit_micro_dollars.map(|limit| {
        (budget.micro_dollars, limit, format!("{} of {}", dollars(budget.micro_dollars), dollars(limit)))
    });
    let tokens = budget.limit_tokens.map(|limit| {
        (budget.tokens, limit, format!("{} of {} tokens", grouped(budget.tokens), grouped(limit)))
    });
    html! {
        @for (spent, limit, said) in money.into_iter().chain(tokens) {
            p.bar {
                progress max=(limit.max(1)) value=(spent.min(limit)) aria-label={ "Budget for " (budget.of) } {}
                span.num.soft { (budget.of) ": " (said) }
            }
        }
    }
}

fn table(base: &str, costs: &CostView) -> Markup {
    let name = BY.iter().find(|(by, _)| *by == costs.by).map_or("", |(_, name)| name);
    html! {
        @if costs.rows.is_empty() {
            (parts::empty("No model was called yet."))
        } @else {
            div {
                table.costs {
                    thead { tr { th { (name) } th.num { "Calls" } th.num { "Tokens" } th.num { "Cost" } } }
                    tbody {
                        @for row in &costs.rows { (line(base, costs.by, row)) }
                    }
                    tfoot {
                        tr { td { "All" } td.num { (grouped(costs.total.calls)) } td.num { (grouped(costs.total.tokens)) } td.num { (money(&costs.total)) } }
                    }
                }
            }
            @if costs.more > 0 { p.soft { "And " (costs.more) " more." } }
        }
    }
}

fn line(base: &str, by: CostBy, row: &CostRow) -> Markup {
    let place = match by {
        CostBy::Run => Some("runs/"),
        CostBy::Feature => Some("features/"),
        _ => None,
    };
    html! {
        tr {
            td {
                @match place {
                    Some(place) => { a.link href={ (base) (place) (row.key) } { (row.key) } }
                    None => (row.key),
                }
                @if let Some(title) = &row.title { " " span.soft { (title) } }
            }
            td.num { (grouped(row.calls)) }
            td.num title={ (grouped(row.input)) " read, " (grouped(row.cached)) " from a cache, " (grouped(row.output)) " written" } {
                (grouped(row.tokens))
                @if row.estimated_calls > 0 { span.soft { " (partly estimated)" } }
            }
            td.num { (money(row)) }
        }
    }
}

/// Never 0 where a price is not known.
fn money(row: &CostRow) -> String {
    match (row.unpriced_tokens, row.micro_dollars) {
        (0, money) => dollars(money),
        (_, 0) => "price unknown".to_owned(),
        (_, money) => format!("over {}", dollars(money)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, micro_dollars: u64, unpriced_tokens: u64) -> CostRow {
        CostRow {
            key: key.into(),
            calls: 1,
            tokens: 1_050,
            micro_dollars,
            unpriced_tokens,
            ..CostRow::default()
        }
    }

    #[test]
    fn the_highest_day_fills_the_chart_and_an_unknown_price_is_not_free() {
        let rows = [row("2026-11-21", 500_000, 0), row("2026-11-20", 0, 1_050)];
        let chart = chart(&rows, jiff::civil::date(2026, 11, 21)).into_string();
        assert!(chart.contains(r#"height="120" rx="2" class="priced""#), "{chart}");
        assert!(chart.contains("2026-11-20: price unknown, 1,050 tokens"), "{chart}");
        assert!(chart.contains("$0.50 in the last 30 days"), "{chart}");
        assert!(!chart.contains("$0.00"), "{chart}");
    }
}
