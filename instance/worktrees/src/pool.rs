//! Worktrees that are used again. Making 50,000 files takes a second, and longer where as many were just deleted;
//! so a removed worktree is cleaned and kept, and the next run of its repository gets it with only those files
//! written that differ. Not a cache of work: what a run had done was preserved before its folder comes here.
//!
//! # On disk
//! ```text
//! STATE/pool/REPOSITORY/3/files    a folder with the files of some commit, not registered anywhere
//! STATE/pool/REPOSITORY/3/record   what is known of them
//! STATE/pool/REPOSITORY/4.new      on its way in
//! STATE/pool/REPOSITORY/2.taken    on its way out
//! STATE/records/RUN                what is known of the files of a run's worktree
//! ```
//! A number alone is whole; the rest is what somebody works on, or what a crash left: that is deleted when the
//! state is opened. Nothing in the pool is ever missed, so there is nothing to repair.
//!
//! # Nothing of one run reaches the next
//! What the commit does not have is removed, ignored files too, but for what [`Pool::keep`] names. What it has
//! is kept only if `qd_git::exact` knows it to be right, by a record that agents do not see: neither the times
//! that files show nor the worktree's own index are asked, because an agent can set both. This is checked when
//! the folder comes in and once more when it goes out, for whatever still had a file open. The registration
//! goes with the run and is made anew, so nothing that was set in it comes back. A folder that a process
//! stands in is not used again.

use std::path::{Path, PathBuf};

use qd_git::{At, Repo, Restore, folder::remove_all};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{
    GitWorktrees, Worktree, WorktreeError,
    error::{git, io},
    list::entries,
    mirror::record,
    occupants::occupant,
};

/// What is kept for the next run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// How many folders per repository; 0 for none.
    pub most: usize,
    /// What of the files that a commit does not have stays in a folder: paths from its root, such as a build
    /// cache. Whatever an agent put there is there for the next run.
    pub keep: Vec<PathBuf>,
}

impl Default for Pool {
    /// Four folders, and nothing stays in them.
    fn default() -> Self {
        Self { most: 4, keep: Vec::new() }
    }
}

impl GitWorktrees {
    /// With other limits than the usual ones.
    #[must_use]
    pub fn with_pool(mut self, pool: Pool) -> Self {
        self.pool = pool;
        self
    }

    /// How many folders of a repository wait for a run.
    pub async fn pooled(&self, repository: &RepositoryName) -> Result<usize, WorktreeError> {
        Ok(self.waiting(repository).await?.len())
    }

    /// Deletes the folders that wait, to make room.
    pub async fn drain_pool(&self, repository: &RepositoryName) -> Result<(), WorktreeError> {
        while let Some(taken) = self.take(repository).await? {
            self.throw_away(&taken).await?;
        }
        Ok(())
    }

    /// Fills a run's worktree: from the pool if there is a folder, else by a check-out.
    pub(crate) async fn fill(
        &self,
        mirror: &Repo,
        repository: &RepositoryName,
        run: &RunId,
        worktree: &Worktree,
    ) -> Result<(), WorktreeError> {
        let record = self.layout.record(run);
        remove_all(&record).await.map_err(git("removing a record"))?;
        if self.reuse(mirror, repository, &record, worktree).await? {
            return Ok(());
        }
        let record = (self.pool.most > 0).then_some(record.as_path());
        let at = At::Branch(worktree.branch.clone());
        let added = mirror.worktree_add_recorded(&worktree.path, &at, record).await;
        if let Some(unfit) = added.map_err(git("adding a worktree"))? {
            tracing::debug!(%run, %unfit, "Git itself checked a worktree out.");
        }
        Ok(())
    }

    async fn reuse(
        &self,
        mirror: &Repo,
        repository: &RepositoryName,
        record: &Path,
        worktree: &Worktree,
    ) -> Result<bool, WorktreeError> {
        if self.pool.most == 0 {
            return Ok(false);
        }
        let Some(taken) = self.take(repository).await? else { return Ok(false) };
        let (files, old) = (taken.join("files"), taken.join("record"));
        let filled = self.restore(mirror, &files, &worktree.base, &old, record).await;
        let used = match filled {
            Ok(index) => {
                let adopted = mirror.worktree_adopt(&files, &worktree.path, &worktree.branch, &index).await;
                adopted.map(|()| true).map_err(git("putting a pooled worktree in place"))
            }
            Err(why) => {
                tracing::warn!(%repository, why, "A pooled worktree is not used again.");
                Ok(false)
            }
        };
        self.throw_away(&taken).await?;
        used
    }

    async fn restore(
        &self,
        mirror: &Repo,
        folder: &Path,
        commit: &CommitId,
        record: &Path,
        new_record: &Path,
    ) -> Result<qd_git::FreshIndex, String> {
        if let Some(found) = occupant(&[folder.to_owned()]).await {
            return Err(format!("process {} ({}) is in it", found.pid, found.command));
        }
        let (record, new_record) = (Some(record), Some(new_record));
        let restore = Restore { folder, commit, record, keep: &self.pool.keep, new_record };
        mirror.restore(&restore).await.map_err(|unfit| unfit.to_string())
    }

