//! The embedded chat through its public face.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use qd_approvals::{
    CardSurface,
    confirm::{Confirm, Way},
    face::Face,
    testkit::{Scene, Seen, contract},
};
use qd_console::{Console, Layout, router, terminal};
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
    let key = MessageKey(key.into());
    Message {
        channel: Channel::Approvals,
        about: None,
        key,
        text: text.into(),
        picture: None,
        buttons,
        reactions: Vec::new(),
        mentions: Vec::new(),
    }
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
    insta::assert_snapshot!(String::from_utf8(output).unwrap(), @"
    #approvals  | plain
    #approvals  | approve 01ARZ3
    ~#approvals | ✔ done [2J
    ~#approvals | approve 01ARZ3
    Noted [31m
    ");
}

/// The console with a look at what people see in it.
struct Channels {
    dir: tempfile::TempDir,
    console: Console,
}

impl Channels {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let console = Console::open(&dir.path().join("console.db")).unwrap();
        Self { dir, console }
    }
}

#[async_trait]
impl Scene for Channels {
    fn surface(&self) -> &dyn CardSurface {
        &self.console
    }

    fn recipient(&self) -> &str {
        "approvals"
    }

    fn elsewhere(&self) -> &str {
        "fallback"
    }

    fn forbidden(&self) -> &str {
        "no-such-channel"
    }

    async fn seen(&self, recipient: &str) -> Vec<Seen> {
        let channel = Channel::ALL.into_iter().find(|channel| channel.as_str() == recipient).unwrap();
        let seen = |message: qd_console::Posted| Seen {
            receipt: message.id.to_string(),
            text: message.text,
            buttons: !message.buttons.is_empty(),
        };
        self.console.messages(channel, 60).await.unwrap().into_iter().map(seen).collect()
    }

    async fn mentions(&self) -> usize {
        let mentions = |text: &str| {
            let after = |at: usize| text[at + 1..].starts_with(|letter: char| letter.is_alphanumeric());
            text.match_indices('@').filter(|(at, _)| after(*at)).count()
        };
        let seen = self.seen("approvals").await;
        seen.iter().filter(|seen| mentions(&seen.text) > 0).count()
    }

    async fn restart(&mut self) {
        let nothing = Console::open(&self.dir.path().join("nothing.db")).unwrap();
        // Its process ends before the next one starts.
        drop(std::mem::replace(&mut self.console, nothing));
        self.console = Console::open(&self.dir.path().join("console.db")).unwrap();
        self.console.set_layout(with_fallback()).await.unwrap();
    }

    async fn delete(&mut self, recipient: &str) {
        let mut layout = self.console.layout();
        layout.channels.retain(|channel| channel.as_str() != recipient);
        self.console.set_layout(layout).await.unwrap();
    }
}

fn with_fallback() -> Layout {
    Layout { fallback: Some("ops".into()), ..Layout::default() }
}

#[tokio::test]
async fn the_console_keeps_the_contract_of_a_surface_for_cards() {
    let mut channels = Channels::new();
    channels.console.set_layout(with_fallback()).await.unwrap();
    contract(&mut channels).await;
}

fn face(way: Way) -> Face {
    Face {
        title: "Do container.restart".into(),
        fields: vec![("On", "billing-db".into()), ("Digest", "9be1 40c7 d2aa".into())],
        words: vec![("The agent", "It hangs. @everyone".into())],
        warnings: vec![],
        confirm: Some(Confirm { way, typed: way == Way::Typed }),
        ended: None,
    }
}

