//! The forge of the simulation: it does what it is asked, remembers all of it, and its answer may be lost.

use std::collections::BTreeMap;

use qd_core::forge::{Brought, ForgeError, MergeOrder, NewPullRequest};
use qd_types::{CommitId, RepositoryName};

use crate::Broken;

/// A pull request.
#[derive(Debug, Clone)]
pub struct Pull {
    /// The commit that it was merged as, and the head that was.
    pub merged: Option<(CommitId, CommitId)>,
    /// How often it was merged. More than once is a fault of the bot.
    pub merges: u32,
}

/// All repositories.
#[derive(Debug, Default)]
pub struct Forge {
    pulls: BTreeMap<(RepositoryName, u64), Pull>,
    by_marker: BTreeMap<String, u64>,
    targets: BTreeMap<RepositoryName, CommitId>,
    commits: u64,
}

impl Forge {
    /// Opens a pull request, or gives back the one with this marker.
    pub fn open(&mut self, new: &NewPullRequest) -> u64 {
        let next = self.by_marker.len() as u64 + 1;
        let number = *self.by_marker.entry(new.marker.0.clone()).or_insert(next);
        let key = (new.repository.clone(), number);
        self.pulls.entry(key).or_insert(Pull { merged: None, merges: 0 });
        number
    }

    /// Where the target branch stands.
    ///
    /// # Errors
    /// Never for a well-formed number.
    pub fn target(&mut self, repository: &RepositoryName) -> Result<CommitId, Broken> {
        if let Some(commit) = self.targets.get(repository) {
            return Ok(commit.clone());
        }
        let first = commit(0)?;
        self.targets.insert(repository.clone(), first.clone());
        Ok(first)
    }

    /// What a merge would bring: the sizes follow from the reviewed head.
    ///
    /// # Errors
    /// If the forge refuses.
    pub fn rebuild(&mut self, order: &MergeOrder, reviewed: &CommitId) -> Result<Brought, ForgeError> {
        self.stands(order)?;
        Ok(brought(reviewed))
    }

    /// A pull request.
    pub fn pull(&self, repository: &RepositoryName, number: u64) -> Option<&Pull> {
        self.pulls.get(&(repository.clone(), number))
    }

    /// Merges, whatever happened before: that it happens once is for the bot to see to.
    ///
    /// # Errors
    /// If the forge refuses.
    pub fn merge(&mut self, order: &MergeOrder) -> Result<CommitId, ForgeError> {
        self.stands(order)?;
        self.commits += 1;
        let made = commit(self.commits).map_err(|error| ForgeError::Refused { reason: error.to_string() })?;
        let key = (order.repository.clone(), order.number);
        let Some(pull) = self.pulls.get_mut(&key) else {
            return Err(ForgeError::NotFound { what: format!("pull request {}", order.number) });
        };
        pull.merged = Some((made.clone(), order.head.clone()));
        pull.merges += 1;
        self.targets.insert(order.repository.clone(), made.clone());
        Ok(made)
    }

    /// All pull requests.
    pub fn pulls(&self) -> impl Iterator<Item = (&RepositoryName, u64, &Pull)> {
        self.pulls.iter().map(|((repository, number), pull)| (repository, *number, pull))
    }

    fn stands(&mut self, order: &MergeOrder) -> Result<(), ForgeError> {
        let target = self
            .target(&order.repository)
            .map_err(|error| ForgeError::Unavailable { reason: error.to_string() })?;
        if target == order.base { Ok(()) } else { Err(ForgeError::BaseMoved { actual: target }) }
    }
}

/// What a head changes.
pub fn brought(head: &CommitId) -> Brought {
    let text = head.to_string();
    let diff: String = text.chars().cycle().take(64).collect();
    Brought { diff, paths: vec!["src/lib.rs".to_owned()] }
}

/// A commit by number.
///
/// # Errors
/// Never for a number.
pub fn commit(number: u64) -> Result<CommitId, Broken> {
    format!("{number:040x}").parse().map_err(|error| Broken(format!("commit {number}: {error}")))
}
