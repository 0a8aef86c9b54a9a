//! The circuit breaker: what fails again and again is left alone for a while. Pure: it is told what happened and when,
//! and answers; it starts nothing and reads no clock.
//!
//! Each cause has a circuit of its own. Closed, everything goes. Two infrastructure failures within a minute open it,
//! and so does a provider that says its quota is used up. When its pause is over, one attempt is let through: success
//! closes the circuit, failure opens it again for twice as long. The state is plain data and survives a restart.

use std::{collections::BTreeMap, fmt};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chance;

/// So many failures open a circuit.
pub const FAILURES: usize = 2;
/// If they happen within so many seconds of each other.
pub const WITHIN_SECONDS: i64 = 60;
/// The first pause, in seconds. Each further opening doubles it.
pub const FIRST_PAUSE_SECONDS: i64 = 5 * 60;
/// The longest pause, in seconds, before jitter.
pub const LONGEST_PAUSE_SECONDS: i64 = 2 * 60 * 60;
/// A circuit that stayed closed for so many seconds begins with the first pause again.
pub const FORGIVEN_AFTER_SECONDS: i64 = LONGEST_PAUSE_SECONDS;
/// The longest that a stated reset time is believed, in seconds: 35 days. The longest period of a quota is a month.
pub const LONGEST_QUOTA_SECONDS: i64 = 35 * 24 * 60 * 60;
/// The shortest pause for a quota, in seconds: a reset time that has passed already is not an answer.
pub const SHORTEST_QUOTA_SECONDS: i64 = 60;
/// A reset time that moved by no more than so many seconds is still the same.
const SAME_RESET_SECONDS: i64 = 10 * 60;

/// What fails together, and is paused together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Cause(String);

impl Cause {
    /// Something of our own surroundings: `infrastructure: git push`.
    pub fn infrastructure(what: &str) -> Self {
        Self(format!("infrastructure: {what}"))
    }

    /// A provider's quota: `quota: claude`.
    pub fn quota(provider: &str) -> Self {
        Self(format!("quota: {provider}"))
    }

    /// As people read it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a circuit is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Failures, one after the other.
    Failures,
    /// The provider said so.
    Quota,
}

/// All circuits that are not plainly closed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Breaker {
    circuits: BTreeMap<Cause, Circuit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Circuit {
    state: State,
    /// How often it opened for failures since it was last forgiven.
    openings: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case")]
enum State {
    Closed {
        /// The latest, fewer than [`FAILURES`].
        #[schemars(with = "Vec<String>")]
        failures: Vec<Timestamp>,
        /// When it last closed, or failed, whichever is later.
        #[schemars(with = "String")]
        since: Timestamp,
    },
    Open {
        #[schemars(with = "String")]
        until: Timestamp,
        reason: Reason,
    },
    /// One attempt is on its way.
    HalfOpen { reason: Reason },
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Go,
    /// Yes, this one alone: what becomes of it decides. It must be reported.
    Trial,
    /// No, not before then.
    Paused {
        /// When the pause is over.
        until: Timestamp,
        /// Why there is one.
        reason: Reason,
    },
    /// No: another attempt is on its way, and what becomes of it decides.
    Waiting {
        /// Why it had opened.
        reason: Reason,
    },
}

/// Something to tell people. There is one only where something changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A cause is paused.
    Opened {
        /// Which.
        cause: Cause,
        /// Why.
        reason: Reason,
        /// Until then.
        #[schemars(with = "String")]
        until: Timestamp,
    },
    /// A cause that was paused goes again.
    Closed {
        /// Which.
        cause: Cause,
    },
}

impl Breaker {
    /// Whether an attempt could be made; changes nothing. For showing what is waited for.
    pub fn look(&self, cause: &Cause, now: Timestamp) -> Answer {
        match self.circuits.get(cause).map(|circuit| &circuit.state) {
            None | Some(State::Closed { .. }) => Answer::Go,
            Some(State::Open { until, .. }) if *until <= now => Answer::Trial,
            Some(State::Open { until, reason }) => Answer::Paused { until: *until, reason: *reason },
            Some(State::HalfOpen { reason }) => Answer::Waiting { reason: *reason },
        }
    }

    /// Asks to make an attempt. After [`Answer::Trial`] nobody else is let through until the attempt is reported:
    /// [`success`](Self::success), [`failure`](Self::failure), [`quota_exhausted`](Self::quota_exhausted), or
    /// [`no_verdict`](Self::no_verdict).
    pub fn ask(&mut self, cause: &Cause, now: Timestamp) -> Answer {
        let answer = self.look(cause, now);
        if answer == Answer::Trial
            && let Some(circuit) = self.circuits.get_mut(cause)
            && let State::Open { reason, .. } = circuit.state
        {
            circuit.state = State::HalfOpen { reason };
        }
        answer
    }

    /// It worked. Closes a circuit that was half open; what was begun before a pause says nothing about it.
    pub fn success(&mut self, cause: &Cause, now: Timestamp) -> Option<Event> {
        let circuit = self.circuits.get_mut(cause)?;
        let State::HalfOpen { .. } = circuit.state else { return None };
        circuit.state = State::Closed { failures: vec![], since: now };
        self.tidy(now);
        Some(Event::Closed { cause: cause.clone() })
    }

