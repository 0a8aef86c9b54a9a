//! The fixture server of the protocol's conformance suite, behind the guard, on the loopback. For tests alone: whoever
//! reaches its port is its one caller.
//!
//! ```sh
//! cargo run -p qd-guard --example conformance -- 7300 &
//! conformance server --url http://127.0.0.1:7300/mcp --requirements 2026-07-28 \
//!     --expected-failures mcp-servers/guard/tests/conformance.yaml
//! ```

#![allow(clippy::print_stdout, reason = "it says where it listens")]

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_approvals::{Directory, Executor};
use qd_engine::{Engine, Facts, Source};
use qd_guard::{
    Blocks, Call, Caller, Content, Embedded, EngineLaw, Fault, Guard, Ledger, Look, Message, Messages, Page,
    Server, Settings, Speaker, Spec, StoreError, Who,
    http::{self, Tokens},
};
use qd_types::{RunId, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

#[derive(Serialize, JsonSchema)]
struct Said {
    said: String,
}

/// What a fixture does.
#[derive(Clone)]
enum Does {
    Speak,
    Fail,
    Work,
    Change(EngineLaw, Arc<Engine>, Box<Facts>, Arc<AtomicBool>),
}

struct Fixture(&'static str, &'static str, Does);

#[async_trait]
impl Look for Fixture {
    type Input = Nothing;
    type Output = Said;

    fn spec(&self) -> Spec {
        Spec::new(self.0, Tier::Read, "fixture.look").described(self.1, self.1)
    }

    async fn look(&self, call: &Call, _input: Nothing) -> Result<Said, Fault> {
        match &self.2 {
            Does::Speak => {}
            Does::Fail => {
                return Err(Fault::failed("This tool intentionally returns an error for testing.", "Go on."));
            }
            Does::Work => {
                for done in [0_u32, 50, 100] {
                    call.progress.report(done.into(), Some(100.0), format!("Completed step {done} of 100"));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Does::Change(law, engine, facts, gone) => {
                let is_gone = !gone.fetch_xor(true, Ordering::Relaxed);
                let mut known = Facts::clone(facts);
                known.tools.retain(|tool| tool.name != "test_comes_and_goes" || !is_gone);
                let wrong = |error| Fault::failed(format!("{error}."), "Look at the fixture.");
                engine.set_facts(&known).map_err(wrong)?;
                law.changed();
            }
        }
        Ok(Said { said: "This is a simple text response for testing.".to_owned() })
    }
}

/// A picture of one point.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A sound of no length.
const SOUND: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

struct Giving(&'static str, fn() -> Vec<Content>);

#[async_trait]
impl Look for Giving {
    type Input = Nothing;
    type Output = Blocks;

    fn spec(&self) -> Spec {
        Spec::new(self.0, Tier::Read, "fixture.look").described(self.0, "Gives more than text.")
    }

    async fn look(&self, _call: &Call, _input: Nothing) -> Result<Blocks, Fault> {
        Ok(Blocks { content: self.1() })
    }
}

struct Static(&'static str, fn() -> Page);

#[async_trait]
impl Look for Static {
    type Input = Nothing;
    type Output = Page;

    fn spec(&self) -> Spec {
        Spec::new(self.0, Tier::Read, "fixture.read").described(self.0, "A resource that stays as it is.")
    }

    async fn look(&self, _call: &Call, _input: Nothing) -> Result<Page, Fault> {
        Ok(self.1())
    }
}

#[derive(Deserialize, JsonSchema)]
struct Numbered {
    /// Which.
    id: String,
}

struct Data;

#[async_trait]
impl Look for Data {
    type Input = Numbered;
    type Output = Page;

    fn spec(&self) -> Spec {
        Spec::new("template_data", Tier::Read, "fixture.read").described("Data", "Data of a number.")
    }

    async fn look(&self, _call: &Call, input: Numbered) -> Result<Page, Fault> {
        let text = serde_json::json!({ "id": input.id, "templateTest": true, "data": format!("Data for ID: {}", input.id) });
        Ok(Page::text("application/json", text.to_string()))
    }
}

struct Simple(&'static str, fn() -> Vec<Content>);

#[async_trait]
impl Look for Simple {
    type Input = Nothing;
    type Output = Messages;

    fn spec(&self) -> Spec {
        Spec::new(self.0, Tier::Read, "fixture.prompt").described(self.0, "A prompt without arguments.")
    }

    async fn look(&self, _call: &Call, _input: Nothing) -> Result<Messages, Fault> {
        let message = |content| Message { role: Speaker::User, content };
        Ok(Messages { description: None, messages: self.1().into_iter().map(message).collect() })
    }
}

#[derive(Deserialize, JsonSchema)]
struct Two {
    /// First test argument
    arg1: String,
    /// Second test argument
    arg2: String,
}

struct WithArguments;

#[async_trait]
impl Look for WithArguments {
    type Input = Two;
    type Output = Messages;

    fn spec(&self) -> Spec {
        Spec::new("test_prompt_with_arguments", Tier::Read, "fixture.prompt")
            .described("With arguments", "Says its arguments.")
    }

    async fn look(&self, _call: &Call, input: Two) -> Result<Messages, Fault> {
        Ok(Messages::user(format!("Prompt with arguments: arg1='{}', arg2='{}'", input.arg1, input.arg2)))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Which {
    /// URI of the resource to embed
    resource_uri: String,
}

struct WithResource;

#[async_trait]
impl Look for WithResource {
    type Input = Which;
    type Output = Messages;

    fn spec(&self) -> Spec {
        Spec::new("test_prompt_with_embedded_resource", Tier::Read, "fixture.prompt")
            .described("With a resource", "Holds a resource.")
    }

    async fn look(&self, _call: &Call, input: Which) -> Result<Messages, Fault> {
        let page = Page::text("text/plain", "Embedded resource content for testing.");
        let resource = Embedded { uri: input.resource_uri, page };
        let held = Message { role: Speaker::User, content: Content::Resource { resource } };
        let asked = Message::user("Please process the embedded resource above.");
        Ok(Messages { description: None, messages: vec![held, asked] })
    }
}

fn text() -> Page {
    Page::text("text/plain", "This is the content of the static text resource.")
}

fn simple() -> Vec<Content> {
    vec![Content::Text { text: "This is a simple prompt for testing.".to_owned() }]
}

fn image() -> Content {
    Content::Image { data: PICTURE.to_owned(), mime_type: "image/png".to_owned() }
}

fn audio() -> Content {
    Content::Audio { data: SOUND.to_owned(), mime_type: "audio/wav".to_owned() }
}

fn embedded() -> Content {
    let page = Page::text("text/plain", "This is an embedded resource content.");
    Content::Resource { resource: Embedded { uri: "test://embedded-resource".to_owned(), page } }
}

fn mixed() -> Vec<Content> {
    vec![Content::Text { text: "Multiple content types test:".to_owned() }, image(), embedded()]
}

fn picture() -> Vec<Content> {
    vec![image(), Content::Text { text: "Please analyze the image above.".to_owned() }]
}

struct Anybody(Caller);

#[async_trait]
impl Tokens for Anybody {
    async fn caller(&self, _token: Option<&str>) -> Result<Option<Caller>, StoreError> {
        Ok(Some(self.0.clone()))
    }
}

fn server(change: Does) -> Result<Server, qd_guard::ToolError> {
    Server::new("conformance", "Fixtures of the conformance suite.")
        .look(Fixture("test_simple_text", "Says a text.", Does::Speak))?
        .look(Fixture("test_error_handling", "Fails.", Does::Fail))?
        .look(Fixture("test_tool_with_progress", "Says how far it is.", Does::Work))?
        .look(Giving("test_image_content", || vec![image()]))?
        .look(Giving("test_audio_content", || vec![audio()]))?
        .look(Giving("test_embedded_resource", || vec![embedded()]))?
        .look(Giving("test_multiple_content_types", mixed))?
        .look(Fixture("test_comes_and_goes", "Is there, and is not.", Does::Speak))?
        .look(Fixture("test_trigger_tool_change", "Takes a tool off the list, or puts it back.", change))?
        .resource("test://static-text", Static("static_text", text))?
        .resource("test://static-binary", Static("static_binary", || Page::blob("image/png", PICTURE)))?
        .resource("test://template/{id}/data", Data)?
        .prompt(Simple("test_simple_prompt", simple))?
        .prompt(Simple("test_prompt_with_image", picture))?
        .prompt(WithArguments)?
        .prompt(WithResource)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).unwrap_or_else(|| "0".to_owned()).parse()?;
    let folder = std::env::temp_dir().join(format!("quarterdeck-conformance-{}", std::process::id()));
    let facts = Facts {
        teams: vec!["alpha".parse()?],
        agents: vec![("alpha".parse()?, "suite".to_owned())],
        tools: server(Does::Speak)?.known_tools(),
        ..Facts::default()
    };
    let engine = Arc::new(Engine::new(Source::Embedded, &facts, &[])?);
    let law = EngineLaw::new(engine.clone());
    let clock: qd_guard::Clock = Arc::new(Timestamp::now);
    let ledger = Arc::new(Ledger::open(&folder, Executor::new("alpha"), Directory::default(), clock).await?);
    let tools = server(Does::Change(law.clone(), engine, Box::new(facts), Arc::default()))?;
    let guard = Guard::new(tools, Arc::new(law), ledger.clone(), ledger, Settings::default());
    let caller = Caller::new(Who::Agent {
        team: "alpha".parse()?,
        agent: "suite".to_owned(),
        run: "A-1.1".parse::<RunId>()?,
        on_behalf: vec![],
    });
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/mcp", listener.local_addr()?);
    let stop = CancellationToken::new();
    let origins = vec!["http://localhost:*".to_owned(), "http://127.0.0.1:*".to_owned()];
    let settings = http::Settings { origins, ..http::Settings::default() };
    let serving = http::serve(listener, guard, Arc::new(Anybody(caller)), settings, stop.clone());
    tokio::select! {
        () = serving => {}
        ended = tokio::signal::ctrl_c() => ended?,
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
