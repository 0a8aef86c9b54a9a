//! So many posts a minute for a team. What is over is refused with the time to wait: a queue would only be late.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use qd_guard::Fault;

const MINUTE: Duration = Duration::from_secs(60);

/// The budget of every team.
pub(crate) struct Budget {
    per_minute: usize,
    spent: Mutex<HashMap<String, VecDeque<Instant>>>,
}

impl Budget {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute: usize::try_from(per_minute).unwrap_or(usize::MAX), spent: Mutex::default() }
    }

    /// Takes one post out of a team's budget.
    pub(crate) fn spend(&self, team: &str, now: Instant) -> Result<(), Fault> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let times = spent.entry(team.to_owned()).or_default();
        while times.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            times.pop_front();
        }
        if times.len() < self.per_minute {
            times.push_back(now);
            return Ok(());
        }
        let wait = times.front().map_or(MINUTE, |at| MINUTE.saturating_sub(now.duration_since(*at)));
        Err(Fault::failed(
            format!("The team {team} has posted {} times within a minute.", self.per_minute),
            format!("Wait {} s, and say it all in one post.", wait.as_secs().max(1)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_has_its_own_budget_and_gets_it_back() {
        let (budget, start) = (Budget::new(2), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(budget.spend("alpha", at(0)).is_ok());
        assert!(budget.spend("alpha", at(10)).is_ok());
        let fault = budget.spend("alpha", at(20)).unwrap_err();
        insta::assert_snapshot!(format!("{} {}", fault.problem, fault.way_out), @"The team alpha has posted 2 times within a minute. Wait 40 s, and say it all in one post.");
        assert!(budget.spend("beta", at(20)).is_ok());
        assert!(budget.spend("alpha", at(60)).is_ok());
        assert!(budget.spend("alpha", at(61)).is_err());
        assert!(Budget::new(0).spend("alpha", at(0)).is_err());
    }
}
