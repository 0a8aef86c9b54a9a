//! The data of a team's pictures, from facts.

use jiff::{Timestamp, ToSpan as _, civil::Date};
use qd_types::{FeatureId, InstanceName, Line, Mark, Stage};
use qd_wire::v1::FeatureReport;

use super::{TeamStands, facts::Day};
use crate::{
    picture::{Board, Card, Charts, Column, Marks, Picture, Tone},
    state::FleetState,
    text,
};

/// Days that the charts show.
const DAYS: i64 = 14;
/// Cards of a column that a phone has room for.
const CARDS: usize = 4;
/// Cards that rest, or are done.
const RESTING: usize = 2;
/// Longest title and sentence of a card, in characters: what fits on its lines.
const TITLE: usize = 80;
const SENTENCE: usize = 120;

/// The board of a team.
pub(crate) fn board(state: &FleetState, stands: &TeamStands) -> Picture {
    let mut columns: [(Stage, Vec<(&FeatureId, &FeatureReport)>); 4] =
        [Stage::Running, Stage::Review, Stage::Ready, Stage::Done].map(|stage| (stage, Vec::new()));
    let mut backlog = 0;
    let known = state.facts.of(&stands.team).map(|(id, _)| (stands.team.clone(), id.clone()));
    for ((_, id), report) in known.filter_map(|key| state.features.get_key_value(&key)) {
        // What is done is shown until the next stand-up has told it.
        let told = report.stage == Stage::Done && !stands.merged.contains(id);
        match columns.iter_mut().find(|(stage, _)| *stage == report.stage && !told) {
            Some((_, column)) => column.push((id, report)),
            None => backlog += usize::from(report.stage == Stage::Backlog),
        }
    }
    Picture::Board(Board {
        team: stands.team.clone(),
        backlog: if backlog > 0 { text::backlog(backlog) } else { String::new() },
        caution: stands.caution.clone(),
        columns: columns.into_iter().map(|(stage, reports)| column(stage, &reports)).collect(),
    })
}

fn column(stage: Stage, reports: &[(&FeatureId, &FeatureReport)]) -> Column {
    let mut cards: Vec<Card> = reports.iter().map(|(id, report)| card(id, report)).collect();
    cards.sort_by_key(|card| card.tone);
    let (count, most) =
        (cards.len(), if matches!(stage, Stage::Running | Stage::Review) { CARDS } else { RESTING });
    cards.truncate(most);
    let more = match count {
        0 => Some(text::nothing_in(stage)),
        count if count > most => Some(text::and_more(count - most)),
        _ => None,
    };
    Column { title: text::column(stage), count, cards, more }
}

fn card(id: &FeatureId, report: &FeatureReport) -> Card {
    Card {
        feature: id.clone(),
        title: text::plain(&report.title, TITLE),
        line: (report.line != Line::default()).then_some(report.line),
        agent: report.agent.as_deref().map(|agent| text::plain(agent, 24)),
        sentence: text::plain(&report.sentence, SENTENCE),
        tone: tone(report),
    }
}

/// As on the local board: what is broken is red, what waits for a person is brass.
fn tone(report: &FeatureReport) -> Tone {
    let has = |mark| report.line.0.contains(&mark);
    match report.stage {
        Stage::Done | Stage::Cancelled => Tone::Quiet,
        _ if has(Mark::Failed) => Tone::Red,
        _ if has(Mark::Waits) => Tone::Asks,
        _ if report.needs_person => Tone::Red,
        _ => Tone::Quiet,
    }
}

/// How a team did in the last days. Nothing of a single day, and nothing where nothing was.
pub(crate) fn charts(state: &FleetState, team: &InstanceName, now: Timestamp) -> Option<Picture> {
    let today = now.to_zoned(state.rules.distil.zone.as_ref().clone()).date();
    let oldest = today.checked_sub((DAYS - 1).days()).ok()?;
    let begin = first(state, team)?.max(oldest);
    let mut days = Vec::new();
    let mut day = begin;
    while day <= today {
        days.push(day);
        day = day.tomorrow().ok()?;
    }
    if days.len() < 2 {
        return None;
    }
    let before = begin.yesterday().ok().and_then(|day| last_until(state, team, day));
    let mut stood = before.cloned().unwrap_or_default();
    let (mut wanted, mut done, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for day in &days {
        let known = state.facts.days.get(&(team.clone(), *day));
        took.push(known.map_or_else(Vec::new, |known| known.took.clone()));
        stood = known.cloned().unwrap_or(stood);
        wanted.push(stood.wanted);
        done.push(stood.merged);
    }
    let costs: Vec<_> =
        days.iter().map(|day| state.facts.costs.get(&(team.clone(), *day)).cloned()).collect();
    let mut panels = Vec::new();
    if wanted.last().is_some_and(|wanted| *wanted > 0) {
        panels.push(text::burn_up(wanted, done));
    }
    panels.extend(text::cost_per_day(&days, &costs));
    let mut all: Vec<u64> = took.iter().flatten().copied().collect();
    all.sort_unstable();
    if let Some(median) = all.get(all.len() / 2) {
        panels.push(text::cycle_time(*median, all.len(), Marks::Dots { each: took, median: *median }));
    }
    let ends = [days.first()?, days.last()?].map(|day| text::day(*day));
    let title = text::days_of(team, days.len());
    (!panels.is_empty()).then(|| Picture::Charts(Charts { team: team.clone(), title, days, ends, panels }))
}

/// The first day of which anything is known.
fn first(state: &FleetState, team: &InstanceName) -> Option<Date> {
    let all = (team.clone(), Date::MIN)..=(team.clone(), Date::MAX);
    let counted = state.facts.days.range(all.clone()).next().map(|((_, day), _)| *day);
    let cost = state.facts.costs.range(all).next().map(|((_, day), _)| *day);
    counted.into_iter().chain(cost).min()
}

/// How it stood at the end of a day.
fn last_until<'a>(state: &'a FleetState, team: &InstanceName, day: Date) -> Option<&'a Day> {
    let all = (team.clone(), Date::MIN)..=(team.clone(), day);
    state.facts.days.range(all).next_back().map(|(_, day)| day)
}
