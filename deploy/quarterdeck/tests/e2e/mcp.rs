//! Tool servers through the binary: a raw client on standard input and output, people in another terminal.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use serde_json::{Value, json};

use crate::support::{Project, config};

/// A client that speaks the protocol itself.
pub(crate) struct Client {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    last: u64,
}

impl Client {
    pub(crate) fn start(project: &Project, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = project.command(args);
        command.envs(env.iter().copied());
        let log = std::fs::File::create(project.state().with_file_name("mcp.log")).unwrap();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut client = Self { child, to, from, last: 0 };
        let me = json!({ "name": "raw", "version": "1" });
        let begun = client.ask(
            "initialize",
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": me }),
        );
        assert_eq!(begun["protocolVersion"], "2025-06-18", "{begun}");
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.to.as_mut().unwrap(), "{message}").unwrap();
    }

    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut line = String::new();
            assert_ne!(self.from.read_line(&mut line).unwrap(), 0, "the server ended");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{message}");
                return message["result"].clone();
            }
        }
    }

    pub(crate) fn tools(&mut self) -> Vec<Value> {
        self.ask("tools/list", json!({}))["tools"].as_array().unwrap().clone()
    }

    pub(crate) fn call(&mut self, name: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({ "name": name, "arguments": arguments }))
    }

    /// Closes its end, and waits until the server is gone.
    pub(crate) fn end(mut self) {
        drop(self.to.take());
        assert!(self.child.wait().unwrap().success());
    }
}

/// A fleet of two people, who look at what tools change first.
fn project() -> Project {
    let project = Project::new(&[("README.md", "# Tools\n")]);
    let text = config("true", None).replace("solo = true", "solo = false");
    let rosa = "\n[[people]]\nname = \"rosa\"\nroles = [\"owner\", \"operator\"]\n";
    let look = "\n[[policies.rules]]\nname = \"look\"\nactions = [\"tool.operate\"]\neffect = \"ask\"\nroles = [\"operator\"]\n";
    std::fs::write(project.folder().join("quarterdeck.toml"), text + rosa + look).unwrap();
    project.ok(&["person", "--as", "rosa", "passphrase"]);
    project
}

#[test]
fn what_policy_asks_for_is_decided_in_another_terminal_and_done_once() {
    let project = project();
    let up = project.up(&[]);
    let mut client = Client::start(&project, &["mcp", "board"], &[]);
    let tools = client.tools();
    let add = tools.iter().find(|tool| tool["name"] == "add").unwrap();
    assert_eq!(add["annotations"]["readOnlyHint"], false);
    assert!(add["inputSchema"]["properties"]["dry_run"].is_object() && add["outputSchema"].is_object());

    let nothing = client.call("list", json!({}));
    assert_eq!(nothing["structuredContent"]["features"], json!([]), "{nothing}");
    let preview = client.call("add", json!({ "title": "Say hello", "dry_run": true }));
    assert_eq!(preview["structuredContent"]["state"], "preview", "{preview}");
    let smuggled = client.call("add", json!({ "title": "Say hello", "author": "rosa" }));
    assert_eq!(smuggled["isError"], true);

    let pending = client.call("add", json!({ "title": "Say hello" }));
    let pending = &pending["structuredContent"];
    assert_eq!(pending["state"], "pending", "{pending}");
    let approval = pending["approval"].as_str().unwrap().to_owned();
    let decide = pending["decide"].as_str().unwrap();
    assert_eq!(decide, format!("quarterdeck approvals approve {approval}"));
    let listed = project.ok(&["approvals"]);
    assert!(listed.contains(approval.rsplit('/').next().unwrap()), "{listed}");
    assert!(project.ok(&["approvals", "show", &approval]).contains("board.add"));

    // Whoever asked does not decide.
    let words: Vec<&str> = decide.split(' ').skip(1).collect();
    let own = project.run(&words);
    assert!(!own.status.success(), "{}", String::from_utf8_lossy(&own.stdout));
    let waits = client.call("call_outcome", json!({ "approval": approval }));
    assert_eq!(waits["structuredContent"]["state"], "pending", "{waits}");
    let said = project.ok(&[&words[..], &["--as", "rosa"]].concat());
    assert!(said.contains("granted"), "{said}");

    let done = client.call("call_outcome", json!({ "approval": approval }));
    assert_eq!(done["structuredContent"]["result"]["feature"]["title"], "Say hello", "{done}");
    client.end();
    // The outcome outlives the server.
    let mut client = Client::start(&project, &["mcp", "board"], &[]);
    let again = client.call("call_outcome", json!({ "approval": approval }));
    assert_eq!(again["structuredContent"], done["structuredContent"]);
    let features = client.call("list", json!({}));
    assert_eq!(features["structuredContent"]["features"].as_array().unwrap().len(), 1);
    client.end();
    drop(up);
}

