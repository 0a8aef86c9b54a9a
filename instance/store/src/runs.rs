//! Runs and their facts. A step's facts and its end are one transaction, so that a crash leaves either both or none.

use jiff::Timestamp;
use qd_board::{
    CheckFact, FailureClass, Feedback, Happened, Observed, OperationKind, Run, RunEnd, StepState,
};
use qd_types::{CommitId, FeatureId, RunId, Step};
use qd_wire::v1::ChangeSize;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    Store, StoreError, ends, events,
    events::Draft,
    executor, facts,
    features::{self, Then},
    feedback,
    operations::{self, Begin},
    report, resting, rows,
    store::Lens,
    trail,
};

/// A run to be opened.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// For which feature; it has to be ready.
    pub feature: FeatureId,
    /// The agent, by its name in the configuration.
    pub agent: String,
    /// The model that it is told to use.
    pub model: Option<String>,
    /// What decided on agent and model.
    pub assigned_by: String,
    /// The branch of the first attempt; later ones get their number behind it.
    pub branch: String,
}

/// Something a step found out, to be written with the step's end.
#[derive(Debug, Clone)]
pub enum RunFact {
    /// Where the branch starts.
    Base(CommitId),
    /// The commit that the checks passed on.
    Commit(CommitId),
    /// The remote branch is about to be put here.
    Pushing(CommitId),
    /// The remote branch stands here now.
    Pushed(CommitId),
    /// The pull request's number.
    PullRequest(u64),
    /// The agent's last words.
    Words(Option<String>),
    /// The plan that the agent wrote.
    Plan(String),
    /// Milliseconds that the agent worked, to be added.
    Worked(u64),
    /// Paths that the change touches.
    Touched(Vec<String>),
    /// How much the change is.
    Change(ChangeSize),
}

/// See [`Store::open_run`].
pub(crate) fn open(c: &Connection, lens: &Lens, new: NewRun, now: Timestamp) -> Result<Run, StoreError> {
    let attempt: u32 = c
        .prepare_cached("SELECT coalesce(max(attempt), 0) + 1 FROM runs WHERE feature = ?1")?
        .query_row([new.feature.to_string()], |row| row.get(0))?;
    let id = RunId::new(new.feature.clone(), attempt);
    let branch = if attempt == 1 { new.branch } else { format!("{}.{attempt}", new.branch) };
    c.prepare_cached(
        "INSERT INTO runs (id, feature, attempt, agent, branch, started_at, model, assigned_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        id.to_string(),
        new.feature.to_string(),
        attempt,
        new.agent,
        branch,
        now.as_millisecond(),
        new.model,
        new.assigned_by,
    ])?;
    let title = rows::feature_by_id(c, &new.feature)?.wanted.title;
    let subject = id.to_string();
    let begin = Begin {
        kind: OperationKind::Run,
        subject: &subject,
        feature: Some(&new.feature),
        run: Some(&id),
        title: &title,
    };
    operations::begin(c, &begin, now)?;
    trail::opened(c, lens, &id, &new.agent, now)?;
    features::happen(c, lens, "team", &new.feature, &Happened::RunStarted, Then::default(), now)?;
    one(c, &id)
}

impl Store {
    /// Opens a run: the feature goes to `running` in the same transaction.
    pub async fn open_run(&self, new: NewRun, now: Timestamp) -> Result<Run, StoreError> {
        let lens = self.lens();
        self.write(move |c| open(c, &lens, new, now)).await
    }

    /// One run.
    pub async fn run(&self, id: &RunId) -> Result<Run, StoreError> {
        let id = id.clone();
        self.read(move |c| one(c, &id)).await
    }

