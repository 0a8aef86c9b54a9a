//! Where things are on disk and in a mirror, and what their names say. Pure: looks at no disk.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use qd_types::{RepositoryName, RunId};

use crate::WorktreeError;

/// What a check-out is for: `checks`. Lower-case letters, digits and dashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purpose(String);

impl FromStr for Purpose {
    type Err = WorktreeError;
    fn from_str(text: &str) -> Result<Self, WorktreeError> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(good) {
            Ok(Self(text.to_owned()))
        } else {
            let what = "a purpose: lower-case letters, digits and -, at most 32, like checks";
            Err(WorktreeError::Name { what, text: text.to_owned() })
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folders of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    state: PathBuf,
}

impl Layout {
    /// Under the instance's state folder.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self { state: state.into() }
    }

    /// All mirrors.
    pub fn repositories(&self) -> PathBuf {
        self.state.join("repos")
    }

    /// All worktrees.
    pub fn worktrees(&self) -> PathBuf {
        self.state.join("worktrees")
    }

    /// All check-outs.
    pub fn checkouts(&self) -> PathBuf {
        self.state.join("checkouts")
    }

    /// What is on its way out.
    pub fn trash(&self) -> PathBuf {
        self.state.join("trash")
    }

    /// What is known about runs whose agents work.
    pub fn guards(&self) -> PathBuf {
        self.state.join("guards")
    }

    /// Cleaned worktrees that wait for their next run, by repository.
    pub fn pool(&self) -> PathBuf {
        self.state.join("pool")
    }

    /// Where set-up scripts ran.
    pub fn setups(&self) -> PathBuf {
        self.state.join("setups")
    }

    /// Folders that runs share, by repository and name.
    pub fn caches(&self) -> PathBuf {
        self.state.join("caches")
    }

    /// Whether a path is somewhere in the instance's state folder.
    pub fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.state)
    }

    /// What is known of the files of a run's worktree, see `qd_git::exact`. Agents must not see it.
    pub fn record(&self, run: &RunId) -> PathBuf {
        self.records().join(run.to_string())
    }

    /// All such records.
    pub fn records(&self) -> PathBuf {
        self.state.join("records")
    }

    /// A repository's mirror.
    pub fn mirror(&self, repository: &RepositoryName) -> PathBuf {
        self.repositories().join(format!("{repository}.git"))
    }

    /// A run's worktree.
    pub fn worktree(&self, run: &RunId) -> PathBuf {
        self.worktrees().join(run.to_string())
    }

    /// A run's check-out.
    pub fn checkout(&self, run: &RunId, purpose: &Purpose) -> PathBuf {
        self.checkouts().join(format!("{run}-{purpose}"))
    }

    /// Whose a folder is, and what for; none if it is neither a worktree nor a check-out.
    pub fn reading(&self, path: &Path) -> Option<(RunId, Option<Purpose>)> {
        let name = path.file_name()?.to_str()?;
        let parent = path.parent()?;
        if parent == self.worktrees() {
            return Some((name.parse().ok()?, None));
        }
        if parent != self.checkouts() {
            return None;
        }
        // "A-1.2-checks": the first dash after the dot ends the run.
        let dot = name.find('.')?;
        let dash = dot + name.get(dot..)?.find('-')?;
        let (run, purpose) = (name.get(..dash)?, name.get(dash + 1..)?);
        Some((run.parse().ok()?, Some(purpose.parse().ok()?)))
    }
}

pub(crate) const BASES: &str = "refs/quarterdeck/base/";
pub(crate) const BRANCHES: &str = "refs/quarterdeck/branch/";
pub(crate) const FORGE: &str = "refs/remotes/origin/";
pub(crate) const PRESERVED: &str = "refs/quarterdeck/preserved/";

pub(crate) fn base_ref(run: &RunId) -> String {
    format!("{BASES}{run}")
}

pub(crate) fn branch_ref(run: &RunId) -> String {
    format!("{BRANCHES}{run}")
}

pub(crate) fn preserved_ref(run: &RunId) -> String {
    format!("{PRESERVED}{run}")
}

/// What is noted about preserved work.
pub(crate) fn note_ref(run: &RunId) -> String {
    format!("refs/quarterdeck/note/{run}")
}
