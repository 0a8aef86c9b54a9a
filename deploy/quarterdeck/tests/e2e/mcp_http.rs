//! Our own servers over HTTP: each call is that of the caller whose token it carries, and never that of whoever started the
//! server.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    door::send,
    support::{Project, config},
};

/// How long something that changes may take to count.
const SOON: Duration = Duration::from_secs(30);

/// A server over HTTP. It ends when this is dropped.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    /// Started by ines, who is owner and manager.
    fn start(project: &Project, server: &str) -> Self {
        let mut command = project.command(&["mcp", server, "--listen", "127.0.0.1:0"]);
        // Its own token is nobody else's.
        command.env("QUARTERDECK_TOKEN", token(project, "ines", &[]));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let address = url.trim().strip_prefix("http://").and_then(|url| url.strip_suffix("/mcp"));
        let address = address.unwrap_or_else(|| panic!("{url}")).to_owned();
        Self { child, address }
    }

    /// A request of the newest protocol, in which every one stands for itself.
    fn ask(&self, token: Option<&str>, method: &str, name: &str, mut params: Value) -> (u16, Value) {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "raw", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let bearer = token.map(|token| format!("Authorization: Bearer {token}"));
        let (method, name) = (format!("Mcp-Method: {method}"), format!("Mcp-Name: {name}"));
        let mut headers = vec![
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            "MCP-Protocol-Version: 2026-07-28",
            &method,
        ];
        headers.extend(Some(name.as_str()).filter(|name| !name.ends_with(": ")));
        headers.extend(bearer.as_deref());
        let (status, answer) = send(&self.address, "POST /mcp", &headers, &body);
        let message = answer.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
        let message = message.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let message = message.rev().find(Value::is_object);
        (status, message.unwrap_or_else(|| json!(answer)))
    }

    fn call(&self, token: &str, name: &str, arguments: Value) -> Value {
        let (status, answer) =
            self.ask(Some(token), "tools/call", name, json!({ "name": name, "arguments": arguments }));
        assert_eq!(status, 200, "{answer}");
        answer["result"].clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A token of somebody.
fn token(project: &Project, person: &str, more: &[&str]) -> String {
    let made = project.ok(&[&["mcp", "token", "--as", person], more].concat());
    made.trim().to_owned()
}

/// A fleet of an owner, an operator and a viewer, with a service account.
fn project() -> Project {
    let project = Project::new(&[("README.md", "# Tools\n")]);
    let text = config("true", None).replace("solo = true", "solo = false");
    let more = "\n[[people]]\nname = \"rosa\"\nroles = [\"operator\"]\n\n[[people]]\nname = \"vera\"\nroles = [\"viewer\"]\n\n\
                [mcp]\nservices = [\"ci\"]\n";
    std::fs::write(project.folder().join("quarterdeck.toml"), text + more).unwrap();
    for person in ["rosa", "vera"] {
        project.ok(&["person", "--as", person, "passphrase"]);
    }
    project
}

#[test]
fn each_call_is_its_callers_own() {
    let project = project();
    let up = project.up(&[]);
    let served = Served::start(&project, "board");
    let (rosa, vera) = (token(&project, "rosa", &[]), token(&project, "vera", &[]));

    // An operator files a feature, in her own name.
    let added = served.call(&rosa, "add", json!({ "title": "Parse dates" }));
    assert_eq!(added["structuredContent"]["result"]["feature"]["id"], "A-1", "{added}");
    let shown = served.call(&vera, "show", json!({ "id": "A-1" }));
    assert_eq!(shown["structuredContent"]["author"], "rosa", "{shown}");
    // A viewer reads, and neither files nor moves, although an owner started the server.
    for (tool, arguments) in [
        ("add", json!({ "title": "Evil" })),
        ("move", json!({ "id": "A-1", "stage": "ready" })),
        ("comment", json!({ "id": "A-1", "text": "Evil." })),
    ] {
        let refused = served.call(&vera, tool, arguments);
        assert_eq!(refused["isError"], true, "{tool}: {refused}");
    }
    let managers = served.call(&vera, "fleet_status", json!({}));
    let said = managers["content"][0]["text"].as_str().unwrap();
    assert!(said.contains("vera is neither manager nor owner"), "{said}");
    let names = |token: &str| {
        let (_, listed) = served.ask(Some(token), "tools/list", "", json!({}));
        listed["result"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].clone())
            .collect::<Vec<_>>()
    };
    assert!(names(&rosa).contains(&json!("add")) && !names(&vera).contains(&json!("add")));
    assert_eq!(project.ok(&["feature", "list"]).matches("Evil").count(), 0);
    drop(up);
}

