//! Features that come again on a schedule: whether one is to be made now. Pure: who keeps them, makes the feature and
//! reads the clock is elsewhere.
//!
//! At any time there is at most one occurrence to decide on: the latest. Those before it that nobody was there to decide
//! (the program was down) are one with it; nobody wants yesterday's nightly run six times.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};
use qd_types::FeatureId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Schedule;

/// How late an occurrence may start unless said otherwise, in minutes.
pub const DEFAULT_START_DEADLINE_MINUTES: u32 = 60;

/// A feature that is made again and again. It knows no time zone: that is the fleet's, and may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recurring<T> {
    /// What it is called, in the one list of the instance.
    pub name: String,
    /// When.
    pub schedule: Schedule,
    /// What is made.
    pub template: T,
    /// Whether it stands still until a person resumes it.
    pub suspended: bool,
    /// An occurrence that could not start within so many full minutes is left out.
    pub start_deadline_minutes: u32,
    /// Nothing up to here is due: when it was made, resumed, or given another schedule.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// The last occurrence that was decided on, made or skipped.
    #[schemars(with = "Option<String>")]
    pub last: Option<Timestamp>,
}

impl<T> Recurring<T> {
    /// A new one: its first occurrence is the next.
    pub fn new(name: impl Into<String>, schedule: Schedule, template: T, now: Timestamp) -> Self {
        Self {
            name: name.into(),
            schedule,
            template,
            suspended: false,
            start_deadline_minutes: DEFAULT_START_DEADLINE_MINUTES,
            since: now,
            last: None,
        }
    }

    /// Lets it stand still.
    pub fn suspend(&mut self) {
        self.suspended = true;
    }

    /// Lets it go on, with the next occurrence: what passed in the meantime stays undone.
    pub fn resume(&mut self, now: Timestamp) {
        if self.suspended {
            self.suspended = false;
            self.since = now;
        }
    }

    /// Gives it another schedule, which holds from now on: an hour that has passed already today is not made up for.
    pub fn reschedule(&mut self, schedule: Schedule, now: Timestamp) {
        self.schedule = schedule;
        self.since = now;
    }

    /// Writes down that `decision` was carried out. To be stored together with what it led to, or the same occurrence
    /// comes up again.
    pub fn settle(&mut self, decision: &Decision) {
        match decision {
            Decision::Run { occurrence } | Decision::Skip { occurrence, .. } => self.last = Some(*occurrence),
            Decision::Wait { .. } => {}
        }
    }

    /// The instant up to which everything is decided.
    fn decided(&self) -> Timestamp {
        self.last.map_or(self.since, |last| last.max(self.since))
    }
}

/// What is to be done about a recurring feature now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Make the feature.
    Run {
        /// For which time.
        occurrence: Timestamp,
    },
    /// Nothing.
    Wait {
        /// Until the next occurrence. `None` while it is suspended, and where the calendar ends.
        until: Option<Timestamp>,
    },
    /// Leave an occurrence out, and say so.
    Skip {
        /// Which.
        occurrence: Timestamp,
        /// Why.
        reason: Skipped,
    },
}

/// Why an occurrence is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Skipped {
    /// Two of the same never run side by side.
    StillOpen {
        /// The feature that was made the last time.
        feature: FeatureId,
    },
    /// Nobody was there to start it in time.
    TooLate {
        /// By how many full minutes.
        minutes: u64,
        /// How many it may be.
        deadline: u32,
    },
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StillOpen { feature } => write!(f, "{feature}, made the last time, is still open"),
            Self::TooLate { minutes, deadline } => {
                write!(f, "{minutes} minutes late; it may start up to {deadline} minutes late")
            }
        }
    }
}

/// Whether `recurring` is to be made now. `open` is the feature that it made the last time, while that is neither done
/// nor dropped.
///
/// May be asked at any time and any number of times; until its answer is [settled](Recurring::settle), the answer stays
/// a skip or a run of the latest occurrence.
pub fn due<T>(
    recurring: &Recurring<T>,
    open: Option<&FeatureId>,
    now: Timestamp,
    zone: &TimeZone,
) -> Decision {
    if recurring.suspended {
        return Decision::Wait { until: None };
    }
    let decided = recurring.decided();
    let latest = recurring.schedule.latest_at(now, zone).filter(|latest| *latest > decided);
    let Some(occurrence) = latest else {
        return Decision::Wait { until: recurring.schedule.next_after(decided.max(now), zone) };
    };
    let minutes = u64::try_from(now.duration_since(occurrence).as_mins()).unwrap_or(0);
    if minutes > u64::from(recurring.start_deadline_minutes) {
        let reason = Skipped::TooLate { minutes, deadline: recurring.start_deadline_minutes };
        return Decision::Skip { occurrence, reason };
    }
    match open {
        Some(feature) => {
            Decision::Skip { occurrence, reason: Skipped::StillOpen { feature: feature.clone() } }
        }
        None => Decision::Run { occurrence },
    }
}

/// Whether a person may have it made right now. Suspended or not makes no difference, they ask for it; two side by side
/// are refused all the same. Settles nothing: the schedule goes on as if it had not been.
pub fn run_now(open: Option<&FeatureId>) -> Result<(), Skipped> {
    match open {
        Some(feature) => Err(Skipped::StillOpen { feature: feature.clone() }),
        None => Ok(()),
    }
}
