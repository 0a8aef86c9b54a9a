//! Invoices: positions, totals, and the receipt.

use crate::discount::Discount;

/// One position of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub name: String,
    pub count: u32,
    /// The price of one, in cents.
    pub price: i64,
}

impl Position {
    /// What the position comes to, in cents.
    pub fn sum(&self) -> i64 {
        i64::from(self.count) * self.price
    }
}

/// An invoice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invoice {
    pub positions: Vec<Position>,
    pub discount: Option<Discount>,
}

impl Invoice {
    /// Adds a position.
    pub fn with(mut self, name: &str, count: u32, price: i64) -> Self {
        self.positions.push(Position { name: name.to_string(), count, price });
        self
    }

    /// All positions, in cents.
    pub fn subtotal(&self) -> i64 {
        self.positions.iter().map(Position::sum).sum()
    }

    /// What is to be paid, in cents.
    pub fn total(&self) -> i64 {
        let subtotal = self.subtotal();
        subtotal - self.discount.map_or(0, |discount| discount.off(subtotal))
    }

    /// The receipt, a line per position and one for the total.
    pub fn receipt(&self) -> String {
        let mut text = String::new();
        for position in &self.positions {
            let sum = position.sum();
            text.push_str(&format!("{:<20}{:>8}.{:02}\n", position.name, sum / 100, sum % 100));
        }
        let total = self.total();
        text.push_str(&format!("{:<20}{:>8}.{:02}\n", "Total", total / 100, total % 100));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_up() {
        let invoice = Invoice::default().with("Tea", 3, 450).with("Cake", 1, 1250);
        assert_eq!(invoice.subtotal(), 2600);
        assert_eq!(invoice.total(), 2600);
    }

    #[test]
    fn takes_the_discount_off() {
        let mut invoice = Invoice::default().with("Tea", 2, 500);
        invoice.discount = Discount::percent(10);
        assert_eq!(invoice.total(), 900);
    }

    #[test]
    fn prints_a_receipt() {
        let receipt = Invoice::default().with("Tea", 3, 450).receipt();
        assert_eq!(receipt.lines().last(), Some("Total                     13.50"));
    }
}