#[tokio::test]
async fn a_card_has_reactions_where_one_is_enough_and_they_count_like_its_buttons() {
    let channels = Channels::new();
    let ids = [
        "alpha/01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "alpha/01BX5ZZKBKACTAV9WEVGEMMVRZ",
        "alpha/01CX5ZZKBKACTAV9WEVGEMMVRZ",
    ];
    for (id, way) in ids.into_iter().zip([Way::Reaction, Way::Button, Way::Typed]) {
        channels.console.show("approvals", &id.parse().unwrap(), &face(way)).await.unwrap();
    }
    let mut output = Vec::new();
    terminal::run(channels.console.clone(), Arc::new(Heard::default()), ines(), &b""[..], &mut output)
        .await
        .unwrap();
    let shown = String::from_utf8(output).unwrap().replace('\u{200b}', "⟨U+200B⟩");
    insta::assert_snapshot!(shown, @"
    #approvals  | Do container.restart
    #approvals  | On: billing-db
    #approvals  | Digest: 9be1 40c7 d2aa
    #approvals  | ✅ or ❌, or a button.
    #approvals  | 
    #approvals  | The agent wrote:
    #approvals  | > It hangs. @⟨U+200B⟩everyone
    #approvals  | ✅ approve 01ARZ3NDEKTSV4RRFFQ69G5FAV · ❌ deny 01ARZ3NDEKTSV4RRFFQ69G5FAV
    #approvals  | Do container.restart
    #approvals  | On: billing-db
    #approvals  | Digest: 9be1 40c7 d2aa
    #approvals  | By button.
    #approvals  | 
    #approvals  | The agent wrote:
    #approvals  | > It hangs. @⟨U+200B⟩everyone
    #approvals  | approve 01BX5ZZKBKACTAV9WEVGEMMVRZ · deny 01BX5ZZKBKACTAV9WEVGEMMVRZ
    #approvals  | Do container.restart
    #approvals  | On: billing-db
    #approvals  | Digest: 9be1 40c7 d2aa
    #approvals  | By button, then the name that stands behind “On”, typed out.
    #approvals  | 
    #approvals  | The agent wrote:
    #approvals  | > It hangs. @⟨U+200B⟩everyone
    #approvals  | deny 01CX5ZZKBKACTAV9WEVGEMMVRZ
    ");

    let heard = Arc::new(Heard::default());
    let app = router(channels.console, heard.clone(), vec!["alpha".into()]).layer(axum::Extension(ines()));
    let get = axum::http::Request::get("/console").body(Body::empty()).unwrap();
    let page = body(app.clone().oneshot(get).await.unwrap()).await;
    let acts: Vec<&str> = page
        .split("<button class=\"btn")
        .skip(1)
        .map(|button| button.split("</button>").next().unwrap())
        .filter(|button| button.contains("value=\""))
        .collect();
    insta::assert_snapshot!(acts.join("\n"), @r#"
    " name="text" value="approve 01ARZ3NDEKTSV4RRFFQ69G5FAV">Approve
    " name="text" value="deny 01ARZ3NDEKTSV4RRFFQ69G5FAV">Deny
     mark" name="text" value="approve 01ARZ3NDEKTSV4RRFFQ69G5FAV" aria-label="React ✅ to approve" title="React ✅ to approve">✅
     mark" name="text" value="deny 01ARZ3NDEKTSV4RRFFQ69G5FAV" aria-label="React ❌ to deny" title="React ❌ to deny">❌
    " name="text" value="approve 01BX5ZZKBKACTAV9WEVGEMMVRZ">Approve
    " name="text" value="deny 01BX5ZZKBKACTAV9WEVGEMMVRZ">Deny
    " name="text" value="deny 01CX5ZZKBKACTAV9WEVGEMMVRZ">Deny
    "#);
    let post = axum::http::Request::post("/console/command")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "text/plain")
        .body(Body::from("text=approve+01ARZ3NDEKTSV4RRFFQ69G5FAV"))
        .unwrap();
    body(app.oneshot(post).await.unwrap()).await;
    assert_eq!(*heard.0.lock().unwrap(), ["ines on console, by Socket: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
}

#[tokio::test]
async fn the_same_message_again_is_no_edit() {
    let channels = Channels::new();
    for _ in 0..2 {
        channels.console.put(&message("a", "one")).await.unwrap();
    }
    let messages = channels.console.messages(Channel::Approvals, 10).await.unwrap();
    assert_eq!((messages.len(), messages[0].edits), (1, 0));
}
