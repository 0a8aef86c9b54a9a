//! Limits on what is spent: for a run, a feature, a day, a month, and the instance. Pure: what was spent comes in, how a
//! budget stands goes out.

use std::{collections::BTreeMap, fmt};

use jiff::civil::Date;
use qd_types::{FeatureId, RunId};
use serde::{Deserialize, Serialize};

use crate::{
    money::MicroDollars,
    prices::{Priced, Prices},
    usage::Usage,
};

/// The share of a budget at which people are warned, in percent.
pub const WARN_AT: u64 = 80;

/// Most that may be spent. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// In money.
    pub money: Option<MicroDollars>,
    /// In tokens of all kinds.
    pub tokens: Option<u64>,
}

/// The budgets that a run brings along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunBudgets {
    /// For this run.
    pub run: Budget,
    /// For all runs of its feature.
    pub feature: Budget,
}

/// The budgets that hold for everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// For each day, in the fleet's time zone.
    pub day: Budget,
    /// For each calendar month, in the fleet's time zone.
    pub month: Budget,
    /// For ever.
    pub instance: Budget,
}

/// What a budget is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of", content = "which")]
pub enum Scope {
    /// One run.
    Run(RunId),
    /// All runs of a feature.
    Feature(FeatureId),
    /// One day.
    Day(Date),
    /// One month, named by its first day.
    Month(Date),
    /// Everything.
    Instance,
}

impl Scope {
    /// Everything that a call of this run on this day counts for.
    pub fn all(run: &RunId, day: Date) -> [Self; 5] {
        [
            Self::Run(run.clone()),
            Self::Feature(run.feature().clone()),
            Self::Day(day),
            Self::Month(day.first_of_month()),
            Self::Instance,
        ]
    }

    /// The budget that is set for it.
    pub fn budget(&self, run: &RunBudgets, all: &Budgets) -> Budget {
        match self {
            Self::Run(_) => run.run,
            Self::Feature(_) => run.feature,
            Self::Day(_) => all.day,
            Self::Month(_) => all.month,
            Self::Instance => all.instance,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => write!(f, "run {run}"),
            Self::Feature(feature) => write!(f, "feature {feature}"),
            Self::Day(day) => write!(f, "day {day}"),
            Self::Month(day) => write!(f, "month {}", day.strftime("%Y-%m")),
            Self::Instance => f.write_str("instance"),
        }
    }
}

/// What was spent in a scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls.
    pub calls: u64,
    /// Of what has a price.
    pub money: MicroDollars,
    /// Tokens of all calls, with what is only estimated.
    pub usage: Usage,
    /// Tokens whose price was not known. A price that is set later counts for them too.
    pub unpriced: BTreeMap<Priced, Usage>,
}

impl Spent {
    /// One more call. Without a cost, its price is unknown.
    pub fn add(&mut self, calls: u64, usage: &Usage, cost: Option<MicroDollars>, priced: &Priced) {
        self.calls = self.calls.saturating_add(calls);
        self.usage = self.usage.plus(usage);
        match cost {
            Some(cost) => self.money = self.money.plus(cost),
            None if usage.tokens() > 0 => {
                let entry = self.unpriced.entry(priced.clone()).or_default();
                *entry = entry.plus(usage);
            }
            None => {}
        }
    }

    /// The money of all tokens whose price is known by now, and how many have none.
    pub fn known(&self, prices: &Prices) -> (MicroDollars, u64) {
        self.unpriced.iter().fold((self.money, 0), |(money, tokens), (priced, usage)| {
            match prices.find(&priced.list, &priced.model) {
                Some(price) => (money.plus(price.of(usage)), tokens),
                None => (money, tokens.saturating_add(usage.tokens())),
            }
        })
    }

    /// All the money, or the first model whose price is still unknown.
    fn cost<'a>(&'a self, prices: &Prices) -> Result<MicroDollars, &'a Priced> {
        self.unpriced.iter().try_fold(self.money, |sum, (priced, usage)| {
            let price = prices.find(&priced.list, &priced.model).ok_or(priced)?;
            Ok(sum.plus(price.of(usage)))
        })
    }
}

/// How a budget stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "standing")]
pub enum Standing {
    /// Below the warning, or there is no limit.
    Free,
    /// Past the warning. The larger share.
    Warned(Amount),
    /// Nothing more.
    Reached(Amount),
    /// There is a limit in money, none in tokens, and a price is not known: as good as reached.
    Unpriced(Priced),
}

/// What of how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "unit")]
pub enum Amount {
    /// In money.
    Money {
        /// Spent.
        spent: MicroDollars,
        /// The limit.
        limit: MicroDollars,
    },
    /// In tokens.
    Tokens {
        /// Spent.
        spent: u64,
        /// The limit.
        limit: u64,
    },
}

