//! The saga of a run: nine steps, each idempotent, each begun as a row before it acts and ended as a row with its
//! facts. One task per run takes the step that is next, as the rows have it. After a crash another process takes the
//! same step again, after it has ended whatever the older one left running.

mod answer;
mod budget;
mod cache;
mod checks;
mod clean_up;
mod context;
mod findings;
mod forge;
mod merge;
mod page;
mod plan;
mod rest;
mod served;
mod walled;
mod work;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_agents::{CheckSpec, OnStart, ProcessGroup, Redactor, Stop, Stopper, Transcript, transcript};
use qd_board::{FailureClass, Feature, Run, RunEnd};
use qd_store::{RunFact, Store, StoreError};
use qd_types::{RunId, Step};
use qd_worktrees::{Identity, Stamp, WorktreeError};

pub(crate) use self::{
    budget::{more, raise_for_ended},
    plan::proposal,
};
use crate::{options::RepositoryOptions, problem::capital, reconcile, team::Team};

/// How long a feature's own acceptance check may take.
const ACCEPTANCE_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Tries of a step that fails for reasons of the machine or the network, before a person is asked.
const TRIES: u32 = 5;

/// Why a step did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// A person wants the run stopped.
    #[error("stopped")]
    Stopped,
    /// What it needs has changed: the step is taken anew, with the rows as they are.
    #[error("taken anew")]
    Anew,
    /// It can't go on; the reason is a sentence for people.
    #[error("{reason}")]
    Failed {
        /// What kind of failure: what follows hangs on it.
        class: FailureClass,
        /// Why.
        reason: String,
    },
    /// The machine or the network; worth another try.
    #[error(transparent)]
    Again(Box<dyn std::error::Error + Send + Sync>),
}

impl StepError {
    pub(crate) fn failed(class: FailureClass, reason: impl Into<String>) -> Self {
        Self::Failed { class, reason: reason.into() }
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::Again(error.into())
    }
}

impl From<WorktreeError> for StepError {
    fn from(error: WorktreeError) -> Self {
        match error {
            WorktreeError::RemoteMoved { .. }
            | WorktreeError::NoTarget { .. }
            | WorktreeError::BranchTaken { .. } => {
                Self::failed(FailureClass::Dependency, format!("{}.", capital(&error.to_string())))
            }
            other => Self::Again(other.into()),
        }
    }
}

impl From<qd_agents::transcript::TranscriptError> for StepError {
    fn from(error: qd_agents::transcript::TranscriptError) -> Self {
        Self::Again(error.into())
    }
}

/// Everything a step works with, as the rows had it when the step was taken.
pub(crate) struct Here<'a> {
    pub(crate) team: &'a Team,
    pub(crate) run: Run,
    pub(crate) feature: Feature,
    pub(crate) repository: RepositoryOptions,
    pub(crate) stop: Stop,
}

impl Here<'_> {
    pub(crate) fn store(&self) -> &Store {
        self.team.store()
    }

    /// The same whenever the step is repeated: a repeated commit is the same commit.
    pub(crate) fn stamp(&self) -> Stamp {
        stamp(self.run.started_at)
    }

    /// What decides about the change: the repository's checks, then the feature's own.
    pub(crate) fn checks(&self) -> Vec<CheckSpec> {
        let own = self.feature.wanted.checks.iter().enumerate().map(|(index, command)| CheckSpec {
            name: format!("acceptance {}", index + 1),
            command: command.clone(),
            limit: ACCEPTANCE_LIMIT,
            env_allow: Vec::new(),
            tail: self.team.options().runs.log_lines,
        });
        self.repository.checks.iter().cloned().chain(own).collect()
    }

    pub(crate) fn keeper(&self) -> Keeper {
        Keeper { store: self.store().clone(), run: self.run.id.clone() }
    }

    pub(crate) fn transcript(&self) -> Result<Transcript, StepError> {
        let header = transcript::Header::new(self.run.id.clone(), &self.run.agent);
        let limits = transcript::Limits {
            whole: self.team.options().runs.transcript,
            ..transcript::Limits::default()
        };
        let path = self.team.folder(&self.run.id).transcript();
        Ok(Transcript::open_with(&path, &header, Redactor::default(), limits)?)
    }

    /// The step is done, with what it found out.
    pub(crate) async fn done(
        &self,
        step: Step,
        note: Option<String>,
        facts: Vec<RunFact>,
    ) -> Result<(), StepError> {
        qd_failpoint::reached(step.as_str());
        if qd_failpoint::repeats(step.as_str()) {
            return Ok(());
        }
        Ok(self.store().end_step(&self.run.id, step, note, facts, Timestamp::now()).await?)
    }
}

