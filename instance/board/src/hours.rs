//! Quiet hours: when nothing new is started. Not a budget and not a pause: those are a person's word or a sum.
//!
//! A window is a stretch of wall time in the fleet's zone. It begins at the first instant that shows its beginning or a
//! later time, and ends likewise, so a clock change makes it shorter or longer and never splits it.

use std::fmt;

use jiff::{
    Timestamp,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::zone::{day_of, month_of};
use crate::zone::{first_instant, latest_shown};

/// Most windows: a week has few habits.
pub const MAX_WINDOWS: usize = 32;
const MINUTES_OF_DAY: u16 = 24 * 60;
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// The quiet hours of a fleet: none, one or more windows, and never the whole week.
///
/// A window is days, times, or both: `sat,sun`, `22:00-07:00`, `mon-fri 18:00-08:00`. Without days it is every day,
/// without times the whole day. One that ends before it begins goes on into the next day: `fri 18:00-08:00` ends on
/// Saturday.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[schemars(with = "Vec<String>")]
pub struct QuietHours {
    windows: Vec<Window>,
}

impl QuietHours {
    /// Reads a list of windows.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, QuietError> {
        if texts.len() > MAX_WINDOWS {
            return Err(QuietError::TooMany { windows: texts.len() });
        }
        let windows = texts.iter().map(|text| Window::parse(text.as_ref())).collect::<Result<_, _>>()?;
        let quiet = Self { windows };
        if quiet.covers_the_week() {
            return Err(QuietError::Always);
        }
        Ok(quiet)
    }

    /// The windows as they were written.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.windows.iter().map(|window| window.text.as_str())
    }

    /// Until when it is quiet; `None` if it is not. Windows that touch or overlap are one.
    pub fn quiet(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut until = now;
        // Each turn goes at least one window on, and there is a gap every week; two weeks hold, whatever the clock does.
        for _ in 0..MAX_WINDOWS * 14 {
            match self.windows.iter().filter_map(|window| window.end_around(until, zone)).max() {
                Some(end) => until = end,
                None => break,
            }
        }
        (until > now).then_some(until)
    }

    /// Whether no minute of the week is left.
    fn covers_the_week(&self) -> bool {
        let minute_of_week = |day: Weekday, minute: u16| {
            u16::from(day.to_monday_zero_offset().unsigned_abs()) * MINUTES_OF_DAY + minute
        };
        (0..7 * MINUTES_OF_DAY).all(|minute| {
            self.windows.iter().any(|window| {
                window.days.iter().any(|day| {
                    let start = minute_of_week(*day, window.start);
                    let since = (minute + 7 * MINUTES_OF_DAY - start) % (7 * MINUTES_OF_DAY);
                    since < window.length()
                })
            })
        })
    }
}

impl TryFrom<Vec<String>> for QuietHours {
    type Error = QuietError;

    fn try_from(texts: Vec<String>) -> Result<Self, QuietError> {
        Self::parse(&texts)
    }
}

impl From<QuietHours> for Vec<String> {
    fn from(quiet: QuietHours) -> Self {
        quiet.windows.into_iter().map(|window| window.text).collect()
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, text) in self.texts().enumerate() {
            let comma = if at == 0 { "" } else { "; " };
            write!(f, "{comma}{text}")?;
        }
        Ok(())
    }
}

/// A window that can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuietError {
    /// More than anyone needs.
    #[error("there are {windows} quiet windows; accepted are up to {MAX_WINDOWS}")]
    TooMany {
        /// How many.
        windows: usize,
    },
    /// Neither days nor times, or more than both.
    #[error(
        "quiet hours \"{text}\": accepted are times (22:00-07:00), days (sat,sun), or days and then times \
         (mon-fri 18:00-08:00)"
    )]
    Shape {
        /// As given.
        text: String,
    },
    /// A day that is none.
    #[error(
        "quiet hours \"{text}\": \"{day}\" is no day; accepted are mon, tue, wed, thu, fri, sat, sun, ranges (mon-fri) \
         and lists (sat,sun)"
    )]
    Day {
        /// As given.
        text: String,
        /// The part that is none.
        day: String,
    },
    /// A time that is none.
    #[error(
        "quiet hours \"{text}\": \"{time}\" can't stand there; accepted are 00:00 to 23:59, or 24:00 at the end"
    )]
    Time {
        /// As given.
        text: String,
        /// The part that is none.
        time: String,
    },
    /// From eight to eight.
    #[error(
        "quiet hours \"{text}\" begin when they end; leave the times away for a whole day, or make them differ by a minute"
    )]
    Empty {
        /// As given.
        text: String,
    },
    /// Nothing would ever start.
    #[error(
        "the quiet hours cover the whole week, so nothing would ever start; leave a gap, or pause the instance"
    )]
    Always,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    text: String,
    /// The days that it begins on.
    days: Vec<Weekday>,
    /// Minute of the day.
    start: u16,
    /// Minute of the day; up to 1440. Not after `start`: that of the next day.
    end: u16,
}

