#![doc = include_str!("../README.md")]

pub mod backoff;
pub mod breaker;
pub mod calendar;
pub mod chance;
pub mod feature;
pub mod hours;
pub mod loops;
pub mod recurring;
pub mod run;
pub mod schedule;
pub mod transition;
pub mod why;
pub mod zone;

pub use feature::{EditFeature, Feature, FieldError, NewFeature};
pub use run::{CheckFact, Run, RunEnd, StepRow, StepState};
pub use transition::{Happened, Position, Refused, transition};
pub use why::{Situation, Waits, Why};