    /// Runs with the titles of their features, newest first, at most `limit`.
    pub async fn runs(
        &self,
        feature: Option<&FeatureId>,
        limit: usize,
    ) -> Result<Vec<(Run, String)>, StoreError> {
        let feature = feature.map(ToString::to_string);
        self.read(move |c| {
            let runs = match feature {
                Some(id) => rows::runs(
                    c,
                    "WHERE feature = ?1 ORDER BY started_at DESC, attempt DESC LIMIT ?2",
                    (id, limit as i64),
                )?,
                None => rows::runs(c, "ORDER BY started_at DESC, id DESC LIMIT ?1", [limit as i64])?,
            };
            runs.into_iter()
                .map(|run| {
                    let title = rows::feature_by_id(c, &run.feature)?.wanted.title;
                    Ok((run, title))
                })
                .collect()
        })
        .await
    }

    /// How long agents have worked on a feature, over all runs.
    pub async fn worked(&self, feature: &FeatureId) -> Result<std::time::Duration, StoreError> {
        let feature = feature.clone();
        self.read(move |c| rows::worked(c, &feature)).await
    }

    /// Runs that are not cleaned up yet, oldest first.
    pub async fn active_runs(&self) -> Result<Vec<Run>, StoreError> {
        self.read(|c| rows::runs(c, "WHERE ended_at IS NULL ORDER BY started_at, id", [])).await
    }

    /// A step begins, or begins again after a crash.
    pub async fn begin_step(&self, run: &RunId, step: Step, now: Timestamp) -> Result<(), StoreError> {
        let lens = self.lens();
        let run = run.clone();
        self.write(move |c| {
            c.prepare_cached(
                "INSERT INTO steps (run, step, state, started_at) VALUES (?1, ?2, 'started', ?3)
                 ON CONFLICT DO UPDATE SET state = 'started', ended_at = NULL WHERE state <> 'done'",
            )?
            .execute(params![run.to_string(), step.as_str(), now.as_millisecond()])?;
            operations::say(c, OperationKind::Run, &run.to_string(), step.title(), now)?;
            if step == Step::Merge {
                let subject = run.to_string();
                let title = format!("Merge of {}", run.feature());
                let begin = Begin {
                    kind: OperationKind::Merge,
                    subject: &subject,
                    feature: Some(run.feature()),
                    run: Some(&run),
                    title: &title,
                };
                operations::begin(c, &begin, now)?;
            }
            told(c, &lens, &run, "step", format!("{}: begun.", step.title()), now)
        })
        .await
    }

    /// A step is done, with what it found out.
    pub async fn end_step(
        &self,
        run: &RunId,
        step: Step,
        note: Option<String>,
        facts: Vec<RunFact>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lens = self.lens();
        let run = run.clone();
        self.write(move |c| {
            write_facts(c, &run, &facts)?;
            mark(c, &run, step, StepState::Done, note.as_deref(), now)?;
            if step == Step::PullRequest {
                features::happen(
                    c,
                    &lens,
                    "team",
                    run.feature(),
                    &Happened::PullRequestOpened,
                    Then::default(),
                    now,
                )?;
            }
            told(c, &lens, &run, "step", format!("{}: done.", step.title()), now)
        })
        .await
    }

    /// Facts that are known before their step ends.
    pub async fn note(&self, run: &RunId, facts: Vec<RunFact>) -> Result<(), StoreError> {
        let run = run.clone();
        self.write(move |c| write_facts(c, &run, &facts)).await
    }

    /// The checks were red: the agent gets another round, and the checks begin anew after it.
    pub async fn repair(&self, run: &RunId, note: String, now: Timestamp) -> Result<(), StoreError> {
        let lens = self.lens();
        let run = run.clone();
        self.write(move |c| {
            mark(c, &run, Step::Checks, StepState::Failed, Some(&note), now)?;
            c.prepare_cached(
                "UPDATE steps SET state = 'started', ended_at = NULL WHERE run = ?1 AND step = 'agent'",
            )?
            .execute([run.to_string()])?;
            c.prepare_cached("UPDATE runs SET round = round + 1 WHERE id = ?1")?
                .execute([run.to_string()])?;
            told(c, &lens, &run, "step", format!("Checks are red: {note}"), now)
        })
        .await
    }

