//! MCP tasks: another way to wait for people, for clients that offer it. A task is a request for approval under its own id,
//! so that it outlives the connection, the client and the server. Asking for it carries out what people approved, once. A
//! client is never asked for anything in a task: nothing that it sends is a decision.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use qd_types::{ApprovalId, ApprovalState};
use rmcp::{
    ErrorData,
    model::{CreateTaskResult, DetailedTask, GetTaskResult, Task as Told, TaskPayload, TaskStatus},
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{Answer, Caller, Guard, Incoming, Pending, Refusal, Stage, pipeline::OUTCOME, say};

/// How often a client should ask, in milliseconds.
const POLL_MS: u64 = 2_000;

/// How long one question waits for an effect that is under way.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tasks that are remembered in this process. What is forgotten is only that one was told to stop.
const REMEMBERED: usize = 1_024;

/// The tasks that were asked about, and how to stop each.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<HashMap<String, CancellationToken>>);

impl Tasks {
    fn of(&self, id: &ApprovalId) -> CancellationToken {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, stop| stop.is_cancelled());
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.entry(id.to_string()).or_default().clone()
    }

    fn forget(&self, id: &ApprovalId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id.to_string());
    }
}

impl Guard {
    /// A call that waits for people, as a task.
    pub(crate) fn task(&self, pending: &Pending) -> CreateTaskResult {
        let text = format!("{} A person runs: {}", pending.standing, pending.decide);
        CreateTaskResult::new(self.told(&pending.approval, TaskStatus::Working).with_status_message(text))
    }

    /// How a task stands. Carries out what people approved.
    pub(crate) async fn get_task(&self, caller: &Caller, task: &str) -> Result<GetTaskResult, ErrorData> {
        let (id, state) = self.task_of(caller, task).await?;
        let stop = self.0.tasks.of(&id);
        // Whatever has ended is told as it is, also if somebody wanted it to stop.
        let waits = matches!(state, ApprovalState::Requested | ApprovalState::Granted);
        let cancel = if waits { stop.clone() } else { CancellationToken::new() };
        let working = |text: String| {
            let is_stopped = waits && stop.is_cancelled();
            let payload = if is_stopped { TaskPayload::Cancelled } else { TaskPayload::Working };
            let told = self.told(task, payload.status()).with_status_message(text);
            GetTaskResult::new(DetailedTask::new(told, payload))
        };
        let mut arguments = Map::new();
        arguments.insert("approval".to_owned(), Value::from(task));
        let incoming = Incoming { name: OUTCOME.to_owned(), arguments, cancel, ..Incoming::default() };
        // The effect goes on by itself if the question is answered first.
        let Ok(answer) = tokio::time::timeout(PATIENCE, self.call(caller, incoming)).await else {
            return Ok(working("People agreed, and it is being carried out.".to_owned()));
        };
        let answer = match answer {
            Answer::Pending(pending) => {
                return Ok(working(format!("{} A person runs: {}", pending.standing, pending.decide)));
            }
            Answer::Refused(refusal) if matches!(refusal.stage, Stage::Limits | Stage::Store) => {
                return Err(ErrorData::internal_error(say::refused(&refusal), None));
            }
            answer => answer,
        };
        match self.state(caller, &id).await.map_err(|refusal| unknown(&refusal))? {
            ApprovalState::Requested | ApprovalState::Granted | ApprovalState::Executing => {
                // It was approved, and at this moment it can't be done: policy changed, say. It may be again.
                let text = match &answer {
                    Answer::Refused(refusal) => say::refused(refusal),
                    _ => "It is being carried out.".to_owned(),
                };
                Ok(working(text))
            }
            ApprovalState::Withdrawn => {
                self.0.tasks.forget(&id);
                let told = self.told(task, TaskStatus::Cancelled).with_status_message("It was withdrawn.");
                Ok(GetTaskResult::new(DetailedTask::new(told, TaskPayload::Cancelled)))
            }
            _ => {
                self.0.tasks.forget(&id);
                let result = match serde_json::to_value(say::result(answer)) {
                    Ok(Value::Object(result)) => result,
                    _ => return Err(ErrorData::internal_error("The result can't be told.", None)),
                };
                let told = self.told(task, TaskStatus::Completed);
                Ok(GetTaskResult::new(DetailedTask::new(told, TaskPayload::Completed { result })))
            }
        }
    }

    /// Tells a task to stop: people are not asked any more, an effect that is under way is told.
    pub(crate) async fn cancel_task(&self, caller: &Caller, task: &str) -> Result<(), ErrorData> {
        let (id, _) = self.task_of(caller, task).await?;
        let reason = "Whoever asked cancelled the task.";
        let withdrawn = self.0.approvals.withdraw(&id, reason).await;
        withdrawn.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        self.0.tasks.of(&id).cancel();
        Ok(())
    }

    /// Takes a client's answers to a task. None is ever asked for, so there is nothing to take them for.
    pub(crate) async fn update_task(&self, caller: &Caller, task: &str) -> Result<(), ErrorData> {
        self.task_of(caller, task).await?;
        let text = "This task asks its client for nothing. People decide, and not through this connection.";
        Err(ErrorData::invalid_params(text, None))
    }

    /// A task of this caller. Everybody else's is not there.
    async fn task_of(&self, caller: &Caller, task: &str) -> Result<(ApprovalId, ApprovalState), ErrorData> {
        let id: ApprovalId =
            task.parse().map_err(|error| ErrorData::invalid_params(format!("{error}."), None))?;
        let state = self.state(caller, &id).await.map_err(|refusal| unknown(&refusal))?;
        Ok((id, state))
    }

    fn told(&self, task: &str, status: TaskStatus) -> Told {
        let now = self.now();
        // An approval's id holds when it was asked for.
        let asked = task.rsplit('/').next().and_then(|id| id.parse::<ulid::Ulid>().ok());
        let asked = asked.and_then(|id| Timestamp::from_millisecond(id.timestamp_ms().cast_signed()).ok());
        Told::new(task, status, asked.unwrap_or(now).to_string(), now.to_string())
            .with_poll_interval_ms(POLL_MS)
    }
}

fn unknown(refusal: &Refusal) -> ErrorData {
    match refusal.stage {
        Stage::Store => ErrorData::internal_error(say::refused(refusal), None),
        _ => ErrorData::invalid_params("There is no task of this id for you here.", None),
    }
}