/// By whom commits are made that the team makes.
pub(crate) fn stamp(at: Timestamp) -> Stamp {
    Stamp { identity: Identity::new("Quarterdeck", "quarterdeck@localhost"), at }
}

/// Notes process groups with the run, so that a later process can end what a crash leaves behind.
pub(crate) struct Keeper {
    store: Store,
    run: RunId,
}

#[async_trait]
impl OnStart for Keeper {
    async fn started(&self, group: &ProcessGroup) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let json = serde_json::to_string(group)?;
        self.store.set_process(&self.run, Some(json)).await?;
        qd_failpoint::reached("agent_started");
        Ok(())
    }
}

/// Gives a run its task, if it has none.
pub(crate) fn start(team: &Team, run: RunId) {
    team.spawn_run(run, |team, run, stopper| async move {
        let mut pause = Duration::from_millis(500);
        while let Err(error) = drive(&team, &run, &stopper).await {
            tracing::error!(%run, %error, ?pause, "the run can't go on now");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(60));
        }
    });
}

/// Takes step after step until the run is over. An error is the store's: nothing is known, nothing is decided.
async fn drive(
    team: &Team,
    id: &RunId,
    stopper: &Arc<Stopper>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    reconcile::end_leftover(team, id).await?;
    let mut tries = 0;
    loop {
        let run = team.store().run(id).await?;
        if run.ended_at.is_some() {
            return Ok(());
        }
        let feature = team.store().snapshot(&run.feature, Timestamp::now()).await?.feature;
        let Some(repository) = team.repository(&feature.repository) else {
            let reason = format!("The team has no repository {} any more.", feature.repository);
            let class = FailureClass::Dependency;
            if run.end.is_some() {
                return Ok(team.store().close_run(id, Timestamp::now()).await?);
            }
            end(team, &run, None, RunEnd::Failed { reason, class }).await?;
            continue;
        };
        if let (Some(reason), None) = (&run.stop, &run.end) {
            end(team, &run, run.next_step(), RunEnd::Stopped { reason: reason.clone() }).await?;
            continue;
        }
        let step = if run.end.is_some() { Step::CleanUp } else { run.next_step().unwrap_or(Step::CleanUp) };
        team.store().begin_step(id, step, Timestamp::now()).await?;
        let here = Here { team, run, feature, repository, stop: stopper.listen() };
        let taken = match rest::let_go_on(&here).await {
            Ok(true) => take(&here, step).await,
            Ok(false) => Err(StepError::Anew),
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) | Err(StepError::Anew) => tries = 0,
            Err(StepError::Stopped) => {
                reconcile::end_leftover(team, id).await?;
            }
            Err(StepError::Failed { class, reason }) => {
                end(team, &here.run, Some(step), RunEnd::Failed { reason, class }).await?;
            }
            Err(StepError::Again(error)) => {
                tries += 1;
                tracing::warn!(run = %id, %step, tries, error = chain(error.as_ref()), "a step failed");
                if tries >= TRIES && step != Step::CleanUp {
                    let reason = format!("{} failed {tries} times: {}.", step.title(), chain(error.as_ref()));
                    let class = FailureClass::Transient;
                    end(team, &here.run, Some(step), RunEnd::Failed { reason, class }).await?;
                    tries = 0;
                }
                tokio::time::sleep(Duration::from_millis(250 << tries.min(6))).await;
            }
        }
    }
}

async fn take(here: &Here<'_>, step: Step) -> Result<(), StepError> {
    if qd_failpoint::fails(step.as_str()) {
        return Err(StepError::Again("this failure was asked for".into()));
    }
    match step {
        Step::Worktree => work::worktree(here).await,
        Step::Agent => work::agent(here).await,
        Step::Checks => checks::verify(here).await,
        Step::Commit => work::commit(here).await,
        Step::Push => forge::push(here).await,
        Step::PullRequest => forge::pull_request(here).await,
        Step::Review => forge::review(here).await,
        Step::Merge => merge::merge(here).await,
        Step::CleanUp => clean_up::clean_up(here).await,
    }
}

async fn end(team: &Team, run: &Run, step: Option<Step>, end: RunEnd) -> Result<(), StoreError> {
    tracing::info!(run = %run.id, ?end, "the run ends");
    let repository = team.store().snapshot(&run.feature, Timestamp::now()).await?.feature.repository;
    match &end {
        RunEnd::Failed { class, .. } => team.failed(run, &repository, step, *class).await?,
        RunEnd::Stopped { .. } | RunEnd::Answered { .. } => team.no_verdict(&run.agent, &repository).await?,
        RunEnd::Merged { .. } | RunEnd::Planned { .. } => {}
    }
    team.store().end_run(&run.id, step, end, Timestamp::now()).await
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
