//! Cron expressions: what is read, what is refused and how, and when they happen where the clock changes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

mod walk;

use jiff::{Timestamp, ToSpan as _, civil::DateTime, tz::TimeZone};
use proptest::prelude::*;
use qd_board::{
    calendar::Schedule,
    zone::{day_of, first_instant, month_of},
};
use walk::{at, firsts, minutes, near_a_change, zone};

fn refused(text: &str) -> String {
    Schedule::parse(text).unwrap_err().to_string()
}

/// The next few occurrences, in wall time with the offset.
fn next(text: &str, place: &str, after: &str, count: usize) -> String {
    let (schedule, zone) = (Schedule::parse(text).unwrap(), zone(place));
    let mut last = at(after);
    let mut lines = vec![];
    for _ in 0..count {
        last = schedule.next_after(last, &zone).unwrap();
        lines.push(last.to_zoned(zone.clone()).strftime("%a %F %H:%M %:z").to_string());
    }
    lines.join("\n")
}

#[test]
fn refusals_name_the_field_the_value_and_what_is_accepted() {
    insta::assert_snapshot!(refused("61 * * * *"), @r#"schedule "61 * * * *": the minute is "61"; accepted are 0 to 59, * for all, lists (0,30), ranges (0-29) and steps (*/15)"#);
    insta::assert_snapshot!(refused("0 24 * * *"), @r#"schedule "0 24 * * *": the hour is "24"; accepted are 0 to 23, * for all, lists (6,18), ranges (9-17) and steps (*/2)"#);
    insta::assert_snapshot!(refused("0 0 0 * *"), @r#"schedule "0 0 0 * *": the day of month is "0"; accepted are 1 to 31, * for all, lists (1,15), ranges (1-7), steps (*/2), L for the last day, LW or 15W for the nearest working day"#);
    insta::assert_snapshot!(refused("0 0 * FEBRUARY *"), @r#"schedule "0 0 * FEBRUARY *": the month is "FEBRUARY"; accepted are 1 to 12 or JAN to DEC, * for all, lists (3,9), ranges (MAY-AUG) and steps (*/3)"#);
    insta::assert_snapshot!(refused("0 0 * * FRI-MON"), @r#"schedule "0 0 * * FRI-MON": the day of week is "FRI-MON"; accepted are 0 to 7 or SUN to SAT (0 and 7 are Sunday), * for all, lists (MON,THU), ranges (MON-FRI), steps (*/2), FRI#2 for the second Friday and 5L for the last"#);
    insta::assert_snapshot!(refused("0 0 0 * * *"), @r#"schedule "0 0 0 * * *" has 6 fields; accepted are five (minute, hour, day of month, month, day of week), or a name such as @daily; seconds can't be given"#);
    insta::assert_snapshot!(refused("0 0"), @r#"schedule "0 0" has 2 fields; accepted are five (minute, hour, day of month, month, day of week), or a name such as @daily"#);
    insta::assert_snapshot!(refused("@reboot"), @r#"schedule "@reboot": there is no such name; accepted are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, or five fields"#);
    insta::assert_snapshot!(refused("0 0 30 2 *"), @r#"schedule "0 0 30 2 *" never happens: no such day comes in any year; change the day of month or the month"#);
    insta::assert_snapshot!(refused(&"1,".repeat(200)), @"the schedule has 400 bytes; accepted are up to 300");
}

#[test]
fn a_field_takes_its_own_names_only() {
    for text in [
        "MON * * * *",
        "0 0 MON * *",
        "0 0 * MON *",
        "0 0 * * JAN",
        "5/10 * * * *",
        "*/0 * * * *",
        "1,,2 * * * *",
        "+5 * * * *",
        "0 0 * * 8",
        "0 0 32 * *",
        "0 0 * 13 *",
        "9-5 * * * *",
        "0 0 * * FRI#6",
        "0 0 W * *",
        "0 0 * * ?",
        "1FEB * * * *",
        "0 0 * * MON#1-3",
        "*-5 * * * *",
        "0 0 L/2 * *",
        "*/61 * * * *",
        "",
    ] {
        assert!(Schedule::parse(text).is_err(), "{text:?} was taken");
    }
    for text in [
        "*/15 9-17 * * mon-fri",
        "0 0 1,15 * *",
        "0 0 L * *",
        "0 0 LW * *",
        "0 0 15W * *",
        "0 0 * * FRI#2",
        "0 0 * * 5L",
        "0 0 29 2 *",
        "0 0 * jan-Mar,12 SUN",
        "0 0 * * MON-SUN",
        "0-30/10 * * * *",
        " 0  3\t* * * ",
        "@Daily",
        "@hourly",
        "@midnight",
        "@weekly",
        "@monthly",
        "@yearly",
        "@annually",
        "0 0 * * 7",
    ] {
        let schedule = Schedule::parse(text).unwrap();
        assert_eq!(schedule.text(), text.trim());
        assert_eq!(text.parse::<Schedule>().unwrap(), schedule);
    }
}

#[test]
fn a_time_in_the_gap_happens_once_right_after_it() {
    insta::assert_snapshot!(next("30 2 * * *", "Europe/Berlin", "2025-03-28T12:00:00Z", 3), @"
    Sat 2025-03-29 02:30 +01:00
    Sun 2025-03-30 03:00 +02:00
    Mon 2025-03-31 02:30 +02:00
    ");
    insta::assert_snapshot!(next("*/20 2 * * *", "Europe/Berlin", "2025-03-29T12:00:00Z", 3), @"
    Sun 2025-03-30 03:00 +02:00
    Mon 2025-03-31 02:00 +02:00
    Mon 2025-03-31 02:20 +02:00
    ");
    // What falls in the gap and what falls on its end is one occurrence.
    insta::assert_snapshot!(next("0,30 * * * *", "America/New_York", "2025-03-09T06:00:00Z", 4), @"
    Sun 2025-03-09 01:30 -05:00
    Sun 2025-03-09 03:00 -04:00
    Sun 2025-03-09 03:30 -04:00
    Sun 2025-03-09 04:00 -04:00
    ");
}

#[test]
fn a_time_in_the_fold_happens_once_the_first_time() {
    insta::assert_snapshot!(next("30 2 * * *", "Europe/Berlin", "2025-10-25T12:00:00Z", 2), @"
    Sun 2025-10-26 02:30 +02:00
    Mon 2025-10-27 02:30 +01:00
    ");
    insta::assert_snapshot!(next("*/15 * * * *", "Australia/Lord_Howe", "2025-04-05T14:29:00Z", 4), @"
    Sun 2025-04-06 01:30 +11:00
    Sun 2025-04-06 01:45 +11:00
    Sun 2025-04-06 02:00 +10:30
    Sun 2025-04-06 02:15 +10:30
    ");
}

#[test]
fn days_of_month_and_week() {
    insta::assert_snapshot!(next("0 9 L * *", "Asia/Kathmandu", "2025-11-30T12:00:00Z", 3), @"
    Wed 2025-12-31 09:00 +05:45
    Sat 2026-01-31 09:00 +05:45
    Sat 2026-02-28 09:00 +05:45
    ");
    insta::assert_snapshot!(next("0 9 * * 5L", "Europe/Berlin", "2025-11-30T12:00:00Z", 2), @"
    Fri 2025-12-26 09:00 +01:00
    Fri 2026-01-30 09:00 +01:00
    ");
    insta::assert_snapshot!(next("0 0 29 2 *", "Europe/Berlin", "2096-03-01T00:00:00Z", 2), @"
    Fri 2104-02-29 00:00 +01:00
    Wed 2108-02-29 00:00 +01:00
    ");
    // Either day suffices where both are limited.
    insta::assert_snapshot!(next("0 0 13 * FRI", "Europe/Berlin", "2026-02-01T00:00:00Z", 3), @"
    Fri 2026-02-06 00:00 +01:00
    Fri 2026-02-13 00:00 +01:00
    Fri 2026-02-20 00:00 +01:00
    ");
}

#[test]
fn a_day_is_23_24_or_25_hours_long_and_begins_where_it_can() {
    let berlin = zone("Europe/Berlin");
    let hours = |now: &str, zone: &TimeZone| {
        let (start, end) = day_of(at(now), zone).unwrap();
        (start.to_string(), end.duration_since(start).as_hours())
    };
    assert_eq!(hours("2025-03-30T10:00:00Z", &berlin), ("2025-03-29T23:00:00Z".into(), 23));
    assert_eq!(hours("2025-03-31T10:00:00Z", &berlin), ("2025-03-30T22:00:00Z".into(), 24));
    assert_eq!(hours("2025-10-26T10:00:00Z", &berlin), ("2025-10-25T22:00:00Z".into(), 25));
    // In Beirut the day of the change begins at 01:00.
    assert_eq!(hours("2024-03-31T10:00:00Z", &zone("Asia/Beirut")), ("2024-03-30T22:00:00Z".into(), 23));
    let (start, end) = month_of(at("2024-12-31T23:30:00Z"), &berlin).unwrap();
    assert_eq!((start, end), (at("2024-12-31T23:00:00Z"), at("2025-01-31T23:00:00Z")));
}

/// A field, with the values that it stands for, found without the parser.
fn field(low: u8, high: u8) -> impl Strategy<Value = (String, Vec<u8>)> {
    prop_oneof![
        3 => Just(("*".to_owned(), (low..=high).collect())),
        2 => prop::collection::btree_set(low..=high, 1..4).prop_map(|set| {
            let texts: Vec<String> = set.iter().map(u8::to_string).collect();
            (texts.join(","), set.into_iter().collect())
        }),
        1 => (low..=high, low..=high).prop_map(|(a, b)| {
            let (from, to) = (a.min(b), a.max(b));
            (format!("{from}-{to}"), (from..=to).collect())
        }),
        1 => (1..=high).prop_map(move |step| {
            (format!("*/{step}"), (low..=high).step_by(step.into()).collect())
        }),
    ]
}

type Fields = [(String, Vec<u8>); 5];

fn fields() -> impl Strategy<Value = Fields> {
    (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7))
        .prop_map(|(a, b, c, d, e)| [a, b, c, d, e])
}

fn matches(fields: &Fields, civil: DateTime) -> bool {
    let has = |at: usize, value: i8| fields[at].1.contains(&u8::try_from(value).unwrap());
    let weekday = civil.date().weekday().to_sunday_zero_offset();
    let by_month = has(2, civil.day());
    let by_week = has(4, weekday) || weekday == 0 && has(4, 7);
    let day = match (fields[2].0 == "*", fields[4].0 == "*") {
        (true, _) => by_week,
        (_, true) => by_month,
        _ => by_month || by_week,
    };
    has(0, civil.minute()) && has(1, civil.hour()) && has(3, civil.month()) && day
}

fn text(fields: &Fields) -> String {
    fields.each_ref().map(|field| field.0.as_str()).join(" ")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// Forward and back, the occurrences are those of a clock that is watched minute by minute.
    #[test]
    fn occurrences_are_those_of_a_watched_clock(fields in fields(), (zone, from) in near_a_change()) {
        let Ok(schedule) = Schedule::parse(&text(&fields)) else {
            // Only a day that never comes is refused here.
            prop_assert!(refused(&text(&fields)).contains("never happens"), "{}", refused(&text(&fields)));
            return Ok(());
        };
        let to = from.checked_add(72.hours()).unwrap();
        // The walk begins early enough to have seen what a fold repeats.
        let walked = minutes(&zone, from.checked_sub(30.hours()).unwrap(), to);
        let expected: Vec<Timestamp> = firsts(&walked, |civil| matches(&fields, civil));

        let mut found = vec![];
        let mut last = from;
        while let Some(next) = schedule.next_after(last, &zone) {
            prop_assert!(next > last, "{} at {last} gives {next}", text(&fields));
            if next > to {
                break;
            }
            found.push(next);
            last = next;
        }
        let after: Vec<Timestamp> = expected.iter().copied().filter(|it| *it > from).collect();
        prop_assert_eq!(&found, &after, "{} from {}", text(&fields), from);

        for (now, _) in walked.iter().filter(|(now, _)| *now >= from).step_by(97) {
            let expected = expected.iter().copied().filter(|it| it <= now).max();
            let latest = schedule.latest_at(*now, &zone).filter(|it| *it > walked[0].0);
            prop_assert_eq!(latest, expected, "{} at {}", text(&fields), now);
        }
    }

    /// The text is what is kept, and it reads back the same.
    #[test]
    fn a_schedule_survives_being_written(fields in fields()) {
        if let Ok(schedule) = Schedule::parse(&text(&fields)) {
            prop_assert_eq!(Schedule::parse(&String::from(schedule.clone())), Ok(schedule));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9A-Za-z*/,@# -]{0,40}") {
        let _ = Schedule::parse(&text);
    }

    /// Wall time never runs backwards once it is made into instants.
    #[test]
    fn first_instants_keep_the_order((zone, now) in near_a_change(), gap in 1..3000i64) {
        let civil = zone.to_datetime(now);
        let later = civil.checked_add(gap.minutes()).unwrap();
        prop_assert!(first_instant(civil, &zone).unwrap() <= first_instant(later, &zone).unwrap());
        prop_assert!(first_instant(civil, &zone).unwrap() <= now);
    }

    /// Days tile the time, and so do months.
    #[test]
    fn days_and_months_tile((zone, now) in near_a_change()) {
        for period in [day_of, month_of] {
            let (start, end) = period(now, &zone).unwrap();
            prop_assert!(start <= now && now < end, "{start} {now} {end}");
            prop_assert_eq!(period(start, &zone).unwrap(), (start, end));
            prop_assert_eq!(period(end, &zone).unwrap().0, end);
            let last = end.checked_sub(1.nanosecond()).unwrap();
            prop_assert_eq!(period(last, &zone).unwrap(), (start, end));
        }
        let (day, month) = (day_of(now, &zone).unwrap(), month_of(now, &zone).unwrap());
        prop_assert!(month.0 <= day.0 && day.1 <= month.1, "a day lies in one month");
    }
}
