//! When a provider's quota is there again, read from what an agent said. Words prove nothing; here they only set how long
//! nobody tries again, within bounds.

use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Time, tz::TimeZone};

/// The longest that anybody's words can have us wait.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 35);

/// The time that `words` state, if they state one that is to come: a time stamp, seconds since 1970 after a `|`, "in 20
/// minutes", "at 17:30", "resets 5pm".
pub fn stated(words: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let words = words.to_ascii_lowercase();
    let found = stamp(&words).or_else(|| span(&words, now)).or_else(|| clock(&words, now, zone))?;
    (found > now && found.duration_since(now) <= LONGEST).then_some(found)
}

fn stamp(words: &str) -> Option<Timestamp> {
    let after = words.split('|').skip(1).find_map(|part| {
        let digits: String = part.trim().chars().take_while(char::is_ascii_digit).collect();
        (digits.len() == 10).then(|| digits.parse::<i64>().ok())?
    });
    let seconds = after.and_then(|seconds| Timestamp::from_second(seconds).ok());
    seconds.or_else(|| {
        words.split_whitespace().find_map(|word| {
            let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            word.to_ascii_uppercase().parse::<Timestamp>().ok()
        })
    })
}

/// "in 20 minutes", "after 3 h": a number and a unit after one of these words.
fn span(words: &str, now: Timestamp) -> Option<Timestamp> {
    let words: Vec<&str> = words.split_whitespace().collect();
    words.windows(3).find_map(|three| {
        let [before, number, unit] = three else { return None };
        if !matches!(*before, "in" | "after" | "for") {
            return None;
        }
        let number: i64 = number.parse().ok().filter(|number| (1..100_000).contains(number))?;
        let seconds = match unit.trim_matches(|c: char| !c.is_ascii_alphabetic()) {
            "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86_400,
            _ => return None,
        };
        now.checked_add(number.checked_mul(seconds)?.seconds()).ok()
    })
}

/// "at 17:30", "until 5pm", "resets 5 pm": the next time that a clock in the zone shows it.
fn clock(words: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let time = words.iter().enumerate().find_map(|(index, word)| {
        if !matches!(*word, "at" | "until" | "resets" | "reset") {
            return None;
        }
        time_of(words.get(index + 1)?, words.get(index + 2).copied().unwrap_or_default())
    })?;
    let today = now.to_zoned(zone.clone()).date();
    [today, today.tomorrow().ok()?]
        .into_iter()
        .filter_map(|day| zone.to_timestamp(day.to_datetime(time)).ok())
        .find(|at| *at > now)
}

fn time_of(word: &str, next: &str) -> Option<Time> {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let half = |text: &str| {
        let text = text.trim_matches(|c: char| !c.is_ascii_alphabetic());
        ["am", "pm"].into_iter().find(|half| text == *half)
    };
    let (digits, own) = match word.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => (word.get(..at)?, half(word.get(at..)?)),
        None => (word, None),
    };
    let half = own.or_else(|| half(next));
    let (hour, minute) = match digits.split_once(':') {
        Some(both) => both,
        // A bare number is a time only with its half of the day.
        None if half.is_some() => (digits, "0"),
        None => return None,
    };
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match half {
        Some("pm") if hour < 12 => hour + 12,
        Some("am") if hour == 12 => 0,
        _ => hour,
    };
    Time::new(hour, minute, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stated_time_is_found_and_anything_else_is_not() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let said =
            |words: &str| stated(words, now, &zone).map_or_else(|| "none".to_owned(), |at| at.to_string());
        insta::assert_snapshot!(said("Claude AI usage limit reached|1795280400"), @"2026-11-21T17:00:00Z");
        insta::assert_snapshot!(said("Your limit resets 5pm (Europe/Berlin)"), @"2026-11-21T16:00:00Z");
        insta::assert_snapshot!(said("limit resets at 12:30"), @"2026-11-22T11:30:00Z");
        insta::assert_snapshot!(said("Try again in 20 minutes."), @"2026-11-21T12:20:00Z");
        insta::assert_snapshot!(said("quota until 2026-11-21T18:00:00Z."), @"2026-11-21T18:00:00Z");
        insta::assert_snapshot!(said("quota used up"), @"none");
        insta::assert_snapshot!(said("try again in 90000 days"), @"none");
        insta::assert_snapshot!(said("it was at 2020-01-01T00:00:00Z"), @"none");
    }
}
