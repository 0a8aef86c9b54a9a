//! Every text that every tool of every server takes: what leads elsewhere is refused before anything is asked or done. Which
//! texts there are, the tools' own schemas say: a new one is tried, too, unless it is named here as one for people to read.

use serde_json::{Map, Value, json};

use crate::{mcp::Client, support::Project};

/// Arguments that are words for people and models, words of a command line, or words that rows are looked through for. They name
/// nothing.
const WORDS: [&str; 20] = [
    "body",
    "checks",
    "choices",
    "command",
    "description",
    "environment",
    "labels",
    "needs",
    "query",
    "question",
    "reason",
    "text",
    "title",
    "words",
    "from",
    "to",
    "tool",
    "status",
    "content",
    "ssh_keys",
];

/// Arguments that are looked at beside the state of the machine that they are for: the server's own tests try them.
const LATER: [&str; 2] = ["address", "file"];

/// What leads elsewhere.
const ELSEWHERE: [&str; 11] = [
    "..",
    "../../etc/passwd",
    "a/../../b",
    "/etc/passwd",
    "a\0b",
    "..\\..\\a",
    "%2e%2e%2fetc%2fpasswd",
    "..%2fa",
    "%00",
    "..\u{2215}a",
    "a\nb",
];

/// A cluster where nobody listens: the Proxmox server does not start without one.
const CLUSTER: [(&str, &str); 6] = [
    ("PROXMOX_HOST", "127.0.0.1"),
    ("PROXMOX_PORT", "1"),
    ("PROXMOX_ALLOW_ELEVATED", "true"),
    ("PROXMOX_USER", "mcp@pve"),
    ("PROXMOX_TOKEN_NAME", "mcp"),
    ("PROXMOX_TOKEN_VALUE", "00000000-0000-0000-0000-000000000000"),
];

/// A text of a tool's arguments: the way to it, with 0 for the first of a list.
type Place = Vec<String>;

/// All texts that a schema takes, which are not one of a few.
fn texts(schema: &Value, whole: &Value, at: &Place, found: &mut Vec<Place>) {
    let schema = match schema["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
        Some(name) => whole.pointer(name).unwrap(),
        None => schema,
    };
    if schema["enum"].is_array() || schema["const"].is_string() {
        return;
    }
    for one in ["anyOf", "allOf"].iter().filter_map(|key| schema[key].as_array()).flatten() {
        texts(one, whole, at, found);
    }
    let is = |kind: &str| {
        schema["type"] == kind
            || schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind))
    };
    let within = |name: &str| at.iter().cloned().chain([name.to_owned()]).collect::<Place>();
    if is("string") {
        found.push(at.clone());
    }
    if is("array") {
        texts(&schema["items"], whole, &within("0"), found);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        texts(field, whole, &within(name), found);
    }
}

/// Something that fits a schema, for what a call needs besides.
fn fitting(name: &str, schema: &Value, whole: &Value) -> Value {
    let schema = match schema["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
        Some(name) => whole.pointer(name).unwrap(),
        None => schema,
    };
    if let Some(one) = schema["enum"].as_array() {
        return one[0].clone();
    }
    match schema["type"].as_str() {
        Some("integer" | "number") => json!(schema["minimum"].as_i64().unwrap_or(1).max(1)),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("object") => {
            let mut fields = Map::new();
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                fields.insert(name.to_owned(), fitting(name, &schema["properties"][name], whole));
            }
            Value::Object(fields)
        }
        _ => json!(match name {
            "image" => "alpine:3.22",
            "host" | "inside" => "/srv/work",
            "sha" | "head_sha" => "0123456789abcdef0123456789abcdef01234567",
            "head" => "quarterdeck/a-1",
            "id" | "feature" => "A-1",
            "name" => "plan",
            "stage" => "ready",
            "message" => "1",
            _ => "main",
        }),
    }
}

/// Puts a text at its place.
fn put(arguments: &mut Value, place: &[String], text: &str, schema: &Value, whole: &Value) {
    let schema = match schema["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
        Some(name) => whole.pointer(name).unwrap(),
        None => schema,
    };
    let Some((first, rest)) = place.split_first() else {
        *arguments = json!(text);
        return;
    };
    if first == "0" {
        let mut item = fitting("", &schema["items"], whole);
        put(&mut item, rest, text, &schema["items"], whole);
        *arguments = json!([item]);
        return;
    }
    put(&mut arguments[first], rest, text, &schema["properties"][first], whole);
}

