//! Discounts in percent.

/// A discount in whole percent, from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discount(u32);

impl Discount {
    /// None for more than 100 percent.
    pub fn percent(percent: u32) -> Option<Self> {
        (percent <= 100).then_some(Self(percent))
    }

    /// What it takes off an amount, in cents. Fractions of a cent are dropped.
    pub fn off(self, cents: i64) -> i64 {
        cents * i64::from(self.0) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_its_share() {
        assert_eq!(Discount::percent(20).unwrap().off(1000), 200);
        assert_eq!(Discount::percent(0).unwrap().off(1000), 0);
    }

    #[test]
    fn is_never_more_than_all() {
        assert_eq!(Discount::percent(100).unwrap().off(1234), 1234);
        assert_eq!(Discount::percent(101), None);
    }
}