    /// Takes a run's folder out of sight at once: into the pool if it can be used again, else to the trash.
    /// What is in it was preserved. May be repeated.
    pub(crate) async fn retire(
        &self,
        mirror: &Repo,
        repository: &RepositoryName,
        run: &RunId,
    ) -> Result<(), WorktreeError> {
        let (path, old) = (self.layout.worktree(run), self.layout.record(run));
        let base = record(mirror, run).await?.base;
        let recorded = tokio::fs::symlink_metadata(&old).await.is_ok();
        if let Some(base) = base.filter(|_| recorded)
            && let Some(place) = self.bring_in(repository, &path).await?
        {
            let (files, new) = (place.join("files"), place.join("record"));
            remove_all(&files.join(".git")).await.map_err(git("removing a worktree's link"))?;
            match self.restore(mirror, &files, &base, &old, &new).await {
                Ok(_) => {
                    let whole = place.with_extension("");
                    tokio::fs::rename(&place, &whole).await.map_err(io("pooling a worktree", place))?;
                }
                Err(why) => {
                    tracing::debug!(%run, why, "A worktree is deleted rather than pooled.");
                    self.throw_away(&place).await?;
                }
            }
        }
        self.discard(&path).await?;
        remove_all(&old).await.map_err(git("removing a record"))
    }

    /// Moves a folder to a free place in the pool; none if there is none, or no such folder.
    async fn bring_in(
        &self,
        repository: &RepositoryName,
        folder: &Path,
    ) -> Result<Option<PathBuf>, WorktreeError> {
        let pool = self.layout.pool().join(repository.to_string());
        let is_folder = tokio::fs::symlink_metadata(folder).await.is_ok_and(|about| about.is_dir());
        if !is_folder || self.pool.most == 0 {
            return Ok(None);
        }
        tokio::fs::create_dir_all(&pool).await.map_err(io("making a folder", &pool))?;
        let _turn = self.turns.take(pool.clone()).await;
        let there = entries(pool.clone()).await?;
        // Those on their way in count; those on their way out have a run.
        let counted = there.iter().filter(|path| path.extension().is_none_or(|kind| kind != "taken"));
        if counted.count() >= self.pool.most {
            return Ok(None);
        }
        let free = |number: &u32| {
            let name = number.to_string();
            !there.iter().any(|path| path.file_stem().is_some_and(|stem| *stem == *name))
        };
        let Some(number) = (1..=u32::MAX).find(free) else { return Ok(None) };
        let place = pool.join(format!("{number}.new"));
        tokio::fs::create_dir(&place).await.map_err(io("making a folder", &place))?;
        let moved = tokio::fs::rename(folder, place.join("files")).await;
        moved.map_err(io("pooling a worktree", folder))?;
        Ok(Some(place))
    }

    async fn waiting(&self, repository: &RepositoryName) -> Result<Vec<PathBuf>, WorktreeError> {
        let pool = self.layout.pool().join(repository.to_string());
        if tokio::fs::symlink_metadata(&pool).await.is_err() {
            return Ok(Vec::new());
        }
        let mut all = entries(pool).await?;
        all.retain(|path| path.extension().is_none());
        all.sort();
        Ok(all)
    }

    /// Takes a folder out of the pool; the lowest number first, which is any.
    async fn take(&self, repository: &RepositoryName) -> Result<Option<PathBuf>, WorktreeError> {
        let _turn = self.turns.take(self.layout.pool().join(repository.to_string())).await;
        let Some(whole) = self.waiting(repository).await?.into_iter().next() else { return Ok(None) };
        let taken = whole.with_extension("taken");
        tokio::fs::rename(&whole, &taken).await.map_err(io("taking a worktree from the pool", &whole))?;
        Ok(Some(taken))
    }

    /// Deletes a place in the pool. Its name stays taken until it is gone.
    async fn throw_away(&self, place: &Path) -> Result<(), WorktreeError> {
        remove_all(place).await.map_err(git("deleting a pooled worktree"))
    }

    /// Deletes what a crash left half-way, and records of runs that have no worktree.
    pub(crate) async fn sweep_pool(&self) -> Result<(), WorktreeError> {
        for pool in entries(self.layout.pool()).await? {
            for place in entries(pool).await? {
                if place.extension().is_some() {
                    self.throw_away(&place).await?;
                }
            }
        }
        for record in entries(self.layout.records()).await? {
            let run = record.file_name().unwrap_or_default();
            if tokio::fs::symlink_metadata(self.layout.worktrees().join(run)).await.is_err() {
                remove_all(&record).await.map_err(git("removing a record"))?;
            }
        }
        Ok(())
    }
}
