//! What a merge would bring, found out from the repository alone: nothing that an instance or an agent said about its
//! own commit is believed. Moves nothing; `merge` checks its own guards again.

use qd_core::forge::{Brought, ForgeError, PullRequestState};
use qd_git::{Merge, Repo};
use qd_types::{CommitId, RepositoryName};

use crate::{
    error::{Failure, missing},
    local::Inner,
    rules::refused,
};

impl Inner {
    /// SHA-256 of the reviewed diff, if `tested` brings that diff onto `base` and nothing else.
    pub(crate) async fn rebuild_merge(
        &self,
        repository: &RepositoryName,
        number: u64,
        reviewed: &CommitId,
        tested: &CommitId,
        base: &CommitId,
    ) -> Result<Brought, Failure> {
        let row = self.pull_request(repository, number).await?;
        if row.state != PullRequestState::Open {
            return Err(
                refused(format!("pull request {number} is not open: there is nothing to merge")).into()
            );
        }
        if row.head != *tested {
            return Err(ForgeError::HeadMoved { actual: row.head }.into());
        }
        match self.branch(repository, &row.target).await? {
            Some(actual) if actual == *base => {}
            Some(actual) => return Err(ForgeError::BaseMoved { actual }.into()),
            None => return Err(missing::branch(repository, &row.target).into()),
        }
        let repo = self.repo(repository).await?;
        for commit in [reviewed, tested] {
            if repo.commit(commit).await?.is_none() {
                return Err(missing::commit(repository, commit.as_str()).into());
            }
        }
        if tested == reviewed {
            holds(&repo, base, reviewed).await?;
        } else {
            brings_both(&repo, base, reviewed, tested).await?;
        }
        let Some(fork) = repo.merge_base(base, reviewed).await? else {
            let alien = format!("{} and {} have no commit in common", base.short(), reviewed.short());
            return Err(refused(format!("{alien}: start the branch from the target")).into());
        };
        let files = repo.changed_files(&fork, reviewed).await?;
        Ok(Brought {
            diff: repo.diff_sha256(&fork, reviewed).await?,
            paths: files.into_iter().map(|file| file.path).collect(),
        })
    }
}

async fn holds(repo: &Repo, base: &CommitId, reviewed: &CommitId) -> Result<(), Failure> {
    if repo.is_ancestor(base, reviewed).await? {
        return Ok(());
    }
    Err(refused(format!(
        "{} was tested without {}, where the target stands: merge the two and test that",
        reviewed.short(),
        base.short()
    ))
    .into())
}

async fn brings_both(
    repo: &Repo,
    base: &CommitId,
    reviewed: &CommitId,
    tested: &CommitId,
) -> Result<(), Failure> {
    let expect = match repo.merge_tree(base, reviewed).await? {
        Merge::Clean(tree) => tree,
        Merge::Conflict { files, .. } => return Err(ForgeError::Conflict { files }.into()),
    };
    let found = repo.commit(tested).await?;
    let why = match found {
        Some(found) if found.parents != [base.clone(), reviewed.clone()] => "is not the merge of",
        Some(found) if found.tree != expect => "holds more or less than the merge of",
        Some(_) => return Ok(()),
        None => "is gone, and was to be the merge of",
    };
    Err(refused(format!(
        "{} {why} {} and {}: make that merge anew, or have the change reviewed as it is",
        tested.short(),
        base.short(),
        reviewed.short()
    ))
    .into())
}
