//! Rate limits. <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// Requests in an hour of one installation or person: the smallest that an installation has.
const PRIMARY: u64 = 5_000;
/// Content-creating requests in a minute, as documented on the same page.
const CONTENT: usize = 80;

/// What was asked, and how much may be.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) primary: u64,
    pub(super) content: usize,
    used: BTreeMap<String, (u64, Timestamp)>,
    made: BTreeMap<String, Vec<Timestamp>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { primary: PRIMARY, content: CONTENT, used: BTreeMap::new(), made: BTreeMap::new() }
    }
}

/// How somebody stands: the `X-RateLimit-*` headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) limit: u64,
    pub(super) used: u64,
    /// When it begins anew, in seconds since 1970.
    pub(super) reset: i64,
}

impl Standing {
    pub(super) fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

impl Limits {
    /// Counts a request.
    pub(super) fn count(&mut self, who: &str, now: Timestamp) -> Standing {
        let hour = SignedDuration::from_hours(1);
        let (used, since) = self.used.entry(who.to_owned()).or_insert((0, now));
        if now.duration_since(*since) >= hour {
            (*used, *since) = (0, now);
        }
        *used += 1;
        Standing { limit: self.primary, used: *used, reset: (*since + hour).as_second() }
    }

    /// Gives one back: an answer of 304 does not count.
    /// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate>
    pub(super) fn give_back(&mut self, who: &str) {
        if let Some((used, _)) = self.used.get_mut(who) {
            *used = used.saturating_sub(1);
        }
    }

    pub(super) fn standing(&self, who: &str, now: Timestamp) -> Standing {
        let hour = SignedDuration::from_hours(1);
        let (used, since) = self.used.get(who).copied().unwrap_or((0, now));
        Standing { limit: self.primary, used, reset: (since + hour).as_second() }
    }

    /// Counts a content-creating request. Seconds to wait where it is one too many within a minute.
    pub(super) fn content(&mut self, who: &str, now: Timestamp) -> Option<i64> {
        let minute = SignedDuration::from_mins(1);
        let made = self.made.entry(who.to_owned()).or_default();
        made.retain(|at| now.duration_since(*at) < minute);
        if made.len() >= self.content {
            let oldest = made.first().copied().unwrap_or(now);
            return Some((minute - now.duration_since(oldest)).as_secs().max(1));
        }
        made.push(now);
        None
    }
}
