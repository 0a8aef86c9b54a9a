//! Amounts of money, as whole numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Millionths of a US dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroDollars(pub u64);

impl MicroDollars {
    /// So many cents.
    pub fn cents(cents: u64) -> Self {
        Self(cents.saturating_mul(10_000))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for MicroDollars {
    /// `$1.50`; smaller parts than cents only where there are some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:06}", self.0 % 1_000_000);
        let mut parts = text.trim_end_matches('0');
        if parts.len() < 2 {
            parts = text.get(..2).unwrap_or(&text);
        }
        write!(f, "${}.{parts}", self.0 / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::MicroDollars;

    #[test]
    fn amounts_read_as_dollars() {
        let shown =
            [0, 1, 500_000, 1_234_500, 12_000_000, 99_999_999].map(|amount| MicroDollars(amount).to_string());
        assert_eq!(shown, ["$0.00", "$0.000001", "$0.50", "$1.2345", "$12.00", "$99.999999"]);
    }
}
