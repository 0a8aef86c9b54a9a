//! When a digest is due: at an hour in the fleet's time zone. Where a clock is put forward over it, it is due when the clock
//! goes on.

use qd_text::say;
use std::fmt;

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};
use qd_command::{Hour, When};
use serde::{Deserialize, Serialize};

use crate::text::inert;

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

impl Daily {
    /// Whether it never comes.
    pub fn is_never(self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for Daily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => write!(f, "{:02}:{:02}", time.hour(), time.minute()),
            None => f.write_str(NEVER),
        }
    }
}

/// When a team's stand-up comes, in place of the configured hour: as people said it, with a zone that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TeamHour(When);

impl TeamHour {
    /// Of what people said; `None` for the configured one. The error is for them.
    ///
    /// # Errors
    /// If there is no such zone.
    pub fn new(when: &When) -> Result<Option<Self>, String> {
        match when {
            When::Default => Ok(None),
            When::Off => Ok(Some(Self(When::Off))),
            When::At(Hour { zone: Some(zone), .. }) if TimeZone::get(zone).is_err() => {
                Err(say!("standup-no-zone", zone = inert(zone, 64)))
            }
            at => Ok(Some(Self(at.clone()))),
        }
    }

    /// As people said it.
    pub fn when(&self) -> &When {
        &self.0
    }

    /// When it was due last, at or before `now`, in its own zone or in the fleet's; `None` if it never is.
    pub fn last(&self, now: Timestamp, fleet: &TimeZone) -> Option<Timestamp> {
        let When::At(Hour { hour, minute, zone, days }) = &self.0 else { return None };
        let time = Time::new(i8::try_from(*hour).ok()?, i8::try_from(*minute).ok()?, 0, 0).ok()?;
        let own = zone.as_ref().and_then(|zone| TimeZone::get(zone).ok());
        let on = |date: Date| {
            let day = usize::try_from(date.weekday().to_monday_zero_offset()).ok();
            day.and_then(|day| days.get(day)).copied().unwrap_or_default()
        };
        last(now, own.as_ref().unwrap_or(fleet), time, on)
    }
}

impl TryFrom<String> for TeamHour {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let when: When = text.parse().map_err(|error: qd_command::CommandError| error.to_string())?;
        Self::new(&when)?.ok_or_else(|| format!("{text:?} is no hour of its own"))
    }
}

impl From<TeamHour> for String {
    fn from(hour: TeamHour) -> Self {
        hour.0.to_string()
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

    #[test]
    fn a_team_has_an_hour_of_its_own_in_its_own_zone_on_its_own_days() {
        let last = |said: &str, now: &str| {
            let hour = TeamHour::try_from(said.to_owned()).unwrap();
            assert_eq!(String::from(hour.clone()), said);
            let last = hour.last(now.parse().unwrap(), &TimeZone::UTC);
            last.map_or("never".to_owned(), |last| last.to_string())
        };
        // The 21st is a Saturday.
        insta::assert_snapshot!(last("09:30 Europe/Berlin mon-fri", "2026-11-21T12:00:00Z"), @"2026-11-20T08:30:00Z");
        insta::assert_snapshot!(last("09:30", "2026-11-21T12:00:00Z"), @"2026-11-21T09:30:00Z");
        insta::assert_snapshot!(last("09:30 sat", "2026-11-21T09:00:00Z"), @"2026-11-14T09:30:00Z");
        insta::assert_snapshot!(last("off", "2026-11-21T09:00:00Z"), @"never");
        let gone = TeamHour::try_from("09:30 Europe/Atlantis".to_owned()).unwrap_err();
        insta::assert_snapshot!(gone, @"There is no time zone Europe/Atlantis here. Say one like Europe/Berlin, or leave it out for the fleet's.");
        assert!(TeamHour::try_from("default".to_owned()).is_err(), "that is no row");
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
