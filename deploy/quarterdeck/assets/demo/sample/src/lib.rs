//! Invoice totals, in cents.

pub mod discount;
pub mod invoice;
