//! Recurring features: what is made, what is left out, and what is said of it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

mod walk;

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use proptest::prelude::*;
use qd_board::{
    calendar::Schedule,
    recurring::{Decision, Recurring, Skipped, due, run_now},
};
use qd_types::FeatureId;
use walk::{at, near_a_change, zone};

fn nightly() -> Recurring<&'static str> {
    let mut made =
        Recurring::new("nightly", Schedule::parse("0 3 * * *").unwrap(), "audit", at("2025-06-01T12:00:00Z"));
    made.start_deadline_minutes = 90;
    made
}

fn open() -> FeatureId {
    "A-12".parse().unwrap()
}

fn said(decision: &Decision) -> String {
    match decision {
        Decision::Run { occurrence } => format!("run {occurrence}"),
        Decision::Wait { until: Some(until) } => format!("wait until {until}"),
        Decision::Wait { until: None } => "wait".to_owned(),
        Decision::Skip { occurrence, reason } => format!("skip {occurrence}: {reason}"),
    }
}

fn check(recurring: &Recurring<&str>, open: Option<&FeatureId>, now: &str) -> String {
    said(&due(recurring, open, at(now), &zone("Europe/Berlin")))
}

#[test]
fn it_waits_runs_and_waits_again() {
    let mut nightly = nightly();
    insta::assert_snapshot!(check(&nightly, None, "2025-06-02T00:59:59Z"), @"wait until 2025-06-02T01:00:00Z");
    let decision = due(&nightly, None, at("2025-06-02T01:00:07Z"), &zone("Europe/Berlin"));
    insta::assert_snapshot!(said(&decision), @"run 2025-06-02T01:00:00Z");
    nightly.settle(&decision);
    insta::assert_snapshot!(check(&nightly, None, "2025-06-02T01:00:08Z"), @"wait until 2025-06-03T01:00:00Z");
}

#[test]
fn two_never_run_side_by_side() {
    let mut nightly = nightly();
    let decision = due(&nightly, Some(&open()), at("2025-06-02T01:00:07Z"), &zone("Europe/Berlin"));
    insta::assert_snapshot!(said(&decision), @"skip 2025-06-02T01:00:00Z: A-12, made the last time, is still open");
    nightly.settle(&decision);
    // Closing it a minute later does not bring the skipped one back.
    insta::assert_snapshot!(check(&nightly, None, "2025-06-02T01:01:00Z"), @"wait until 2025-06-03T01:00:00Z");
}

#[test]
fn after_downtime_the_latest_runs_if_it_is_not_too_late() {
    let nightly = nightly();
    insta::assert_snapshot!(check(&nightly, None, "2025-06-09T02:30:59Z"), @"run 2025-06-09T01:00:00Z");
    insta::assert_snapshot!(check(&nightly, None, "2025-06-09T02:31:00Z"), @"skip 2025-06-09T01:00:00Z: 91 minutes late; it may start up to 90 minutes late");
}

#[test]
fn a_suspended_one_rests_and_goes_on_with_the_next() {
    let mut nightly = nightly();
    nightly.suspend();
    insta::assert_snapshot!(check(&nightly, None, "2025-06-02T01:00:00Z"), @"wait");
    nightly.resume(at("2025-06-02T01:10:00Z"));
    insta::assert_snapshot!(check(&nightly, None, "2025-06-02T01:10:00Z"), @"wait until 2025-06-03T01:00:00Z");
    // To resume what is not suspended changes nothing.
    nightly.resume(at("2025-06-03T01:10:00Z"));
    insta::assert_snapshot!(check(&nightly, None, "2025-06-03T01:10:00Z"), @"run 2025-06-03T01:00:00Z");
}

#[test]
fn another_schedule_holds_from_now_on() {
    let mut nightly = nightly();
    nightly.reschedule(Schedule::parse("0 9 * * *").unwrap(), at("2025-06-02T07:30:00Z"));
    insta::assert_snapshot!(check(&nightly, None, "2025-06-02T07:30:00Z"), @"wait until 2025-06-03T07:00:00Z");
}

