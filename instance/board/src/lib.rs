#![doc = include_str!("../README.md")]

pub mod answer;
pub mod backoff;
pub mod breaker;
pub mod calendar;
pub mod chance;
pub mod context;
pub mod exchange;
pub mod failure;
pub mod feature;
pub mod goal;
pub mod hit;
pub mod hours;
pub mod loops;
pub mod operation;
pub mod page;
mod patch;
pub mod project;
pub mod recurring;
pub mod reset;
pub mod rules;
pub mod run;
pub mod schedule;
pub mod transition;
pub mod wanted;
pub mod why;
pub mod zone;

pub use failure::{FailureClass, Follow};
pub use feature::{Clash, Comment, EditFeature, Feature, FieldError, NewFeature};
pub use hit::{Hit, HitKind};
pub use operation::{Desired, Observed, Operation, OperationKind};
pub use project::{Milestone, Project, Standing};
pub use rules::{Assignment, Rule, Rules, Rung};
pub use run::{CheckFact, Feedback, Run, RunEnd, StepRow, StepState};
pub use transition::{Happened, Position, Refused, transition};
pub use wanted::{Attachment, Budget, Dependency, PlanMode, Size, Source, SourceKind, Until, Wanted};
pub use why::{Situation, Waits, Why};