    /// The run goes back to its agent, with what it is told: a conflict, a red merge, a review. What was checked and
    /// approved counts no more.
    pub async fn back_to_agent(
        &self,
        run: &RunId,
        feedback: Feedback,
        base: CommitId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lens = self.lens();
        let run = run.clone();
        self.write(move |c| {
            c.prepare_cached(
                "UPDATE runs SET round = round + 1, round_from = round + 1, returns = returns + 1, feedback = ?2,
                 base = ?3, commit_id = NULL, approval = NULL, approved_by = '[]' WHERE id = ?1",
            )?
            .execute(params![run.to_string(), rows::to_json("runs", &feedback)?, base.as_str()])?;
            for step in Step::ALL.into_iter().filter(|step| *step > Step::Agent) {
                c.prepare_cached("DELETE FROM steps WHERE run = ?1 AND step = ?2")?
                    .execute(params![run.to_string(), step.as_str()])?;
            }
            c.prepare_cached(
                "UPDATE steps SET state = 'started', ended_at = NULL WHERE run = ?1 AND step = 'agent'",
            )?
            .execute([run.to_string()])?;
            c.prepare_cached("UPDATE approvals SET open = 0 WHERE run = ?1")?.execute([run.to_string()])?;
            feedback::taken(c, &run)?;
            operations::end_within(c, &run, &format!("It went back to its agent: {}.", feedback.about), now)?;
            features::happen(c, &lens, "team", run.feature(), &Happened::BackToAgent, Then::default(), now)?;
            told(c, &lens, &run, "step", format!("Back to the agent: {}.", feedback.about), now)
        })
        .await
    }

    /// A check begins on a commit.
    pub async fn check_started(
        &self,
        run: &RunId,
        name: &str,
        round: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (run, name) = (run.clone(), name.to_owned());
        self.write(move |c| {
            let begin = Begin {
                kind: OperationKind::Check,
                subject: &format!("{run}/{name}/{round}"),
                feature: Some(run.feature()),
                run: Some(&run),
                title: &format!("Check {name} of {run}"),
            };
            operations::begin(c, &begin, now)
        })
        .await
    }

    /// What one check said. Saying it again changes nothing.
    pub async fn check(&self, run: &RunId, fact: CheckFact, now: Timestamp) -> Result<(), StoreError> {
        let lens = self.lens();
        let run = run.clone();
        self.write(move |c| {
            c.prepare_cached(
                "INSERT INTO checks (run, name, commit_id, passed, round, millis, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO UPDATE SET passed = excluded.passed, millis = excluded.millis, reason = excluded.reason",
            )?
            .execute(params![
                run.to_string(),
                fact.name,
                fact.commit.as_str(),
                fact.passed,
                fact.round,
                fact.millis as i64,
                fact.reason
            ])?;
            let word = if fact.passed { "passed" } else { "is red" };
            let subject = format!("{run}/{}/{}", fact.name, fact.round);
            let (observed, class) = if fact.passed {
                (Observed::Done, None)
            } else {
                (Observed::Failed, Some(FailureClass::CheckFailed))
            };
            let said = fact.reason.clone().unwrap_or_else(|| "Passed.".to_owned());
            operations::end(c, OperationKind::Check, &subject, observed, class, &said, now)?;
            told(c, &lens, &run, "check", format!("Check {} {word}.", fact.name), now)
        })
        .await
    }

    /// The process group that works for a run now, as JSON; `None` when there is none.
    pub async fn set_process(&self, run: &RunId, process: Option<String>) -> Result<(), StoreError> {
        let run = run.clone();
        self.write(move |c| {
            c.prepare_cached("UPDATE runs SET process = ?2 WHERE id = ?1")?
                .execute(params![run.to_string(), process])?;
            Ok(())
        })
        .await
    }

