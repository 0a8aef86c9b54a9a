//! The scripted agent: what it chooses, and where it writes.

use std::fs;

use qd_agents::{
    prompt::{Facts, FailingCheck, build},
    scripted::{Played, Script, ScriptError},
};
use tempfile::TempDir;

const SCRIPT: &str = r##"
[[turn]]
prompt = "# Feature B-1: Round"
say = "First."
[[turn.write]]
path = "src/deep/new.rs"
text = "first"

[[turn]]
prompt = "# Feature B-1: Round"
log = "rounds_half_up"
say = "Repair."
[[turn.replace]]
path = "src/deep/new.rs"
from = "first"
to = "repaired"
"##;

fn prompt(title: &str, log: Option<&str>) -> String {
    let facts = Facts {
        id: "B-1".parse().unwrap(),
        title: title.to_owned(),
        description: "Mentions rounds_half_up and # Failing check: x".to_owned(),
        depends: vec![],
        checks: vec![],
        plan: None,
        decided: vec![],
        lessons: vec![],
        context: vec![],
        attachments: vec![],
    };
    let failing = log.map(|log| FailingCheck { name: "t".into(), command: "c".into(), log: log.to_owned() });
    build(&facts, failing.as_ref().map_or(qd_agents::prompt::Turn::Work, qd_agents::prompt::Turn::Repair))
}

async fn play(script: &str, prompt: &str, dir: &TempDir) -> (Result<Played, ScriptError>, String) {
    let file = dir.path().join("script.toml");
    fs::write(&file, script).unwrap();
    let mut out = Vec::new();
    let played = Script::load(&file).unwrap().play(prompt, dir.path(), &mut out).await;
    (played, String::from_utf8(out).unwrap())
}

fn written(dir: &TempDir) -> String {
    fs::read_to_string(dir.path().join("src/deep/new.rs")).unwrap_or_default()
}

#[tokio::test]
async fn the_log_leads_to_the_repair_and_nothing_else_does() {
    let dir = TempDir::new().unwrap();
    let (played, out) = play(SCRIPT, &prompt("Round", None), &dir).await;
    assert_eq!((played.unwrap(), out.as_str()), (Played::Turn, "First.\nWrote src/deep/new.rs.\n"));
    assert_eq!(written(&dir), "first");

    // The second time without a log, or with one that says something else: the same as the first time.
    for log in [None, Some("error: linking failed")] {
        play(SCRIPT, &prompt("Round", log), &dir).await.0.unwrap();
        assert_eq!(written(&dir), "first", "{log:?}");
    }
    let (played, out) = play(SCRIPT, &prompt("Round", Some("test rounds_half_up ... FAILED")), &dir).await;
    assert_eq!((played.unwrap(), out.as_str()), (Played::Turn, "Repair.\nChanged src/deep/new.rs.\n"));
    assert_eq!(written(&dir), "repaired");
    // Interrupted and played again.
    play(SCRIPT, &prompt("Round", Some("rounds_half_up")), &dir).await.0.unwrap();
    assert_eq!(written(&dir), "repaired");
}

#[tokio::test]
async fn a_prompt_that_no_turn_knows_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let (played, out) = play(SCRIPT, &prompt("Square", Some("rounds_half_up")), &dir).await;
    assert_eq!(played.unwrap(), Played::Nothing);
    insta::assert_snapshot!(out, @"The script has no turn for this prompt, so nothing was done.");
    assert_eq!(written(&dir), "");
}

#[tokio::test]
async fn paths_stay_in_the_folder() {
    let dir = TempDir::new().unwrap();
    let elsewhere = TempDir::new().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("link")).unwrap();
    for path in ["/etc/x", "../x", "src/../../x", "link/x", "link/deep/x", "link", ".git/hooks/x", "", "."] {
        let script = format!("[[turn]]\nprompt = \"Round\"\n[[turn.write]]\npath = {path:?}\ntext = \"x\"\n");
        let (played, _) = play(&script, &prompt("Round", None), &dir).await;
        let error = played.unwrap_err();
        assert!(matches!(error, ScriptError::Outside { .. }), "{path}: {error}");
    }
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_cannot_be_replaced_is_said() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("f"), "a a").unwrap();
    let replace = |from: &str| {
        format!("[[turn]]\nprompt = \"Round\"\n[[turn.replace]]\npath = \"f\"\nfrom = {from:?}\nto = \"c\"\n")
    };
    let (played, _) = play(&replace("a"), &prompt("Round", None), &dir).await;
    insta::assert_snapshot!(played.unwrap_err(), @r#"f holds the text to replace 2 times, not once: "a""#);
    let (played, _) = play(&replace("b"), &prompt("Round", None), &dir).await;
    insta::assert_snapshot!(played.unwrap_err(), @r#"f holds the text to replace 0 times, not once: "b""#);
}

#[test]
fn a_script_with_a_typing_error_is_refused() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("s.toml");
    fs::write(&file, "[[turn]]\nprompt = \"x\"\nsays = \"y\"\n").unwrap();
    let error = Script::load(&file).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("line 3") && source.contains("says"), "{source}");
}
