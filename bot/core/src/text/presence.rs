//! The words for who is heard: heard, late, silent. Of a team that can't be heard nothing is said that sounds as if it were idle.

use jiff::{Timestamp, tz::TimeZone};
use qd_text::say;
use qd_types::{InstanceName, Stage};
use qd_wire::v1::Presence;

use crate::{
    chat::Given,
    presence::{self, Seen},
    state::FleetState,
    text::inert,
};

/// Longest reason that is quoted, in characters.
const WHY: usize = 200;

/// A moment in full. Its zone is always this one: whoever shows it in another one finds it by that.
pub(crate) const FULL: &str = "%Y-%m-%d %H:%M UTC";

/// How a team is heard and what it does, in a sentence.
pub fn sentence(state: &FleetState, team: &InstanceName, clock: Clock<'_>, now: Timestamp) -> String {
    let Some(seen) = state.presence.get(team) else {
        return say!("team-not-heard", team = team);
    };
    match presence::of(state, team, now) {
        Presence::Never => say!("team-not-heard", team = team),
        Presence::Heard => say!("team-heard", team = team, does = does(state, team, seen)),
        Presence::Late => {
            say!("team-late", team = team, at = at(seen.last, now, clock), with = with(seen))
        }
        Presence::Silent => silent(state, team, clock, now).unwrap_or_default(),
    }
}

/// What is said of a silent team; also its alert.
pub fn silent(state: &FleetState, team: &InstanceName, clock: Clock<'_>, now: Timestamp) -> Option<String> {
    let seen = state.presence.get(team)?;
    Some(say!("team-silent", team = team, since = since(seen.last, now, clock), with = with(seen)))
}

/// What a person hears who gives an order.
pub fn order(state: &FleetState, team: &InstanceName, clock: Clock<'_>, now: Timestamp) -> String {
    let seen = state.presence.get(team);
    match (presence::of(state, team, now), seen) {
        (Presence::Heard, _) => say!("order-sent", team = team),
        (Presence::Late, Some(seen)) => say!("order-late", team = team, at = at(seen.last, now, clock)),
        (Presence::Silent, Some(seen)) => {
            say!("order-silent", team = team, since = since(seen.last, now, clock))
        }
        (_, None) | (Presence::Never, _) => {
            say!("order-not-heard", team = team)
        }
    }
}

/// What stands beside what a team told, if it can't be heard now.
pub fn caution(state: &FleetState, team: &InstanceName, clock: Clock<'_>, now: Timestamp) -> Option<String> {
    let seen = state.presence.get(team)?;
    match presence::of(state, team, now) {
        Presence::Late => Some(say!("stood-late", team = team, at = at(seen.last, now, clock))),
        Presence::Silent => Some(say!("stood-silent", team = team, since = since(seen.last, now, clock))),
        Presence::Never | Presence::Heard => None,
    }
}

/// What a team that is heard does.
fn does(state: &FleetState, team: &InstanceName, seen: &Seen) -> String {
    let mut parts = vec![runs(seen.runs)];
    let asks = presence::asks(state, team);
    parts.extend((asks > 0).then(|| say!("does-ask", count = asks)));
    parts.extend((seen.board.held > 0).then(|| say!("does-blocked", count = seen.board.held)));
    let ready = seen.board.count(Stage::Ready);
    parts.extend((ready > 0).then(|| say!("does-ready", count = ready)));
    parts.extend(seen.board.paused.as_ref().map(|why| say!("does-paused", why = plain(why.as_str()))));
    parts.extend(seen.board.refuses.as_ref().map(|why| plain(why.as_str())));
    parts.join(" · ")
}

fn plain(text: &str) -> String {
    inert(text.trim_end_matches('.'), WHY)
}

fn with(seen: &Seen) -> String {
    say!("with-runs", runs = runs(seen.runs))
}

fn runs(count: u32) -> String {
    say!("runs", count = count)
}

fn at(then: Timestamp, now: Timestamp, clock: Clock<'_>) -> String {
    say!("at-clock", clock = clock.says(then, now))
}

fn since(then: Timestamp, now: Timestamp, clock: Clock<'_>) -> String {
    say!("since-clock", clock = clock.says(then, now))
}

/// How a moment is written.
#[derive(Debug, Clone, Copy)]
pub enum Clock<'a> {
    /// As the fleet's clocks show it: `08:14`, with the day where it is another one.
    Fleet(&'a TimeZone),
    /// In full, with its zone: `2026-11-21 08:14 UTC`. Services show that to each reader in their own zone.
    Full,
}

impl<'a> Clock<'a> {
    /// For what everybody reads.
    pub fn of(state: &'a FleetState) -> Self {
        Self::Fleet(&state.rules.distil.zone)
    }

    /// For a private answer: who asks from another service may be anywhere.
    pub fn for_one(state: &'a FleetState, given: &Given) -> Self {
        if given.account.is_some() { Self::Full } else { Self::of(state) }
    }

    pub(crate) fn says(self, then: Timestamp, now: Timestamp) -> String {
        let Self::Fleet(zone) = self else { return then.strftime(FULL).to_string() };
        let (then, today) = (then.to_zoned(zone.clone()), now.to_zoned(zone.clone()).date());
        let form = if then.date() == today { "%H:%M" } else { "%a %-d %b, %H:%M" };
        then.strftime(form).to_string()
    }
}
