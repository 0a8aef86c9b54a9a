//! What was spent on models, as cards, pages and reports show it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Calls of models, their tokens and their price.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// Calls that have ended.
    pub calls: u64,
    /// Tokens of all kinds, with what is only estimated where an answer did not tell.
    pub tokens: u64,
    /// The price of those whose price is known, in millionths of a US dollar.
    pub micro_dollars: u64,
    /// Tokens whose price is not known. They are not free.
    pub unpriced_tokens: u64,
    /// A budget that comes to its end, as a sentence.
    #[serde(default)]
    pub warning: Option<String>,
    /// Some of it is what an agent says of itself, as one with a login of its own does: nobody counted it.
    #[serde(default)]
    pub estimated: bool,
}

impl Spent {
    /// Both together; the later warning holds.
    #[must_use]
    pub fn plus(self, later: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(later.calls),
            tokens: self.tokens.saturating_add(later.tokens),
            micro_dollars: self.micro_dollars.saturating_add(later.micro_dollars),
            unpriced_tokens: self.unpriced_tokens.saturating_add(later.unpriced_tokens),
            warning: later.warning,
            estimated: self.estimated || later.estimated,
        }
    }

    /// For people: `12,300 tokens, $0.42`. What has no price is never shown as free, and what nobody counted as estimated.
    pub fn said(&self) -> String {
        let tokens = grouped(self.tokens);
        let estimated = if self.estimated { " (estimated: the agent's own figures)" } else { "" };
        let amount = match (self.unpriced_tokens, self.micro_dollars) {
            (0, money) => format!("{tokens} tokens, {}", dollars(money)),
            (_, 0) => format!("{tokens} tokens, price unknown"),
            (unpriced, money) => {
                format!(
                    "{tokens} tokens, {} and {} tokens of unknown price",
                    dollars(money),
                    grouped(unpriced)
                )
            }
        };
        format!("{amount}{estimated}")
    }
}

/// Millionths of a dollar as `$0.42`: whole cents, but parts of a cent where there is less than one.
pub fn dollars(micro: u64) -> String {
    match micro {
        1..10_000 => {
            let text = format!("{micro:06}");
            format!("$0.{}", text.trim_end_matches('0'))
        }
        _ => {
            let cents = micro.saturating_add(5_000) / 10_000;
            format!("${}.{:02}", grouped(cents / 100), cents % 100)
        }
    }
}

/// With a comma before every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Spent, dollars};

    #[test]
    fn what_was_spent_reads_as_people_say_it() {
        let spent = |tokens, micro_dollars, unpriced_tokens| {
            Spent { calls: 1, tokens, micro_dollars, unpriced_tokens, ..Spent::default() }.said()
        };
        insta::assert_snapshot!(spent(12_300, 415_000, 0), @"12,300 tokens, $0.42");
        insta::assert_snapshot!(spent(1_050, 0, 1_050), @"1,050 tokens, price unknown");
        insta::assert_snapshot!(spent(2_100, 10_000, 1_050), @"2,100 tokens, $0.01 and 1,050 tokens of unknown price");
        let own = Spent { tokens: 3_150, micro_dollars: 250_000, estimated: true, ..Spent::default() };
        insta::assert_snapshot!(own.plus(Spent::default()).said(), @"3,150 tokens, $0.25 (estimated: the agent's own figures)");
        assert_eq!(
            [0, 1, 1_500, 9_999, 1_234_567_890].map(dollars),
            ["$0.00", "$0.000001", "$0.0015", "$0.009999", "$1,234.57"]
        );
    }
}
