//! When something recurs: a cron expression of five fields, read in the fleet's time zone. Not what is done then: that
//! is `recurring`.
//!
//! The expression is matched on wall time, and each matching wall time happens once: see [`first_instant`] for the two
//! days a year on which that is not plain. It follows that `*/15 * * * *` rests for the hour that autumn repeats, and
//! that a daily 02:30 is never left out and never done twice.

use std::{fmt, str::FromStr};

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::zone::{first_instant, latest_shown};

/// The names for whole expressions, and what they stand for.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * SUN"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];
/// Longest expression, in bytes: sixty minutes written out are under 200.
const MAX_TEXT: usize = 300;
/// Where the search for a first match begins, to tell an expression that never matches. Leap years and all weekdays
/// come round again every 400 years, so the answer does not depend on it.
const SOME_TIME: DateTime = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);

/// A cron expression that is well formed and matches some day.
///
/// Five fields: minute, hour, day of month, month, day of week. Where both days are limited, either one suffices, as in
/// every cron; only a plain `*` leaves a day open. Sunday is 0 or 7. `L` (last day of the month), `LW` and `15W`
/// (nearest working day), `FRI#2` (second Friday) and `5L` (last Friday) are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Schedule {
    text: String,
    cron: Cron,
}

impl Schedule {
    /// Reads `0 3 * * mon-fri` or `@daily`. Names and nicknames in any case.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(ScheduleError::TooLong { bytes: text.len() });
        }
        let expression = if text.starts_with('@') {
            let known = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
            known.ok_or_else(|| ScheduleError::Nickname { text: text.to_owned() })?.1
        } else {
            text
        };
        let fields: Vec<&str> = expression.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(ScheduleError::Fields { text: text.to_owned(), found: fields.len() });
        }
        for (field, value) in FIELDS.iter().zip(&fields) {
            if !value.split(',').all(|item| field.takes(item)) {
                return Err(ScheduleError::Field {
                    text: text.to_owned(),
                    field: field.name,
                    value: (*value).to_owned(),
                    accepted: field.accepted,
                });
            }
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(&fields.join(" ")).map_err(|source| ScheduleError::Refused {
            text: text.to_owned(),
            source: Refusal(source.to_string()),
        })?;
        if cron.find_next_occurrence(&SOME_TIME, true).is_err() {
            return Err(ScheduleError::Never { text: text.to_owned() });
        }
        Ok(Self { text: text.to_owned(), cron })
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first occurrence after `after`, never at it. `None` beyond the year 5000.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut civil = zone.to_datetime(after);
        loop {
            civil = self.cron.find_next_occurrence(&civil, false).ok()?;
            let at = first_instant(civil, zone)?;
            // In the second pass of a fold, what the clock shows has been once already.
            if at > after {
                return Some(at);
            }
        }
    }

    /// The last occurrence that is not after `now`. `None` before the year 1.
    pub fn latest_at(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut civil = self.cron.find_previous_occurrence(&latest_shown(now, zone), true).ok()?;
        loop {
            let at = first_instant(civil, zone)?;
            if at <= now {
                return Some(at);
            }
            civil = self.cron.find_previous_occurrence(&civil, false).ok()?;
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Schedule {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, ScheduleError> {
        Self::parse(&text)
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.text
    }
}

/// An expression that can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Longer than any real one.
    #[error("the schedule has {bytes} bytes; accepted are up to {MAX_TEXT}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// `@fortnightly`.
    #[error(
        "schedule \"{text}\": there is no such name; accepted are @hourly, @daily, @midnight, @weekly, @monthly, \
         @yearly, @annually, or five fields"
    )]
    Nickname {
        /// As given.
        text: String,
    },
    /// Too few fields, or too many; six is one with seconds.
    #[error(
        "schedule \"{text}\" has {found} fields; accepted are five (minute, hour, day of month, month, day of week), or \
         a name such as @daily{}", if *found == 6 { "; seconds can't be given" } else { "" }
    )]
    Fields {
        /// As given.
        text: String,
        /// How many there are.
        found: usize,
    },
    /// A field that says nothing we know.
    #[error("schedule \"{text}\": the {field} is \"{value}\"; accepted are {accepted}")]
    Field {
        /// As given.
        text: String,
        /// Which of the five.
        field: &'static str,
        /// What stands there.
        value: String,
        /// What may stand there.
        accepted: &'static str,
    },
    /// Every field is fine, the whole is not.
    #[error("schedule \"{text}\" can't be read; write it with numbers, lists, ranges and steps only")]
    Refused {
        /// As given.
        text: String,
        /// What the reader of cron expressions says.
        #[source]
        source: Refusal,
    },
    /// 30 February.
    #[error(
        "schedule \"{text}\" never happens: no such day comes in any year; change the day of month or the month"
    )]
    Never {
        /// As given.
        text: String,
    },
}

