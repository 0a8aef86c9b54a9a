//! The API over a transport: answers read, errors mapped, tasks waited for to their true end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use qd_guard::Call;
use qd_types::Tier;
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use crate::{
    error::{PveError, cut},
    https::Transport,
    names::Upid,
    request::Request,
    requests,
};

/// First pause between two looks at a task; it doubles up to [`SLOWEST`].
const FIRST: Duration = Duration::from_millis(100);

/// Longest pause.
const SLOWEST: Duration = Duration::from_secs(2);

/// How often a task that was told to stop is looked at before it is given up.
const LAST_LOOKS: u32 = 15;

/// Lines of a task's log that are read at once.
const LINES: u64 = 50;

/// How a task ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The task.
    pub upid: Upid,
    /// How many warnings it had.
    pub warnings: u32,
    /// The last lines of its log.
    pub log: Vec<String>,
}

/// A cluster's API.
pub struct Api {
    transport: Box<dyn Transport>,
    locks: Mutex<BTreeMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl Api {
    /// Over a transport.
    pub fn new(transport: Box<dyn Transport>) -> Self {
        Self { transport, locks: Mutex::default() }
    }

    /// Asks, and returns what stands under `data`.
    pub async fn ask(&self, request: &Request) -> Result<Value, PveError> {
        let reply = self.transport.send(request).await?;
        let body: Value = match serde_json::from_slice(&reply.body) {
            Ok(body) => body,
            Err(_) if reply.status != 200 => Value::Null,
            Err(error) => return Err(PveError::Unreadable(cut(&error.to_string()))),
        };
        if reply.status == 200 {
            return Ok(body.get("data").cloned().unwrap_or(Value::Null));
        }
        let message = body.get("message").and_then(Value::as_str).unwrap_or(&reply.reason);
        let errors = body.get("errors").and_then(Value::as_object).map(|errors| {
            errors.iter().map(|(name, said)| (cut(name), cut(said.as_str().unwrap_or_default()))).collect()
        });
        Err(PveError::of_answer(reply.status, message, errors.unwrap_or_default()))
    }

    /// Asks for a change. If a task comes of it, waits for its end. What it answered, and how the task ended.
    pub async fn carry_out(
        &self,
        call: &Call,
        request: &Request,
    ) -> Result<(Value, Option<Ended>), PveError> {
        let answer = self.ask(request).await?;
        let Some(task) = answer.as_str().filter(|text| text.starts_with("UPID:")) else {
            return Ok((answer, None));
        };
        let upid = Upid::parse(task).map_err(|error| PveError::Unreadable(error.to_string()))?;
        let ended = self.wait(call, upid, request.tier()).await?;
        Ok((answer, Some(ended)))
    }

    /// Waits for a task's true end, and says on the way what its log says. If the caller gives up, it is told to stop.
    /// A token sees the tasks that it started: it is looked at with the token of this tier.
    pub async fn wait(&self, call: &Call, upid: Upid, tier: Tier) -> Result<Ended, PveError> {
        let node = upid.node().map_err(|error| PveError::Unreadable(error.to_string()))?;
        let (mut pause, mut read, mut log) = (FIRST, 0_u64, Vec::new());
        let (mut told, mut looks) = (false, 0);
        loop {
            // Once it runs, an error in looking does not say that it failed.
            let unsure = |error: PveError| PveError::Unreachable {
                said: format!("the task {upid} was started, and can't be looked at: {error}"),
                sent: true,
            };
            let look = requests::task_status(&node, &upid).needing(tier);
            let state = self.ask(&look).await.map_err(unsure)?;
            for line in self.log(&upid, read, tier).await.unwrap_or_default() {
                read += 1;
                call.progress.report(seconds(read), None, line.clone());
                log.push(line);
            }
            if state.get("status").and_then(Value::as_str) == Some("stopped") {
                let exit = state.get("exitstatus").and_then(Value::as_str).unwrap_or("no exit status");
                let keep = log.len().saturating_sub(5);
                let log = log.split_off(keep);
                return match warnings(exit) {
                    Some(warnings) => Ok(Ended { upid, warnings, log }),
                    None if told => Err(PveError::Stopped(cut(exit))),
                    None => Err(PveError::of_task(exit)),
                };
            }
            if told {
                looks += 1;
                if looks > LAST_LOOKS {
                    return Err(unsure(PveError::Stopped("it was told to stop, and goes on".to_owned())));
                }
                tokio::time::sleep(pause).await;
            } else {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = call.cancel.cancelled() => {
                        told = true;
                        let _ = self.ask(&requests::task_cancel(&node, &upid).needing(tier)).await;
                    }
                }
            }
            pause = (pause * 2).min(SLOWEST);
        }
    }

    /// Lines of a task's log, from one on.
    pub async fn log(&self, upid: &Upid, from: u64, tier: Tier) -> Result<Vec<String>, PveError> {
        let node = upid.node().map_err(|error| PveError::Unreadable(error.to_string()))?;
        let answer = self.ask(&requests::task_log(&node, upid, from, LINES).needing(tier)).await?;
        let lines = answer.as_array().into_iter().flatten();
        let fresh = lines.filter(|line| line.get("n").and_then(Value::as_u64).is_some_and(|n| n > from));
        Ok(fresh.filter_map(|line| line.get("t")?.as_str().map(cut)).collect())
    }

    /// Waits until nothing else here is done to these: guests, storages, pools. Always in the same order, so that two
    /// never wait for each other.
    pub async fn hold(&self, mut keys: Vec<String>) -> Vec<OwnedMutexGuard<()>> {
        keys.sort();
        keys.dedup();
        let mut held = Vec::new();
        for key in keys {
            let lock = self.lock(key);
            held.push(lock.lock_owned().await);
        }
        held
    }

    fn lock(&self, key: String) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        locks.insert(key, Arc::downgrade(&lock));
        lock
    }
}

#[allow(clippy::cast_precision_loss, reason = "lines of a log are few")]
fn seconds(lines: u64) -> f64 {
    lines as f64
}

/// How many warnings a task had that ended well; `None` if it failed.
pub fn warnings(exit: &str) -> Option<u32> {
    match exit {
        "OK" => Some(0),
        other => other.strip_prefix("WARNINGS: ")?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::warnings;

    #[test]
    fn warnings_are_no_failure() {
        assert_eq!(
            [warnings("OK"), warnings("WARNINGS: 2"), warnings("failed"), warnings("OK\n"), warnings("")],
            [Some(0), Some(2), None, None, None]
        );
    }
}
