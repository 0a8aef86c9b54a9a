//! The words for who is heard: heard, late, silent. Of a team that can't be heard nothing is said that sounds as if it were idle.

use jiff::{Timestamp, tz::TimeZone};
use qd_types::{InstanceName, Stage};
use qd_wire::v1::Presence;

use crate::{
    presence::{self, Seen},
    state::FleetState,
    text::inert,
};

/// Longest reason that is quoted, in characters.
const WHY: usize = 200;

/// How a team is heard and what it does, in a sentence.
pub fn sentence(state: &FleetState, team: &InstanceName, now: Timestamp) -> String {
    let Some(seen) = state.presence.get(team) else {
        return format!("{team} was not heard yet.");
    };
    match presence::of(state, team, now) {
        Presence::Never => format!("{team} was not heard yet."),
        Presence::Heard => format!("{team} is heard: {}.", does(state, team, seen)),
        Presence::Late => {
            format!(
                "{team} is late: last heard {} {}.",
                at(seen.last, now, &state.rules.distil.zone),
                with(seen)
            )
        }
        Presence::Silent => silent(state, team, now).unwrap_or_default(),
    }
}

/// What is said of a silent team; also its alert.
pub fn silent(state: &FleetState, team: &InstanceName, now: Timestamp) -> Option<String> {
    let seen = state.presence.get(team)?;
    Some(format!(
        "{team} is silent {} (last heard {}). Its work is safe on its machine; orders wait.",
        since(seen.last, now, &state.rules.distil.zone),
        with(seen)
    ))
}

/// What a person hears who gives an order.
pub fn order(state: &FleetState, team: &InstanceName, now: Timestamp) -> String {
    let zone = &state.rules.distil.zone;
    let seen = state.presence.get(team);
    match (presence::of(state, team, now), seen) {
        (Presence::Heard, _) => format!("Sent to {team}."),
        (Presence::Late, Some(seen)) => format!(
            "{team} is late: last heard {}. The order is kept and goes out when it is heard again.",
            at(seen.last, now, zone)
        ),
        (Presence::Silent, Some(seen)) => format!(
            "{team} is silent {}. The order is kept and goes out when it is heard again.",
            since(seen.last, now, zone)
        ),
        (_, None) | (Presence::Never, _) => {
            format!("{team} was not heard yet. The order is kept and goes out when it is.")
        }
    }
}

/// What stands beside what a team told, if it can't be heard now.
pub fn caution(state: &FleetState, team: &InstanceName, now: Timestamp) -> Option<String> {
    let seen = state.presence.get(team)?;
    let zone = &state.rules.distil.zone;
    match presence::of(state, team, now) {
        Presence::Late => Some(format!("{team} is late: this is how it stood {}.", at(seen.last, now, zone))),
        Presence::Silent => {
            Some(format!("{team} is silent {}: this is how it stood then.", since(seen.last, now, zone)))
        }
        Presence::Never | Presence::Heard => None,
    }
}

/// What a team that is heard does.
fn does(state: &FleetState, team: &InstanceName, seen: &Seen) -> String {
    let mut parts = vec![runs(seen.runs)];
    let asks = presence::asks(state, team);
    parts.extend((asks > 0).then(|| format!("asks {asks}")));
    parts.extend((seen.board.held > 0).then(|| format!("blocked {}", seen.board.held)));
    let ready = seen.board.count(Stage::Ready);
    parts.extend((ready > 0).then(|| format!("ready {ready}")));
    parts.extend(seen.board.paused.as_ref().map(|why| format!("paused {}", plain(why.as_str()))));
    parts.extend(seen.board.refuses.as_ref().map(|why| plain(why.as_str())));
    parts.join(" · ")
}

fn plain(text: &str) -> String {
    inert(text.trim_end_matches('.'), WHY)
}

fn with(seen: &Seen) -> String {
    format!("with {}", runs(seen.runs))
}

fn runs(count: u32) -> String {
    match count {
        0 => "no run".to_owned(),
        1 => "1 run".to_owned(),
        more => format!("{more} runs"),
    }
}

fn at(then: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    format!("at {}", clock(then, now, zone))
}

fn since(then: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    format!("since {}", clock(then, now, zone))
}

/// `08:14`, with the day where it is another one.
fn clock(then: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (then, today) = (then.to_zoned(zone.clone()), now.to_zoned(zone.clone()).date());
    let form = if then.date() == today { "%H:%M" } else { "%a %-d %b, %H:%M" };
    then.strftime(form).to_string()
}
