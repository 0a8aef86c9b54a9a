//! What an instance asks about the fleet, for its agents that manage: short facts.

use qd_types::InstanceName;
use qd_wire::v1::{FleetAnswer, FleetAsk, FleetQuery, Order, Risk, TeamCost};

use super::{digest, risk};
use crate::{effect::Effect, event::Moment, presence, state::FleetState, text};

/// Rows of one answer.
const ROWS: usize = 50;

/// Answers, from facts.
pub(crate) fn answer(state: &FleetState, asker: &InstanceName, query: &FleetQuery, moment: Moment) -> Effect {
    let answer = match query.ask {
        FleetAsk::Status => FleetAnswer::Status { teams: presence::status(state, moment.at) },
        FleetAsk::Risks => FleetAnswer::Risks {
            risks: risk::risks(state, moment.at)
                .into_iter()
                .take(ROWS)
                .map(|risk| Risk {
                    // What is red is everybody's.
                    team: risk.team.unwrap_or_else(|| asker.clone()),
                    text: risk.text.into(),
                    since: risk.since,
                })
                .collect(),
        },
        FleetAsk::Cost { days } => FleetAnswer::Cost { days: costs(state, days, moment) },
        FleetAsk::Digest => {
            let risks = risk::risks(state, moment.at);
            let teams = state.rules.teams.iter().take(ROWS);
            let lines = teams.map(|team| {
                let stands = digest::stands(state, team, &risks, moment.at);
                text::standup(&stands, &state.rules.distil.zone, moment.at).into()
            });
            FleetAnswer::Digest { lines: lines.collect() }
        }
    };
    let order = Box::new(Order::FleetAnswer { query: query.id.clone(), answer });
    Effect::Tell { to: asker.clone(), living: None, order }
}

/// What the last days have cost, with today: by day, then by team.
fn costs(state: &FleetState, days: u32, moment: Moment) -> Vec<TeamCost> {
    let today = moment.at.to_zoned(state.rules.distil.zone.as_ref().clone()).date();
    let within = |day: jiff::civil::Date| {
        let age = today.duration_since(day).as_hours() / 24;
        (0..i64::from(days.clamp(1, 31))).contains(&age)
    };
    let mut rows: Vec<TeamCost> = state
        .facts
        .costs
        .iter()
        .filter(|((_, day), _)| within(*day))
        .map(|((team, day), spent)| TeamCost { team: team.clone(), day: *day, spent: spent.clone() })
        .collect();
    rows.sort_by(|one, other| (one.day, &one.team).cmp(&(other.day, &other.team)));
    rows
}
