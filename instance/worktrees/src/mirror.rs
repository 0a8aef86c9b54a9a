//! A repository's mirror: opening, refreshing, pushing, and what is on record about runs. Not a place where
//! remotes are remembered.

use qd_git::{GitError, Push, Repo, Swap, TreeId};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{
    Credentials, GitWorktrees, Reach, RepositorySpec, WorktreeError,
    care::guard::{fetch_turn, moves::note_reference},
    error::git,
    layout::{FORGE, base_ref, branch_ref},
    work::tree_of,
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

/// Scheme and host of an address.
fn host(remote: &str) -> Option<&str> {
    let at = remote.find("://")? + 3;
    let rest = remote.get(at..)?;
    remote.get(..at + rest.find('/').unwrap_or(rest.len()))
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

    /// The tree of a commit that has to be there.
    pub(crate) async fn need_tree(
        &self,
        mirror: &Repo,
        repository: &RepositoryName,
        commit: &CommitId,
    ) -> Result<TreeId, WorktreeError> {
        let missing = || WorktreeError::NoCommit { repository: repository.clone(), commit: commit.clone() };
        tree_of(mirror, commit).await?.ok_or_else(missing)
    }

    /// The mirror, with what the repository's forge asks for; and where that is now.
    async fn reaching(
        &self,
        mirror: &Repo,
        repository: &RepositorySpec,
    ) -> Result<(Repo, String), WorktreeError> {
        let Some(credentials) = self.asks(repository) else {
            return Ok((mirror.clone(), repository.remote.clone()));
        };
        let missing = |reason| WorktreeError::NoCredential { repository: repository.name.clone(), reason };
        let Reach { access, remote } = credentials.access(&repository.name).await.map_err(missing)?;
        let remote = remote.filter(|remote| host(remote) == host(&repository.remote));
        Ok((mirror.clone().with_access(access), remote.unwrap_or_else(|| repository.remote.clone())))
    }

    /// Whose credentials a repository's forge asks for.
    fn asks(&self, repository: &RepositorySpec) -> Option<&dyn Credentials> {
        let over_http = ["https://", "http://"].iter().any(|scheme| repository.remote.starts_with(scheme));
        self.credentials.as_deref().filter(|_| over_http)
    }

    /// After a call that did not come through: the credential may have been at fault.
    async fn let_in_no_more(&self, repository: &RepositorySpec) {
        if let Some(credentials) = self.asks(repository) {
            credentials.forget(&repository.name).await;
        }
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
            let (reaching, remote) = self.reaching(&mirror, repository).await?;
            let fetched = reaching.fetch(&remote, &[&all], true).await;
            self.after_fetch(&mirror, before).await?;
            if fetched.is_err() {
                self.let_in_no_more(repository).await;
            }
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
        let (reaching, remote) = self.reaching(&mirror, repository).await?;
        let pushed = reaching.push(&remote, commit, branch, expected).await;
        if pushed.is_err() {
            self.let_in_no_more(repository).await;
        }
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
