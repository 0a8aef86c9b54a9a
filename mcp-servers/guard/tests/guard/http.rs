//! Over HTTP: the same guard, and who may come in.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use insta::assert_snapshot;
use qd_guard::{
    Caller, StoreError,
    http::{self, Tokens},
};
use rmcp::{
    ServiceExt as _,
    service::{ClientLifecycleMode, ClientServiceExt as _},
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::world::{Client, Handler, Seen, World, agent, of_person, text};

struct Fixed(HashMap<&'static str, Caller>);

#[async_trait]
impl Tokens for Fixed {
    async fn caller(&self, token: Option<&str>) -> Result<Option<Caller>, StoreError> {
        Ok(token.and_then(|token| self.0.get(token)).cloned())
    }
}

pub(crate) async fn serve(world: &World) -> (u16, CancellationToken) {
    serve_as(world, http::Settings::default()).await
}

async fn serve_as(world: &World, settings: http::Settings) -> (u16, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tokens =
        Fixed(HashMap::from([("one", agent("A-1.1")), ("two", agent("A-2.1")), ("theo", of_person("theo"))]));
    let stop = CancellationToken::new();
    let guard = world.up().guard.clone();
    tokio::spawn(http::serve(listener, guard, Arc::new(tokens), settings, stop.clone()));
    (port, stop)
}

pub(crate) async fn client(port: u16, token: &str, newest: bool) -> Client {
    // Even without TLS, the client wants to know whose cryptography it would use. The second one to say so is not heard.
    let _said = rustls::crypto::ring::default_provider().install_default();
    let config = StreamableHttpClientTransportConfig::with_uri(format!("http://127.0.0.1:{port}/mcp"))
        .auth_header(token);
    let transport = StreamableHttpClientTransport::from_config(config);
    let seen = Arc::new(Seen::default());
    let handler = Handler(seen.clone());
    let running = if newest {
        let preferred_versions = vec![rmcp::model::ProtocolVersion::V_2026_07_28];
        handler
            .serve_with_lifecycle(transport, ClientLifecycleMode::Discover { preferred_versions })
            .await
            .unwrap()
    } else {
        handler.serve(transport).await.unwrap()
    };
    Client { running, seen }
}

/// A request by hand: status line and body.
async fn by_hand(port: u16, headers: &[(&str, &str)], body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut request = "POST /mcp HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n".to_owned();
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

pub(crate) fn hello() -> String {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}})
    .to_string()
}

