//! The port's other half: looking after what is there. Preserved work, guards around runs, set-up,
//! maintenance, room on the disk. Not a run's own steps: those are `port`.

use std::{io::Write, path::Path};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use qd_git::{DiffText, Effort, Objects};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{
    GitWorktrees, WorktreeError,
    error::{git, io},
};

pub mod guard;
pub mod hooks;
pub mod inspect;
pub(crate) mod lfs;
pub mod preserved;
pub mod room;
pub mod sensitive;
pub mod setup;

pub use guard::Violation;
pub use hooks::Hook;
pub use inspect::{Obstacle, inspect};
pub use preserved::{Preserved, Restored};
pub use room::{Freed, Gone, Usage};
pub use sensitive::{sensitive, why_sensitive};
pub use setup::{Due, Prepared, Refused, Setup, Shared};

/// Looking after worktrees. Every operation may be repeated after a crash.
#[async_trait]
pub trait Care: Send + Sync {
    /// All preserved work, by repository and run.
    async fn preserved(&self) -> Result<Vec<Preserved>, WorktreeError>;

    /// What preserved work has that the run did not start with, at most `max` bytes of it.
    async fn preserved_diff(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        max: usize,
    ) -> Result<DiffText, WorktreeError>;

    /// Puts preserved work at the mirror's branch `restored/<run>`, and if a folder is named, as a clone of
    /// its own there. The folder must not exist. What is preserved stays preserved.
    async fn restore_preserved(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        folder: Option<&Path>,
    ) -> Result<Restored, WorktreeError>;

    /// Lets go of what was preserved longer ago than this, and says what it was. Never of an active run's.
    async fn prune_preserved(
        &self,
        now: Timestamp,
        older_than: SignedDuration,
        active: &[RunId],
    ) -> Result<Vec<Preserved>, WorktreeError>;

    /// Takes down what the run's agent must not touch, before it starts. A guard that is open already stays
    /// as it is: what was done since a crash is still to be found.
    async fn guard_before(&self, repository: &RepositoryName, run: &RunId) -> Result<(), WorktreeError>;

    /// Compares, after the agent and all that it started has ended. What can be put back safely is put back.
    /// Gives everything found since the guard was last forgotten, so it may be repeated.
    async fn guard_after(
        &self,
        repository: &RepositoryName,
        run: &RunId,
    ) -> Result<Vec<Violation>, WorktreeError>;

    /// Forgets what was found, once the caller has it on record. Not having a guard is fine.
    async fn guard_forget(&self, run: &RunId) -> Result<(), WorktreeError>;

    /// All paths that differ between two commits, sorted; of a moved file both.
    async fn touches(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Vec<String>, WorktreeError>;

    /// Brings in what a fresh worktree lacks, and says whether the set-up script is due. `source` is a
    /// check-out of the same repository that has the ignored files; one that is in a worktree already stays.
    async fn prepare(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        setup: &Setup,
        source: Option<&Path>,
    ) -> Result<Prepared, WorktreeError>;

    /// Records that the script succeeded in the run's worktree, by the key that it was due with.
    async fn set_up(&self, repository: &RepositoryName, run: &RunId, key: &str) -> Result<(), WorktreeError>;

    /// Packs a mirror's objects and references and lets go of objects that nothing names and that are older
    /// than 14 days. Safe beside runs at work. Gives what the objects take, before and after.
    async fn maintain(
        &self,
        repository: &RepositoryName,
        effort: Effort,
    ) -> Result<(Objects, Objects), WorktreeError>;

    /// What is used on the disk. Walks over every file.
    async fn usage(&self) -> Result<Usage, WorktreeError>;

    /// Comes back under a quota in bytes: trash, then worktrees that are kept ready, then check-outs and last
    /// worktrees of runs that are not active, the oldest first. What is not on the forge is preserved.
    async fn make_room(&self, quota: u64, active: &[RunId]) -> Result<Freed, WorktreeError>;

    /// The hooks that the repository has for everybody at a commit and that judge a commit on top of it, as
    /// commands. No call here runs them; whether they are respected is the caller's to decide.
    async fn hooks(&self, repository: &RepositoryName, base: &CommitId) -> Result<Vec<Hook>, WorktreeError>;
}

#[async_trait]
impl Care for GitWorktrees {
    async fn preserved(&self) -> Result<Vec<Preserved>, WorktreeError> {
        self.preserved_all().await
    }

    async fn preserved_diff(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        max: usize,
    ) -> Result<DiffText, WorktreeError> {
        self.show_preserved(repository, run, max).await
    }

    async fn restore_preserved(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        folder: Option<&Path>,
    ) -> Result<Restored, WorktreeError> {
        self.put_back(repository, run, folder).await
    }

    async fn prune_preserved(
        &self,
        now: Timestamp,
        older_than: SignedDuration,
        active: &[RunId],
    ) -> Result<Vec<Preserved>, WorktreeError> {
        self.let_go(now, older_than, active).await
    }

    async fn guard_before(&self, repository: &RepositoryName, run: &RunId) -> Result<(), WorktreeError> {
        self.open_guard(repository, run).await
    }

    async fn guard_after(
        &self,
        repository: &RepositoryName,
        run: &RunId,
    ) -> Result<Vec<Violation>, WorktreeError> {
        self.close_guard(repository, run).await
    }

    async fn guard_forget(&self, run: &RunId) -> Result<(), WorktreeError> {
        self.drop_guard(run).await
    }

    async fn touches(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Vec<String>, WorktreeError> {
        self.touched(repository, base, head).await
    }

    async fn prepare(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        setup: &Setup,
        source: Option<&Path>,
    ) -> Result<Prepared, WorktreeError> {
        self.prepare_worktree(repository, run, setup, source).await
    }

    async fn set_up(&self, repository: &RepositoryName, run: &RunId, key: &str) -> Result<(), WorktreeError> {
        self.record_set_up(repository, run, key).await
    }

    async fn maintain(
        &self,
        repository: &RepositoryName,
        effort: Effort,
    ) -> Result<(Objects, Objects), WorktreeError> {
        let what = "maintaining a mirror";
        let mirror = self.mirror(repository).await?;
        let before = mirror.count_objects().await.map_err(git(what))?;
        mirror.maintain(effort).await.map_err(git(what))?;
        Ok((before, mirror.count_objects().await.map_err(git(what))?))
    }

    async fn usage(&self) -> Result<Usage, WorktreeError> {
        self.used().await
    }

    async fn make_room(&self, quota: u64, active: &[RunId]) -> Result<Freed, WorktreeError> {
        self.free(quota, active).await
    }

    async fn hooks(&self, repository: &RepositoryName, base: &CommitId) -> Result<Vec<Hook>, WorktreeError> {
        self.hooks_of(repository, base).await
    }
}

/// Writes a file of the state folder by rename, so that nobody ever reads half of it.
pub(crate) async fn write_whole(path: &Path, bytes: Vec<u8>) -> Result<(), WorktreeError> {
    let to = path.to_owned();
    let write = move || {
        let folder = to.parent().unwrap_or(&to);
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(&to)?;
        Ok(())
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|lost| Err(std::io::Error::other(lost))).map_err(io("writing a file", path))
}