impl Window {
    fn parse(text: &str) -> Result<Self, QuietError> {
        let text = text.trim();
        let parts: Vec<&str> = text.split_whitespace().collect();
        let (days, times) = match parts.as_slice() {
            [times] if times.contains(':') => (None, Some(*times)),
            [days] => (Some(*days), None),
            [days, times] if !days.contains(':') => (Some(*days), Some(*times)),
            _ => return Err(QuietError::Shape { text: text.to_owned() }),
        };
        let days = match days {
            Some(days) => parse_days(text, days)?,
            None => DAYS.iter().map(|(_, day)| *day).collect(),
        };
        let (start, end) = match times {
            Some(times) => {
                let (from, to) =
                    times.split_once('-').ok_or_else(|| QuietError::Shape { text: text.to_owned() })?;
                (parse_time(text, from)?, parse_time(text, to)?)
            }
            None => (0, MINUTES_OF_DAY),
        };
        if start % MINUTES_OF_DAY == end % MINUTES_OF_DAY
            && (times.is_some() && (start, end) != (0, MINUTES_OF_DAY))
        {
            return Err(QuietError::Empty { text: text.to_owned() });
        }
        if start == MINUTES_OF_DAY {
            return Err(QuietError::Time { text: text.to_owned(), time: "24:00".to_owned() });
        }
        Ok(Self { text: text.to_owned(), days, start, end })
    }

    fn over_midnight(&self) -> bool {
        self.end <= self.start
    }

    /// Minutes, on a day without a change.
    fn length(&self) -> u16 {
        if self.over_midnight() { self.end + MINUTES_OF_DAY - self.start } else { self.end - self.start }
    }

    /// When the window ends that `now` is in.
    fn end_around(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // It may have begun yesterday, and a clock that was set back by up to a day still shows the day before.
        let today = latest_shown(now, zone).date();
        let mut day = today.yesterday().and_then(Date::yesterday).ok()?;
        let mut latest = None;
        while day <= today {
            if self.days.contains(&day.weekday()) {
                let last = if self.over_midnight() { day.tomorrow().ok()? } else { day };
                let start = instant(day, self.start, zone)?;
                let end = instant(last, self.end, zone)?;
                if start <= now && now < end {
                    latest = latest.max(Some(end));
                }
            }
            day = day.tomorrow().ok()?;
        }
        latest
    }
}

/// The first instant that shows `minute` of `day`; 1440 is the next day's midnight.
fn instant(day: Date, minute: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (day, minute) = if minute == MINUTES_OF_DAY { (day.tomorrow().ok()?, 0) } else { (day, minute) };
    let hour = i8::try_from(minute / 60).ok()?;
    let time = Time::new(hour, i8::try_from(minute % 60).ok()?, 0, 0).ok()?;
    first_instant(day.to_datetime(time), zone)
}

fn parse_days(text: &str, days: &str) -> Result<Vec<Weekday>, QuietError> {
    let day = |name: &str| {
        let found = DAYS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, day)| *day);
        found.ok_or_else(|| QuietError::Day { text: text.to_owned(), day: name.to_owned() })
    };
    let mut all = vec![];
    for item in days.split(',') {
        match item.split_once('-') {
            // A range may go over the end of the week: sat-mon.
            Some((from, to)) => {
                let (mut at, last) = (day(from)?, day(to)?);
                all.push(at);
                while at != last {
                    at = at.next();
                    all.push(at);
                }
            }
            None => all.push(day(item)?),
        }
    }
    Ok(all)
}

fn parse_time(text: &str, time: &str) -> Result<u16, QuietError> {
    let refused = || QuietError::Time { text: text.to_owned(), time: time.to_owned() };
    let (hour, minute) = time.split_once(':').ok_or_else(refused)?;
    let number = |digits: &str, lengths: std::ops::RangeInclusive<usize>| {
        let plain = lengths.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse::<u16>().ok() } else { None }
    };
    let hour = number(hour, 1..=2).ok_or_else(refused)?;
    let minute = number(minute, 2..=2).filter(|minute| *minute < 60).ok_or_else(refused)?;
    let total = hour * 60 + minute;
    if total > MINUTES_OF_DAY { Err(refused()) } else { Ok(total) }
}
