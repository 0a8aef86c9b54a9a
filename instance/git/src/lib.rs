#![doc = include_str!("../README.md")]

mod access;
mod adopt;
pub mod command;
pub mod diff;
pub mod documents;
pub mod error;
pub mod exact;
pub mod folder;
pub mod ignored;
pub mod kind;
pub mod maintain;
pub mod names;
pub mod objects;
pub mod radar;
pub mod refs;
pub mod repo;
pub mod spread;
pub mod turns;
pub mod weigh;
pub mod worktree;

pub use access::Access;
pub use command::Git;
pub use diff::{Change, ChangedFile, DiffStat, DiffText};
pub use documents::Text;
pub use error::GitError;
pub use exact::{FreshIndex, Restore, Unfit};
pub use kind::Kind;
pub use maintain::{Effort, Objects};
pub use names::{Identity, TreeId, Treeish};
pub use objects::{Commit, Merge, NewCommit};
pub use refs::Swap;
pub use repo::{Push, Repo};
pub use turns::Turns;
pub use weigh::Weight;
pub use worktree::{At, Head, WorktreeEntry, WorktreeState};
