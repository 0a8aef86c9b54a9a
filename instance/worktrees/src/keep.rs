//! Work is never lost: preserving what nobody else has, and only then removing.

use std::path::{Path, PathBuf};

use qd_git::{Change, NewCommit, Repo, Swap, TreeId, folder::remove_all};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{
    GitWorktrees, Purpose, Stamp, WorktreeError,
    care::guard::moves::{GONE, note_reference},
    error::{git, io},
    layout::{FORGE, base_ref, branch_ref, preserved_ref},
    mirror::{record, swap},
    occupants::occupant,
    work::{tree_now, tree_of},
};

impl GitWorktrees {
    pub(crate) async fn preserve_run(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        reason: &str,
        stamp: &Stamp,
    ) -> Result<Option<CommitId>, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        let _turn = self.turns.take(self.layout.worktree(run)).await;
        self.preserve_in(&mirror, run, None, reason, stamp).await
    }

    /// `origin` is what an unfinished check-out was to show; files that it lacks are then no work.
    pub(crate) async fn preserve_in(
        &self,
        mirror: &Repo,
        run: &RunId,
        origin: Option<&CommitId>,
        reason: &str,
        stamp: &Stamp,
    ) -> Result<Option<CommitId>, WorktreeError> {
        let reference = preserved_ref(run);
        let kept = mirror.resolve(&reference).await.map_err(git("reading what is preserved"))?;
        let found = self.survey(mirror, run, origin, kept.as_ref()).await?;
        if !found.new_commits && found.loose.is_none() {
            return Ok(kept);
        }
        let commit = match (&found.loose, found.parents.as_slice()) {
            (None, [only]) => only.clone(),
            (loose, parents) => {
                let tree = match (loose, parents.first()) {
                    (Some(tree), _) => Some(tree.clone()),
                    (None, Some(first)) => tree_of(mirror, first).await?,
                    (None, None) => None,
                };
                let tree = tree.unwrap_or_else(TreeId::empty);
                let message = format!("Preserved work of run {run}\n\n{reason}\n");
                let identity = &stamp.identity;
                let new = NewCommit { tree: &tree, parents, message: &message, identity, at: stamp.at };
                mirror.commit_tree(&new).await.map_err(git("preserving work"))?
            }
        };
        let base = record(mirror, run).await?.base;
        self.note_preserved(mirror, run, &commit, base.as_ref().or(origin), reason).await?;
        swap(mirror, &reference, &commit, kept.as_ref()).await?;
        Ok(Some(commit))
    }

    /// What of a run nobody else has.
    async fn survey(
        &self,
        mirror: &Repo,
        run: &RunId,
        origin: Option<&CommitId>,
        kept: Option<&CommitId>,
    ) -> Result<Survey, WorktreeError> {
        let what = "looking for work to preserve";
        let known = record(mirror, run).await?;
        let path = self.layout.worktree(run);
        let head = mirror.worktree_head(&path).await.map_err(git(what))?.and_then(|head| head.commit);
        let (mut branch, mut pushed) = (None, None);
        if let Some(name) = &known.branch {
            branch = mirror.resolve(&format!("refs/heads/{name}")).await.map_err(git(what))?;
            pushed = mirror.resolve(&format!("{FORGE}{name}")).await.map_err(git(what))?;
        }
        let tips = heads_of(mirror, [branch.as_ref(), head.as_ref()].into_iter().flatten()).await?;
        let start = known.base.as_ref().or(origin);
        let forge = format!("{FORGE}*");
        let others: Vec<CommitId> = [start, kept].into_iter().flatten().cloned().collect();
        let new_commits = mirror.has_more_than(&tips, &[&forge], &others).await.map_err(git(what))?;

        let stood = head.as_ref().or(branch.as_ref()).or(start);
        let mut loose = None;
        if tokio::fs::symlink_metadata(&path).await.is_ok_and(|about| about.is_dir()) {
            let now = tree_now(mirror, &path, stood).await?;
            let mut elsewhere = false;
            for commit in [head.as_ref(), branch.as_ref(), start, kept, pushed.as_ref()].into_iter().flatten()
            {
                elsewhere = elsewhere || tree_of(mirror, commit).await?.as_ref() == Some(&now);
            }
            // A check-out that was cut short lacks files; that is no work.
            let cut_short = (known.base.is_none() || origin.is_some()) && {
                let empty = TreeId::empty();
                let from = match stood {
                    Some(commit) => tree_of(mirror, commit).await?.unwrap_or(empty),
                    None => empty,
                };
                let changes = mirror.changed_files(&from, &now).await.map_err(git(what))?;
                changes.iter().all(|file| file.change == Change::Deleted)
            };
            if !elsewhere && !cut_short {
                loose = Some(now);
            }
        }
        // With neither branch nor head, loose files stand on what the run started from.
        let tips = if tips.is_empty() { start.cloned().into_iter().collect() } else { tips };
        let parents = heads_of(mirror, tips.iter().chain(kept)).await?;
        Ok(Survey { new_commits, loose, parents })
    }

    pub(crate) async fn remove_run(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        stamp: &Stamp,
    ) -> Result<Option<CommitId>, WorktreeError> {
        let path = self.layout.worktree(run);
        let _turn = self.turns.take(path.clone()).await;
        let checkouts = self.checkouts_of(run).await?;
        let mut folders = vec![path.clone()];
        folders.extend(checkouts.iter().map(|purpose| self.layout.checkout(run, purpose)));
        let mirror = match self.mirror(repository).await {
            // Never fetched, never worked on: then there is nothing to remove.
            Err(WorktreeError::NoMirror { .. }) if folders.iter().all(|folder| !folder.exists()) => {
                return Ok(None);
            }
            other => other?,
        };
        self.refuse_occupied(&folders).await?;
        let _work = self.note_work(run).await?;
        let kept = self.preserve_in(&mirror, run, None, "The worktree was removed.", stamp).await?;
        for purpose in &checkouts {
            self.remove_checkout(repository, run, purpose).await?;
        }
        self.forget_set_up(&path).await?;
        self.retire(&mirror, repository, run).await?;
        mirror.worktree_remove(&path).await.map_err(git("removing a worktree's registration"))?;
        self.forget(&mirror, run, kept.as_ref()).await?;
        self.drop_guard(run).await?;
        Ok(kept)
    }

    /// Deletes the run's branch and records, the base last: while it is there, the run is listed.
    async fn forget(&self, mirror: &Repo, run: &RunId, kept: Option<&CommitId>) -> Result<(), WorktreeError> {
        let what = "forgetting a run";
        let known = record(mirror, run).await?;
        if let Some(branch) = known.branch {
            let reference = format!("refs/heads/{branch}");
            if let Some(at) = mirror.resolve(&reference).await.map_err(git(what))? {
                // Looked at once more: somebody may have committed since.
                let safe: Vec<CommitId> =
                    [known.base.as_ref(), kept].into_iter().flatten().cloned().collect();
                let tips = std::slice::from_ref(&at);
                let more =
                    mirror.has_more_than(tips, &[&format!("{FORGE}*")], &safe).await.map_err(git(what))?;
                let _moving = note_reference(mirror, &reference, GONE).await?;
                if more || mirror.delete_ref(&reference, &at).await.map_err(git(what))? != Swap::Done {
                    return Err(WorktreeError::Raced { reference });
                }
            }
            let _moving = note_reference(mirror, &branch_ref(run), GONE).await?;
            mirror.unpoint(&branch_ref(run)).await.map_err(git(what))?;
        }
        if let Some(base) = known.base {
            let reference = base_ref(run);
            let _moving = note_reference(mirror, &reference, GONE).await?;
            if mirror.delete_ref(&reference, &base).await.map_err(git(what))? != Swap::Done {
                return Err(WorktreeError::Raced { reference });
            }
        }
        Ok(())
    }

    pub(crate) async fn refuse_occupied(&self, folders: &[PathBuf]) -> Result<(), WorktreeError> {
        match occupant(folders).await {
            Some(found) => {
                let (path, pid, command) = (found.folder, found.pid, found.command);
                Err(WorktreeError::Occupied { path, pid, command })
            }
            None => Ok(()),
        }
    }

    /// Takes a folder out of sight at once, then deletes it: a crash in between must not leave half of it to
    /// be taken for work. Also finishes what a crash left.
    pub(crate) async fn discard(&self, folder: &Path) -> Result<(), WorktreeError> {
        let bin = self.layout.trash().join(folder.file_name().unwrap_or_default());
        remove_all(&bin).await.map_err(git("emptying the trash"))?;
        match tokio::fs::rename(folder, &bin).await {
            Ok(()) => remove_all(&bin).await.map_err(git("emptying the trash")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io("moving a folder to the trash", folder)(error)),
        }
    }

    pub(crate) async fn checkouts_of(&self, run: &RunId) -> Result<Vec<Purpose>, WorktreeError> {
        let all = self.list_all().await?;
        Ok(all.into_iter().filter(|found| found.run == *run).filter_map(|found| found.purpose).collect())
    }
}

struct Survey {
    new_commits: bool,
    loose: Option<TreeId>,
    parents: Vec<CommitId>,
}

/// Those commits that no other of them contains, in order.
async fn heads_of<'a>(
    mirror: &Repo,
    commits: impl Iterator<Item = &'a CommitId> + Send,
) -> Result<Vec<CommitId>, WorktreeError> {
    let all: Vec<&CommitId> = commits.collect();
    let mut heads: Vec<CommitId> = Vec::new();
    for commit in &all {
        let mut contained = heads.contains(commit);
        for other in all.iter().filter(|other| other != &commit) {
            contained =
                contained || mirror.is_ancestor(commit, other).await.map_err(git("comparing commits"))?;
        }
        if !contained {
            heads.push((*commit).clone());
        }
    }
    Ok(heads)
}
