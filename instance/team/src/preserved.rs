//! Work that was kept when its worktree went: looking at it, putting it back, letting it go.

use jiff::{SignedDuration, Timestamp};
use qd_api::{DiffView, PreservedView, RestoredView};
use qd_types::{RunId, Verb};
use qd_worktrees::{Preserved, WorktreeError};

use crate::{
    asked::Change,
    problem,
    team::{Answer, Caller, Team},
};

/// Bytes of a diff in one answer.
const DIFF: usize = 1024 * 1024;

impl Team {
    /// All of it, newest first.
    pub async fn preserved(&self) -> Answer<Vec<PreservedView>> {
        let mut all = self.worktrees().preserved().await.map_err(failed("listing preserved work"))?;
        all.sort_by_key(|work| std::cmp::Reverse(work.at));
        Ok(all.into_iter().map(|work| self.preserved_view(work)).collect())
    }

    fn preserved_view(&self, work: Preserved) -> PreservedView {
        let days = self.options().runs.preserved_days;
        let kept = SignedDuration::from_hours(24 * i64::from(days));
        let Preserved { repository, run, commit, at, note, files, bytes } = work;
        PreservedView {
            until: at.checked_add(kept).unwrap_or(at),
            repository,
            run,
            commit,
            at,
            note,
            files,
            bytes,
        }
    }

    async fn find_preserved(&self, run: &RunId) -> Answer<PreservedView> {
        let found = self.preserved().await?.into_iter().find(|work| work.run == *run);
        found.ok_or_else(|| {
            problem::not_found(
                format!("Nothing of run {run} is preserved."),
                "quarterdeck preserved list shows what is.",
            )
        })
    }

    /// What it changes.
    pub async fn preserved_diff(&self, run: &RunId) -> Answer<DiffView> {
        let work = self.find_preserved(run).await?;
        let text = self.worktrees().preserved_diff(&work.repository, run, DIFF).await;
        let text = text.map_err(failed("reading preserved work"))?;
        Ok(DiffView { text: text.text, cut: text.cut, files: work.files, insertions: 0, deletions: 0 })
    }

    /// Puts it at a branch of the team's mirror and, if a folder is named, as a clone there.
    pub async fn restore_preserved(
        &self,
        caller: &Caller,
        run: &RunId,
        folder: Option<&std::path::Path>,
    ) -> Answer<RestoredView> {
        self.permit(caller, Verb::PreservedRestore)?;
        if let Some(folder) = folder.filter(|folder| !folder.is_absolute()) {
            return Err(problem::invalid(format!("{} is not an absolute path.", folder.display())));
        }
        let work = self.find_preserved(run).await?;
        let restored = self.worktrees().restore_preserved(&work.repository, run, folder).await;
        let restored = restored.map_err(|error| {
            problem::refused(format!("{}.", problem::capital(&crate::saga::chain(&error))))
        })?;
        Ok(RestoredView { branch: restored.branch, commit: restored.commit, folder: restored.folder })
    }

    /// Lets go of what is older; what belongs to a run under way stays.
    pub async fn prune_preserved(&self, caller: &Caller, days: Option<u32>) -> Answer<Vec<PreservedView>> {
        self.permitted(caller, Verb::PreservedPrune, || Change::PrunePreserved { days }).await?;
        let gone = self
            .let_go_of_preserved(days)
            .await
            .map_err(|error| problem::internal("pruning preserved work", error.as_ref()))?;
        Ok(gone.into_iter().map(|work| self.preserved_view(work)).collect())
    }

    pub(crate) async fn let_go_of_preserved(
        &self,
        days: Option<u32>,
    ) -> Result<Vec<Preserved>, Box<dyn std::error::Error + Send + Sync>> {
        let days = days.unwrap_or(self.options().runs.preserved_days);
        let active: Vec<RunId> = self.store().active_runs().await?.into_iter().map(|run| run.id).collect();
        let kept = SignedDuration::from_hours(24 * i64::from(days));
        Ok(self.worktrees().prune_preserved(Timestamp::now(), kept, &active).await?)
    }
}

fn failed(doing: &'static str) -> impl FnOnce(WorktreeError) -> qd_api::Problem {
    move |error| problem::internal(doing, &error)
}
