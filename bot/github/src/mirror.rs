//! A clone for what has to be told from git's objects alone: what a merge would bring, and which files conflict. Bare, with the
//! branches that were looked at, fetched with a token that reads and is known to that one call of git.

use std::path::PathBuf;

use qd_core::forge::ForgeError;
use qd_git::{Access, Git, GitError, Merge, Repo};
use qd_types::{CommitId, RepositoryName};

/// The clones.
#[derive(Debug, Clone)]
pub(crate) struct Mirrors {
    pub(crate) folder: PathBuf,
}

fn failed(error: &GitError) -> ForgeError {
    ForgeError::Unavailable { reason: error.to_string() }
}

impl Mirrors {
    /// The clone with the target and the head of a pull request, as GitHub has them now. GitHub keeps the head under
    /// `refs/pull/N/head` (docs.github.com, "Checking out pull requests locally").
    pub(crate) async fn with(
        &self,
        repository: &RepositoryName,
        remote: &str,
        access: Access,
        target: &str,
        number: u64,
    ) -> Result<Repo, ForgeError> {
        let path = self.folder.join(format!("{repository}.git"));
        let git = Git::new().with_access(access);
        let mirror = git.init_bare(&path, "main").await.map_err(|error| failed(&error))?;
        let target = format!("+refs/heads/{target}:refs/remotes/origin/{target}");
        let head = format!("+refs/pull/{number}/head:refs/remotes/pull/{number}");
        mirror.fetch(remote, &[&target, &head], false).await.map_err(|error| failed(&error))?;
        Ok(mirror)
    }
}

/// Which files two commits can't be merged in.
pub(crate) async fn conflicts(
    repo: &Repo,
    base: &CommitId,
    head: &CommitId,
) -> Result<Vec<String>, ForgeError> {
    match repo.merge_tree(base, head).await.map_err(|error| failed(&error))? {
        Merge::Clean(_) => Ok(Vec::new()),
        Merge::Conflict { files, .. } => Ok(files),
    }
}

fn refused(reason: String) -> ForgeError {
    ForgeError::Refused { reason }
}

/// What `tested` brings to `base`, if it brings what was reviewed and nothing else.
pub(crate) async fn brought(
    repo: &Repo,
    repository: &RepositoryName,
    (reviewed, tested, base): (&CommitId, &CommitId, &CommitId),
) -> Result<qd_core::forge::Brought, ForgeError> {
    let git = |error: GitError| failed(&error);
    for commit in [reviewed, tested] {
        if repo.commit(commit).await.map_err(git)?.is_none() {
            return Err(ForgeError::NotFound { what: format!("commit {commit} of {repository}") });
        }
    }
    if tested == reviewed {
        if !repo.is_ancestor(base, reviewed).await.map_err(git)? {
            return Err(refused(format!(
                "{} was tested without {}, where the target stands: merge the two and test that",
                reviewed.short(),
                base.short()
            )));
        }
    } else {
        is_merge(repo, base, reviewed, tested).await?;
    }
    let Some(fork) = repo.merge_base(base, reviewed).await.map_err(git)? else {
        return Err(refused(format!(
            "{} and {} have no commit in common: start the branch from the target",
            base.short(),
            reviewed.short()
        )));
    };
    let files = repo.changed_files(&fork, reviewed).await.map_err(git)?;
    Ok(qd_core::forge::Brought {
        diff: repo.diff_sha256(&fork, reviewed).await.map_err(git)?,
        paths: files.into_iter().map(|file| file.path).collect(),
    })
}

/// The merge of exactly these two, with the tree that git gives.
async fn is_merge(
    repo: &Repo,
    base: &CommitId,
    reviewed: &CommitId,
    tested: &CommitId,
) -> Result<(), ForgeError> {
    let git = |error: GitError| failed(&error);
    let expect = match repo.merge_tree(base, reviewed).await.map_err(git)? {
        Merge::Clean(tree) => tree,
        Merge::Conflict { files, .. } => return Err(ForgeError::Conflict { files }),
    };
    let why = match repo.commit(tested).await.map_err(git)? {
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
    )))
}