#[test]
fn run_now_asks_only_whether_the_last_is_still_open() {
    assert_eq!(run_now(None), Ok(()));
    insta::assert_snapshot!(run_now(Some(&open())).unwrap_err(), @"A-12, made the last time, is still open");
}

#[test]
fn it_survives_being_stored() {
    let mut nightly = nightly();
    nightly.last = Some(at("2025-06-02T01:00:00Z"));
    let text = serde_json::to_string(&nightly.clone()).unwrap();
    insta::assert_snapshot!(text, @r#"{"name":"nightly","schedule":"0 3 * * *","template":"audit","suspended":false,"start_deadline_minutes":90,"since":"2025-06-01T12:00:00Z","last":"2025-06-02T01:00:00Z"}"#);
    let stored: Recurring<String> = serde_json::from_str(&text).unwrap();
    assert_eq!((stored.schedule, stored.last), (nightly.schedule, nightly.last));
    let broken = text.replace("0 3 * * *", "0 25 * * *");
    assert!(
        serde_json::from_str::<Recurring<String>>(&broken)
            .unwrap_err()
            .to_string()
            .contains("the hour is \"25\"")
    );
}

/// Every occurrence between two instants.
fn between(schedule: &Schedule, from: Timestamp, to: Timestamp, zone: &TimeZone) -> Vec<Timestamp> {
    std::iter::successors(schedule.next_after(from, zone), |last| schedule.next_after(*last, zone))
        .take_while(|it| *it <= to)
        .collect()
}

proptest! {
    /// Somebody looks every now and then, with outages, and a feature is sometimes open.
    #[test]
    fn each_time_only_the_latest_is_decided_and_only_once(
        text in prop::sample::select(vec!["*/20 * * * *", "30 2 * * *", "@hourly", "0 0 * * *", "5 1-4 * * *"]),
        (zone, start) in near_a_change(),
        looks in prop::collection::vec((1..900u32, any::<bool>()), 1..40),
        deadline in 0..240u32,
    ) {
        let schedule = Schedule::parse(text).unwrap();
        let mut recurring = Recurring::new("r", schedule.clone(), (), start);
        recurring.start_deadline_minutes = deadline;
        let mut now = start;
        let mut before = start;
        for (minutes, is_open) in looks {
            now = now.checked_add(i64::from(minutes).minutes()).unwrap();
            let open = is_open.then(open);
            let latest = between(&schedule, before, now, &zone).last().copied();
            let decision = due(&recurring, open.as_ref(), now, &zone);
            match (&decision, latest) {
                (Decision::Wait { until }, None) => {
                    prop_assert_eq!(*until, schedule.next_after(now, &zone));
                }
                (Decision::Run { occurrence }, Some(latest)) => {
                    prop_assert_eq!(*occurrence, latest);
                    prop_assert!(!is_open);
                    prop_assert!(now.duration_since(latest).as_mins() <= i64::from(deadline));
                }
                (Decision::Skip { occurrence, reason: Skipped::StillOpen { .. } }, Some(latest)) => {
                    prop_assert_eq!(*occurrence, latest);
                    prop_assert!(is_open);
                }
                (Decision::Skip { occurrence, reason: Skipped::TooLate { minutes, .. } }, Some(latest)) => {
                    prop_assert_eq!(*occurrence, latest);
                    prop_assert!(*minutes > u64::from(deadline));
                    prop_assert_eq!(i64::try_from(*minutes).unwrap(), now.duration_since(latest).as_mins());
                }
                (decision, latest) => prop_assert!(false, "{decision:?} where the latest is {latest:?}"),
            }
            // Asked again it says the same; settled, it waits.
            prop_assert_eq!(&due(&recurring, open.as_ref(), now, &zone), &decision);
            recurring.settle(&decision);
            let settled = due(&recurring, open.as_ref(), now, &zone);
            prop_assert!(matches!(settled, Decision::Wait { .. }), "{settled:?}");
            before = now;
        }
    }
}
