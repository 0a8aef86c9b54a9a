//! A clock walked minute by minute: what wall time means, said in the slowest and plainest way.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use jiff::{
    Timestamp, ToSpan as _,
    civil::DateTime,
    tz::{TimeZone, TimeZoneDatabase},
};
use proptest::prelude::*;

/// The zone as it comes with the program, whatever the host has.
pub fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Zones that change by an hour, by half an hour, at midnight, by a whole day, and not at all; and a time near a
/// change where there is one.
pub fn near_a_change() -> impl Strategy<Value = (TimeZone, Timestamp)> {
    let places = prop::sample::select(vec![
        ("Europe/Berlin", "2024-01-01T00:00:00Z"),
        ("America/New_York", "2025-01-01T00:00:00Z"),
        ("Australia/Lord_Howe", "2024-01-01T00:00:00Z"),
        ("Asia/Kathmandu", "2026-02-27T00:00:00Z"),
        // Fell back at 00:01, into yesterday.
        ("America/St_Johns", "1990-01-01T00:00:00Z"),
        // Midnight itself is missing in spring.
        ("Asia/Beirut", "2024-01-01T00:00:00Z"),
        // 30 December 2011 never was.
        ("Pacific/Apia", "2011-10-01T00:00:00Z"),
    ]);
    (places, 0..4usize, -2 * 24 * 60..24 * 60i64, 0..60i64).prop_map(
        |((name, from), nth, minutes, seconds)| {
            let zone = zone(name);
            let from = at(from);
            let change = zone.following(from).nth(nth).map_or(from, |change| change.timestamp());
            let now = change.checked_add(minutes.minutes().seconds(seconds)).unwrap();
            (zone, now)
        },
    )
}

/// Every whole minute from `from` to `to`, with the wall time there.
pub fn minutes(zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, DateTime)> {
    let mut second = from.as_second().div_euclid(60) * 60;
    let mut all = vec![];
    while second <= to.as_second() {
        let instant = Timestamp::from_second(second).unwrap();
        all.push((instant, zone.to_datetime(instant)));
        second += 60;
    }
    all
}

/// The instants at which the clock shows, for the first time, a minute that matches, or has just jumped over one.
pub fn firsts(minutes: &[(Timestamp, DateTime)], matches: impl Fn(DateTime) -> bool) -> Vec<Timestamp> {
    let mut seen = minutes[0].1;
    let mut found = vec![];
    for (instant, shown) in &minutes[1..] {
        let mut any = false;
        while seen < *shown {
            seen = seen.checked_add(1.minute()).unwrap();
            any |= matches(seen);
        }
        if any {
            found.push(*instant);
        }
    }
    found
}