#[tokio::test]
async fn the_same_over_http_in_both_lives_of_the_protocol() {
    let world = World::new().await;
    let (port, stop) = serve(&world).await;
    for newest in [false, true] {
        let client = client(port, "one", newest).await;
        assert_eq!(
            client.good("status", json!({"service": "search"})).await,
            r#"{"said":"search was restarted 0 times"}"#
        );
        assert_eq!(client.tools().await, ["handbook", "odd", "remove", "restart", "status", "call_outcome"]);
        client.good("odd", json!({"mischief": "work"})).await;
        assert_eq!(client.seen.progress.lock().unwrap().len(), 3);
    }
    let mine = client(port, "one", true).await;
    let id = mine.pending("restart", json!({"service": "billing"})).await;
    world.approve(&id, "ines").await;
    let other = client(port, "two", true).await;
    assert!(text(&other.outcome(&id).await).starts_with("You asked for no approval"));
    assert_eq!(text(&mine.outcome(&id).await), r#"{"said":"billing is restarted by people"}"#);
    stop.cancel();
}

#[tokio::test]
async fn nobody_without_a_token() {
    let world = World::new().await;
    let (port, _stop) = serve(&world).await;
    let host = format!("127.0.0.1:{port}");
    let (status, body) = by_hand(port, &[("Host", &host)], &hello()).await;
    assert_snapshot!(format!("{status}: {body}"), @"HTTP/1.1 401 Unauthorized: Send your token as a bearer token. `quarterdeck mcp token` makes one.");
    let (status, body) = by_hand(port, &[("Host", &host), ("Authorization", "Bearer three")], &hello()).await;
    assert_snapshot!(format!("{status}: {body}"), @"HTTP/1.1 401 Unauthorized: This token is nobody's here, or not any more.");
    let (status, _) = by_hand(port, &[("Host", &host), ("Authorization", "Basic one")], &hello()).await;
    assert_snapshot!(status, @"HTTP/1.1 401 Unauthorized");
    let (status, _) = by_hand(port, &[("Host", &host), ("Authorization", "Bearer one")], &hello()).await;
    assert_snapshot!(status, @"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn whom_policy_gives_no_server_is_refused() {
    let world = World::new().await;
    let (port, _stop) = serve(&world).await;
    let host = format!("127.0.0.1:{port}");
    let asked = |token| [("Host", host.as_str()), ("Authorization", token)];
    let (status, _) = by_hand(port, &asked("Bearer theo"), &hello()).await;
    assert_snapshot!(status, @"HTTP/1.1 200 OK");
    // It counts for those who have it already.
    let rule = json!({ "name": "closed", "actions": ["server.use"], "effect": "deny", "reason": "Not now." });
    let rule: qd_types::PolicyRule = serde_json::from_value(rule).unwrap();
    world.up().engine.set_rules(&[rule]).unwrap();
    world.up().law.changed();
    let (status, body) = by_hand(port, &asked("Bearer theo"), &hello()).await;
    assert_snapshot!(format!("{status}: {body}"), @"HTTP/1.1 403 Forbidden: The server fixtures is not given to theo: the policy closed says no: Not now. An owner changes policies.");
    world.up().engine.set_rules(&[]).unwrap();
    world.up().law.changed();
    let (status, _) = by_hand(port, &asked("Bearer theo"), &hello()).await;
    assert_snapshot!(status, @"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_name_that_was_made_to_point_here_is_refused() {
    let world = World::new().await;
    let (port, _stop) = serve(&world).await;
    let token = ("Authorization", "Bearer one");
    let (status, _) = by_hand(port, &[("Host", "evil.example"), token], &hello()).await;
    assert_snapshot!(status, @"HTTP/1.1 403 Forbidden");
    let host = format!("127.0.0.1:{port}");
    for origin in ["http://evil.example", "http://localhost:1", "null"] {
        let (status, _) = by_hand(port, &[("Host", &host), token, ("Origin", origin)], &hello()).await;
        assert_eq!(status, "HTTP/1.1 403 Forbidden", "{origin}");
    }
}

#[tokio::test]
async fn clients_learn_where_tokens_come_from() {
    let world = World::new().await;
    let protected = http::Protected {
        resource: "https://tools.example.com/mcp".to_owned(),
        issuers: vec!["https://login.example.com".to_owned()],
        scopes: vec!["tools".to_owned()],
    };
    assert_snapshot!(protected.address(), @"https://tools.example.com/.well-known/oauth-protected-resource/mcp");
    let settings = http::Settings { protected: Some(protected), ..http::Settings::default() };
    let (port, _stop) = serve_as(&world, settings).await;
    let answer = whole(port, "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_snapshot!(answer.rsplit("\r\n").next().unwrap(), @r#"{"resource":"https://tools.example.com/mcp","authorization_servers":["https://login.example.com"],"scopes_supported":["tools"],"bearer_methods_supported":["header"]}"#);
    let answer = whole(
        port,
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    )
    .await;
    let challenge = answer.lines().find(|line| line.starts_with("www-authenticate")).unwrap();
    assert_snapshot!(challenge, @r#"www-authenticate: Bearer resource_metadata="https://tools.example.com/.well-known/oauth-protected-resource/mcp""#);
}

pub(crate) async fn whole(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn whoever_sends_drop_by_drop_is_hung_up_on() {
    let world = World::new().await;
    let patience = std::time::Duration::from_millis(300);
    let (port, _stop) = serve_as(&world, http::Settings { patience, ..http::Settings::default() }).await;
    let host = "Host: localhost\r\nAuthorization: Bearer one\r\nContent-Type: application/json\r\n";
    for head in [
        // A head without end, and a body that never comes.
        format!("POST /mcp HTTP/1.1\r\n{host}"),
        format!("POST /mcp HTTP/1.1\r\n{host}Content-Length: 900\r\n\r\n{{"),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(patience * 20, async {
            loop {
                let mut some = [0; 1024];
                match stream.read(&mut some).await {
                    Ok(0) | Err(_) => return,
                    Ok(length) => answer.extend_from_slice(&some[..length]),
                }
                if answer.starts_with(b"HTTP/1.1 408") {
                    return;
                }
            }
        });
        ended.await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    // The others are served all the while.
    let client = client(port, "one", true).await;
    client.good("status", json!({"service": "search"})).await;
}

#[tokio::test]
async fn another_ones_session_is_not_there() {
    let world = World::new().await;
    let (port, _stop) = serve(&world).await;
    let host = format!("127.0.0.1:{port}");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let body = hello();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer one\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = vec![0; 4096];
    let length = stream.read(&mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    let session = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap().to_owned();
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let version = ("MCP-Protocol-Version", "2025-11-25");
    let with = |token| [("Host", &*host), ("Authorization", token), ("Mcp-Session-Id", &*session), version];
    let (status, _) = by_hand(port, &with("Bearer two"), &list).await;
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    let (status, _) = by_hand(port, &with("Bearer one"), &list).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn bodies_are_screened_and_bounded() {
    let world = World::new().await;
    let (port, _stop) = serve(&world).await;
    let host = format!("127.0.0.1:{port}");
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"status","_meta":{meta},"arguments":{{"service":"billing","service":"search"}}}}}}"#
    );
    let headers = [
        ("Host", &*host),
        ("Authorization", "Bearer one"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "status"),
    ];
    let (status, body) = by_hand(port, &headers, &call).await;
    assert_eq!(status, "HTTP/1.1 200 OK", "{body}");
    assert!(body.contains("stands twice") && body.contains(r#""isError":true"#), "{body}");
    let (status, _) = by_hand(port, &headers, &"x".repeat(2 * 1024 * 1024)).await;
    assert!(status.is_empty() || status == "HTTP/1.1 413 Payload Too Large", "{status}");
}
