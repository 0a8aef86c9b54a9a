//! Checks: results, logs, and what is not a result.

use std::{fs, time::Duration};

use qd_agents::{CheckEnd, CheckPlace, CheckResult, CheckSpec, Redactor, run_check, stop};
use secrecy::SecretString;

use super::support::{Place, alive};

async fn check(place: &Place, command: &str, limit: Duration) -> CheckResult {
    let spec = CheckSpec {
        name: "unit tests".to_owned(),
        command: command.to_owned(),
        limit,
        env_allow: vec![],
        tail: 3,
    };
    let log_file = place.folder().check_log(1, &spec.name);
    let redactor = Redactor::new(&[SecretString::from("hunter2".to_owned())]);
    let at = CheckPlace {
        cwd: &place.tree(),
        run: &place.run,
        log_file: &log_file,
        redactor: &redactor,
        confined: None,
    };
    let (_stopper, never) = stop();
    let result = run_check(&spec, at, &place.keeper, never).await.unwrap();
    assert_eq!(alive(place.keeper.pgid()), Vec::<String>::new());
    result
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_exit_code_of_zero_passes() {
    let place = Place::new();
    let result = check(&place, "echo one; echo two >&2; echo three; cat; pwd > where", LONG).await;
    assert!(result.passed());
    assert_eq!((result.code(), result.log_tail.as_str()), (Some(0), "one\ntwo\nthree"));
    assert_eq!(
        fs::read_to_string(place.dir.path().join("runs/A-1.1/checks/1-unit%20tests.log")).unwrap(),
        "one\ntwo\nthree\n"
    );
    assert!(place.tree().join("where").exists());
    assert!(result.to_string().starts_with("unit tests passed after "), "{result}");
}

#[tokio::test]
async fn a_red_check_brings_the_end_of_its_log() {
    let place = Place::new();
    let result = check(&place, "seq 1000; echo the password is hunter2; exit 101", LONG).await;
    assert_eq!((result.end, result.passed()), (CheckEnd::Failed(101), false));
    assert_eq!(result.log_tail, "999\n1000\nthe password is [redacted]");
    let log = fs::read_to_string(&result.log_file).unwrap();
    assert!(log.starts_with("1\n2\n3\n") && log.lines().count() == 1001 && !log.contains("hunter2"));
    assert!(result.to_string().starts_with("unit tests failed with exit code 101 after "), "{result}");
}

#[tokio::test]
async fn a_missing_command_is_called_that() {
    let result = check(&Place::new(), "no-such-checker --all", LONG).await;
    assert_eq!((result.end, result.code()), (CheckEnd::CommandMissing, Some(127)));
    let text = result.to_string();
    let start = "unit tests could not run: `no-such-checker --all` found no such command (exit code 127): ";
    assert!(text.starts_with(start) && text.ends_with("not found"), "{text}");
}

#[tokio::test]
async fn the_time_limit_is_no_ordinary_failure() {
    let result =
        check(&Place::new(), "echo begun; sleep 1000 & sleep 1000", Duration::from_millis(200)).await;
    assert_eq!(result.end, CheckEnd::TimeLimit(Duration::from_millis(200)));
    assert_eq!((result.passed(), result.code(), result.log_tail.as_str()), (false, None, "begun"));
    assert_eq!(result.to_string(), "unit tests was ended at its time limit of 0.2 s.");
}

#[tokio::test]
async fn a_signal_is_a_fact_of_its_own() {
    let result = check(&Place::new(), "kill -9 $$", LONG).await;
    assert_eq!((result.end, result.passed()), (CheckEnd::Signalled(9), false));
}

#[tokio::test]
async fn a_stopped_check_has_no_result() {
    let place = Place::new();
    let spec =
        CheckSpec { name: "t".into(), command: "sleep 1000".into(), limit: LONG, env_allow: vec![], tail: 3 };
    let (log_file, redactor) = (place.folder().check_log(1, "t"), Redactor::default());
    let at = CheckPlace {
        cwd: &place.tree(),
        run: &place.run,
        log_file: &log_file,
        redactor: &redactor,
        confined: None,
    };
    let (stopper, stop) = stop();
    stopper.stop(Duration::from_secs(5));
    let result = run_check(&spec, at, &place.keeper, stop).await.unwrap();
    assert_eq!((result.end, result.passed(), result.code()), (CheckEnd::Stopped, false, None));
}
