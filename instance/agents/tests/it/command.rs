//! The command runner: what the agent sees, what is kept of it, and that it ends.

use std::{fs, time::Duration};

use qd_agents::{AgentError, Ended, ProcessError, stop, transcript};
use secrecy::SecretString;

use super::support::{Keeper, Place, alive, lives, shell, until};

#[tokio::test]
async fn what_it_says_is_written_down_in_order() {
    let place = Place::new();
    let script = "cat; for n in 1 2 3; do echo out $n; done; echo trouble >&2; printf 'no newline'; exit 3";
    let end = place.work(&shell(script), "Do it.\n").await.unwrap();
    assert_eq!(end.ended, Ended::Exited(3));
    assert_eq!(end.words, "Do it.\nout 1\nout 2\nout 3\nno newline");

    let entries = place.entries();
    let out: Vec<&str> = entries.iter().filter_map(|entry| entry.strip_prefix("output: ")).collect();
    assert_eq!(out, ["Do it.", "out 1", "out 2", "out 3", "no newline"]);
    assert_eq!(entries[0], "prompt: Do it.\n");
    assert!(entries.contains(&"error_output: trouble".to_owned()), "{entries:?}");
    assert!(
        entries.last().unwrap().starts_with("system: shell ended with exit code 3 after "),
        "{entries:?}"
    );
}

#[tokio::test]
async fn it_works_in_the_worktree_and_may_read_the_prompt_from_a_file() {
    let place = Place::new();
    let mut agent = shell("pwd; cat \"$1\" > copy; test \"$PWD\" = \"$(pwd)\"");
    agent.argv.extend(["sh".to_owned(), "{prompt_file}".to_owned()]);
    let end = place.work(&agent, "Write it.").await.unwrap();
    assert_eq!(end.ended, Ended::Exited(0));
    assert_eq!(end.words, place.tree().canonicalize().unwrap().to_str().unwrap());
    assert_eq!(fs::read_to_string(place.tree().join("copy")).unwrap(), "Write it.");
}

#[tokio::test]
async fn a_long_prompt_that_nobody_reads_blocks_nobody() {
    let place = Place::new();
    let end = place.work(&shell("echo done"), &"x".repeat(1 << 20)).await.unwrap();
    assert_eq!((end.ended, end.words.as_str()), (Ended::Exited(0), "done"));
}

