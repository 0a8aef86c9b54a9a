//! When a team's stand-up comes: an hour, where, and on which days.

use std::fmt;

use qd_text::say;

use crate::parse::{CommandError, no, quoted};

/// The days of a week, as they are written.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// When a team's stand-up comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Never.
    Off,
    /// As the configuration says.
    Default,
    /// At an hour of its own.
    At(Hour),
}

/// An hour of some days. Parsed: every value is one that there is, except the zone, which whoever has the time zones looks up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hour {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// The name of a time zone, as Europe/Berlin; without, the fleet's.
    pub zone: Option<String>,
    /// Monday first, whether it comes on that day. At least one.
    pub days: [bool; 7],
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Default => f.write_str("default"),
            Self::At(hour) => write!(f, "{hour}"),
        }
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)?;
        if let Some(zone) = &self.zone {
            write!(f, " {zone}")?;
        }
        match self.days {
            [true, true, true, true, true, true, true] => Ok(()),
            [true, true, true, true, true, false, false] => f.write_str(" mon-fri"),
            days => {
                let named = DAYS.iter().zip(days).filter(|(_, on)| *on).map(|(day, _)| *day);
                write!(f, " {}", named.collect::<Vec<_>>().join(","))
            }
        }
    }
}

impl std::str::FromStr for When {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        when(text)
    }
}

/// `off`, `default`, or `09:30 Europe/Berlin mon-fri`.
pub(crate) fn when(text: &str) -> Result<When, CommandError> {
    match text.to_ascii_lowercase().as_str() {
        "off" | "never" => return Ok(When::Off),
        "default" => return Ok(When::Default),
        _ => {}
    }
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let clock = words.next().unwrap_or_default();
    let read = |text: &str| text.parse::<u8>().ok().filter(|_| (1..=2).contains(&text.len()));
    let time = clock.split_once(':').and_then(|(hour, minute)| Some((read(hour)?, read(minute)?)));
    let Some((hour, minute)) = time.filter(|(hour, minute)| *hour < 24 && *minute < 60) else {
        return no(say!("no-time", clock = quoted(clock)));
    };
    let (mut zone, mut on) = (None, None);
    for word in words {
        match days(word) {
            Some(named) if on.is_none() => on = Some(named),
            None if zone.is_none() && is_zone(word) => zone = Some(word.to_owned()),
            _ => {
                return no(say!("no-hour", word = quoted(word)));
            }
        }
    }
    Ok(When::At(Hour { hour, minute, zone, days: on.unwrap_or([true; 7]) }))
}

fn is_zone(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
    word.len() <= 64
        && word.starts_with(|letter: char| letter.is_ascii_uppercase())
        && word.bytes().all(plain)
}

/// `mon-fri`, or `mon,wed`.
fn days(word: &str) -> Option<[bool; 7]> {
    let word = word.to_ascii_lowercase();
    let place = |day: &str| DAYS.iter().position(|known| *known == day);
    let mut on = [false; 7];
    for part in word.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (place(from)?, place(to)?);
        on.get_mut(from..=to)?.fill(true);
    }
    Some(on)
}