#[test]
fn a_service_account_acts_by_its_own_name() {
    let project = project();
    let up = project.up(&[]);
    let served = Served::start(&project, "board");
    let ci = token(&project, "ines", &["--service", "ci"]);
    let listed = served.call(&ci, "list", json!({}));
    assert_eq!(listed["structuredContent"]["features"], json!([]), "{listed}");
    // It has the rights of agents: what they have to be asked about waits, and ines, for whom it acts, does not decide.
    let pending = served.call(&ci, "add", json!({ "title": "Parse dates" }));
    let pending = &pending["structuredContent"];
    assert_eq!(pending["state"], "pending", "{pending}");
    let id = pending["approval"].as_str().unwrap();
    assert!(!project.run(&["approvals", "approve", id, "--as", "ines"]).status.success());
    let said = project.ok(&["approvals", "approve", id, "--as", "rosa"]);
    assert!(said.contains("granted"), "{said}");
    let done = served.call(&ci, "call_outcome", json!({ "approval": id }));
    assert_eq!(done["structuredContent"]["result"]["feature"]["title"], "Parse dates", "{done}");
    let managers = served.call(&ci, "fleet_status", json!({}));
    assert_eq!(managers["isError"], true, "{managers}");
    // Neither pages nor people are for it, and it makes no token of the person.
    let bearer = format!("Authorization: Bearer {ci}");
    for request in ["GET /fleet/people", "POST /fleet/people/link", "GET /teams/alpha/inbox"] {
        let (status, answer) = send(&up.address, request, &[&bearer], "");
        assert_eq!(status, 403, "{request}: {answer}");
    }
    assert_eq!(send(&up.address, "GET /teams/alpha/api/v1/features", &[&bearer], "").0, 200);
    // Only who manages lends it anything, and only what is configured is one.
    let refused = project.run(&["mcp", "token", "--as", "rosa", "--service", "ci"]);
    insta::assert_snapshot!(String::from_utf8_lossy(&refused.stderr).trim(), @"quarterdeck: rosa is neither owner nor manager. A manager makes the tokens of service accounts.");
    let refused = project.run(&["mcp", "token", "--service", "other"]);
    insta::assert_snapshot!(String::from_utf8_lossy(&refused.stderr).trim(), @"quarterdeck: there is no service account other: name it in `services` of [mcp]");
    drop(up);
}

#[test]
fn who_shows_no_good_token_gets_nothing() {
    let project = project();
    let up = project.up(&[]);
    let served = Served::start(&project, "board");
    let list = |token: Option<&str>| served.ask(token, "tools/list", "", json!({})).0;
    let rosa = token(&project, "rosa", &[]);
    assert_eq!(list(Some(&rosa)), 200);
    // Missing, wrong, of somebody else's making, a session, and what the fleet alone takes.
    let session = project.token("ines");
    let session = session.strip_prefix("Authorization: Bearer ").unwrap();
    let wrong = format!("qdt_{}", "0".repeat(64));
    for bad in [None, Some(wrong.as_str()), Some("nonsense"), Some(session), Some("qdv_{}.00"), Some("a.b.c")]
    {
        assert_eq!(list(bad), 401, "{bad:?}");
    }
    // Pages of browsers, and names that were made to point here.
    let (status, _) = send(
        &served.address,
        "POST /mcp",
        &[
            &format!("Authorization: Bearer {rosa}"),
            "Origin: https://evil.example",
            "Content-Type: application/json",
        ],
        "{}",
    );
    assert_eq!(status, 403);
    // Nowhere but at this computer.
    let everywhere = project.run(&["mcp", "docker", "--listen", "0.0.0.0:0"]);
    assert!(String::from_utf8_lossy(&everywhere.stderr).contains("0.0.0.0:0 is not of this computer alone"));
    // Expired: the clock of the file says when.
    let expired = token(&project, "rosa", &["--days", "1"]);
    assert_eq!(list(Some(&expired)), 200);
    drop(up);
    let people = project.state().join("people.db");
    let people = qd_people::Connection::open(people).unwrap();
    people.execute("UPDATE person_tokens SET expires_at = 1", []).unwrap();
    drop(people);
    assert_eq!(list(Some(&expired)), 401);
    assert_eq!(list(Some(&rosa)), 401);
}

#[test]
fn who_is_shut_out_and_what_policy_takes_away_is_gone_without_a_restart() {
    let project = project();
    let up = project.up(&[]);
    let served = Served::start(&project, "docker");
    let (rosa, vera) = (token(&project, "rosa", &[]), token(&project, "vera", &[]));
    let list = |token: &str| served.ask(Some(token), "tools/list", "", json!({}));
    assert_eq!((list(&rosa).0, list(&vera).0), (200, 200));
    project.ok(&["person", "disable", "vera"]);
    assert_eq!(list(&vera).0, 401);
    let file = project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let rule = "\n[[policies.rules]]\nname = \"closed\"\nactions = [\"server.use\"]\neffect = \"deny\"\nreason = \"No servers now.\"\n";
    std::fs::write(&file, text + rule).unwrap();
    let begun = Instant::now();
    let refused = loop {
        let (status, answer) = list(&rosa);
        if status == 403 {
            break answer;
        }
        assert!(begun.elapsed() < SOON, "{answer}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(refused.to_string().contains("the policy closed says no: No servers now."), "{refused}");
    drop(up);
}
