#![doc = include_str!("../README.md")]

pub mod action;
pub mod approval;
pub mod binding;
pub mod decision;
pub mod grant;
pub mod id;
pub mod line;
pub mod person;
mod spent;
pub mod stage;
pub mod subject;
pub mod tighten;
mod title;
pub mod verb;
pub mod visible;

pub use action::{Action, Budget, Call, Enrolment, Merge, Plan, PlanItem, PolicyChange, Push, Question};
pub use approval::{
    Approval, ApprovalEvent, ApprovalState, Ballot, IllegalApproval, Requirement, Tally, Vote,
};
pub use binding::{Binding, Identity, Tool};
pub use decision::{Ask, Confirm, Decision, PolicyHash, Ruling, Way};
pub use grant::{Grant, SpentGrant};
pub use id::{ApprovalId, CommitId, FeatureId, IdError, InstanceName, PersonId, RepositoryName, RunId};
pub use line::{Line, Mark, Step};
pub use person::{Person, Role, Tier};
pub use spent::{Spent, dollars, grouped};
pub use stage::Stage;
pub use subject::{Digest, Subject, SubjectError};
pub use tighten::{PolicyRule, RuleEffect};
pub use verb::{Class, Target, Verb};
