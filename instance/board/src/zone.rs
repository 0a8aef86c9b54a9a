//! Wall time in the fleet's zone, made into instants. Not a clock: nothing here reads the time.
//!
//! Twice a year a wall clock lies. What is meant by a time that does not exist, or that exists twice, is said once here,
//! and recurring features, quiet hours and daily budgets all go by it.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, TimeZone},
};

/// The first instant at which a clock in `zone` shows `civil`, or a later time.
///
/// - A time that exists once is that instant.
/// - A time in the gap of spring is the first instant after the gap: 02:30 in Berlin on the last Sunday of March is
///   03:00 summer time.
/// - A time in the fold of autumn is the first of the two.
///
/// Never decreases as `civil` grows. `None` outside of the years that jiff knows (-9999 to 9999).
pub fn first_instant(civil: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            // Read with the later offset, a time in the gap lies before the transition, which is then the next one.
            let before_the_gap = after.to_timestamp(civil).ok()?;
            zone.following(before_the_gap)
                .find(|transition| transition.offset() == after)
                .map(|it| it.timestamp())
        }
    }
}

/// The latest wall time that a clock in `zone` has shown up to `now`: in the second pass of a fold, later than what it
/// shows. [`first_instant`] of anything after it lies after `now`.
pub fn latest_shown(now: Timestamp, zone: &TimeZone) -> DateTime {
    let shown = zone.to_datetime(now);
    let instant = SignedDuration::from_nanos(1);
    // `preceding` is exclusive, and a transition at this very instant counts.
    let Ok(just_after) = now.checked_add(instant) else { return shown };
    let Some(transition) = zone.preceding(just_after).next().map(|it| it.timestamp()) else { return shown };
    let Ok(just_before) = transition.checked_sub(instant) else { return shown };
    shown.max(zone.to_datetime(just_before))
}

/// The day that `now` is in: from its first instant to that of the next. Days follow each other without a hole; one has
/// 23 or 25 hours where the clock changes.
///
/// A day that has begun does not come back: where a fold at midnight shows the end of yesterday again, it stays today.
/// `None` at the ends of jiff's calendar.
pub fn day_of(now: Timestamp, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    period(now, zone, latest_shown(now, zone).date(), Date::tomorrow)
}

/// The month that `now` is in; otherwise as [`day_of`].
pub fn month_of(now: Timestamp, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let first = latest_shown(now, zone).date().first_of_month();
    period(now, zone, first, |first| first.last_of_month().tomorrow())
}

fn period(
    now: Timestamp,
    zone: &TimeZone,
    first: Date,
    next: impl Fn(Date) -> Result<Date, jiff::Error>,
) -> Option<(Timestamp, Timestamp)> {
    let mut first = first;
    loop {
        let start = first_instant(first.at(0, 0, 0, 0), zone)?;
        first = next(first).ok()?;
        let end = first_instant(first.at(0, 0, 0, 0), zone)?;
        // A day may be missing altogether (Samoa, 30 December 2011): then the next one is meant.
        if now < end {
            return Some((start, end));
        }
    }
}
