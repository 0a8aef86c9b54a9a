#![doc = include_str!("../README.md")]

pub mod adapter;
mod bring;
pub mod care;
mod checkout;
mod create;
pub mod error;
mod file;
mod keep;
pub mod layout;
mod list;
mod mirror;
pub mod occupants;
pub mod pool;
pub mod port;
mod radar;
mod work;

pub use adapter::GitWorktrees;
pub use care::{
    Care, Due, Freed, Gone, Hook, Obstacle, Prepared, Preserved, Refused, Restored, Setup, Shared, Usage,
    Violation, inspect, sensitive, why_sensitive,
};
pub use error::WorktreeError;
pub use layout::{Layout, Purpose};
pub use pool::Pool;
pub use port::{Brought, Credentials, Found, Merged, Reach, RepositorySpec, Stamp, Worktree, Worktrees};
pub use qd_git::{DiffStat, DiffText, Effort, Identity, Objects};
pub use radar::Conflicting;
