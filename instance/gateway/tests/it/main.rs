//! The gateway through its front door: HTTP on one side, an upstream that is stricter than any provider on the other.

mod books;
mod budgets;
mod refusals;
mod scripted;
mod shapes;
mod streams;
mod support;
mod trouble;