impl Amount {
    /// In percent, rounded down. A limit of nothing is always reached.
    pub fn percent(&self) -> u64 {
        let (spent, limit) = match self {
            Self::Money { spent, limit } => (spent.0, limit.0),
            Self::Tokens { spent, limit } => (*spent, *limit),
        };
        let percent = (u128::from(spent) * 100).checked_div(u128::from(limit)).unwrap_or(100);
        u64::try_from(percent).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Money { spent, limit } => write!(f, "{spent} of {limit}"),
            Self::Tokens { spent, limit } => write!(f, "{spent} of {limit} tokens"),
        }
    }
}

impl Budget {
    /// How it stands after `spent`. With `next`, the model that is about to be called must have a price too.
    pub fn standing(&self, spent: &Spent, next: Option<&Priced>, prices: &Prices) -> Standing {
        let tokens = self.tokens.map(|limit| Amount::Tokens { spent: spent.usage.tokens(), limit });
        let mut amounts = vec![];
        amounts.extend(tokens);
        if let Some(limit) = self.money {
            let unpriced = next.filter(|next| prices.find(&next.list, &next.model).is_none());
            match (spent.cost(prices), unpriced) {
                (Err(priced), _) | (Ok(_), Some(priced)) if tokens.is_none() => {
                    return Standing::Unpriced(priced.clone());
                }
                (cost, _) => {
                    amounts.push(Amount::Money { spent: cost.unwrap_or(spent.money), limit });
                }
            }
        }
        match amounts.into_iter().max_by_key(Amount::percent) {
            Some(amount) if amount.percent() >= 100 => Standing::Reached(amount),
            Some(amount) if amount.percent() >= WARN_AT => Standing::Warned(amount),
            _ => Standing::Free,
        }
    }
}

impl Standing {
    /// Whether another call is refused.
    pub fn refuses(&self) -> bool {
        matches!(self, Self::Reached(_) | Self::Unpriced(_))
    }

    /// From free over warned to refusing.
    pub(crate) fn level(&self) -> u8 {
        match self {
            Self::Free => 0,
            Self::Warned(_) => 1,
            Self::Reached(_) | Self::Unpriced(_) => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Amount, Budget, Spent, Standing};
    use crate::{
        money::MicroDollars,
        prices::{Priced, Prices},
        usage::Usage,
    };

    const TABLE: &str = "[[price]]\nprovider = 'p'\nmodel = 'known'\ninput = 1\noutput = 1\n\
                         date = '2026-11-01'\nsource = 'https://example.com'\n";

    fn prices() -> Prices {
        Prices::default().with("test", TABLE).unwrap()
    }

    fn priced(model: &str) -> Priced {
        Priced { list: "p".to_owned(), model: model.to_owned() }
    }

    fn spent(tokens: u64, model: &str) -> Spent {
        let usage = Usage { input: tokens, ..Usage::default() };
        let cost = prices().find("p", model).map(|price| price.of(&usage));
        let mut spent = Spent::default();
        spent.add(1, &usage, cost, &priced(model));
        spent
    }

    fn money(limit: u64) -> Budget {
        Budget { money: Some(MicroDollars(limit)), tokens: None }
    }

    #[test]
    fn a_budget_warns_and_then_refuses() {
        let standing =
            |tokens| money(100).standing(&spent(tokens, "known"), Some(&priced("known")), &prices());
        let amount = |spent| Amount::Money { spent: MicroDollars(spent), limit: MicroDollars(100) };
        assert_eq!(standing(79), Standing::Free);
        assert_eq!(standing(80), Standing::Warned(amount(80)));
        assert_eq!(standing(99), Standing::Warned(amount(99)));
        assert_eq!(standing(100), Standing::Reached(amount(100)));
        assert!(money(0).standing(&Spent::default(), None, &prices()).refuses());
    }

    #[test]
    fn an_unknown_price_reaches_a_money_budget_until_a_price_or_a_token_limit_is_set() {
        let unknown = spent(10, "new");
        let standing = money(100).standing(&Spent::default(), Some(&priced("new")), &prices());
        assert_eq!(standing, Standing::Unpriced(priced("new")));
        assert_eq!(money(100).standing(&unknown, None, &prices()), Standing::Unpriced(priced("new")));
        let with_tokens = Budget { tokens: Some(1_000), ..money(100) };
        assert_eq!(with_tokens.standing(&unknown, Some(&priced("new")), &prices()), Standing::Free);
        let later =
            prices().with("later", &TABLE.replace("known", "new").replace("input = 1", "input = 9")).unwrap();
        let amount = Amount::Money { spent: MicroDollars(90), limit: MicroDollars(100) };
        assert_eq!(money(100).standing(&unknown, Some(&priced("new")), &later), Standing::Warned(amount));
        assert_eq!(Budget::default().standing(&unknown, Some(&priced("new")), &prices()), Standing::Free);
    }

    proptest! {
        #[test]
        fn spending_more_never_frees(limit in 0..10_000_u64, by_tokens: bool, first in 0..10_000_u64, more in 0..10_000_u64) {
            let budget = if by_tokens { Budget { tokens: Some(limit), money: None } } else { money(limit) };
            let level = |tokens| budget.standing(&spent(tokens, "known"), None, &prices()).level();
            prop_assert!(level(first) <= level(first + more));
            prop_assert_eq!(level(first) == 2, first >= limit);
        }
    }
}
