//! The conflict radar: which open branches can't be merged with each other, or with the target. A pure answer for commits:
//! what was found once for two of them is kept.

use qd_git::radar::may_meet;
use qd_types::{CommitId, RepositoryName};

use crate::{GitWorktrees, WorktreeError, error::git, layout::FORGE, port::RepositorySpec};

/// Two commits that can't be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicting {
    /// One of the heads, by its place.
    pub one: usize,
    /// Another one; none for the target.
    pub other: Option<usize>,
    /// Paths in conflict, sorted.
    pub files: Vec<String>,
}

/// Answers that are kept.
const KEPT: usize = 10_000;

impl GitWorktrees {
    pub(crate) async fn known_target(
        &self,
        repository: &RepositorySpec,
    ) -> Result<Option<CommitId>, WorktreeError> {
        let mirror = self.mirror(&repository.name).await?;
        mirror
            .resolve(&format!("{FORGE}{}", repository.target))
            .await
            .map_err(git("reading the target branch"))
    }

    pub(crate) async fn find_conflicts(
        &self,
        repository: &RepositoryName,
        heads: &[CommitId],
        target: &CommitId,
    ) -> Result<Vec<Conflicting>, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let what = "looking for conflicts between branches";
        let folders = mirror.changed_folders(heads, target).await.map_err(git(what))?;
        let mut asked: Vec<(usize, Option<usize>)> = Vec::new();
        for (index, one) in heads.iter().enumerate() {
            asked.push((index, None));
            for (later, other) in heads.iter().enumerate().skip(index + 1) {
                let meet = match (folders.get(one), folders.get(other)) {
                    (Some(a), Some(b)) => may_meet(a, b),
                    _ => true,
                };
                if meet && one != other {
                    asked.push((index, Some(later)));
                }
            }
        }
        let commit = |place: Option<usize>| place.map_or(Some(target), |index| heads.get(index));
        let pairs: Vec<(usize, Option<usize>, CommitId, CommitId)> = asked
            .into_iter()
            .filter_map(|(one, other)| Some((one, other, heads.get(one)?.clone(), commit(other)?.clone())))
            .collect();
        let known = self.known_conflicts(&pairs);
        let open: Vec<(CommitId, CommitId)> = pairs
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .map(|((_, _, one, other), _)| (one.clone(), other.clone()))
            .collect();
        let mut fresh = mirror.conflicts(&open).await.map_err(git(what))?.into_iter();
        let mut found = Vec::new();
        for ((one, other, a, b), known) in pairs.into_iter().zip(known) {
            let files = match known {
                Some(files) => files,
                None => {
                    let files = fresh.next().unwrap_or_default();
                    self.keep_conflicts(a, b, files.clone());
                    files
                }
            };
            if !files.is_empty() {
                found.push(Conflicting { one, other, files });
            }
        }
        Ok(found)
    }

    fn known_conflicts(
        &self,
        pairs: &[(usize, Option<usize>, CommitId, CommitId)],
    ) -> Vec<Option<Vec<String>>> {
        let known = match self.conflicts.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        };
        pairs.iter().map(|(_, _, one, other)| known.get(&(one.clone(), other.clone())).cloned()).collect()
    }

    fn keep_conflicts(&self, one: CommitId, other: CommitId, files: Vec<String>) {
        let mut known = match self.conflicts.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        };
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert((one, other), files);
    }
}
