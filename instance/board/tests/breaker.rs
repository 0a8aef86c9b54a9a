//! The circuit breaker: when it pauses, for how long, who is let through, and what is said.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use jiff::{Timestamp, ToSpan as _};
use proptest::prelude::*;
use qd_board::breaker::{Answer, Breaker, Cause, Event, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Reason};

/// So many seconds into the test.
fn t(second: i64) -> Timestamp {
    "2025-06-01T12:00:00Z".parse::<Timestamp>().unwrap().checked_add(second.seconds()).unwrap()
}

fn push() -> Cause {
    Cause::infrastructure("git push")
}

/// The pause of an event, in seconds; -1 if it opens nothing.
fn paused(event: Option<Event>, now: i64) -> i64 {
    let Some(Event::Opened { until, .. }) = event else { return -1 };
    until.duration_since(t(now)).as_secs()
}

#[test]
fn two_failures_within_a_minute_pause_the_cause_and_no_other() {
    let mut breaker = Breaker::default();
    assert_eq!(breaker.failure(&push(), t(0), 1), None);
    assert_eq!(breaker.failure(&push(), t(61), 1), None, "61 seconds later is another matter");
    let pause = paused(breaker.failure(&push(), t(121), 1), 121);
    assert!((270..=330).contains(&pause), "{pause}");
    assert!(matches!(breaker.ask(&push(), t(122)), Answer::Paused { reason: Reason::Failures, .. }));
    assert_eq!(breaker.ask(&Cause::infrastructure("git fetch"), t(122)), Answer::Go);
    assert_eq!(breaker.failure(&push(), t(123), 1), None, "one that was on its way already is no news");
}

#[test]
fn one_is_let_through_and_decides() {
    let mut breaker = Breaker::default();
    breaker.failure(&push(), t(0), 1);
    let open = paused(breaker.failure(&push(), t(1), 1), 1) + 1;
    assert!(matches!(breaker.ask(&push(), t(open - 1)), Answer::Paused { .. }));
    assert_eq!(breaker.look(&push(), t(open)), Answer::Trial, "to look takes nothing");
    assert_eq!(breaker.ask(&push(), t(open)), Answer::Trial);
    assert_eq!(breaker.ask(&push(), t(open + 9999)), Answer::Waiting { reason: Reason::Failures });
    assert_eq!(breaker.success(&push(), t(open + 10)), Some(Event::Closed { cause: push() }));
    assert_eq!(breaker.ask(&push(), t(open + 11)), Answer::Go);
    assert_eq!(breaker.success(&push(), t(open + 12)), None);
}

#[test]
fn each_opening_doubles_the_pause_up_to_two_hours_and_rest_is_forgiven() {
    let mut breaker = Breaker::default();
    breaker.failure(&push(), t(0), 7);
    let mut now = 0;
    let mut pause = paused(breaker.failure(&push(), t(now), 7), now);
    for nth in 1..8 {
        now += pause;
        assert_eq!(breaker.ask(&push(), t(now)), Answer::Trial);
        pause = paused(breaker.failure(&push(), t(now), 7), now);
        let plain = (FIRST_PAUSE_SECONDS << nth).min(LONGEST_PAUSE_SECONDS);
        assert!((plain - plain / 10..=plain + plain / 10).contains(&pause), "opening {nth}: {pause}");
    }
    // Closed and open again at once: it goes on where it was.
    now += pause;
    breaker.ask(&push(), t(now));
    breaker.success(&push(), t(now));
    breaker.failure(&push(), t(now + 1), 7);
    assert!(paused(breaker.failure(&push(), t(now + 1), 7), now + 1) > 6000);
    // Closed for two hours: it begins anew.
    now += 10_000;
    breaker.ask(&push(), t(now));
    breaker.success(&push(), t(now));
    now += LONGEST_PAUSE_SECONDS;
    breaker.failure(&push(), t(now), 7);
    assert!(paused(breaker.failure(&push(), t(now), 7), now) < 400);
}

#[test]
fn a_used_up_quota_pauses_until_its_reset_and_is_said_once() {
    let mut breaker = Breaker::default();
    let claude = Cause::quota("claude");
    let event = breaker.quota_exhausted(&claude, t(3600), t(0));
    assert_eq!(event, Some(Event::Opened { cause: claude.clone(), reason: Reason::Quota, until: t(3600) }));
    assert_eq!(breaker.quota_exhausted(&claude, t(3600), t(5)), None);
    assert_eq!(breaker.quota_exhausted(&claude, t(3660), t(6)), None, "a minute more is the same news");
    assert_eq!(breaker.ask(&claude, t(3659)), Answer::Paused { until: t(3660), reason: Reason::Quota });
    assert_eq!(breaker.quota_exhausted(&claude, t(1800), t(7)), None, "the longest counts");
    assert_eq!(breaker.look(&claude, t(1900)), Answer::Paused { until: t(3660), reason: Reason::Quota });
    // The weekly quota, too.
    assert_eq!(paused(breaker.quota_exhausted(&claude, t(90_000), t(10)), 10), 89_990);
    assert_eq!(breaker.ask(&claude, t(90_000)), Answer::Trial);
    assert_eq!(paused(breaker.quota_exhausted(&claude, t(95_000), t(90_001)), 90_001), 4_999);
    assert_eq!(breaker.ask(&claude, t(95_000)), Answer::Trial);
    assert_eq!(breaker.success(&claude, t(95_001)), Some(Event::Closed { cause: claude }));
}

#[test]
fn a_reset_time_is_believed_within_reason() {
    let claude = Cause::quota("claude");
    let mut breaker = Breaker::default();
    assert_eq!(paused(breaker.quota_exhausted(&claude, t(-5), t(0)), 0), 60);
    let mut breaker = Breaker::default();
    assert_eq!(paused(breaker.quota_exhausted(&claude, Timestamp::MAX, t(0)), 0), 35 * 24 * 3600);
}

