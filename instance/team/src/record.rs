//! What a team's work leaves to be read: its log, its runs, their transcripts and diffs.

use jiff::Timestamp;
use qd_agents::transcript;
use qd_api::{DiffView, EventView, RunSummary, RunView, TranscriptEntry, TranscriptPage};
use qd_types::{FeatureId, RunId};

use crate::{
    problem,
    team::{Answer, Caller, Team},
    views,
};

/// Runs in one answer.
const RUNS: usize = 200;
/// Bytes of a transcript in one answer.
const TRANSCRIPT: usize = 256 * 1024;
/// Bytes of a diff in one answer.
const DIFF: usize = 1024 * 1024;

impl Team {
    /// Entries of the log after `seq`, oldest first.
    pub async fn events_after(&self, seq: u64, limit: usize) -> Answer<Vec<EventView>> {
        let events = self.store().events_after(seq, limit).await.map_err(problem::from_store)?;
        Ok(events.into_iter().map(views::event).collect())
    }

    /// Runs, newest first.
    pub async fn runs(&self, feature: Option<&FeatureId>) -> Answer<Vec<RunSummary>> {
        let now = Timestamp::now();
        let runs = self.store().runs(feature, RUNS).await.map_err(problem::from_store)?;
        let asking = self.store().asking().await.map_err(problem::from_store)?;
        Ok(runs
            .iter()
            .map(|(run, title)| views::summary(run, title.clone(), asking.contains(&run.id), now))
            .collect())
    }

    /// One run.
    pub async fn run(&self, id: &RunId, caller: &Caller) -> Answer<RunView> {
        let now = Timestamp::now();
        let run = self.store().run(id).await.map_err(problem::from_store)?;
        let snapshot = self.store().snapshot(&run.feature, now).await.map_err(problem::from_store)?;
        let approval = self
            .approvals(caller)
            .await?
            .into_iter()
            .find(|approval| approval.approval.subject.run == *id && approval.approval.state.is_open());
        Ok(views::run(&run, snapshot, approval, now))
    }

    /// A piece of a run's transcript, from a byte offset.
    pub async fn transcript(&self, id: &RunId, offset: u64) -> Answer<TranscriptPage> {
        let run = self.store().run(id).await.map_err(problem::from_store)?;
        let path = self.folder(id).transcript();
        let read = tokio::task::spawn_blocking(move || transcript::read(&path, offset, TRANSCRIPT)).await;
        let page = read
            .map_err(|error| problem::internal("reading the transcript", &error))?
            .map_err(|error| problem::internal("reading the transcript", &error))?;
        Ok(TranscriptPage {
            entries: page
                .entries
                .into_iter()
                .map(|entry| TranscriptEntry {
                    at: entry.at,
                    kind: entry.kind.as_str().into(),
                    text: entry.text,
                })
                .collect(),
            next_offset: page.next,
            ended: run.ended_at.is_some() && !page.more,
        })
    }

    /// What a run has changed.
    pub async fn diff(&self, id: &RunId) -> Answer<DiffView> {
        let run = self.store().run(id).await.map_err(problem::from_store)?;
        let snapshot =
            self.store().snapshot(&run.feature, Timestamp::now()).await.map_err(problem::from_store)?;
        let repository = &snapshot.feature.repository;
        let worktrees = self.worktrees();
        let found = async {
            match (&run.base, &run.commit) {
                (Some(base), Some(commit)) => Ok(Some((
                    worktrees.diff_text(repository, base, commit, DIFF).await?,
                    worktrees.diff_stat(repository, base, commit).await?,
                ))),
                (Some(_), None) if run.end.is_none() => Ok(Some((
                    worktrees.diff(repository, id, DIFF).await?,
                    worktrees.stat(repository, id).await?,
                ))),
                _ => Ok::<_, qd_worktrees::WorktreeError>(None),
            }
        };
        let Some((text, stat)) =
            found.await.map_err(|error| problem::internal("reading the diff", &error))?
        else {
            return Ok(DiffView { text: String::new(), cut: false, files: 0, insertions: 0, deletions: 0 });
        };
        Ok(DiffView {
            text: text.text,
            cut: text.cut,
            files: stat.files,
            insertions: stat.insertions,
            deletions: stat.deletions,
        })
    }
}
