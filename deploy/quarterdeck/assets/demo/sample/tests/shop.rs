//! One purchase, from the shelf to the total.

use tally::{discount::Discount, invoice::Invoice};

#[test]
fn a_purchase_with_a_discount() {
    let mut invoice = Invoice::default().with("Lamp", 1, 4990).with("Bulb", 4, 250);
    invoice.discount = Discount::percent(50);
    assert_eq!(invoice.subtotal(), 5990);
    assert_eq!(invoice.total(), 2995);
}
