//! Calls to Discord: tried again where that can help, and told apart where it can't.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use qd_text::say;
use serenity::http::{HttpError, RatelimitInfo};

/// How often a call is tried before its caller is told to come back later.
const TRIES: u32 = 5;
/// Before the second try; doubled each time, with as much again by chance.
const PAUSE: Duration = Duration::from_millis(100);
/// How long Discord counts what it refused.
const WINDOW: Duration = Duration::from_secs(600);
/// From so many on nothing is asked: a fifth of what Discord lets pass.
const MOST_REFUSED: usize = 2_000;

/// Why a call did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The message is not there any more.
    NoMessage,
    /// The channel is not there any more.
    NoChannel,
    /// A thread hangs on the message already.
    HasThread,
    /// The interaction is over: answered, or too late.
    NoInteraction,
    /// The bot is not in the guild.
    Absent,
    /// It won't be done, and what helps.
    Refused(String),
    /// Not now. It can't be told whether it was done.
    Later(String),
}

impl Problem {
    pub(crate) fn of(error: &serenity::Error) -> Self {
        problem(error)
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::NoMessage => say!("discord-no-message"),
            Self::NoChannel => say!("discord-no-channel"),
            Self::HasThread => say!("discord-has-thread"),
            Self::NoInteraction => say!("discord-no-interaction"),
            Self::Absent => say!("discord-absent"),
            Self::Refused(text) | Self::Later(text) => text,
        }
    }
}

/// Makes a call, again after 429, 5xx and lost connections. Each call must be safe to repeat.
pub(crate) async fn call<T, F>(mut make: impl FnMut() -> F) -> Result<T, Problem>
where
    F: Future<Output = serenity::Result<T>>,
{
    let mut tried = 0;
    loop {
        if !refusals().is_few(Instant::now()) {
            return Err(Problem::Later(say!("discord-left-alone")));
        }
        let problem = match make().await {
            Ok(done) => return Ok(done),
            Err(error) => {
                note(&error);
                problem(&error)
            }
        };
        tried += 1;
        if !matches!(problem, Problem::Later(_)) || tried == TRIES {
            return Err(problem);
        }
        tokio::time::sleep(jittered(PAUSE * 2_u32.pow(tried - 1))).await;
    }
}

/// Requests that Discord refused, in this process. It shuts out an address that has 10,000 of them in ten minutes.
/// <https://docs.discord.com/developers/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans>
#[derive(Debug, Default)]
struct Refusals(VecDeque<Instant>);

static REFUSALS: Mutex<Refusals> = Mutex::new(Refusals(VecDeque::new()));

fn refusals() -> MutexGuard<'static, Refusals> {
    REFUSALS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Refusals {
    /// Whether there is still room, far from the limit.
    fn is_few(&mut self, now: Instant) -> bool {
        self.0.retain(|at| now.saturating_duration_since(*at) < WINDOW);
        self.0.len() < MOST_REFUSED
    }
}

/// Counts it, if Discord does.
fn note(error: &serenity::Error) {
    if let serenity::Error::Http(HttpError::UnsuccessfulRequest(answer)) = error
        && matches!(answer.status_code.as_u16(), 401 | 403 | 429)
    {
        refusals().0.push_back(Instant::now());
    }
}

/// The library waits. It calls this before it sleeps, whether Discord answered 429, which is counted, or would have.
pub(crate) fn waited(waits: &RatelimitInfo) {
    if is_answer(waits.timeout) {
        tracing::warn!(path = waits.path, global = waits.global, "Discord asks for a pause");
        refusals().0.push_back(Instant::now());
    }
}

/// The one thing that tells the two apart: what Discord asks for has no parts of a millisecond, and what is left of a window by the
/// clock of this machine has.
fn is_answer(pause: Duration) -> bool {
    pause.subsec_nanos().is_multiple_of(1_000_000)
}

fn jittered(pause: Duration) -> Duration {
    let mut bytes = [0; 1];
    // Without randomness there is no jitter, and nothing worse.
    let _ = getrandom::fill(&mut bytes);
    pause + pause.mul_f64(f64::from(u8::from_be_bytes(bytes)) / 255.0)
}

fn problem(error: &serenity::Error) -> Problem {
    let serenity::Error::Http(error) = error else {
        return Problem::Later(say!("discord-not-understood", error = error));
    };
    let HttpError::UnsuccessfulRequest(answer) = error else {
        return Problem::Later(say!("discord-unreachable"));
    };
    let (status, words) = (answer.status_code.as_u16(), &answer.error.message);
    match (status, answer.error.code) {
        (_, 10_008) => Problem::NoMessage,
        (_, 10_062 | 10_015 | 50_027 | 40_060) => Problem::NoInteraction,
        (_, 10_004) => Problem::Absent,
        (_, 10_003) => Problem::NoChannel,
        (_, 160_004) => Problem::HasThread,
        (_, 50_001) => Problem::Refused(say!("discord-may-not-see")),
        (_, 50_013) => Problem::Refused(say!("discord-lacks-permission")),
        (401, _) => Problem::Refused(say!("discord-token")),
        (429 | 500.., _) => Problem::Later(say!("discord-answers", status = status)),
        _ => Problem::Refused(say!("discord-refused", status = status, words = words)),
    }
}

#[cfg(test)]
pub(crate) fn refused() -> usize {
    refusals().0.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_too_many_refusals_nothing_is_asked_until_they_are_old() {
        let begin = Instant::now();
        let mut refusals = Refusals::default();
        refusals.0.extend(std::iter::repeat_n(begin, MOST_REFUSED));
        assert!(!refusals.is_few(begin));
        assert!(refusals.is_few(begin + WINDOW));
    }
}