    /// The process group that was noted for a run.
    pub async fn process(&self, run: &RunId) -> Result<Option<String>, StoreError> {
        let id = run.to_string();
        self.read(move |c| {
            Ok(c.query_row("SELECT process FROM runs WHERE id = ?1", [id], |row| row.get(0))
                .optional()?
                .flatten())
        })
        .await
    }

    /// Where the run's remote branch was left, and where a push was to put it that was not seen to end.
    pub async fn pushed(&self, run: &RunId) -> Result<(Option<CommitId>, Option<CommitId>), StoreError> {
        let id = run.to_string();
        self.read(move |c| {
            let row: Option<(Option<String>, Option<String>)> = c
                .query_row("SELECT pushed, pushing FROM runs WHERE id = ?1", [id], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let (pushed, pushing) = row.unwrap_or_default();
            let pushed = rows::maybe("runs", pushed)?;
            let pushing = rows::maybe("runs", pushing)?;
            Ok((pushed.clone(), pushing.filter(|pushing| pushed.as_ref() != Some(pushing))))
        })
        .await
    }

    /// A person wants the run stopped. Refused when it has ended.
    pub async fn ask_stop(&self, run: &RunId, actor: &str, now: Timestamp) -> Result<Run, StoreError> {
        let lens = self.lens();
        let (id, actor) = (run.clone(), actor.to_owned());
        self.write(move |c| {
            ask_stop(c, &lens, &id, &actor, now)?;
            one(c, &id)
        })
        .await
    }

    /// The run ends. A run that has ended stays as it ended; the feature follows in the same transaction.
    pub async fn end_run(
        &self,
        run: &RunId,
        step: Option<Step>,
        end: RunEnd,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lens = self.lens();
        let run = run.clone();
        self.write(move |c| self::end(c, &lens, &run, step, &end, now)).await
    }

    /// Everything of the run is cleaned up: it is no longer active.
    pub async fn close_run(&self, run: &RunId, now: Timestamp) -> Result<(), StoreError> {
        let lens = self.lens();
        let run = run.clone();
        self.write(move |c| {
            c.prepare_cached(
                "UPDATE runs SET ended_at = ?2, process = NULL WHERE id = ?1 AND ended_at IS NULL",
            )?
            .execute(params![run.to_string(), now.as_millisecond()])?;
            mark(c, &run, Step::CleanUp, StepState::Done, None, now)?;
            told(c, &lens, &run, "run_ended", format!("Run {run} is cleaned up."), now)
        })
        .await
    }
}

/// See [`Store::ask_stop`].
pub(crate) fn ask_stop(
    c: &Connection,
    lens: &Lens,
    id: &RunId,
    actor: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let run = one(c, id)?;
    if run.end.is_some() || run.step(Step::Merge).is_some_and(|row| row.state == StepState::Done) {
        return Err(qd_board::Refused { reason: format!("Run {id} has ended.") }.into());
    }
    c.prepare_cached("UPDATE runs SET stop = ?2 WHERE id = ?1 AND stop IS NULL")?
        .execute(params![id.to_string(), format!("Stopped by {actor}.")])?;
    operations::desire_stop(c, id, now)?;
    let mut event = Draft::new(actor, "run_stopping", format!("Run {id} is being stopped."));
    event.feature = Some(id.feature().clone());
    event.run = Some(id.clone());
    events::write(c, &event, now)?;
    report::feature(c, lens, id.feature(), now)
}

/// Ends a run, if it has not ended.
pub(crate) fn end(
    c: &Connection,
    lens: &Lens,
    run: &RunId,
    step: Option<Step>,
    end: &RunEnd,
    now: Timestamp,
) -> Result<(), StoreError> {
    let changed = c
        .prepare_cached("UPDATE runs SET ending = ?2 WHERE id = ?1 AND ending IS NULL")?
        .execute(params![run.to_string(), rows::to_json("runs", end)?])?;
    if changed == 0 {
        return Ok(());
    }
    c.prepare_cached("UPDATE approvals SET open = 0 WHERE run = ?1")?.execute([run.to_string()])?;
    let (state, note, merge) = match end {
        RunEnd::Merged { commit } => (StepState::Done, Some(commit.short().to_owned()), Observed::Done),
        RunEnd::Planned { features } => {
            (StepState::Done, Some(format!("{features} features")), Observed::Done)
        }
        RunEnd::Answered { .. } => (StepState::Done, None, Observed::Done),
        RunEnd::Failed { .. } => (StepState::Failed, None, Observed::Failed),
        RunEnd::Stopped { .. } => (StepState::Failed, None, Observed::Stopped),
    };
    executor::run_ended(c, lens, run, "Its run ended.", now)?;
    resting::ended(c, run)?;
    if let Some(step) = step {
        mark(c, run, step, state, note.as_deref(), now)?;
    }
    trail::ended(c, lens, run, end, now)?;
    facts::finished(c, run, end, now)?;
    let ends = ends::of(c, lens, run, end, now)?;
    let subject = run.to_string();
    operations::end(c, OperationKind::Merge, &subject, merge, ends.class, &ends.text, now)?;
    operations::end_within(c, run, "Its run ended.", now)?;
    operations::end(c, OperationKind::Run, &subject, ends.observed, ends.class, &ends.text, now)?;
    features::happen(c, lens, "team", run.feature(), &ends.happened, ends.then, now)
}

pub(crate) fn one(c: &Connection, id: &RunId) -> Result<Run, StoreError> {
    rows::runs(c, "WHERE id = ?1", [id.to_string()])?.pop().ok_or_else(|| StoreError::no_such("run", id))
}

fn mark(
    c: &Connection,
    run: &RunId,
    step: Step,
    state: StepState,
    note: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    c.prepare_cached(
        "INSERT INTO steps (run, step, state, started_at, ended_at, note) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
         ON CONFLICT DO UPDATE SET state = excluded.state, ended_at = excluded.ended_at, note = excluded.note",
    )?
    .execute(params![run.to_string(), step.as_str(), state.as_str(), now.as_millisecond(), note])?;
    Ok(())
}

pub(crate) fn write_facts(c: &Connection, run: &RunId, facts: &[RunFact]) -> Result<(), StoreError> {
    for fact in facts {
        let (column, value): (&str, rusqlite::types::Value) = match fact {
            RunFact::Base(commit) => ("base = ?2", commit.to_string().into()),
            RunFact::Commit(commit) => ("commit_id = ?2", commit.to_string().into()),
            RunFact::Pushing(commit) => ("pushing = ?2", commit.to_string().into()),
            RunFact::Pushed(commit) => ("pushed = ?2", commit.to_string().into()),
            RunFact::PullRequest(number) => ("pull_request = ?2", (*number as i64).into()),
            RunFact::Words(words) => ("words = ?2", words.clone().into()),
            RunFact::Change(size) => ("change_size = ?2", rows::to_json("runs", size)?.into()),
            // What was said of the plan before has led to this one.
            RunFact::Plan(text) => ("plan = ?2, feedback = NULL", text.clone().into()),
            RunFact::Worked(millis) => ("worked_ms = worked_ms + ?2", (*millis as i64).into()),
            RunFact::Touched(paths) => {
                c.prepare_cached("UPDATE features SET touched = ?2 WHERE id = ?1")?
                    .execute(params![run.feature().to_string(), rows::to_json("features", paths)?])?;
                continue;
            }
        };
        c.prepare_cached(&format!("UPDATE runs SET {column} WHERE id = ?1"))?
            .execute(params![run.to_string(), value])?;
    }
    Ok(())
}

/// Writes the event and the living report that go with a change of a run.
pub(crate) fn told(
    c: &Connection,
    lens: &Lens,
    run: &RunId,
    kind: &'static str,
    text: String,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut event = Draft::new("team", kind, text);
    event.feature = Some(run.feature().clone());
    event.run = Some(run.clone());
    events::write(c, &event, now)?;
    report::feature(c, lens, run.feature(), now)
}
