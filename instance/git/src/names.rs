//! Trees, identities and the names of references. Commit ids live in `qd-types`; trees never leave git's
//! neighbourhood, so their id lives here.

use std::{fmt, str::FromStr};

use qd_types::CommitId;

use crate::GitError;

/// Who a commit says it is by. Passed with each call: nothing is read from anybody's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name, not empty.
    pub name: String,
    /// Address, may be one that nobody reads.
    pub email: String,
}

impl Identity {
    /// From two texts.
    pub fn new(name: impl Into<String>, email: impl Into<String>) -> Self {
        Self { name: name.into(), email: email.into() }
    }
}

/// A git object id of a tree, full length, lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TreeId(String);

impl TreeId {
    /// The tree without any file.
    pub fn empty() -> Self {
        Self("4b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned())
    }
}

impl FromStr for TreeId {
    type Err = GitError;
    fn from_str(text: &str) -> Result<Self, GitError> {
        // A tree id has a commit id's form.
        match text.parse::<CommitId>() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(GitError::Parse { what: "a tree id", text: text.to_owned() }),
        }
    }
}

impl fmt::Display for TreeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What has files: a tree, or a commit and so its tree.
pub trait Treeish: Send + Sync {
    /// The object id in hex.
    fn hex(&self) -> &str;
}

impl Treeish for TreeId {
    fn hex(&self) -> &str {
        &self.0
    }
}

impl Treeish for CommitId {
    fn hex(&self) -> &str {
        self.as_str()
    }
}

pub(crate) fn commit_id(text: &str) -> Result<CommitId, GitError> {
    text.parse().map_err(|_| GitError::Parse { what: "a commit id", text: text.to_owned() })
}

/// The whole name of a reference: `HEAD` and what starts with `refs/` as they are, all else is a branch.
pub(crate) fn full_name(name: &str) -> Result<String, GitError> {
    let full = if name == "HEAD" || name.starts_with("refs/") {
        name.to_owned()
    } else {
        format!("refs/heads/{name}")
    };
    // Git itself takes refs/heads/-x, its commands then take -x for an option.
    let short = full.strip_prefix("refs/heads/").unwrap_or(&full);
    if git2::Reference::is_valid_name(&full) && !short.starts_with('-') {
        Ok(full)
    } else {
        Err(GitError::Parse { what: "the name of a branch or reference", text: name.to_owned() })
    }
}

/// Whether a text can name a branch: git's rules, and no leading dash.
pub fn is_branch_name(name: &str) -> bool {
    name != "HEAD" && !name.starts_with("refs/") && full_name(name).is_ok()
}
