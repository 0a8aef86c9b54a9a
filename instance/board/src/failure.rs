//! Why a run failed, and what follows from it. A class is decided where the failure is seen, from facts; what follows is
//! one table here, so that nothing is retried for ever and nothing is given up too early.

use std::{fmt, str::FromStr, time::Duration};

use qd_types::IdError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The machine, the disk or the network, for a while.
    Transient,
    /// A service says: slower.
    RateLimit,
    /// A provider's quota is used up until a stated time.
    Quota,
    /// A login or a token is refused.
    Authentication,
    /// What was asked for makes no sense to the one who should do it.
    Validation,
    /// A tool that is needed is missing or broken.
    Tool,
    /// Checks are red after all repair rounds.
    CheckFailed,
    /// It can't be merged with what the target holds.
    MergeConflict,
    /// Something that it needs is gone: a branch, a repository, a worktree.
    Dependency,
    /// Money, tokens or minutes are used up.
    Budget,
    /// It took longer than it may.
    TimeLimit,
    /// The agent changed nothing, or repeats itself.
    GaveUp,
    /// It touched what it must not touch.
    Violation,
    /// A person said no.
    Denied,
    /// None of these.
    #[default]
    Unknown,
}

impl FailureClass {
    /// All.
    pub const ALL: [Self; 15] = [
        Self::Transient,
        Self::RateLimit,
        Self::Quota,
        Self::Authentication,
        Self::Validation,
        Self::Tool,
        Self::CheckFailed,
        Self::MergeConflict,
        Self::Dependency,
        Self::Budget,
        Self::TimeLimit,
        Self::GaveUp,
        Self::Violation,
        Self::Denied,
        Self::Unknown,
    ];

    /// The word in rows and on surfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::Authentication => "authentication",
            Self::Validation => "validation",
            Self::Tool => "tool",
            Self::CheckFailed => "check_failed",
            Self::MergeConflict => "merge_conflict",
            Self::Dependency => "dependency",
            Self::Budget => "budget",
            Self::TimeLimit => "time_limit",
            Self::GaveUp => "gave_up",
            Self::Violation => "violation",
            Self::Denied => "denied",
            Self::Unknown => "unknown",
        }
    }

    /// What an agent's last words and exit say about why it did nothing. Only called when there is no change to judge
    /// by: words prove nothing, and here nothing hangs on them but the time of the next try.
    pub fn of_words(words: &str) -> Self {
        let words = words.to_ascii_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        if has(&["rate limit", "rate_limit", "too many requests", "overloaded", " 429"]) {
            Self::RateLimit
        } else if has(&[
            "usage limit",
            "quota",
            "insufficient_quota",
            "payment required",
            "credit balance",
            " 402",
        ]) {
            Self::Quota
        } else if has(&[
            "unauthorized",
            "invalid api key",
            "authentication",
            "not logged in",
            "/login",
            " 401",
        ]) {
            Self::Authentication
        } else if has(&[
            "connection refused",
            "network error",
            "timed out",
            "temporarily unavailable",
            " 503",
        ]) {
            Self::Transient
        } else if has(&["command not found", "no such file or directory"]) {
            Self::Tool
        } else {
            Self::GaveUp
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str().replace('_', " "))
    }
}

impl FromStr for FailureClass {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let found = Self::ALL.into_iter().find(|class| class.as_str() == text);
        found.ok_or(IdError {
            kind: "a class of failure",
            text: text.to_owned(),
            want: "transient, quota, …",
        })
    }
}

/// What follows a failed run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follow {
    /// The same again, after a pause.
    Retry {
        /// The pause.
        after: Duration,
    },
    /// Another agent or a bigger model: the next rung of the ladder.
    Climb,
    /// A person is asked; it goes on the list of what gave up.
    Person,
}

const MINUTE: Duration = Duration::from_secs(60);

/// What follows a failure of `class`. `before` counts the runs of this feature in a row that failed by the same class
/// before this one; `rungs` the rungs of the ladder that are left above. `first` is the first pause; each one after it is four
/// times as long. Without it, the class says how long that is.
pub fn follow(class: FailureClass, before: u32, rungs: usize, first: Option<Duration>) -> Follow {
    let retry = |times: u32, usual: Duration| {
        let first = first.unwrap_or(usual);
        if before < times {
            Follow::Retry { after: first * 4_u32.pow(before.min(4)) }
        } else {
            Follow::Person
        }
    };
    match class {
        FailureClass::Transient => retry(3, MINUTE / 2),
        FailureClass::RateLimit => retry(5, MINUTE),
        FailureClass::Quota => retry(4, MINUTE * 15),
        FailureClass::Tool => retry(1, MINUTE),
        FailureClass::MergeConflict => retry(1, MINUTE / 2),
        FailureClass::CheckFailed | FailureClass::GaveUp | FailureClass::TimeLimit if rungs > 0 => {
            Follow::Climb
        }
        FailureClass::CheckFailed
        | FailureClass::GaveUp
        | FailureClass::TimeLimit
        | FailureClass::Authentication
        | FailureClass::Validation
        | FailureClass::Dependency
        | FailureClass::Budget
        | FailureClass::Violation
        | FailureClass::Denied
        | FailureClass::Unknown => Follow::Person,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_retried_for_ever(class in prop::sample::select(FailureClass::ALL.to_vec()), rungs in 0_usize..4) {
            let (mut before, mut rungs, mut steps) = (0, rungs, 0);
            loop {
                match follow(class, before, rungs, None) {
                    Follow::Retry { after } => {
                        prop_assert!(after >= Duration::from_secs(30) && after <= MINUTE * 60 * 24);
                        before += 1;
                    }
                    Follow::Climb => rungs -= 1,
                    Follow::Person => break,
                }
                steps += 1;
                prop_assert!(steps < 16);
            }
        }
    }

    #[test]
    fn every_class_parses_back() {
        for class in FailureClass::ALL {
            assert_eq!(class.as_str().parse::<FailureClass>().unwrap(), class);
        }
    }

    #[test]
    fn an_agent_that_did_nothing_is_classed_by_what_it_said() {
        let class = |words| FailureClass::of_words(words).as_str();
        assert_eq!(class("Error: 429 Too Many Requests"), "rate_limit");
        assert_eq!(class("You have hit your usage limit until 5pm"), "quota");
        assert_eq!(class("Invalid API key. Please run /login"), "authentication");
        assert_eq!(class("I looked around and found nothing to do."), "gave_up");
    }
}
