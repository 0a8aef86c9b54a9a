//! What a token costs: a table with a date and a source for each price. A model that is not in it has no price, and no
//! price is not zero.

use std::collections::HashMap;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{money::MicroDollars, usage::Usage};

/// The table that comes with the program.
const BUILT_IN: &str = include_str!("../prices.toml");

/// Millionths of a dollar for a million tokens, which is a millionth of a millionth of a dollar for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate(u64);

/// The dearest rate that is believed, in dollars for a million tokens. More is a slip of the decimal point.
const DEAREST: f64 = 100_000.0;

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        if (0.0..=DEAREST).contains(&dollars) {
            Ok(Self((dollars * 1e6).round() as u64))
        } else {
            let want = format!("{dollars} is no price: dollars for a million tokens, 0 to {DEAREST}");
            Err(serde::de::Error::custom(want))
        }
    }
}

/// What one model costs, in dollars for a million tokens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    provider: String,
    model: String,
    input: Rate,
    /// Without it, what was read from a cache costs as much as what was not.
    cached: Option<Rate>,
    /// Without it, writing to a cache costs what reading afresh does.
    cache_write: Option<Rate>,
    /// Without it, as `cache_write`.
    cache_write_hour: Option<Rate>,
    output: Rate,
    long: Option<Long>,
    /// When the source said so.
    pub date: Date,
    /// Where it can be looked up.
    pub source: String,
}

/// Other rates for long prompts. They hold for the whole call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    /// Tokens of the prompt; more than these is long.
    above: u64,
    input: Rate,
    cached: Option<Rate>,
    cache_write: Option<Rate>,
    cache_write_hour: Option<Rate>,
    output: Rate,
}

impl Price {
    /// The price of so many tokens, rounded up to a millionth of a dollar.
    pub fn of(&self, usage: &Usage) -> MicroDollars {
        let long = self.long.as_ref().filter(|long| usage.prompt() > long.above);
        let (input, cached, write, hour, output) = match long {
            Some(long) => (long.input, long.cached, long.cache_write, long.cache_write_hour, long.output),
            None => (self.input, self.cached, self.cache_write, self.cache_write_hour, self.output),
        };
        let write = write.unwrap_or(input);
        let parts = [
            (usage.input, input),
            (usage.cached, cached.unwrap_or(input)),
            (usage.cache_write, write),
            (usage.cache_write_hour, hour.unwrap_or(write)),
            (usage.output, output),
        ];
        let sum = parts.iter().fold(0_u128, |sum, (tokens, rate)| {
            sum.saturating_add(u128::from(*tokens).saturating_mul(u128::from(rate.0)))
        });
        MicroDollars(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

/// Why a table is none.
#[derive(Debug, thiserror::Error)]
#[error("the price table {name} can't be read: {source}")]
pub struct PricesError {
    /// Its file, or "built-in".
    name: String,
    #[source]
    source: Box<toml::de::Error>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    price: Vec<Price>,
}

/// Which model of which list of prices.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Priced {
    /// The list: a provider's name in the table.
    pub list: String,
    /// The model's name.
    pub model: String,
}

/// All prices.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    lists: HashMap<String, HashMap<String, Price>>,
}

impl Prices {
    /// The table that comes with the program.
    pub fn built_in() -> Result<Self, PricesError> {
        Self::default().with("built-in", BUILT_IN)
    }

    /// With the prices of another table, TOML. They replace those of the same provider and model.
    pub fn with(mut self, name: &str, text: &str) -> Result<Self, PricesError> {
        let table: Table = toml::from_str(text)
            .map_err(|source| PricesError { name: name.to_owned(), source: Box::new(source) })?;
        for price in table.price {
            let list = self.lists.entry(price.provider.clone()).or_default();
            list.insert(price.model.clone(), price);
        }
        Ok(self)
    }

    /// A model's price. A dated name (`gpt-5-2026-08-07`, `claude-opus-5-20261001`) that has none takes that of the
    /// name without its date.
    pub fn find(&self, list: &str, model: &str) -> Option<&Price> {
        let list = self.lists.get(list)?;
        list.get(model).or_else(|| list.get(without_date(model)?))
    }

    /// Every price, for a person to look through.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Price)> {
        self.lists.values().flat_map(HashMap::values).map(|price| (&*price.provider, &*price.model, price))
    }
}

