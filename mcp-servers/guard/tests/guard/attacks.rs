//! The attack table: what a client tries, and what it gets.

use insta::assert_snapshot;
use qd_guard::{stdio, strict};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::world::{World, agent, of_person, service, text};

/// Sends raw lines, and returns the answer to the last.
async fn raw(world: &World, call: &str) -> Value {
    let (ours, theirs) = tokio::io::duplex(4 * 1024 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(stdio::serve(world.up().guard.clone(), agent("A-1.1"), reader, writer));
    let (reader, mut writer) = tokio::io::split(ours);
    let mut lines = BufReader::new(reader).lines();
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}});
    writer.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
    lines.next_line().await.unwrap().unwrap();
    writer.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n").await.unwrap();
    writer.write_all(format!("{call}\n").as_bytes()).await.unwrap();
    match lines.next_line().await.unwrap() {
        Some(line) => serde_json::from_str(&line).unwrap(),
        None => Value::from("the session ended"),
    }
}

/// A call whose arguments are written by hand.
async fn smuggle(world: &World, arguments: &str) -> String {
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"status","arguments":{arguments}}}}}"#
    );
    let answer = raw(world, &call).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn smuggled_arguments() {
    let world = World::new().await;
    assert_snapshot!(smuggle(&world, r#"{"service":"billing","service":"search"}"#).await, @r#"The arguments are refused: the field "service" stands twice at line 1 column 30. Look at the tool's schema, and call it anew."#);
    assert_snapshot!(smuggle(&world, r#"{"service":"billing","\u0073ervice":"search"}"#).await, @r#"The arguments are refused: the field "service" stands twice at line 1 column 35. Look at the tool's schema, and call it anew."#);
    assert_snapshot!(smuggle(&world, r#"{"service":"billing","force":true}"#).await, @"The arguments are refused: Additional properties are not allowed ('force' was unexpected). Look at the tool's schema, and call it anew.");
    assert_snapshot!(smuggle(&world, r#"{"service":1e999}"#).await, @"The arguments are refused: number out of range at line 1 column 16. Look at the tool's schema, and call it anew.");
    assert_snapshot!(smuggle(&world, r#"{"service":123456789012345678901234567890}"#).await, @"The arguments are refused: the number 1.2345678901234568e+29 can't be kept exactly: give it as text at line 1 column 41. Look at the tool's schema, and call it anew.");
    assert_snapshot!(smuggle(&world, r#"{"service":["billing"]}"#).await, @r#"The arguments are refused: /service: ["billing"] is not of type "string". Look at the tool's schema, and call it anew."#);
    assert_snapshot!(smuggle(&world, "[]").await, @"The arguments are refused: the arguments are not a JSON object. Look at the tool's schema, and call it anew.");
    assert_snapshot!(smuggle(&world, "{}").await, @r#"The arguments are refused: "service" is a required property. Look at the tool's schema, and call it anew."#);
    assert_snapshot!(smuggle(&world, &format!("{}1{}", "[".repeat(60), "]".repeat(60))).await, @"The arguments are refused: it is nested more than 32 deep at line 1 column 33. Look at the tool's schema, and call it anew.");
    let large = format!(r#"{{"service":"{}"}}"#, "x".repeat(strict::MAX_ARGUMENTS));
    assert_snapshot!(smuggle(&world, &large).await, @"The arguments are refused: the arguments take 65550 bytes, and at most 65536 are taken. Look at the tool's schema, and call it anew.");
    // NaN is no JSON: there is no message that could be answered, and the session goes on.
    let name = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"status","arguments":{"service":NaN}}}"#;
    let answer =
        raw(&world, &format!("{name}\n{}", json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}))).await;
    assert!(answer["error"].is_object() || answer["id"] == 2, "{answer}");
}

#[tokio::test]
async fn a_path_or_address_is_refused_before_it_is_used() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    assert_snapshot!(client.good("handbook", json!({"path": "on-call/first.md"})).await, @r#"{"said":"the page on-call/first.md"}"#);
    assert_snapshot!(client.refused("handbook", json!({"path": "../../etc/passwd"})).await, @"The arguments don't fit: ../../etc/passwd is no path below a folder: write it as a/b, without .. in it. Look at the tool's schema, and call it anew.");
    for path in
        ["/etc/passwd", "a/../../b", "file:///etc/passwd", "http://169.254.169.254/", "a\\..\\b", "a\0", ""]
    {
        client.refused("handbook", json!({ "path": path })).await;
    }
    for address in ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fd00::1"] {
        assert!(!qd_guard::safe::is_public(address.parse().unwrap()), "{address}");
    }
}

#[tokio::test]
async fn a_message_without_end() {
    let world = World::new().await;
    let answer = raw(&world, &"x".repeat(2 * 1024 * 1024)).await;
    assert_eq!(answer, "the session ended");
}

#[tokio::test]
async fn two_names_for_one_call() {
    let world = World::new().await;
    let two = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"status","name":"remove","arguments":{"service":"billing"}}}"#;
    assert_snapshot!(raw(&world, two).await["result"]["content"][0]["text"], @r#""The arguments are refused: the field \"name\" stands twice at line 1 column 78. Look at the tool's schema, and call it anew.""#);
    let two = r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{"name":"status","arguments":{"service":"billing"}}}"#;
    let answer = raw(&world, two).await;
    assert!(answer["error"].is_object() || answer == "the session ended", "{answer}");
}

#[tokio::test]
async fn names_that_look_alike_are_shown() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    // The first letter is Cyrillic; the second name holds a mark that turns the direction.
    assert_snapshot!(client.refused("status", json!({"service": "\u{0432}illing"})).await, @"There is no service вilling. List the services, and take one of those.");
    let person = world.client(of_person("theo")).await;
    world.services.restarts.lock().unwrap().insert("b\u{0456}lling\u{202e}".to_owned(), 0);
    assert_snapshot!(person.good("restart", json!({"service": "b\u{0456}lling\u{202e}", "dry_run": true})).await, @"
    Nothing was done. On bіlling⟨U+202E⟩, this would happen:
    - Restart bіlling⟨U+202E⟩.
    Nobody would be asked.
    Careful: service: It holds marks that turn the direction of writing; they are shown as ⟨U+…⟩. It reads: bіlling⟨U+202E⟩
    Careful: service: “bіlling⟨U+202E⟩” mixes letters of several scripts. It reads: bіlling⟨U+202E⟩
    ");
}

#[tokio::test]
async fn another_runs_request_is_not_there() {
    let world = World::new().await;
    let client = world.client(agent("A-1.1")).await;
    let id = client.pending("restart", json!({"service": "billing"})).await;
    world.approve(&id, "ines").await;
    // Another run of the same feature, another feature, a person, the requester, a service account.
    for other in [agent("A-1.2"), agent("A-2.1"), of_person("ines"), of_person("theo"), service()] {
        let other = world.client(other).await;
        let told = text(&other.outcome(&id).await);
        assert_eq!(
            told,
            format!(
                "You asked for no approval {id} here. Call the tool itself; the answer says what to ask again with."
            )
        );
    }
    assert_eq!(world.services.restarts("billing"), Some(0));
    let own = world.client(agent("A-1.1")).await;
    assert!(text(&own.outcome(&id).await).contains("by people"));
}

#[tokio::test]
async fn a_client_that_agrees_to_everything_approves_nothing() {
    let world = World::new().await;
    // The client accepts every elicitation: none comes.
    let client = world.client(agent("A-1.1")).await;
    let id = client.pending("remove", json!({"service": "billing"})).await;
    assert_eq!(*client.seen.elicited.lock().unwrap(), 0);
    // Answers that nobody asked for are not read.
    let mut params = rmcp::model::CallToolRequestParams::new("call_outcome")
        .with_arguments(json!({"approval": id}).as_object().cloned().unwrap());
    params.request_state = Some("approved".to_owned());
    params.input_responses =
        serde_json::from_value(json!({"approve": {"action": "accept", "content": {"approve": true}}})).ok();
    let result = client.running.call_tool(params).await.unwrap();
    assert_eq!(crate::world::id(&result), id);
    // Nor is an argument that says so.
    assert_snapshot!(client.refused("remove", json!({"service": "billing", "approved": true})).await, @"The arguments are refused: Additional properties are not allowed ('approved' was unexpected). Look at the tool's schema, and call it anew.");
    assert_snapshot!(client.refused("call_outcome", json!({"approval": id, "decision": "approve"})).await, @"The arguments are refused. Give the argument approval, as the answer of the tool said it, and besides dry_run no other.");
    assert_snapshot!(client.refused("call_outcome", json!({"approval": "../guard.db"})).await, @r#""../guard.db" is not an approval id: executor/ULID. Give the argument approval, as the answer of the tool said it, and besides dry_run no other."#);
    assert_eq!(world.services.restarts("billing"), Some(0));
    // A vote that is not signed by a surface is none, also if it lies in the folder.
    let folder = qd_guard::ledger::inbox::folder(world.folder.path());
    std::fs::write(
        folder.join("a.json"),
        json!({"payload": "{}", "key": "00", "signature": "00"}).to_string(),
    )
    .unwrap();
    std::fs::write(folder.join("b.json"), "yes").unwrap();
    assert_eq!(crate::world::id(&client.outcome(&id).await), id);
    assert_snapshot!(std::fs::read_to_string(folder.join("a.txt")).unwrap(), @"This vote is signed with a key that is not known here. Enrol the surface that took it.");
    assert_snapshot!(std::fs::read_to_string(folder.join("b.txt")).unwrap(), @"This is no vote: expected value at line 1 column 1.");
}