/// What the library that reads cron expressions says of one that it refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

struct Field {
    name: &'static str,
    low: u8,
    high: u8,
    names: &'static [&'static str],
    extras: Extras,
    accepted: &'static str,
}

#[derive(PartialEq, Eq)]
enum Extras {
    None,
    DayOfMonth,
    DayOfWeek,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        low: 0,
        high: 59,
        names: &[],
        extras: Extras::None,
        accepted: "0 to 59, * for all, lists (0,30), ranges (0-29) and steps (*/15)",
    },
    Field {
        name: "hour",
        low: 0,
        high: 23,
        names: &[],
        extras: Extras::None,
        accepted: "0 to 23, * for all, lists (6,18), ranges (9-17) and steps (*/2)",
    },
    Field {
        name: "day of month",
        low: 1,
        high: 31,
        names: &[],
        extras: Extras::DayOfMonth,
        accepted: "1 to 31, * for all, lists (1,15), ranges (1-7), steps (*/2), L for the last day, LW or 15W for the \
                   nearest working day",
    },
    Field {
        name: "month",
        low: 1,
        high: 12,
        names: &MONTHS,
        extras: Extras::None,
        accepted: "1 to 12 or JAN to DEC, * for all, lists (3,9), ranges (MAY-AUG) and steps (*/3)",
    },
    Field {
        name: "day of week",
        low: 0,
        high: 7,
        names: &DAYS,
        extras: Extras::DayOfWeek,
        accepted: "0 to 7 or SUN to SAT (0 and 7 are Sunday), * for all, lists (MON,THU), ranges (MON-FRI), steps \
                   (*/2), FRI#2 for the second Friday and 5L for the last",
    },
];

impl Field {
    /// Whether one item of a list is well formed. The library is more generous than its errors are clear: it takes
    /// `MON` for a minute.
    fn takes(&self, item: &str) -> bool {
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(step)),
            None => (item, None),
        };
        let whole = match base.split_once('-') {
            _ if base == "*" => true,
            Some((from, to)) => self.range(from, to),
            None => step.is_none() && (self.value(base).is_some() || self.extra(base)),
        };
        whole && step.is_none_or(|step| number(step).is_some_and(|step| (1..=self.high).contains(&step)))
    }

    fn range(&self, from: &str, to: &str) -> bool {
        let to = match self.value(to) {
            // A week may end on a Sunday that is written SUN.
            Some(0) if number(to).is_none() => Some(7),
            other => other,
        };
        matches!((self.value(from), to), (Some(from), Some(to)) if from <= to)
    }

    fn value(&self, text: &str) -> Option<u8> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|at| u8::try_from(at).ok()).map(|at| at + self.low);
        named.or_else(|| number(text).filter(|value| (self.low..=self.high).contains(value)))
    }

    fn extra(&self, text: &str) -> bool {
        let text = text.to_ascii_uppercase();
        match self.extras {
            Extras::None => false,
            Extras::DayOfMonth => {
                text == "L"
                    || text == "LW"
                    || text
                        .strip_suffix('W')
                        .and_then(number)
                        .is_some_and(|day| self.value(&day.to_string()).is_some())
            }
            Extras::DayOfWeek => match text.split_once('#') {
                Some((day, nth)) => {
                    self.value(day).is_some() && number(nth).is_some_and(|nth| (1..=5).contains(&nth))
                }
                None => text.strip_suffix('L').and_then(number).is_some_and(|day| day <= self.high),
            },
        }
    }
}

/// Digits and nothing else; `u8::from_str` takes a sign.
fn number(text: &str) -> Option<u8> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}
