//! The circuit breaker: what fails for reasons of the machine, the network or a provider is left alone for a while, by
//! its cause, and people are told once. Kept as a row, so that a restart does not forget it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use qd_board::{
    FailureClass,
    breaker::{Answer, Breaker, Cause, Event, Reason},
    chance, reset,
};
use qd_store::StoreError;
use qd_types::{RepositoryName, Step};

use crate::team::Team;

const SWITCH: &str = "breaker";
/// How long a quota rests whose end nobody stated.
const UNSTATED: SignedDuration = SignedDuration::from_mins(30);

/// An agent's own surroundings: its provider, its login, its network.
pub(crate) fn agent(name: &str) -> Cause {
    Cause::infrastructure(&format!("agent {name}"))
}

/// A repository's forge.
pub(crate) fn repository(name: &RepositoryName) -> Cause {
    Cause::infrastructure(&format!("repository {name}"))
}

fn quota(agent: &str) -> Cause {
    Cause::quota(&format!("agent {agent}"))
}

/// What is paused now, by what the scheduler calls it, with the end of the pause.
pub(crate) fn paused(breaker: &Breaker, now: Timestamp) -> BTreeMap<String, Timestamp> {
    let soon = now.checked_add(SignedDuration::from_secs(30)).unwrap_or(now);
    breaker
        .paused(now)
        .map(|(cause, answer)| {
            let until = match answer {
                Answer::Paused { until, .. } => until,
                Answer::Go | Answer::Trial | Answer::Waiting { .. } => soon,
            };
            let name = cause.as_str().split_once(": ").map_or(cause.as_str(), |(_, name)| name);
            (name.to_owned(), until)
        })
        .collect()
}

impl Team {
    /// Takes up what an older process knew.
    pub(crate) async fn load_circuits(&self) -> Result<(), StoreError> {
        let mut breaker: Breaker = self.store().switch(SWITCH).await?.unwrap_or_default();
        breaker.restarted(Timestamp::now());
        self.circuits(|now| *now = breaker);
        Ok(())
    }

    /// A run is about to start: an attempt that is a trial is noted as one.
    pub(crate) async fn attempt(
        &self,
        name: &str,
        repository_name: &RepositoryName,
    ) -> Result<(), StoreError> {
        let now = Timestamp::now();
        self.change_circuits(|breaker| {
            for cause in [agent(name), quota(name), repository(repository_name)] {
                breaker.ask(&cause, now);
            }
            Vec::new()
        })
        .await
    }

    /// It worked.
    pub(crate) async fn worked(&self, causes: &[Cause]) -> Result<(), StoreError> {
        let now = Timestamp::now();
        self.change_circuits(|breaker| {
            causes.iter().filter_map(|cause| breaker.success(cause, now)).collect()
        })
        .await
    }

    /// The agent did what it should, and its provider let it.
    pub(crate) async fn agent_worked(&self, name: &str) -> Result<(), StoreError> {
        self.worked(&[agent(name), quota(name)]).await
    }

    /// A run was stopped: nothing is known of what it tried.
    pub(crate) async fn no_verdict(
        &self,
        name: &str,
        repository_name: &RepositoryName,
    ) -> Result<(), StoreError> {
        let now = Timestamp::now();
        self.change_circuits(|breaker| {
            for cause in [agent(name), quota(name), repository(repository_name)] {
                breaker.no_verdict(&cause, now);
            }
            Vec::new()
        })
        .await
    }

    /// A run failed at a step: causes that may be to blame are noted.
    pub(crate) async fn failed(
        &self,
        run: &qd_board::Run,
        repository_name: &RepositoryName,
        step: Option<Step>,
        class: FailureClass,
    ) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let by_agent = matches!(step, Some(Step::Agent | Step::Checks));
        let cause = if by_agent { agent(&run.agent) } else { repository(repository_name) };
        let seed = chance::seed(&[&run.id.to_string()]);
        let words = run.words.clone().unwrap_or_default();
        let zone = self.options().zone.clone();
        self.change_circuits(|breaker| {
            let event = match class {
                FailureClass::Transient | FailureClass::RateLimit => breaker.failure(&cause, now, seed),
                FailureClass::Quota => {
                    let unstated = now.checked_add(UNSTATED).unwrap_or(now);
                    let until = reset::stated(&words, now, &zone).unwrap_or(unstated);
                    breaker.quota_exhausted(&quota(&run.agent), until, now)
                }
                _ => {
                    for cause in [agent(&run.agent), quota(&run.agent), repository(repository_name)] {
                        breaker.no_verdict(&cause, now);
                    }
                    None
                }
            };
            event.into_iter().collect()
        })
        .await
    }

    async fn change_circuits(
        &self,
        change: impl FnOnce(&mut Breaker) -> Vec<Event>,
    ) -> Result<(), StoreError> {
        let changed = self.circuits(|breaker| {
            let before = breaker.clone();
            let events = change(breaker);
            (*breaker != before).then(|| (breaker.clone(), events))
        });
        let Some((breaker, events)) = changed else { return Ok(()) };
        let now = Timestamp::now();
        self.store().set_switch(SWITCH, Some(&breaker), None, now).await?;
        let zone = self.options().zone.clone();
        for event in events {
            let (cause, text, over) = match event {
                Event::Opened { cause, reason, until } => {
                    let until = until.to_zoned(zone.clone()).strftime("%a %H:%M").to_string();
                    let why = match reason {
                        Reason::Failures => "failed too often",
                        Reason::Quota => "says that its quota is used up",
                    };
                    let name = cause.as_str().split_once(": ").map_or(cause.as_str(), |(_, name)| name);
                    (
                        cause.clone(),
                        format!("{} {why}. Paused until {until}.", crate::problem::capital(name)),
                        false,
                    )
                }
                Event::Closed { cause } => {
                    let name = cause.as_str().split_once(": ").map_or(cause.as_str(), |(_, name)| name);
                    (cause.clone(), format!("{} works again.", crate::problem::capital(name)), true)
                }
            };
            self.store().raise(&format!("circuit:{cause}"), &text, over, now).await?;
        }
        Ok(())
    }
}
