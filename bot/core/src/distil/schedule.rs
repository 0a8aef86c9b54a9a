//! When a digest is due: at an hour in the fleet's time zone. Where a clock is put forward over it, it is due when the clock
//! goes on.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};
use serde::Deserialize;

/// Not at all.
const NEVER: &str = "never";

/// An hour of each day: `09:00`, or `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Daily(Option<Time>);

/// An hour of one day of each week: `mon 09:00`, or `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Weekly(Option<(Weekday, Time)>);

impl Daily {
    /// When it was due last, at or before `now`; `None` if it never is.
    pub fn last(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        last(now, zone, self.0?, |_| true)
    }
}

impl Weekly {
    /// When it was due last, at or before `now`; `None` if it never is.
    pub fn last(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let (weekday, time) = self.0?;
        last(now, zone, time, |date| date.weekday() == weekday)
    }
}

fn last(now: Timestamp, zone: &TimeZone, time: Time, fits: impl Fn(Date) -> bool) -> Option<Timestamp> {
    let today = now.to_zoned(zone.clone()).date();
    // Today's may be yet to come, so one day more than a week has.
    (0..=7)
        .filter_map(|back: i32| today.checked_sub(back.days()).ok())
        .filter(|date| fits(*date))
        .filter_map(|date| Some(date.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp()))
        .find(|slot| *slot <= now)
}

fn time(text: &str) -> Result<Time, String> {
    let problem = || format!("{text:?} is no time of a day, like 09:00, and not {NEVER}");
    let (hour, minute) = text.split_once(':').ok_or_else(problem)?;
    match (hour.parse(), minute.parse()) {
        (Ok(hour), Ok(minute)) => Time::new(hour, minute, 0, 0).map_err(|_| problem()),
        _ => Err(problem()),
    }
}

impl TryFrom<String> for Daily {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(Self(if text == NEVER { None } else { Some(time(&text)?) }))
    }
}

impl TryFrom<String> for Weekly {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == NEVER {
            return Ok(Self(None));
        }
        let (day, hour) = text.split_once(' ').unwrap_or((&text, ""));
        let weekday = match day {
            "mon" => Weekday::Monday,
            "tue" => Weekday::Tuesday,
            "wed" => Weekday::Wednesday,
            "thu" => Weekday::Thursday,
            "fri" => Weekday::Friday,
            "sat" => Weekday::Saturday,
            "sun" => Weekday::Sunday,
            _ => return Err(format!("{text:?} is no hour of a week, like mon 09:00, and not {NEVER}")),
        };
        Ok(Self(Some((weekday, time(hour)?))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn daily(hour: &str, now: &str) -> String {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let last = Daily::try_from(hour.to_owned()).unwrap().last(now.parse().unwrap(), &zone);
        last.map_or("never".to_owned(), |last| last.to_string())
    }

    #[test]
    fn the_hour_is_the_fleets_in_summer_and_in_winter() {
        insta::assert_snapshot!(daily("09:00", "2026-11-21T08:00:00Z"), @"2026-11-21T08:00:00Z");
        insta::assert_snapshot!(daily("09:00", "2026-11-21T07:59:59Z"), @"2026-11-20T08:00:00Z");
        insta::assert_snapshot!(daily("09:00", "2026-07-21T07:00:00Z"), @"2026-07-21T07:00:00Z");
        // 02:30 is left out that night, and comes twice in the other.
        insta::assert_snapshot!(daily("02:30", "2026-03-29T12:00:00Z"), @"2026-03-29T01:30:00Z");
        insta::assert_snapshot!(daily("02:30", "2026-10-25T12:00:00Z"), @"2026-10-25T00:30:00Z");
        insta::assert_snapshot!(daily("never", "2026-10-25T12:00:00Z"), @"never");
        let week = Weekly::try_from("mon 09:00".to_owned()).unwrap();
        let last = |now: &str| week.last(now.parse().unwrap(), &TimeZone::UTC).unwrap().to_string();
        insta::assert_snapshot!(last("2026-11-23T08:59:59Z"), @"2026-11-16T09:00:00Z");
        insta::assert_snapshot!(last("2026-11-23T09:00:00Z"), @"2026-11-23T09:00:00Z");
    }

    proptest! {
        #[test]
        fn the_last_one_is_past_and_less_than_its_time_ago(now in 0_i64..4_000_000_000, hour in 0_u8..24, minute in 0_u8..60) {
            let now = Timestamp::from_second(now).unwrap();
            let zone = TimeZone::get("Europe/Berlin").unwrap();
            let time = format!("{hour:02}:{minute:02}");
            let day = Daily::try_from(time.clone()).unwrap().last(now, &zone).unwrap();
            // A day has 25 hours once a year.
            prop_assert!(day <= now && now.as_second() - day.as_second() < 25 * 3600);
            prop_assert_eq!(Daily::try_from(time.clone()).unwrap().last(day, &zone), Some(day));
            let week = Weekly::try_from(format!("sun {time}")).unwrap().last(now, &zone).unwrap();
            prop_assert!(week <= now && now.as_second() - week.as_second() < (7 * 24 + 1) * 3600);
        }
    }
}