    /// It failed for a reason that would make others fail too. The seed spreads the pause by up to a tenth either way.
    pub fn failure(&mut self, cause: &Cause, now: Timestamp, seed: u64) -> Option<Event> {
        self.tidy(now);
        let fresh = Circuit { state: State::Closed { failures: vec![], since: now }, openings: 0 };
        let circuit = self.circuits.entry(cause.clone()).or_insert(fresh);
        match &mut circuit.state {
            State::Closed { failures, since } => {
                failures
                    .retain(|at| now.duration_since(*at).abs() <= SignedDuration::from_secs(WITHIN_SECONDS));
                failures.push(now);
                *since = now;
                if failures.len() < FAILURES {
                    return None;
                }
            }
            // Begun before the pause: no news.
            State::Open { .. } => return None,
            State::HalfOpen { .. } => {}
        }
        circuit.openings = circuit.openings.saturating_add(1);
        let until = later(now, pause(circuit.openings, seed));
        circuit.state = State::Open { until, reason: Reason::Failures };
        Some(Event::Opened { cause: cause.clone(), reason: Reason::Failures, until })
    }

    /// The provider says that its quota is used up until `reset_at`. Said once: repeating it is no event, unless the
    /// time moved back by more than ten minutes.
    pub fn quota_exhausted(&mut self, cause: &Cause, reset_at: Timestamp, now: Timestamp) -> Option<Event> {
        self.tidy(now);
        let soonest = later(now, SignedDuration::from_secs(SHORTEST_QUOTA_SECONDS));
        let latest = later(now, SignedDuration::from_secs(LONGEST_QUOTA_SECONDS));
        let mut until = reset_at.clamp(soonest, latest);
        let openings = self.circuits.get(cause).map_or(0, |circuit| circuit.openings);
        let mut news = true;
        if let Some(Circuit { state: State::Open { until: before, reason }, .. }) = self.circuits.get(cause) {
            // Several quotas may be used up, by the hour and by the week: the longest counts.
            until = until.max(*before);
            let moved = until.duration_since(*before) > SignedDuration::from_secs(SAME_RESET_SECONDS);
            news = moved || *reason != Reason::Quota;
        }
        let state = State::Open { until, reason: Reason::Quota };
        self.circuits.insert(cause.clone(), Circuit { state, openings });
        news.then(|| Event::Opened { cause: cause.clone(), reason: Reason::Quota, until })
    }

    /// The attempt that was let through ended without telling anything: stopped by a person, failed for a reason of its
    /// own. The next one is let through.
    pub fn no_verdict(&mut self, cause: &Cause, now: Timestamp) {
        if let Some(circuit) = self.circuits.get_mut(cause)
            && let State::HalfOpen { reason } = circuit.state
        {
            circuit.state = State::Open { until: now, reason };
        }
    }

    /// After a restart: attempts that were on their way are not any more.
    pub fn restarted(&mut self, now: Timestamp) {
        for circuit in self.circuits.values_mut() {
            if let State::HalfOpen { reason } = circuit.state {
                circuit.state = State::Open { until: now, reason };
            }
        }
    }

    /// A person closes a circuit, whatever it was. Nothing of its past is kept.
    pub fn close(&mut self, cause: &Cause) -> Option<Event> {
        let circuit = self.circuits.remove(cause)?;
        let was_closed = matches!(circuit.state, State::Closed { .. });
        (!was_closed).then(|| Event::Closed { cause: cause.clone() })
    }

    /// Every cause that is not simply let through, with the answer it would get; by name.
    pub fn paused(&self, now: Timestamp) -> impl Iterator<Item = (&Cause, Answer)> {
        self.circuits
            .keys()
            .map(move |cause| (cause, self.look(cause, now)))
            .filter(|(_, answer)| *answer != Answer::Go)
    }

    /// Forgets what is forgiven, so that there is never more here than what failed in the last hours.
    fn tidy(&mut self, now: Timestamp) {
        let forgiven = SignedDuration::from_secs(FORGIVEN_AFTER_SECONDS);
        self.circuits.retain(|_, circuit| match &circuit.state {
            State::Closed { since, .. } => now.duration_since(*since) < forgiven,
            State::Open { .. } | State::HalfOpen { .. } => true,
        });
    }
}

/// The pause of the nth opening: doubled each time, bounded, and spread by up to a tenth either way.
fn pause(openings: u32, seed: u64) -> SignedDuration {
    let doublings = openings.saturating_sub(1).min(16);
    let plain = FIRST_PAUSE_SECONDS.saturating_mul(1 << doublings).min(LONGEST_PAUSE_SECONDS).unsigned_abs();
    let tenth = plain / 10;
    let spread = chance::between(seed, u64::from(openings), plain - tenth, plain + tenth);
    SignedDuration::from_secs(i64::try_from(spread).unwrap_or(LONGEST_PAUSE_SECONDS))
}

fn later(now: Timestamp, pause: SignedDuration) -> Timestamp {
    now.saturating_add(pause).unwrap_or(Timestamp::MAX)
}