#[test]
fn no_argument_of_any_tool_leads_elsewhere() {
    let project = Project::new(&[("README.md", "# Paths\n")]);
    let docker = "\n[mcp.docker]\nsocket = \"/nowhere/docker.sock\"\nimages = [\"alpine:3.22\"]\n";
    let text = crate::support::config("true", None) + docker;
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    let up = project.up(&[]);
    project.ok(&["feature", "add", "Parse dates"]);
    let listed: Value = serde_json::from_str(&project.ok(&["mcp", "list", "--json"])).unwrap();
    let mut tried = Vec::new();
    for server in listed.as_array().unwrap().iter().map(|server| server["name"].as_str().unwrap()) {
        let mut client = Client::start(&project, &["mcp", server], &CLUSTER);
        for tool in client.tools() {
            let (name, schema) = (tool["name"].as_str().unwrap(), &tool["inputSchema"]);
            let mut places = Vec::new();
            texts(schema, schema, &Place::new(), &mut places);
            places.sort();
            places.dedup();
            let is_left = |name: &String| WORDS.contains(&name.as_str()) || LATER.contains(&name.as_str());
            places.retain(|place| !place.iter().any(is_left));
            for place in places {
                // A whole path is what these are: which of them may be mounted, the docker server's own tests say.
                let whole_paths = matches!(place.last().map(String::as_str), Some("host" | "inside"));
                for odd in ELSEWHERE.iter().filter(|odd| !whole_paths || !odd.starts_with('/')) {
                    let mut arguments = fitting("", schema, schema);
                    put(&mut arguments, &place, odd, schema, schema);
                    let answer = client.call(name, arguments.clone());
                    let said = answer["content"][0]["text"].as_str().unwrap_or_default();
                    let where_ = format!("{server}.{name} {arguments}: {answer}");
                    assert_eq!(answer["isError"], true, "{where_}");
                    for reached in ["can't be reached", "not configured", "No team runs here"] {
                        assert!(!said.contains(reached), "{where_}");
                    }
                }
                tried.push(format!("{server}.{name} {}", place.join(".")));
            }
        }
        client.end();
    }
    insta::assert_snapshot!(tried.join("\n"), @"
    board.add depends_on.0
    board.add epic
    board.add paths.0
    board.add project
    board.add repository
    board.ask_human run
    board.attach feature
    board.attach name
    board.comment id
    board.edit depends_on.0
    board.edit id
    board.edit paths.0
    board.edit project
    board.move id
    board.propose_lesson repository
    board.question key
    board.report_blocker feature
    board.report_blocker team
    board.report_progress feature
    board.request_review run
    board.show id
    board.why id
    board.call_outcome approval
    discord.answer message
    discord.read_messages channel
    discord.thread message
    discord.call_outcome approval
    docker.inspect container
    docker.logs container
    docker.pull image
    docker.remove container
    docker.remove_image image
    docker.restart container
    docker.run image
    docker.run mounts.0.host
    docker.run mounts.0.inside
    docker.run name
    docker.run network
    docker.start container
    docker.stats container
    docker.stop container
    docker.call_outcome approval
    github.label off.0
    github.label on.0
    github.list_checks sha
    github.merge head_sha
    github.open_pull_request base
    github.open_pull_request head
    github.call_outcome approval
    proxmox.add_disk disk
    proxmox.add_disk mount
    proxmox.add_disk storage
    proxmox.add_network bridge
    proxmox.add_network card
    proxmox.backup_create storage
    proxmox.backup_delete node
    proxmox.backup_delete volume
    proxmox.clone_guest name
    proxmox.clone_guest pool
    proxmox.clone_guest storage
    proxmox.configure_cloudinit drive_on
    proxmox.configure_cloudinit gateway
    proxmox.configure_cloudinit user
    proxmox.create_container bridge
    proxmox.create_container name
    proxmox.create_container node
    proxmox.create_container pool
    proxmox.create_container storage
    proxmox.create_container template
    proxmox.create_vm bridge
    proxmox.create_vm iso
    proxmox.create_vm name
    proxmox.create_vm node
    proxmox.create_vm pool
    proxmox.create_vm storage
    proxmox.grow_disk disk
    proxmox.guest_delete backup_to
    proxmox.list_backups node
    proxmox.list_backups storage
    proxmox.list_guests node
    proxmox.list_guests pool
    proxmox.list_guests tag
    proxmox.list_storage node
    proxmox.list_storage storage
    proxmox.migrate target
    proxmox.move_disk disk
    proxmox.move_disk storage
    proxmox.node_status node
    proxmox.plan_show approval
    proxmox.remove_disk disk
    proxmox.remove_network card
    proxmox.restore backup
    proxmox.restore node
    proxmox.restore pool
    proxmox.restore storage
    proxmox.set_tags tags.0
    proxmox.snapshot_create name
    proxmox.snapshot_delete snapshot
    proxmox.snapshot_rollback keep_as
    proxmox.snapshot_rollback snapshot
    proxmox.task_cancel upid
    proxmox.task_log upid
    proxmox.task_status upid
    proxmox.team_create gateway
    proxmox.team_create pool
    proxmox.team_create storage
    proxmox.team_create team
    proxmox.team_destroy backup_to
    proxmox.team_destroy team
    proxmox.team_resize team
    proxmox.team_upgrade snapshot
    proxmox.team_upgrade team
    proxmox.undo_change change
    proxmox.update_network bridge
    proxmox.update_network card
    proxmox.call_outcome approval
    ");
    let features = project.ok(&["feature", "list"]);
    assert_eq!(features.matches("Parse dates").count(), 1, "{features}");
    drop(up);
}
