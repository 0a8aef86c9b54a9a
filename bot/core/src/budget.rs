//! How much is said in a channel: well under what its service takes, and the most important first. Pure; the clock is given.
//!
//! What is to be said has a class. Each class leaves calls over for those above it, so that what is lower never makes a card
//! wait. What does not fit yet is one row per message: it is overwritten, not queued.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::chat::{Channel, Message};

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// People are asked.
    Approval,
    /// Something needs people, or a card is closed.
    Alert,
    /// How something stands.
    Living,
    /// What was.
    Digest,
}

impl Class {
    /// Every class, the first first.
    pub const ALL: [Self; 4] = [Self::Approval, Self::Alert, Self::Living, Self::Digest];

    /// Of a message: by what its key says that it is, and whether it still asks.
    pub fn of(message: &Message) -> Self {
        let kind = message.key.0.split(':').next().unwrap_or_default();
        match kind {
            "approval" if !message.buttons.is_empty() => Self::Approval,
            "escalation" => Self::Approval,
            "approval" | "alert" | "paused" | "pipeline" | "announcement" => Self::Alert,
            "digest" => Self::Digest,
            _ => Self::Living,
        }
    }

    /// As a row has it: the first is 0.
    pub fn rank(self) -> i64 {
        match self {
            Self::Approval => 0,
            Self::Alert => 1,
            Self::Living => 2,
            Self::Digest => 3,
        }
    }
}

/// How much is said in each channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Calls a minute to one channel, 1 to 60, in the long run.
    pub per_minute: u32,
    /// Calls at once, after quiet; each class leaves one more of them to those above it.
    pub burst: u32,
    /// Seconds between two edits of one message where nothing turned.
    pub calm_seconds: u32,
    /// Such edits a minute in one channel, of all its messages; they count as calls, too.
    pub calm_per_minute: u32,
}

impl Budget {
    /// What makes no sense in it, beginning with the key.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(1..=60).contains(&self.per_minute) {
            return Err(format!("per_minute: it is 1 to 60, not {}", self.per_minute));
        }
        if !(4..=60).contains(&self.burst) {
            return Err(format!("burst: it is 4 to 60, one for each class, not {}", self.burst));
        }
        if !(1..=self.per_minute).contains(&self.calm_per_minute) {
            return Err(format!(
                "calm_per_minute: it is 1 to per_minute, which is {}, not {}",
                self.per_minute, self.calm_per_minute
            ));
        }
        if self.calm_seconds > 3600 {
            return Err(format!("calm_seconds: it is at most 3600, not {}", self.calm_seconds));
        }
        Ok(())
    }

    /// From when on an edit may go out, where nothing turned: some time after the last one.
    pub fn calm(&self, delivered: Timestamp) -> Timestamp {
        later(delivered, i64::from(self.calm_seconds) * 1000)
    }

    fn all(&self) -> Rate {
        Rate { interval: 60_000 / i64::from(self.per_minute.max(1)), burst: i64::from(self.burst) }
    }

    fn calmly(&self) -> Rate {
        Rate { interval: 60_000 / i64::from(self.calm_per_minute.max(1)), burst: CALM }
    }
}

/// Edits at once where nothing turned.
const CALM: i64 = 2;

/// A rate: milliseconds that one call takes up, and how many may come at once.
#[derive(Debug, Clone, Copy)]
struct Rate {
    interval: i64,
    burst: i64,
}

impl Rate {
    /// The moment when a bucket is full again. A clock that was put back makes nothing wait longer than an empty bucket would.
    fn full(self, full: Option<Timestamp>, now: Timestamp) -> Timestamp {
        full.unwrap_or(now).clamp(now, later(now, self.burst * self.interval))
    }

    /// From when on a call may be made that leaves `reserve` calls over.
    fn from(self, full: Option<Timestamp>, reserve: i64, now: Timestamp) -> Timestamp {
        let spare = (self.burst - reserve - 1).max(0);
        later(self.full(full, now), -spare * self.interval).max(now)
    }

    fn spent(self, full: Option<Timestamp>, now: Timestamp) -> Timestamp {
        later(self.full(full, now), self.interval)
    }
}

