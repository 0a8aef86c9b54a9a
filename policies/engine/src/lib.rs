#![doc = include_str!("../README.md")]

mod annotations;
mod bundle;
mod check;
mod engine;
mod explain;
mod facts;
mod matrix;
mod policies;
mod refusal;
mod request;
mod rules;
mod step;
mod vocabulary;
mod widen;

pub use bundle::{Bundle, BundleError, Files, Place, Problem};
pub use check::{Finding, Severity};
pub use engine::{Engine, EngineError, Reloaded, Source, Watch};
pub use facts::{Facts, FactsError, KnownPerson, KnownTool};
pub use matrix::{Cell, Matrix, Row};
pub use policies::{FAILED, NONE_PERMITS, Policies, PoliciesError, UNKNOWN};
pub use refusal::Refusal;
pub use request::{Branch, Principal, Request, Resource};
pub use rules::RuleError;
pub use step::RuleStep;