fn without_date(model: &str) -> Option<&str> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let split = |at: usize| model.split_at_checked(model.len().checked_sub(at)?);
    if let Some((name, date)) = split(9)
        && let Some(date) = date.strip_prefix('-')
        && digits(date)
    {
        return Some(name);
    }
    let (name, date) = split(11)?;
    let mut parts = date.strip_prefix('-')?.split('-');
    let dated =
        [4, 2, 2].iter().all(|len| parts.next().is_some_and(|part| part.len() == *len && digits(part)));
    dated.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{Prices, without_date};
    use crate::{money::MicroDollars, usage::Usage};

    const TABLE: &str = r#"
        [[price]]
        provider = "anthropic"
        model = "claude-x"
        input = 3
        cached = 0.3
        cache_write = 3.75
        cache_write_hour = 6
        output = 15.0
        long = { above = 200_000, input = 6, cached = 0.6, output = 22.5 }
        date = "2026-11-01"
        source = "https://example.com"

        [[price]]
        provider = "openai"
        model = "gpt-x"
        input = 0.25
        output = 2
        date = "2026-11-01"
        source = "https://example.com"
    "#;

    fn cost(list: &str, model: &str, usage: Usage) -> Option<MicroDollars> {
        let prices = Prices::default().with("test", TABLE).unwrap();
        prices.find(list, model).map(|price| price.of(&usage))
    }

    #[test]
    fn each_kind_of_token_has_its_rate() {
        let usage = Usage {
            input: 1_000,
            cached: 10_000,
            cache_write: 1_000,
            cache_write_hour: 1_000,
            output: 100,
            reasoning: 50,
        };
        assert_eq!(
            cost("anthropic", "claude-x", usage),
            Some(MicroDollars(3_000 + 3_000 + 3_750 + 6_000 + 1_500))
        );
        // Without a rate of its own, a cached token is a token.
        assert_eq!(cost("openai", "gpt-x", usage), Some(MicroDollars(13_000 / 4 + 200)));
    }

    #[test]
    fn a_part_of_a_millionth_is_rounded_up() {
        let one = Usage { input: 1, ..Usage::default() };
        assert_eq!(cost("openai", "gpt-x", one), Some(MicroDollars(1)));
        assert_eq!(cost("openai", "gpt-x", Usage::default()), Some(MicroDollars(0)));
    }

    #[test]
    fn a_long_prompt_costs_more_for_all_of_it() {
        let usage = Usage { input: 200_000, cached: 1, output: 1_000, ..Usage::default() };
        assert_eq!(cost("anthropic", "claude-x", usage), Some(MicroDollars(1_200_000 + 1 + 22_500)));
    }

    #[test]
    fn what_is_not_in_the_table_has_no_price() {
        assert_eq!(cost("openai", "claude-x", Usage::default()), None);
        assert_eq!(cost("openai", "gpt-x-mini", Usage::default()), None);
        assert!(cost("openai", "gpt-x-2026-10-31", Usage::default()).is_some());
        assert!(cost("anthropic", "claude-x-20261031", Usage::default()).is_some());
    }

    #[test]
    fn only_a_date_is_taken_off() {
        let names = ["a-20261031", "a-2026-10-31", "a-1234567", "20261031", "a-2026-1-031", "-2026-10-31"];
        let found = names.map(without_date);
        assert_eq!(found, [Some("a"), Some("a"), None, None, None, Some("")]);
    }

    #[test]
    fn a_price_that_is_none_is_refused() {
        let slip = TABLE.replace("output = 15.0", "output = -15.0");
        insta::assert_snapshot!(Prices::default().with("prices.toml", &slip).unwrap_err(), @"
        the price table prices.toml can't be read: TOML parse error at line 9, column 18
          |
        9 |         output = -15.0
          |                  ^^^^^
        -15 is no price: dollars for a million tokens, 0 to 100000
        ");
        let unknown = TABLE.replace("cached = 0.3\n", "cache = 0.3\n");
        assert!(Prices::default().with("prices.toml", &unknown).is_err());
    }

    #[test]
    fn every_built_in_price_names_its_source() {
        let prices = Prices::built_in().unwrap();
        assert!(prices.iter().count() > 5);
        for (provider, model, price) in prices.iter() {
            assert!(price.source.starts_with("https://"), "{provider} {model}");
        }
    }
}
