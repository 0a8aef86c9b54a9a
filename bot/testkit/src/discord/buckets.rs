//! Rate limits: a bucket per route and major parameter, and one for everything.
//! <https://docs.discord.com/developers/topics/rate-limits>

use std::{collections::HashMap, time::Duration};

/// Requests per second over all routes.
const GLOBAL: u32 = 50;
/// What a route allows if a test says nothing: few enough to be met, many enough that ordinary tests don't wait.
const ORDINARY: (u32, Duration) = (30, Duration::from_secs(1));

#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// Begin of the window and requests in it.
    seen: HashMap<String, (Duration, u32)>,
    limits: HashMap<String, (u32, Duration)>,
}

/// What a request finds.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) bucket: String,
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) reset_after: Duration,
    pub(super) over: Option<&'static str>,
}

impl Buckets {
    /// From now on a route, written `POST /channels/{}/messages`, allows so many requests in such a time.
    pub(super) fn limit(&mut self, route: &str, count: u32, window: Duration) {
        self.limits.insert(route.to_owned(), (count, window));
    }

    /// Takes a request. Interactions and their webhooks don't count towards the global limit.
    pub(super) fn take(&mut self, route: &str, major: &str, now: Duration) -> Found {
        let exempt = route.contains("/interactions/") || route.contains("/webhooks/");
        if !exempt {
            let all = self.window("global", GLOBAL, Duration::from_secs(1), now);
            if all.over.is_some() {
                return Found { over: Some("global"), ..all };
            }
        }
        let (limit, window) = self.limits.get(route).copied().unwrap_or(ORDINARY);
        self.window(&format!("{route} {major}"), limit, window, now)
    }

    fn window(&mut self, bucket: &str, limit: u32, window: Duration, now: Duration) -> Found {
        let (begin, count) = self.seen.entry(bucket.to_owned()).or_insert((now, 0));
        if now.saturating_sub(*begin) >= window {
            (*begin, *count) = (now, 0);
        }
        let over = (*count >= limit).then_some("user");
        *count += u32::from(over.is_none());
        Found {
            bucket: bucket.to_owned(),
            limit,
            // A limit may have become narrower than what was taken before.
            remaining: limit.saturating_sub(*count),
            reset_after: (*begin + window).saturating_sub(now),
            over,
        }
    }
}