#[test]
fn an_attempt_that_tells_nothing_lets_the_next_one_through() {
    let mut breaker = Breaker::default();
    breaker.quota_exhausted(&push(), t(100), t(0));
    for lost in [Breaker::no_verdict, |breaker: &mut Breaker, _: &Cause, now| breaker.restarted(now)] {
        assert_eq!(breaker.ask(&push(), t(100)), Answer::Trial);
        assert_eq!(breaker.ask(&push(), t(100)), Answer::Waiting { reason: Reason::Quota });
        lost(&mut breaker, &push(), t(100));
    }
    assert_eq!(breaker.ask(&push(), t(100)), Answer::Trial);
    assert_eq!(breaker.close(&push()), Some(Event::Closed { cause: push() }));
    assert_eq!(breaker.close(&push()), None);
    assert_eq!(breaker.paused(t(100)).count(), 0);
}

#[test]
fn what_is_stored_can_be_read() {
    let mut breaker = Breaker::default();
    breaker.failure(&Cause::infrastructure("git push"), t(0), 1);
    breaker.quota_exhausted(&Cause::quota("claude"), t(3600), t(0));
    insta::assert_snapshot!(serde_json::to_string(&breaker).unwrap(), @r#"{"infrastructure: git push":{"state":{"is":"closed","failures":["2025-06-01T12:00:00Z"],"since":"2025-06-01T12:00:00Z"},"openings":0},"quota: claude":{"state":{"is":"open","until":"2025-06-01T13:00:00Z","reason":"quota"},"openings":0}}"#);
}

#[derive(Debug, Clone)]
enum Op {
    Ask,
    Success,
    Failure,
    Quota(i64),
    NoVerdict,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Ask),
        2 => Just(Op::Success),
        4 => Just(Op::Failure),
        1 => (-100..20_000i64).prop_map(Op::Quota),
        1 => Just(Op::NoVerdict),
        1 => Just(Op::Restart),
    ]
}

proptest! {
    /// Whatever happens in whatever order: one trial at a time, no way through a pause, events where something changed
    /// and nowhere else, and the stored state is the whole state.
    #[test]
    fn a_half_open_circuit_lets_one_through(
        ops in prop::collection::vec((op(), prop_oneof![0..5i64, 0..100i64, 0..9000i64]), 1..60),
        seed: u64,
    ) {
        let mut breaker = Breaker::default();
        let mut now = 0;
        let mut on_trial = false;
        let mut open_until: Option<Timestamp> = None;
        let mut failures: Vec<i64> = vec![];
        for (op, step) in ops {
            now += step;
            let before = breaker.look(&push(), t(now));
            let event = match op {
                Op::Ask => {
                    let answer = breaker.ask(&push(), t(now));
                    prop_assert_eq!(answer, before);
                    match answer {
                        Answer::Go => prop_assert!(!on_trial && open_until.is_none()),
                        Answer::Trial => {
                            prop_assert!(!on_trial, "two are let through");
                            prop_assert!(open_until.unwrap() <= t(now));
                            (on_trial, open_until) = (true, None);
                        }
                        Answer::Paused { until, .. } => {
                            prop_assert_eq!(Some(until), open_until);
                            prop_assert!(until > t(now));
                        }
                        Answer::Waiting { .. } => prop_assert!(on_trial),
                    }
                    None
                }
                Op::Success => breaker.success(&push(), t(now)),
                Op::Failure => {
                    let event = breaker.failure(&push(), t(now), seed);
                    if open_until.is_none() && !on_trial {
                        failures.retain(|at| now - at <= 60);
                        failures.push(now);
                        prop_assert_eq!(event.is_some(), failures.len() >= 2);
                    }
                    event
                }
                Op::Quota(reset) => {
                    let event = breaker.quota_exhausted(&push(), t(now + reset), t(now));
                    let after = breaker.look(&push(), t(now));
                    let Answer::Paused { until, reason: Reason::Quota } = after else {
                        return Err(TestCaseError::fail(format!("not paused: {after:?}")));
                    };
                    if event.is_none() {
                        prop_assert!(open_until.is_some(), "a new pause is said");
                    }
                    (on_trial, open_until) = (false, Some(until));
                    event
                }
                Op::NoVerdict | Op::Restart => {
                    if matches!(op, Op::Restart) { breaker.restarted(t(now)) } else { breaker.no_verdict(&push(), t(now)) }
                    if on_trial {
                        (on_trial, open_until) = (false, Some(t(now)));
                    }
                    None
                }
            };
            match event {
                Some(Event::Opened { until, reason, .. }) => {
                    let answer = Answer::Paused { until, reason };
                    prop_assert_eq!(breaker.look(&push(), t(now)), answer);
                    prop_assert_ne!(before, answer);
                    (on_trial, open_until) = (false, Some(until));
                    failures.clear();
                }
                Some(Event::Closed { .. }) => {
                    prop_assert!(on_trial, "only a trial closes");
                    on_trial = false;
                    failures.clear();
                }
                None => {}
            }
            let stored = serde_json::to_string(&breaker).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Breaker>(&stored).unwrap(), &breaker);
        }
    }

    /// Many causes that fail once leave nothing behind.
    #[test]
    fn memory_is_bounded_by_the_last_hours(count in 1..200i64) {
        let mut breaker = Breaker::default();
        for nth in 0..count {
            breaker.failure(&Cause::infrastructure(&nth.to_string()), t(nth * 1000), 0);
        }
        let stored = serde_json::to_value(&breaker).unwrap();
        prop_assert!(stored.as_object().unwrap().len() <= 8);
    }
}
