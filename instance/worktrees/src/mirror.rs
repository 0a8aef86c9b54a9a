//! A repository's mirror: opening, refreshing, pushing, and what is on record about runs. Not a place where
//! remotes are remembered.

use qd_git::{GitError, Push, Repo, Swap};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{
    GitWorktrees, RepositorySpec, WorktreeError,
    care::guard::{fetch_turn, moves::note_reference},
    error::git,
    layout::{FORGE, base_ref, branch_ref},
};

/// What a mirror knows about a run. Without a base its worktree was never finished.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) branch: Option<String>,
    pub(crate) base: Option<CommitId>,
}

pub(crate) async fn record(mirror: &Repo, run: &RunId) -> Result<Record, WorktreeError> {
    let what = git("reading what is on record about a run");
    let read = async || {
        let branch = mirror.pointed(&branch_ref(run)).await?;
        let branch = branch.and_then(|name| name.strip_prefix("refs/heads/").map(str::to_owned));
        Ok::<_, GitError>(Record { branch, base: mirror.resolve(&base_ref(run)).await? })
    };
    read().await.map_err(what)
}

/// Puts a reference where it is wanted; another's hand in between is an error that may be tried again.
pub(crate) async fn swap(
    mirror: &Repo,
    reference: &str,
    new: &CommitId,
    expected: Option<&CommitId>,
) -> Result<(), WorktreeError> {
    if expected == Some(new) {
        return Ok(());
    }
    let _moving = note_reference(mirror, reference, new.as_str()).await?;
    match mirror.update_ref(reference, new, expected).await.map_err(git("moving a reference"))? {
        Swap::Done => Ok(()),
        Swap::Lost { actual } if actual.as_ref() == Some(new) => Ok(()),
        Swap::Lost { .. } => Err(WorktreeError::Raced { reference: reference.to_owned() }),
    }
}

impl GitWorktrees {
    /// The mirror, which must be there.
    pub(crate) async fn mirror(&self, repository: &RepositoryName) -> Result<Repo, WorktreeError> {
        let path = self.layout.mirror(repository);
        match self.git.open(&path).await {
            Ok(mirror) => Ok(mirror),
            Err(GitError::Parse { .. }) => {
                Err(WorktreeError::NoMirror { repository: repository.clone(), path })
            }
            Err(source) => Err(git("opening a mirror")(source)),
        }
    }

    pub(crate) async fn need_commit(
        &self,
        mirror: &Repo,
        repository: &RepositoryName,
        commit: &CommitId,
    ) -> Result<(), WorktreeError> {
        let found = mirror.resolve(commit.as_str()).await.map_err(git("looking for a commit"))?;
        let missing = || WorktreeError::NoCommit { repository: repository.clone(), commit: commit.clone() };
        found.map(|_| ()).ok_or_else(missing)
    }

    /// The mirror, with what the repository's forge asks for.
    async fn reaching(&self, mirror: &Repo, repository: &RepositorySpec) -> Result<Repo, WorktreeError> {
        let over_http = ["https://", "http://"].iter().any(|scheme| repository.remote.starts_with(scheme));
        let Some(credentials) = self.credentials.as_ref().filter(|_| over_http) else {
            return Ok(mirror.clone());
        };
        let access = credentials.access(&repository.name).await;
        let access = access
            .map_err(|reason| WorktreeError::NoCredential { repository: repository.name.clone(), reason })?;
        Ok(mirror.clone().with_access(access))
    }

    pub(crate) async fn refresh_mirror(
        &self,
        repository: &RepositorySpec,
    ) -> Result<CommitId, WorktreeError> {
        let path = self.layout.mirror(&repository.name);
        let mirror = {
            let _turn = self.turns.take(path.clone()).await;
            match self.git.open(&path).await {
                Ok(mirror) => mirror,
                Err(_) => {
                    let made = self.git.init_bare(&path, "main").await.map_err(git("making a mirror"))?;
                    made.leave_maintenance().await.map_err(git("setting a mirror up"))?;
                    made
                }
            }
        };
        let all = format!("+refs/heads/*:{FORGE}*");
        {
            let _fetch = self.turns.take(fetch_turn(&mirror)).await;
            let before = self.before_fetch(&mirror).await?;
            let reaching = self.reaching(&mirror, repository).await?;
            let fetched = reaching.fetch(&repository.remote, &[&all], true).await;
            self.after_fetch(&mirror, before).await?;
            fetched.map_err(git("fetching from the forge"))?;
        }
        let target = format!("{FORGE}{}", repository.target);
        let head = mirror.resolve(&target).await.map_err(git("reading the target branch"))?;
        head.ok_or_else(|| WorktreeError::NoTarget {
            repository: repository.name.clone(),
            target: repository.target.clone(),
        })
    }

    pub(crate) async fn push_commit(
        &self,
        repository: &RepositorySpec,
        branch: &str,
        commit: &CommitId,
        expected: Option<&CommitId>,
    ) -> Result<(), WorktreeError> {
        let mirror = self.mirror(&repository.name).await?;
        self.need_commit(&mirror, &repository.name, commit).await?;
        let reaching = self.reaching(&mirror, repository).await?;
        let pushed = reaching.push(&repository.remote, commit, branch, expected).await;
        match pushed.map_err(git("pushing to the forge"))? {
            Push::Done => {}
            Push::LeaseLost { actual } => {
                let (branch, expected) = (branch.to_owned(), expected.cloned());
                return Err(WorktreeError::RemoteMoved { branch, expected, actual });
            }
        }
        // What the forge has need not be preserved. A fetch may have written it meanwhile.
        let tracking = format!("{FORGE}{branch}");
        let known = mirror.resolve(&tracking).await.map_err(git("reading a reference"))?;
        swap(&mirror, &tracking, commit, known.as_ref()).await
    }
}
