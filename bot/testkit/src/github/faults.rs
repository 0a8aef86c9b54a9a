//! Bad days: what the next requests get instead of an answer, or after it.

use std::{collections::VecDeque, time::Duration};

/// How a request goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This status, with GitHub's body of it; nothing is done.
    Status(u16),
    /// No answer for this long, then 502; nothing is done.
    Timeout(Duration),
    /// The secondary limit: 403 with `Retry-After` in seconds.
    /// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>
    Secondary(u64),
    /// It is done, and the wire is cut before the answer.
    AnswerLost,
    /// It is answered, after this long.
    Slow(Duration),
}

/// Faults that wait for their request.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<(String, Fault)>);

impl Faults {
    /// The next request to a route (`POST /repos/{owner}/{repo}/pulls`, or a part of that) meets this.
    pub(super) fn add(&mut self, route: &str, fault: Fault) {
        self.0.push_back((route.to_owned(), fault));
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Fault> {
        let at = self.0.iter().position(|(route, _)| name.contains(route.as_str()))?;
        self.0.remove(at).map(|(_, fault)| fault)
    }
}
