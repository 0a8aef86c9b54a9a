//! How much a caller may ask for: so many calls a minute, so many at once. One caller's calls never use up another's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Callers that are remembered. The longest idle is forgotten first: its bucket is full again by then.
const REMEMBERED: usize = 1024;

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls a minute, in the long run.
    pub per_minute: u32,
    /// Calls in a burst, from 1.
    pub burst: u32,
    /// Calls of one caller at once. One that waits for people is not among them.
    pub at_once: usize,
    /// Calls of one caller that are held open for people. What is more is answered at once: pending.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_minute: 6_000, burst: 1_000, at_once: 16, waiting: 16 }
    }
}

/// Why a call is not taken now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Too many in a short time.
    #[error("You called more than {per_minute} times a minute. Wait {} ms, then call again.", wait.as_millis())]
    Rate {
        /// The limit.
        per_minute: u32,
        /// How long to wait.
        wait: Duration,
    },
    /// Too many at once.
    #[error("{at_once} of your calls run already. Wait for one to end, then call again.")]
    AtOnce {
        /// The limit.
        at_once: usize,
    },
}

/// A call that runs. Dropped when it ends.
#[derive(Debug)]
pub(crate) struct Slot(
    #[allow(dead_code, reason = "held, and given back when it is dropped")] OwnedSemaphorePermit,
);

#[derive(Debug)]
struct Account {
    tokens: f64,
    seen: Instant,
    slots: Arc<Semaphore>,
    waits: Arc<Semaphore>,
}

/// All callers.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    accounts: Mutex<HashMap<String, Account>>,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, accounts: Mutex::new(HashMap::new()) }
    }

    /// Takes a call, or says why not.
    pub(crate) fn enter(&self, caller: &str) -> Result<Slot, LimitError> {
        self.within(caller, self.limits)
    }

    /// Takes a call of a tool that has a limit of its own.
    pub(crate) fn tool(&self, caller: &str, tool: &str, per_minute: u32) -> Result<(), LimitError> {
        let limits = Limits { per_minute, burst: per_minute, ..self.limits };
        self.within(&format!("{caller} {tool}"), limits).map(drop)
    }

    fn within(&self, caller: &str, limits: Limits) -> Result<Slot, LimitError> {
        let Limits { per_minute, burst, at_once, waiting } = limits;
        let now = Instant::now();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= REMEMBERED && !accounts.contains_key(caller) {
            let idle = accounts.iter().min_by_key(|(_, account)| account.seen).map(|(name, _)| name.clone());
            idle.map(|name| accounts.remove(&name));
        }
        let full = || Account {
            tokens: burst.into(),
            seen: now,
            slots: Arc::new(Semaphore::new(at_once)),
            waits: Arc::new(Semaphore::new(waiting)),
        };
        let account = accounts.entry(caller.to_owned()).or_insert_with(full);
        let per_second = f64::from(per_minute) / 60.0;
        let grown = account.tokens + now.duration_since(account.seen).as_secs_f64() * per_second;
        (account.tokens, account.seen) = (grown.min(burst.into()), now);
        if account.tokens < 1.0 {
            let wait =
                Duration::try_from_secs_f64((1.0 - account.tokens) / per_second).unwrap_or(Duration::MAX);
            return Err(LimitError::Rate { per_minute, wait });
        }
        let slot = account.slots.clone().try_acquire_owned().map_err(|_| LimitError::AtOnce { at_once })?;
        account.tokens -= 1.0;
        Ok(Slot(slot))
    }

    /// Takes the place of a call that was counted before and now goes on, as what people agreed to does.
    pub(crate) fn slot(&self, caller: &str) -> Result<Slot, LimitError> {
        let at_once = self.limits.at_once;
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(account) = accounts.get(caller) else { return Err(LimitError::AtOnce { at_once }) };
        account.slots.clone().try_acquire_owned().map(Slot).map_err(|_| LimitError::AtOnce { at_once })
    }

    /// Takes a place among those that wait for people, if one is free.
    pub(crate) fn wait(&self, caller: &str) -> Option<Slot> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(caller)?.waits.clone().try_acquire_owned().ok().map(Slot)
    }
}

/// Calls that were turned away, by caller, since it was last written down. Whoever floods must not flood the trail.
#[derive(Debug, Default)]
pub(crate) struct TurnedAway(Mutex<HashMap<String, u64>>);

impl TurnedAway {
    /// Counts one. `true` for the first: it is written down at once, and what more comes later.
    pub(crate) fn is_first(&self, caller: &str) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let more = counted.get_mut(caller).map(|more| *more += 1);
        if more.is_none() {
            counted.insert(caller.to_owned(), 0);
        }
        more.is_none()
    }

    /// How many more there were. The next one is a first again.
    pub(crate) fn more(&self, caller: &str) -> u64 {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.remove(caller).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_caller_has_a_burst_and_then_a_rate() {
        let gate = Gate::new(Limits { per_minute: 60, burst: 2, at_once: 9, waiting: 1 });
        assert!(gate.enter("a").is_ok() && gate.enter("a").is_ok());
        insta::assert_snapshot!(gate.enter("a").unwrap_err(), @"You called more than 60 times a minute. Wait 1000 ms, then call again.");
        assert!(gate.enter("b").is_ok(), "another one's calls are another one's");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(gate.enter("a").is_ok());
        assert!(gate.enter("a").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_tool_may_have_less_than_its_caller() {
        let gate = Gate::new(Limits { per_minute: 60, burst: 9, at_once: 9, waiting: 1 });
        assert!(gate.tool("a", "slow", 1).is_ok());
        insta::assert_snapshot!(gate.tool("a", "slow", 1).unwrap_err(), @"You called more than 1 times a minute. Wait 60000 ms, then call again.");
        assert!(
            gate.tool("a", "never", 0).is_err()
                && gate.tool("b", "slow", 1).is_ok()
                && gate.enter("a").is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_run_at_once() {
        let gate = Gate::new(Limits { per_minute: 60, burst: 9, at_once: 1, waiting: 1 });
        let first = gate.enter("a").unwrap();
        insta::assert_snapshot!(gate.enter("a").unwrap_err(), @"1 of your calls run already. Wait for one to end, then call again.");
        let waits = gate.wait("a");
        assert!(waits.is_some() && gate.wait("a").is_none());
        drop(first);
        assert!(gate.enter("a").is_ok());
    }
}
