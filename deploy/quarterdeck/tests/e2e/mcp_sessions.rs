//! Sessions over standard input and output that go on for long, and several of them at once.

use serde_json::json;

use crate::{
    mcp::{Client, project},
    support::Project,
};

/// A rule at the end of the project's policies.
fn rule(project: &Project, text: &str) {
    let file = project.folder().join("quarterdeck.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{before}\n[[policies.rules]]\n{text}\n")).unwrap();
}

fn names(client: &mut Client) -> Vec<String> {
    client.tools().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_policy_takes_away_is_told_to_a_session_that_goes_on() {
    let project = project();
    let up = project.up(&[]);
    let mut client = Client::start(&project, &["mcp", "board"], &[]);
    assert!(names(&mut client).contains(&"add".to_owned()));
    rule(
        &project,
        "name = \"still\"\nactions = [\"tool.operate\"]\neffect = \"deny\"\nreason = \"Not now.\"",
    );
    client.hears("notifications/tools/list_changed");
    let now = names(&mut client);
    assert!(!now.contains(&"add".to_owned()) && now.contains(&"list".to_owned()), "{now:?}");
    let refused = client.call("add", json!({ "title": "Say hello" })).to_string();
    assert!(refused.contains("The policy still says no: Not now."), "{refused}");
    // Then the server as a whole.
    rule(
        &project,
        "name = \"closed\"\nactions = [\"server.use\"]\neffect = \"deny\"\nreason = \"No servers now.\"",
    );
    let log = client.gone(&project);
    assert!(log.contains("No servers now."), "{log}");
    drop(up);
}

#[test]
fn a_session_ends_with_the_token_that_it_was_begun_with() {
    let project = project();
    let up = project.up(&[]);
    let token = project.ok(&["mcp", "token", "--as", "rosa"]);
    let mut mine = Client::start(&project, &["mcp", "docker"], &[]);
    let mut client = Client::start(&project, &["mcp", "board"], &[("QUARTERDECK_TOKEN", token.trim())]);
    client.call("list", json!({}));
    project.ok(&["person", "disable", "rosa"]);
    let log = client.gone(&project);
    assert!(log.contains("the token in QUARTERDECK_TOKEN is nobody's here, or not any more"), "{log}");
    // Another one's goes on.
    assert!(!mine.tools().is_empty());
    mine.end();
    drop(up);
}

#[test]
fn two_sessions_at_once_know_of_the_same_requests() {
    let project = project();
    let up = project.up(&[]);
    let [mut first, mut second] = [(), ()].map(|()| Client::start(&project, &["mcp", "board"], &[]));
    let pending = second.call("add", json!({ "title": "Say hello" }));
    let id = pending["structuredContent"]["approval"].as_str().unwrap().to_owned();
    let same = first.call("add", json!({ "title": "Say hello" }));
    assert_eq!(same["structuredContent"]["approval"], json!(id), "{same}");
    // Both clients begin anew, in the other order.
    first.end();
    second.end();
    let [mut second, mut first] = [(), ()].map(|()| Client::start(&project, &["mcp", "board"], &[]));
    assert!(project.ok(&["approvals", "approve", &id, "--as", "rosa"]).contains("granted"));
    let ask = |client: &mut Client| client.call("call_outcome", json!({ "approval": id }));
    let done = ask(&mut second);
    assert_eq!(done["structuredContent"]["result"]["feature"]["title"], "Say hello", "{done}");
    assert_eq!(ask(&mut first)["structuredContent"], done["structuredContent"]);
    assert_eq!(project.ok(&["feature", "list"]).matches("Say hello").count(), 1);
    // A no to one of them is a no to both.
    let pending = first.call("comment", json!({ "id": "A-1", "text": "Well." }));
    let no = pending["structuredContent"]["approval"].as_str().unwrap_or_else(|| panic!("{pending}"));
    project.ok(&["approvals", "deny", no, "--as", "rosa"]);
    let refused = second.call("comment", json!({ "id": "A-1", "text": "Well then." })).to_string();
    assert!(refused.contains("A person said no to"), "{refused}");
    first.end();
    second.end();
    drop(up);
}

/// A server of somebody else that tells the variables that it was given.
const TELLS: &str = r#"
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"tells","version":"1"}}}' ;;
    *'"tools/list"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"tell","description":"Tells.","inputSchema":{"type":"object","properties":{}},"annotations":{"readOnlyHint":true}}]}}' ;;
    *'"tools/call"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"login '"$TELLS_KEY"' at level '"$TELLS_LEVEL"'"}]}}' ;;
  esac
done
"#;

#[test]
fn a_secret_that_looks_like_nothing_is_known_by_its_value() {
    let project = project();
    let up = project.up(&[]);
    let script = project.folder().join("tells.sh");
    std::fs::write(&script, TELLS).unwrap();
    let guard = ["mcp", "guard", "--name", "tells", "--env", "TELLS_KEY", "--env", "TELLS_LEVEL"];
    let command = ["--", "sh", script.to_str().unwrap()];
    project.ok(&[&guard[..], &["--trust"], &command].concat());
    let env = [("TELLS_KEY", "violet horses swim"), ("TELLS_LEVEL", "3")];
    let mut client = Client::start(&project, &[&guard[..], &command].concat(), &env);
    let told = client.call("tell", json!({}));
    let said = &told["structuredContent"]["content"][0]["text"];
    assert_eq!(said, "login [redacted] at level 3", "{told}");
    assert!(!told.to_string().contains("violet"), "{told}");
    client.end();
    drop(up);
}
