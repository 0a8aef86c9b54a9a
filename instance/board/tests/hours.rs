//! Quiet hours: what is read, and until when it is quiet.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

mod walk;

use jiff::{Timestamp, ToSpan as _, civil::DateTime};
use proptest::prelude::*;
use qd_board::hours::{MAX_WINDOWS, QuietHours};
use walk::{at, minutes, near_a_change, zone};

fn refused(texts: &[&str]) -> String {
    QuietHours::parse(texts).unwrap_err().to_string()
}

/// Until when it is quiet in Berlin, as its clock shows it.
fn until(texts: &[&str], now: &str) -> String {
    let berlin = zone("Europe/Berlin");
    match QuietHours::parse(texts).unwrap().quiet(at(now), &berlin) {
        Some(until) => until.to_zoned(berlin).strftime("%a %H:%M %:z").to_string(),
        None => "not quiet".to_owned(),
    }
}

#[test]
fn refusals_name_the_part_and_what_is_accepted() {
    insta::assert_snapshot!(refused(&["25:00-07:00"]), @r#"quiet hours "25:00-07:00": "25:00" can't stand there; accepted are 00:00 to 23:59, or 24:00 at the end"#);
    insta::assert_snapshot!(refused(&["24:00-07:00"]), @r#"quiet hours "24:00-07:00": "24:00" can't stand there; accepted are 00:00 to 23:59, or 24:00 at the end"#);
    insta::assert_snapshot!(refused(&["22:00-7:60"]), @r#"quiet hours "22:00-7:60": "7:60" can't stand there; accepted are 00:00 to 23:59, or 24:00 at the end"#);
    insta::assert_snapshot!(refused(&["22:00"]), @r#"quiet hours "22:00": accepted are times (22:00-07:00), days (sat,sun), or days and then times (mon-fri 18:00-08:00)"#);
    insta::assert_snapshot!(refused(&["sat,someday"]), @r#"quiet hours "sat,someday": "someday" is no day; accepted are mon, tue, wed, thu, fri, sat, sun, ranges (mon-fri) and lists (sat,sun)"#);
    insta::assert_snapshot!(refused(&["22:00-07:00 sat"]), @r#"quiet hours "22:00-07:00 sat": accepted are times (22:00-07:00), days (sat,sun), or days and then times (mon-fri 18:00-08:00)"#);
    insta::assert_snapshot!(refused(&["08:00-08:00"]), @r#"quiet hours "08:00-08:00" begin when they end; leave the times away for a whole day, or make them differ by a minute"#);
    insta::assert_snapshot!(refused(&[""]), @r#"quiet hours "": accepted are times (22:00-07:00), days (sat,sun), or days and then times (mon-fri 18:00-08:00)"#);
    insta::assert_snapshot!(refused(&["mon-fri", "sat-sun"]), @"the quiet hours cover the whole week, so nothing would ever start; leave a gap, or pause the instance");
    insta::assert_snapshot!(refused(&["sat"; MAX_WINDOWS + 1]), @"there are 33 quiet windows; accepted are up to 32");
    assert!(refused(&["08:00-20:00", "20:00-08:00"]).contains("the whole week"));
}

#[test]
fn until_when_it_is_quiet() {
    // A Wednesday, 23:30 in summer.
    insta::assert_snapshot!(until(&["22:00-07:00"], "2025-06-04T21:30:00Z"), @"Thu 07:00 +02:00");
    insta::assert_snapshot!(until(&["22:00-07:00"], "2025-06-05T05:00:00Z"), @"not quiet");
    insta::assert_snapshot!(until(&["22:00-07:00"], "2025-06-05T04:59:59Z"), @"Thu 07:00 +02:00");
    // Friday evening runs on into the weekend, and that into Monday morning.
    insta::assert_snapshot!(until(&["mon-fri 18:00-08:00", "Sat,Sun", "mon 0:00-08:00"], "2025-06-06T17:00:00Z"), @"Mon 08:00 +02:00");
    insta::assert_snapshot!(until(&["sat-mon"], "2025-06-07T12:00:00Z"), @"Tue 00:00 +02:00");
    insta::assert_snapshot!(until(&["wed 12:00-24:00"], "2025-06-04T12:00:00Z"), @"Thu 00:00 +02:00");
    insta::assert_snapshot!(until(&[], "2025-06-04T12:00:00Z"), @"not quiet");
}

#[test]
fn a_clock_change_makes_a_window_shorter_or_longer_and_never_splits_it() {
    // 02:00 to 03:00 is not there in spring.
    insta::assert_snapshot!(until(&["02:00-03:00"], "2025-03-30T01:00:00Z"), @"not quiet");
    insta::assert_snapshot!(until(&["02:30-05:00"], "2025-03-30T01:00:00Z"), @"Sun 05:00 +02:00");
    // In autumn 02:30 is meant the first time, and the window lasts until its end.
    insta::assert_snapshot!(until(&["02:30-05:00"], "2025-10-26T01:10:00Z"), @"Sun 05:00 +01:00");
    insta::assert_snapshot!(until(&["22:00-02:30"], "2025-10-26T01:10:00Z"), @"not quiet");
}

#[test]
fn they_are_kept_as_they_were_written() {
    let quiet: QuietHours = serde_json::from_str(r#"["sat,sun","mon-fri 18:00-08:00"]"#).unwrap();
    assert_eq!(quiet.to_string(), "sat,sun; mon-fri 18:00-08:00");
    assert_eq!(serde_json::to_string(&quiet).unwrap(), r#"["sat,sun","mon-fri 18:00-08:00"]"#);
    let error = serde_json::from_str::<QuietHours>(r#"["sat 3-5"]"#).unwrap_err().to_string();
    assert!(error.contains("\"sat 3-5\""), "{error}");
}

#[derive(Debug, Clone)]
struct Window {
    days: Vec<usize>,
    times: Option<(u16, u16)>,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Window {
    fn text(&self) -> String {
        let days: Vec<&str> = self.days.iter().map(|day| DAYS[*day]).collect();
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let times = self.times.map(|(from, to)| format!("{}-{}", clock(from), clock(to)));
        [days.join(","), times.unwrap_or_default()].join(" ").trim().to_owned()
    }
}

fn window() -> impl Strategy<Value = Window> {
    let days =
        prop_oneof![Just(vec![]), prop::collection::btree_set(0..7usize, 1..4).prop_map(Vec::from_iter)];
    let times = prop::option::of((0..1440u16, 0..=1440u16).prop_filter("not empty", |(from, to)| from != to));
    (days, times)
        .prop_filter("says something", |(days, times)| !days.is_empty() || times.is_some())
        .prop_filter("not empty over midnight", |(_, times)| *times != Some((0, 1440)))
        .prop_map(|(days, times)| Window { days, times })
}

/// The first walked instant that shows `wanted` or a later time.
fn first(walked: &[(Timestamp, DateTime)], wanted: DateTime) -> Timestamp {
    walked.iter().find(|(_, shown)| *shown >= wanted).map_or(Timestamp::MAX, |(instant, _)| *instant)
}

proptest! {
    /// The end of the quiet is that of a clock that is watched minute by minute.
    #[test]
    fn quiet_is_what_a_watched_clock_says(windows in prop::collection::vec(window(), 1..4), (zone, now) in near_a_change()) {
        let texts: Vec<String> = windows.iter().map(Window::text).collect();
        let Ok(quiet) = QuietHours::parse(&texts) else {
            prop_assert!(QuietHours::parse(&texts).unwrap_err().to_string().contains("the whole week"), "{texts:?}");
            return Ok(());
        };
        let walked = minutes(&zone, now.checked_sub(96.hours()).unwrap(), now.checked_add((16 * 24).hours()).unwrap());
        let mut spans = vec![];
        let mut day = walked[0].1.date().tomorrow().unwrap();
        while day < walked[walked.len() - 1].1.date() {
            for window in &windows {
                let number = usize::try_from(day.weekday().to_monday_zero_offset()).unwrap();
                if window.days.is_empty() || window.days.contains(&number) {
                    let (from, to) = window.times.unwrap_or((0, 1440));
                    let to = if to <= from { to + 1440 } else { to };
                    let midnight = day.at(0, 0, 0, 0);
                    let civil = |minute: u16| midnight.checked_add(i64::from(minute).minutes()).unwrap();
                    spans.push((first(&walked, civil(from)), first(&walked, civil(to))));
                }
            }
            day = day.tomorrow().unwrap();
        }
        let mut expected = now;
        while let Some((_, end)) = spans.iter().find(|(start, end)| *start <= expected && expected < *end) {
            expected = *end;
        }
        let expected = (expected > now).then_some(expected);
        prop_assert_eq!(quiet.quiet(now, &zone), expected, "{:?} at {}", texts, now);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9:, -]{0,24}") {
        let _ = QuietHours::parse(&[text]);
    }
}
