//! The demo is an end-to-end test: the whole of the product on one stage.

use std::process::Command;

use serde_json::Value;

use crate::support::binary;

fn demo(args: &[&str]) -> (i32, Value, String) {
    let output = Command::new(binary()).args(["demo", "--yes", "--json"]).args(args).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = out.lines().last().unwrap_or_else(|| panic!("no summary: {err}"));
    (output.status.code().unwrap(), serde_json::from_str(last).unwrap(), err)
}

#[test]
fn three_features_go_from_card_to_main() {
    let (code, summary, err) = demo(&[]);
    assert_eq!((code, &summary["merged"]), (0, &Value::from(3)), "{err}");
    let features = summary["features"].as_array().unwrap();
    assert_eq!(features.len(), 3);
    for feature in features {
        assert_eq!(feature["stage"], "done");
        assert_eq!(feature["approved_by"], serde_json::json!(["ines"]));
        assert_eq!(feature["commit"].as_str().unwrap().len(), 40);
        assert!(feature["pull_request"].as_u64().unwrap() > 0);
        assert!(feature["branch"].as_str().unwrap().starts_with("qd/"));
        assert!(feature["seconds"].as_u64().is_some());
    }
    let repaired = features.iter().find(|feature| feature["id"] == "B-1").unwrap();
    let passed: Vec<bool> = repaired["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["passed"].as_bool().unwrap())
        .collect();
    assert_eq!(passed[..2], [false, true], "red first, then repaired");
    assert!(err.contains("Waits for A-1 to be merged."), "{err}");
    assert!(err.contains("theo says yes to A-1, and is refused: theo asked for this"), "{err}");
    let trail = err.split("The bot's trail of A-1:").nth(1).unwrap_or_default();
    assert!(trail.contains("yes, on the cli") && trail.contains("executed: "), "{err}");
    assert!(trail.contains("Whole, row by row: ") && trail.contains("bot ("), "{err}");
    assert!(err.contains("A-2: Print totals with the currency"), "the history is printed: {err}");
    assert!(err.contains("Why does A-2 not start? Waits for A-1 to be merged. It is "), "{err}");
    let tools = err.split("A tool server of somebody else, notes").nth(1).unwrap_or_default();
    assert!(tools.contains("calls notes.add, and has to wait: 1 operator"), "{err}");
    assert!(tools.contains("quarterdeck approvals approve alpha/"), "{err}");
    assert!(tools.contains("asks again, twice, and gets the same: added as note 1."), "{err}");
    assert!(tools.contains("It is not served any more:\n  -") && tools.contains("<IMPORTANT>"), "{err}");
    let cluster = err.split("A cluster of Proxmox VE").nth(1).unwrap_or_default();
    assert!(cluster.contains("The agent of A-1 looks: "), "{err}");
    assert!(cluster.contains("start 700, and is refused: The number 700 is outside"), "{err}");
    assert!(cluster.contains("start 103, and is refused: "), "{err}");
    assert!(err.contains("Run git diff --stat (A-2, alpha). On: git diff --stat"), "{err}");
    assert!(err.contains("A-2  Its agent acting spent 1,050 tokens, $0.0011"), "{err}");
    assert!(err.contains("gamma joins with it over HTTP. Its key: "), "{err}");
    assert!(
        err.contains("The line is cut. gamma files G-1 all the same") && err.contains("each once"),
        "{err}"
    );
    let discord = err.split("Discord, as its people see it").nth(1).unwrap_or_default();
    assert!(discord.contains("#dev        **A-1 ") && discord.contains("Merged as"), "{err}");
    assert!(discord.contains("#approvals  ✔ Merge ") && discord.contains("approved by ines"), "{err}");
    assert!(discord.contains("theo types /board why A-1, and reads alone: A-1: Merged"), "{err}");
    assert!(discord.contains("the bot answers: No run works on A-1"), "{err}");
    let pull = err.split("as the forge shows it").nth(1).unwrap_or_default();
    assert!(pull.contains("**A-1 ") && pull.contains("✔ Merge "), "{err}");
    assert!(pull.contains("that passed: ") && pull.contains("quarterdeck"), "{err}");
    assert!(err.contains("Operations: 3 runs, ") && err.contains("3 merges. Nothing gave up."), "{err}");
}

#[test]
fn without_the_log_the_repair_fails() {
    let (code, summary, err) = demo(&["--log-lines", "0"]);
    assert_eq!((code, &summary["merged"]), (1, &Value::from(2)), "{err}");
    let failed =
        summary["features"].as_array().unwrap().iter().find(|feature| feature["id"] == "B-1").unwrap();
    assert_eq!(failed["stage"], "ready");
    assert!(failed["checks"].as_array().unwrap().iter().all(|check| check["passed"] == false));
    assert!(err.contains("Scripted changed nothing in repair round 1. Needs a person."), "{err}");
}
