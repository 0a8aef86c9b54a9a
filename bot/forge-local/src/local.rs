//! The open forge: its state folder, its database, and whose turn it is in which repository.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use qd_git::{Git, GitError, Repo, Turns};
use qd_sqlite::Db;
use qd_types::{CommitId, RepositoryName};
use rusqlite::Connection;

use crate::{
    LocalForgeError,
    error::{Failure, missing},
    rows::{self, repositories::Repository},
};

/// The embedded forge. Clones share it.
#[derive(Clone)]
pub struct LocalForge {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) repos: PathBuf,
    pub(crate) git: Git,
    pub(crate) db: Db,
    /// Held while a target branch is moved, or while it is found out whether it was.
    pub(crate) turns: Turns<RepositoryName>,
}

impl LocalForge {
    /// Opens the forge under `<state>`, makes it if it is not there, and settles merges that a crash interrupted.
    pub async fn open(state: &Path) -> Result<Self, LocalForgeError> {
        let repos = state.join("repos");
        tokio::fs::create_dir_all(&repos)
            .await
            .map_err(|source| LocalForgeError::Folder { path: repos.clone(), source })?;
        let path = state.join("forge.db");
        let db =
            Db::open(&path, rows::MIGRATIONS).map_err(|source| LocalForgeError::Database { path, source })?;
        let inner = Arc::new(Inner { repos, git: Git::new(), db, turns: Turns::default() });
        inner.settle_all().await;
        Ok(Self { inner })
    }

    /// The bare repository: the remote that instances push branches to.
    pub fn git_dir(&self, name: &RepositoryName) -> PathBuf {
        self.inner.git_dir(name)
    }
}

impl Inner {
    pub(crate) fn git_dir(&self, name: &RepositoryName) -> PathBuf {
        self.repos.join(format!("{name}.git"))
    }

    /// The repository's git, for those who know that it is there.
    pub(crate) async fn repo(&self, name: &RepositoryName) -> Result<Repo, GitError> {
        self.git.open(&self.git_dir(name)).await
    }

    /// Where a branch stands, if it is there.
    pub(crate) async fn branch(
        &self,
        repository: &RepositoryName,
        branch: &str,
    ) -> Result<Option<CommitId>, Failure> {
        if !qd_git::names::is_branch_name(branch) {
            return Ok(None);
        }
        Ok(self.repo(repository).await?.resolve(&full(branch)).await?)
    }

    pub(crate) async fn has_commit(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
    ) -> Result<bool, Failure> {
        Ok(self.repo(repository).await?.resolve(commit.as_str()).await?.is_some())
    }

    /// The repository as it was added.
    pub(crate) async fn repository(&self, name: &RepositoryName) -> Result<Repository, Failure> {
        let wanted = name.clone();
        let found: Result<_, Failure> =
            self.db.read(move |connection| Ok(rows::repositories::get(connection, &wanted)?)).await;
        found?.ok_or_else(|| missing::repository(name).into())
    }

    /// Reads rows of a repository that is there.
    pub(crate) async fn read<T, F>(&self, repository: &RepositoryName, query: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &RepositoryName) -> Result<T, Failure> + Send + 'static,
    {
        let repository = repository.clone();
        self.db.read(move |connection| known(connection, &repository, query)).await
    }

    /// Writes rows of a repository that is there, all or nothing.
    pub(crate) async fn write<T, F>(&self, repository: &RepositoryName, job: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &RepositoryName) -> Result<T, Failure> + Send + 'static,
    {
        let repository = repository.clone();
        self.db.write(move |connection| known(connection, &repository, job)).await
    }
}

/// A branch's whole name: the short one of a branch may look like a commit.
pub(crate) fn full(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

fn known<T>(
    connection: &Connection,
    repository: &RepositoryName,
    then: impl FnOnce(&Connection, &RepositoryName) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if rows::repositories::get(connection, repository)?.is_none() {
        return Err(missing::repository(repository).into());
    }
    then(connection, repository)
}