#[test]
fn a_token_says_who_calls_and_another_one_nobody() {
    let project = project();
    let up = project.up(&[]);
    let token = project.ok(&["mcp", "token", "--as", "rosa"]);
    let mut client = Client::start(&project, &["mcp", "board"], &[("QUARTERDECK_TOKEN", token.trim())]);
    let status = client.call("fleet_status", json!({}));
    assert_eq!(status["structuredContent"]["teams"][0]["name"], "alpha", "{status}");
    client.end();
    let mut command = project.command(&["mcp", "board"]);
    let refused = command.env("QUARTERDECK_TOKEN", "qdt_00").stdin(Stdio::null()).output().unwrap();
    insta::assert_snapshot!(String::from_utf8_lossy(&refused.stderr).trim(), @"quarterdeck: the token in QUARTERDECK_TOKEN is nobody's here, or not any more: quarterdeck mcp token makes one");
    drop(up);
    // Without a fleet: what is read says what is missing.
    let mut client = Client::start(&project, &["mcp", "board"], &[]);
    let gone = client.call("list", json!({}));
    assert_eq!(gone["isError"], true);
    assert!(gone["content"][0]["text"].as_str().unwrap().contains("quarterdeck up"), "{gone}");
    client.end();
}

/// A server of somebody else, with one tool that says it only reads.
pub(crate) const PEER: &str = r#"
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"peer","version":"1"}}}' ;;
    *'"tools/list"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"clock","description":"Tells the time.","inputSchema":{"type":"object","properties":{}},"annotations":{"readOnlyHint":true}}]}}' ;;
    *'"tools/call"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"noon in '$HOME'"}]}}' ;;
  esac
done
"#;

#[test]
fn a_strangers_tool_is_served_once_a_person_trusted_it() {
    let project = project();
    let up = project.up(&[]);
    let script = project.folder().join("peer.sh");
    std::fs::write(&script, PEER).unwrap();
    let command = ["--", "sh", script.to_str().unwrap()];
    let args = |flags: &[&'static str]| -> Vec<String> {
        let first = ["mcp", "guard", "--name", "peer"].into_iter().chain(flags.iter().copied());
        first.chain(command).map(str::to_owned).collect()
    };
    let serve = args(&[]);
    let serve: Vec<&str> = serve.iter().map(String::as_str).collect();
    let mut client = Client::start(&project, &serve, &[]);
    assert_eq!(client.tools(), Vec::<Value>::new());
    client.end();

    let trust = args(&["--trust"]);
    let said = project.ok(&trust.iter().map(String::as_str).collect::<Vec<_>>());
    insta::assert_snapshot!(said, @"
    new      read      clock
      > Tells the time.
    Trusted as they are now: clock
    ");
    let mut client = Client::start(&project, &serve, &[]);
    assert_eq!(client.tools()[0]["name"], "clock");
    let noon = client.call("clock", json!({})).to_string();
    // It has a home of its own, and nothing of this environment.
    assert!(noon.contains("noon in") && noon.contains("/mcp/alpha/peer/home"), "{noon}");
    client.end();
    drop(up);
}
