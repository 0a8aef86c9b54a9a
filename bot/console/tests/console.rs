//! The embedded chat through its public face.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use qd_console::{Console, router, terminal};
use qd_core::chat::{Button, Channel, Chat, ChatError, Commands, Given, Message, MessageKey, Proof};
use qd_types::{Person, Role};
use tower::ServiceExt as _;

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

#[async_trait]
impl Commands for Heard {
    async fn command(&self, from: &Person, given: &Given, text: &str) -> String {
        let Given { surface, proof, .. } = given;
        self.0.lock().unwrap().push(format!("{} on {surface}, by {proof:?}: {text}", from.id));
        "**Noted** \u{1b}[31m".into()
    }
}

fn ines() -> Person {
    Person { id: "ines".parse().unwrap(), roles: vec![Role::Owner] }
}

fn message(key: &str, text: &str) -> Message {
    let buttons = vec![Button { label: "Approve".into(), command: "approve 01ARZ3".into() }];
    Message { channel: Channel::Approvals, key: MessageKey(key.into()), text: text.into(), buttons }
}

async fn body(response: axum::response::Response) -> String {
    String::from_utf8(axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn the_same_key_is_the_same_message_and_survives() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("console.db");
    let console = Console::open(&path).unwrap();
    let first = console.put(&message("a", "one")).await.unwrap();
    let again = console.put(&message("a", "two")).await.unwrap();
    console.put(&message("b", "three")).await.unwrap();
    assert_eq!(first.id, again.id);
    drop(console);
    let messages = Console::open(&path).unwrap().messages(Channel::Approvals, 10).await.unwrap();
    let texts: Vec<_> = messages.iter().map(|m| (m.text.as_str(), m.edits)).collect();
    assert_eq!(texts, [("two", 1), ("three", 0)]);
}

#[tokio::test]
async fn what_the_real_service_would_refuse_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let console = Console::open(&dir.path().join("console.db")).unwrap();
    let long = console.put(&message("a", &"x".repeat(2_001))).await;
    assert!(matches!(long, Err(ChatError::Refused(reason)) if reason == "it has 2001 characters, 2000 fit"));
    let mut crowded = message("a", "x");
    crowded.buttons = vec![crowded.buttons[0].clone(); 6];
    assert!(matches!(console.put(&crowded).await, Err(ChatError::Refused(_))));
}

#[tokio::test]
async fn a_message_is_inert_on_the_page_and_a_command_comes_from_its_person() {
    let dir = tempfile::tempdir().unwrap();
    let console = Console::open(&dir.path().join("console.db")).unwrap();
    console.put(&message("a", "**Merge** `x` <script>alert(1)</script>\n> quoted")).await.unwrap();
    let heard = Arc::new(Heard::default());
    let app = router(console, heard.clone(), vec!["alpha".into()])
        .layer(axum::Extension(ines()))
        .layer(axum::Extension(Proof::SignedIn));
    let get = axum::http::Request::get("/console").body(Body::empty()).unwrap();
    let page = body(app.clone().oneshot(get).await.unwrap()).await;
    assert!(page.contains("<b>Merge</b> <code>x</code> &lt;script&gt;"), "{page}");
    assert!(page.contains("<blockquote>quoted</blockquote>"));
    assert!(page.contains("value=\"approve 01ARZ3\""));
    let post = axum::http::Request::post("/console/command")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "text/plain")
        .body(Body::from("text=approve+A-1"))
        .unwrap();
    assert_eq!(body(app.oneshot(post).await.unwrap()).await, "Noted [31m");
    assert_eq!(*heard.0.lock().unwrap(), ["ines on console, by SignedIn: approve A-1"]);
}

#[tokio::test]
async fn the_terminal_shows_messages_and_takes_commands() {
    let dir = tempfile::tempdir().unwrap();
    let console = Console::open(&dir.path().join("console.db")).unwrap();
    console.put(&message("a", "**Merge 4f2a91c** (A-1)\nDecide: 1 owner")).await.unwrap();
    console.put(&message("b", "plain")).await.unwrap();
    console.put(&message("a", "✔ done \u{1b}[2J")).await.unwrap();
    let mut output = Vec::new();
    terminal::run(console, Arc::new(Heard::default()), ines(), &b"approve A-1\n"[..], &mut output)
        .await
        .unwrap();
    insta::assert_snapshot!(String::from_utf8(output).unwrap(), @r"
    #approvals  | plain
    ~#approvals | ✔ done [2J
    Noted [31m
    ");
}
