#![doc = include_str!("../README.md")]

pub mod calendar;
pub mod feature;
pub mod run;
pub mod schedule;
pub mod transition;
pub mod why;
pub mod zone;

pub use feature::{EditFeature, Feature, FieldError, NewFeature};
pub use run::{CheckFact, Run, RunEnd, StepRow, StepState};
pub use transition::{Happened, Position, Refused, transition};
pub use why::{Situation, Waits, Why};