#[tokio::test]
async fn it_sees_only_the_allow_list() {
    assert!(std::env::var_os("CARGO_PKG_NAME").is_some() && std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let place = Place::new();
    let mut agent = shell("env | cut -d= -f1 | grep -v -x -e _ -e SHLVL -e OLDPWD | sort | tr '\\n' ' '");
    agent.env_allow.push("CARGO_PKG_NAME".to_owned());
    let seen = place.work(&agent, "").await.unwrap().words;
    for name in seen.split_whitespace() {
        let known = [
            "CARGO_PKG_NAME",
            "GIT_AUTHOR_EMAIL",
            "GIT_AUTHOR_NAME",
            "GIT_COMMITTER_EMAIL",
            "GIT_COMMITTER_NAME",
            "HOME",
            "LANG",
            "PATH",
            "PWD",
            "QUARTERDECK_FEATURE",
            "QUARTERDECK_GROUP",
            "QUARTERDECK_RUN",
            "TERM",
            "TMPDIR",
            "USER",
        ];
        assert!(known.contains(&name), "{name} in {seen}");
    }
    assert!(seen.contains("CARGO_PKG_NAME") && seen.contains("PATH"), "{seen}");

    let told =
        place.work(&shell("echo $TERM $QUARTERDECK_RUN $QUARTERDECK_FEATURE"), "").await.unwrap().words;
    assert_eq!(told, "dumb A-1.1 A-1");
}

#[tokio::test]
async fn secrets_do_not_reach_the_transcript() {
    let place = Place::new();
    let mut agent = shell(r"printf 'the key is s3cr\033[1met-value\n'; echo s3cret-value-long >&2; cat");
    agent.secrets =
        ["s3cret-value", "s3cret-value-long"].map(|secret| SecretString::from(secret.to_owned())).to_vec();
    let end = place.work(&agent, "Use s3cret-value.").await.unwrap();
    assert_eq!(end.words, "the key is [redacted]\nUse [redacted].");
    let file = fs::read_to_string(place.folder().transcript()).unwrap();
    assert!(!file.contains("s3cret") && file.contains(r#""text":"[redacted]""#), "{file}");
}

#[tokio::test]
async fn endless_lines_are_cut() {
    let place = Place::new();
    let end = place.work(&shell("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end"), "").await.unwrap();
    assert!(end.words.ends_with("end"));
    let page = transcript::read(&place.folder().transcript(), 0, 1 << 20).unwrap();
    let long = page.entries.iter().find(|entry| entry.text.starts_with("xxx")).unwrap();
    assert!(long.text.ends_with(" … (cut, 2983616 bytes more)"), "{}", long.text.len());
}

#[tokio::test]
async fn the_time_limit_ends_the_whole_tree() {
    let place = Place::new();
    let mut agent = shell("sh -c 'sleep 1000 & sleep 1000' & echo begun; sleep 1000");
    agent.limit = Duration::from_millis(300);
    let end = place.work(&agent, "").await.unwrap();
    assert_eq!(end.ended, Ended::TimeLimit(Duration::from_millis(300)));
    assert_eq!(end.words, "begun");
    assert_eq!(alive(place.keeper.pgid()), Vec::<String>::new());
    assert!(place.entries().last().unwrap().contains("was ended at its time limit of 0.3 s"));
}

#[tokio::test]
async fn what_it_leaves_behind_ends_with_it() {
    let place = Place::new();
    let end = place.work(&shell("sleep 1000 & echo done"), "").await.unwrap();
    assert_eq!((end.ended, end.words.as_str()), (Ended::Exited(0), "done"));
    assert_eq!(alive(place.keeper.pgid()), Vec::<String>::new());
}

#[tokio::test]
async fn who_leaves_the_group_ends_with_it_too() {
    let place = Place::new();
    let script = "setsid sh -c 'echo $$ > pid; trap \"\" TERM; while :; do sleep 0.05; done' & \
                  setsid env -i sh -c 'echo $$ > bare; sleep 1000' & \
                  while [ ! -s pid ] || [ ! -s bare ]; do sleep 0.02; done; echo done";
    let (stopper, stop) = stop();
    let agent = shell(&format!("{script}; sleep 1000"));
    let begun = async {
        until("it begins", || place.entries().iter().any(|entry| entry == "output: done")).await;
        stopper.stop(Duration::from_millis(300));
    };
    let (end, ()) = tokio::join!(place.work_until(&agent, "", stop), begun);
    assert_eq!(end.unwrap().ended, Ended::Stopped);
    for file in ["pid", "bare"] {
        let pid = fs::read_to_string(place.tree().join(file)).unwrap();
        assert!(!lives(pid.trim()), "{file} is left");
    }
}

#[tokio::test]
async fn a_stop_is_polite_at_first() {
    let place = Place::new();
    let (stopper, stop) = stop();
    let agent = shell("trap 'echo saved; exit 0' TERM; echo begun; while :; do sleep 0.05; done");
    let begun = async {
        until("it begins", || place.entries().iter().any(|entry| entry == "output: begun")).await;
        stopper.stop(Duration::from_secs(5));
    };
    let (end, ()) = tokio::join!(place.work_until(&agent, "", stop), begun);
    let end = end.unwrap();
    assert_eq!((end.ended, end.words.as_str()), (Ended::Stopped, "begun\nsaved"));
    assert_eq!(alive(place.keeper.pgid()), Vec::<String>::new());
}

#[tokio::test]
async fn and_then_it_is_forced() {
    let place = Place::new();
    let (stopper, stop) = stop();
    let agent = shell("trap '' TERM; echo begun; while :; do sleep 0.05; done");
    let begun = async {
        until("it begins", || place.entries().iter().any(|entry| entry == "output: begun")).await;
        stopper.stop(Duration::from_millis(200));
    };
    let (end, ()) = tokio::join!(place.work_until(&agent, "", stop), begun);
    assert_eq!(end.unwrap().ended, Ended::Stopped);
    assert_eq!(alive(place.keeper.pgid()), Vec::<String>::new());
}

#[tokio::test]
async fn a_dropped_turn_leaves_no_process() {
    let place = Place::new();
    let agent = shell("sleep 1000 & echo begun; sleep 1000");
    tokio::select! {
        _ = place.work(&agent, "") => panic!("it cannot end by itself"),
        () = until("it begins", || place.entries().iter().any(|entry| entry == "output: begun")) => {}
    }
    let pgid = place.keeper.pgid();
    until("its processes are gone", || alive(pgid).is_empty()).await;
}

#[tokio::test]
async fn nothing_works_before_it_is_recorded() {
    let place = Place { keeper: Keeper { refuse: true, ..Keeper::default() }, ..Place::new() };
    let error = place.work(&shell("touch was-here"), "").await.unwrap_err();
    let AgentError::Process { source: ProcessError::NotKept { source, .. }, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(source.to_string(), "the disk is full");
    let pgid = place.keeper.pgid();
    until("its process is gone", || alive(pgid).is_empty()).await;
    assert!(!place.tree().join("was-here").exists());
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let place = Place::new();
    for program in ["no-such-agent", "./no-such-agent"] {
        let mut agent = shell("");
        agent.argv = vec![program.to_owned()];
        let error = place.work(&agent, "").await.unwrap_err();
        let AgentError::Process { source: source @ ProcessError::NotFound { .. }, .. } = error else {
            panic!("{error:?}")
        };
        assert!(source.to_string().starts_with(&format!("there is no program {program:?} in ")), "{source}");
    }
    let mut agent = shell("");
    agent.argv.clear();
    insta::assert_snapshot!(place.work(&agent, "").await.unwrap_err(), @"agent shell has an empty command line; set its `command` in the configuration");
}
