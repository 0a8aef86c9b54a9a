//! Making a worktree, and making it whole again. What was finished once is repaired around its files; what
//! was not is made anew, after anything in it that looks like work was preserved.

use qd_git::{At, Repo, WorktreeState};
use qd_types::{CommitId, RepositoryName, RunId};

use crate::{
    GitWorktrees, Stamp, Worktree, WorktreeError,
    care::guard::moves::note_reference,
    error::{git, io},
    layout::{BRANCHES, FORGE, base_ref, branch_ref},
    mirror::{record, swap},
    occupants::occupant,
};

impl GitWorktrees {
    pub(crate) async fn create_worktree(
        &self,
        repository: &RepositoryName,
        run: &RunId,
        branch: &str,
        base: &CommitId,
    ) -> Result<Worktree, WorktreeError> {
        if !qd_git::names::is_branch_name(branch) {
            return Err(WorktreeError::Name { what: "a branch's name", text: branch.to_owned() });
        }
        let mirror = self.mirror(repository).await?;
        let path = self.layout.worktree(run);
        let _turn = self.turns.take(path.clone()).await;
        let _work = self.note_work(run).await?;
        let known = record(&mirror, run).await?;
        if let (Some(branch), Some(base)) = (known.branch, known.base) {
            let worktree = Worktree { path, branch, base };
            self.repair(&mirror, run, &worktree).await?;
            return Ok(worktree);
        }
        self.need_commit(&mirror, repository, base).await?;
        self.clear_half_made(&mirror, run, base).await?;
        let worktree = Worktree { path, branch: branch.to_owned(), base: base.clone() };
        self.take_branch(&mirror, run, &worktree).await?;
        self.fill(&mirror, repository, run, &worktree).await?;
        swap(&mirror, &base_ref(run), base, None).await?;
        Ok(worktree)
    }

    /// Removes what an unfinished attempt left. The folder may be somebody's work all the same, if the
    /// mirror was made anew under it.
    async fn clear_half_made(
        &self,
        mirror: &Repo,
        run: &RunId,
        base: &CommitId,
    ) -> Result<(), WorktreeError> {
        let path = self.layout.worktree(run);
        if tokio::fs::symlink_metadata(&path).await.is_ok() {
            self.refuse_occupied(std::slice::from_ref(&path)).await?;
            self.preserve_half_made(mirror, run, base).await?;
            self.discard(&path).await?;
        }
        mirror.worktree_remove(&path).await.map_err(git("clearing a half-made worktree"))
    }

    /// Puts the run's branch at its base and on record. A branch that an earlier attempt left elsewhere is
    /// moved only if nothing on it would be lost and no other run has it.
    async fn take_branch(
        &self,
        mirror: &Repo,
        run: &RunId,
        worktree: &Worktree,
    ) -> Result<(), WorktreeError> {
        let reference = format!("refs/heads/{}", worktree.branch);
        let at = mirror.resolve(&reference).await.map_err(git("reading the run's branch"))?;
        if let Some(at) = &at {
            let known = [worktree.base.clone()];
            let forge = format!("{FORGE}*");
            let more = mirror.has_more_than(std::slice::from_ref(at), &[&forge], &known).await;
            let more = more.map_err(git("looking for work on a branch"))?;
            if more || belongs_to_another(mirror, run, &reference).await.map_err(git("reading records"))? {
                return Err(WorktreeError::BranchTaken { branch: worktree.branch.clone(), at: at.clone() });
            }
        }
        let _moving = note_reference(mirror, &branch_ref(run), &format!("ref: {reference}")).await?;
        mirror.point(&branch_ref(run), &worktree.branch).await.map_err(git("recording a run's branch"))?;
        swap(mirror, &reference, &worktree.base, at.as_ref()).await
    }

    /// Makes a finished worktree sound again: branch, folder, registration, index. Files that are there stay
    /// as they are.
    pub(crate) async fn repair(
        &self,
        mirror: &Repo,
        run: &RunId,
        worktree: &Worktree,
    ) -> Result<(), WorktreeError> {
        let what = "repairing a worktree";
        let reference = format!("refs/heads/{}", worktree.branch);
        let mut at = mirror.resolve(&reference).await.map_err(git(what))?;
        if at.is_none() {
            let pushed = mirror.resolve(&format!("{FORGE}{}", worktree.branch)).await.map_err(git(what))?;
            let back = pushed.unwrap_or_else(|| worktree.base.clone());
            swap(mirror, &reference, &back, None).await?;
            at = Some(back);
        }
        let state = mirror.worktree_state(&worktree.path).await.map_err(git(what))?;
        if state != WorktreeState::Sound {
            tracing::warn!(%run, path = %worktree.path.display(), ?state, "A worktree is repaired.");
        }
        match state {
            WorktreeState::Sound => return self.drop_stale_lock(mirror, worktree).await,
            WorktreeState::Broken => {
                let attached = mirror.worktree_attach(&worktree.path, &worktree.branch).await;
                return attached.map_err(git(what));
            }
            // An earlier repair was cut short: nobody worked in it since, and what differs is preserved.
            WorktreeState::Unfinished => {
                self.clear_half_made(mirror, run, at.as_ref().unwrap_or(&worktree.base)).await?;
            }
            WorktreeState::Missing => mirror.worktree_remove(&worktree.path).await.map_err(git(what))?,
        }
        mirror.worktree_add(&worktree.path, &At::Branch(worktree.branch.clone())).await.map_err(git(what))
    }

    /// A killed git leaves the lock of its index; with nobody there it is nobody's.
    async fn drop_stale_lock(&self, mirror: &Repo, worktree: &Worktree) -> Result<(), WorktreeError> {
        let admin = mirror.worktree_admin(&worktree.path).await.map_err(git("looking at a worktree"))?;
        let Some(lock) = admin.map(|admin| admin.join("index.lock")) else { return Ok(()) };
        let there = tokio::fs::symlink_metadata(&lock).await.is_ok();
        if there && occupant(std::slice::from_ref(&worktree.path)).await.is_none() {
            return match tokio::fs::remove_file(&lock).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(io("removing a stale lock", lock)(error))
                }
                _ => Ok(()),
            };
        }
        Ok(())
    }

    async fn preserve_half_made(
        &self,
        mirror: &Repo,
        run: &RunId,
        base: &CommitId,
    ) -> Result<(), WorktreeError> {
        // No clock and no person here: what was half made is stamped by its base.
        let stamp = Stamp {
            identity: qd_git::Identity::new("Quarterdeck", "quarterdeck@localhost"),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let kept = self.preserve_in(mirror, run, Some(base), "The worktree was half made.", &stamp).await?;
        if let Some(commit) = kept {
            tracing::warn!(%run, %commit, "A half-made worktree had files of its own; they are preserved.");
        }
        Ok(())
    }
}

async fn belongs_to_another(mirror: &Repo, run: &RunId, reference: &str) -> Result<bool, qd_git::GitError> {
    let own = branch_ref(run);
    for name in mirror.names(BRANCHES).await? {
        if name != own && mirror.pointed(&name).await?.as_deref() == Some(reference) {
            return Ok(true);
        }
    }
    Ok(false)
}