/// What was said in each channel lately: a token bucket for each, kept as the moment when it is full again.
#[derive(Debug, Clone, Default)]
pub struct Budgets {
    all: BTreeMap<Channel, Timestamp>,
    calm: BTreeMap<Channel, Timestamp>,
}

impl Budgets {
    /// From when on something of this class may be said there: `now`, or later.
    pub fn when(&self, budget: &Budget, channel: Channel, class: Class, now: Timestamp) -> Timestamp {
        budget.all().from(self.all.get(&channel).copied(), class.rank(), now)
    }

    /// From when on something may be said there again where nothing turned, as far as that is limited beside its class.
    pub fn calm_when(&self, budget: &Budget, channel: Channel, now: Timestamp) -> Timestamp {
        budget.calmly().from(self.calm.get(&channel).copied(), 0, now)
    }

    /// A call was made there; `calm` says whether nothing had turned.
    pub fn spend(&mut self, budget: &Budget, channel: Channel, calm: bool, now: Timestamp) {
        let full = budget.all().spent(self.all.get(&channel).copied(), now);
        self.all.insert(channel, full);
        if calm {
            let full = budget.calmly().spent(self.calm.get(&channel).copied(), now);
            self.calm.insert(channel, full);
        }
    }
}

fn later(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond().saturating_add(millis)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BUDGET: Budget = Budget { per_minute: 30, burst: 5, calm_seconds: 120, calm_per_minute: 2 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn each_class_leaves_one_call_more_to_those_above_it() {
        let mut budgets = Budgets::default();
        let mut spent = Vec::new();
        for class in Class::ALL.into_iter().rev() {
            while budgets.when(&BUDGET, Channel::Dev, class, at(0)) == at(0) {
                budgets.spend(&BUDGET, Channel::Dev, false, at(0));
                spent.push(class);
            }
        }
        assert_eq!(spent, [Class::Digest, Class::Digest, Class::Living, Class::Alert, Class::Approval],);
        assert_eq!(budgets.when(&BUDGET, Channel::Dev, Class::Approval, at(0)), at(2000));
        assert_eq!(budgets.when(&BUDGET, Channel::Dev, Class::Digest, at(0)), at(8000));
        assert_eq!(
            budgets.when(&BUDGET, Channel::Alerts, Class::Digest, at(0)),
            at(0),
            "each channel has its own"
        );
    }

    proptest! {
        /// Calls of any class at any time, clock put back included, as soon as they may.
        #[test]
        fn no_window_holds_more_than_the_budget_and_what_is_lower_delays_nothing(
            steps in prop::collection::vec((0_i64..4000, 0_usize..4), 1..200),
        ) {
            let (mut budgets, mut now, mut calls) = (Budgets::default(), 1_000_000, Vec::new());
            for (step, class) in steps {
                now += step;
                let class = Class::ALL[class];
                if budgets.when(&BUDGET, Channel::Dev, class, at(now)) == at(now) {
                    budgets.spend(&BUDGET, Channel::Dev, false, at(now));
                    calls.push((now, class));
                }
                // Without a card in the last seconds the next card goes at once.
                let cards = calls.iter().filter(|(then, class)| *class == Class::Approval && now - then < 10_000).count();
                if cards == 0 {
                    prop_assert_eq!(budgets.when(&BUDGET, Channel::Dev, Class::Approval, at(now)), at(now));
                }
            }
            for (index, (begin, _)) in calls.iter().enumerate() {
                for (count, (end, _)) in calls[index..].iter().enumerate() {
                    prop_assert!(count as i64 <= 5 + (end - begin) / 2000, "{count} within {} ms", end - begin);
                }
            }
        }

        #[test]
        fn a_clock_that_is_put_back_blocks_nobody(before in 0_i64..1 << 40, after in 0_i64..1 << 40) {
            let mut budgets = Budgets::default();
            for _ in 0..10 {
                budgets.spend(&BUDGET, Channel::Dev, true, at(before));
            }
            let from = budgets.when(&BUDGET, Channel::Dev, Class::Digest, at(after));
            prop_assert!(from >= at(after) && from <= at(after + 10_000));
            let calm = budgets.calm_when(&BUDGET, Channel::Dev, at(after));
            prop_assert!(calm >= at(after) && calm <= at(after + 60_000));
        }
    }
}
