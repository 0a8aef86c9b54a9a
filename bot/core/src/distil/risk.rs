//! Risks: what endangers the work and needs no alert of its own yet. Derived from facts when somebody asks, never kept.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use qd_types::{InstanceName, Spent, Stage};
use qd_wire::v1::Presence;

use super::digest::approvals;
use crate::{presence, state::FleetState, text};

/// Days that a usual day's cost is taken from, and the fewest that say anything.
const DAYS: usize = 7;
const FEWEST: usize = 3;

/// Something that endangers the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    /// Whose, if it is one team's.
    pub team: Option<InstanceName>,
    /// What, as a sentence.
    pub text: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// All of them, the worst first: red branches, what people keep waiting, what does not go on, money.
pub fn risks(state: &FleetState, now: Timestamp) -> Vec<Risk> {
    let mut risks = Vec::new();
    for (pipeline, stands) in state.facts.pipelines.iter().filter(|(_, stands)| !stands.passed) {
        let text = text::red(pipeline, stands);
        risks.push(Risk { team: None, text, since: Some(stands.red_since) });
    }
    risks.extend(unheard(state, now));
    risks.extend(ageing(state, now));
    risks.extend(still(state, now));
    risks.extend(money(state, now));
    risks
}

/// Teams that are silent.
fn unheard(state: &FleetState, now: Timestamp) -> Vec<Risk> {
    let silent = |team: &&InstanceName| presence::of(state, team, now) == Presence::Silent;
    let risk = |team: &InstanceName| {
        Some(Risk {
            team: Some(team.clone()),
            text: text::presence::silent(state, team, text::presence::Clock::of(state), now)?,
            since: state.presence.get(team).map(|seen| seen.last),
        })
    };
    state.rules.teams.iter().filter(silent).filter_map(risk).collect()
}

fn hours(since: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(since).as_hours()
}

/// Requests that people left open for long.
fn ageing(state: &FleetState, now: Timestamp) -> Vec<Risk> {
    let limit = i64::from(state.rules.distil.risks.approval_hours);
    let mut old: Vec<_> = approvals(state)
        .filter(|approval| approval.state.is_open() && hours(approval.requested_at, now) >= limit)
        .collect();
    old.sort_by_key(|approval| approval.requested_at);
    old.into_iter()
        .map(|approval| Risk {
            team: Some(approval.subject.instance.clone()),
            text: text::ageing(approval, hours(approval.requested_at, now)),
            since: Some(approval.requested_at),
        })
        .collect()
}

/// Features that run, wait for nobody, and do not go on.
fn still(state: &FleetState, now: Timestamp) -> Vec<Risk> {
    let limit = i64::from(state.rules.distil.risks.no_progress_hours);
    let mut risks = Vec::new();
    for team in &state.rules.teams {
        for (feature, noted) in state.facts.of(team) {
            let still = hours(noted.progressed, now);
            if noted.blocked.is_some() || noted.ended.is_some() || still < limit {
                continue;
            }
            let asks = || {
                approvals(state).any(|approval| {
                    let subject = &approval.subject;
                    approval.state.is_open() && subject.feature == *feature && subject.instance == *team
                })
            };
            let report = state.features.get(&(team.clone(), feature.clone()));
            let Some(report) = report.filter(|report| report.stage == Stage::Running) else { continue };
            if !asks() {
                risks.push(Risk {
                    team: Some(team.clone()),
                    text: text::still(report, still),
                    since: Some(noted.progressed),
                });
            }
        }
    }
    risks.sort_by_key(|risk| risk.since);
    risks
}

/// Budgets that come to their end, and days that cost more than usual.
fn money(state: &FleetState, now: Timestamp) -> Vec<Risk> {
    let today = now.to_zoned(state.rules.distil.zone.as_ref().clone()).date();
    let mut days: BTreeMap<&InstanceName, Vec<(Date, &Spent)>> = BTreeMap::new();
    for ((team, day), spent) in &state.facts.costs {
        days.entry(team).or_default().push((*day, spent));
    }
    let mut risks = Vec::new();
    for (team, days) in days {
        let Some((_, spent)) = days.iter().find(|(day, _)| *day == today) else { continue };
        let mut risk = |text: String| risks.push(Risk { team: Some(team.clone()), text, since: None });
        if let Some(warning) = &spent.warning {
            risk(text::inert(warning, 200));
        }
        let before: Vec<u64> = days
            .iter()
            .rev()
            .filter(|(day, spent)| *day < today && spent.micro_dollars > 0)
            .take(DAYS)
            .map(|(_, spent)| spent.micro_dollars)
            .collect();
        if before.len() < FEWEST {
            continue;
        }
        let mean = before.iter().sum::<u64>() / u64::try_from(before.len()).unwrap_or(1);
        let percent = spent.micro_dollars.saturating_mul(100).checked_div(mean).unwrap_or(0);
        if percent >= u64::from(state.rules.distil.risks.cost_percent) {
            risk(text::dear(team, spent.micro_dollars, mean));
        }
    }
    risks
}
